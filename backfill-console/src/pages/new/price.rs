//! What a run would read, and what it costs at least.

use std::collections::BTreeMap;

use backfill_core::{Plan, RunRequest, Settling, TooManyWindows};
use raw_store::{LogLine, Reopen, StoreIdentity, Window, WindowSelection, WindowState};
use time::OffsetDateTime;

use crate::pages::new::asked::Asked;
use crate::pages::new::known::Logged;

/// What a run would read, and what it costs at least.
#[derive(Debug)]
pub(super) struct Price {
    pub(super) plan: Plan,
    /// What is read once more, because it ends too near to the time of the run.
    pub(super) settling: Option<Settling>,
    pub(super) windows: usize,
    pub(super) open: usize,
    pub(super) scans: usize,
    /// Ranges of completed windows that are only counted.
    pub(super) uncounted: usize,
}

impl Price {
    /// Plans the run as a worker would if the trigger fired with the log as it is.
    pub(super) fn new(asked: &Asked, logged: &Logged, now: OffsetDateTime) -> Result<Self, TooManyWindows> {
        // A plan does not depend on the company or on the name of the run.
        let company = StoreIdentity { realm_id: String::new().into(), environment: String::new().into() };
        let Ok(id) = "preview".parse() else { return Err(TooManyWindows { chunk: asked.chunk.as_str() }) };
        let request = RunRequest::new(id, company, asked.entities.clone(), asked.span)
            .with_chunk(asked.chunk)
            .with_axis(asked.axis)
            .with_reopen(reopen(asked.selection))
            .with_refusals(&logged.refusals, now);
        let chosen = (asked.selection == WindowSelection::Failed).then(|| failed(asked, &logged.lines));
        let request = RunRequest { chosen, ..request };
        let plan = Plan::new(&request, &logged.lines)?;
        let settling = plan.settling(&request, asked.fire_at.max(now));
        let windows = plan.pipelines.iter().map(|pipeline| pipeline.windows.len()).sum();
        let scans = plan.pipelines.iter().map(|pipeline| pipeline.scans.len()).sum();
        let uncounted = plan.pipelines.iter().map(|pipeline| pipeline.uncounted).sum();
        Ok(Self { windows, open: plan.open_windows(), scans, uncounted, settling, plan })
    }

    /// Calls at the least, with those of reading again what ends too near to the time of the run.
    pub(super) fn calls(&self) -> u64 {
        self.plan.estimated_calls + self.settling.map_or(0, |settling| settling.calls)
    }
}

fn reopen(selection: WindowSelection) -> Reopen {
    match selection {
        WindowSelection::Again => Reopen::All,
        WindowSelection::Open | WindowSelection::Failed => Reopen::Unfinished,
    }
}

/// The failed windows of the range, by pipeline.
fn failed(asked: &Asked, lines: &[LogLine]) -> BTreeMap<Box<str>, Vec<Window>> {
    let own = |name: &str| {
        let is_own = move |line: &&LogLine| {
            &*line.entity_name == name
                && &*line.time_axis == asked.axis.as_str()
                && line.state == WindowState::Failed
        };
        lines.iter().filter(is_own).map(|line| line.window).collect()
    };
    let names = asked.entities.iter().map(backfill_core::EntitySpec::entity_name);
    names.map(|name| (name.into(), own(name))).collect()
}
