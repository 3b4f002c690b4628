//! The proof of a pipeline: what QuickBooks counts, beside what the log says was read.
//!
//! Fewer at the source is harmless: records that were edited or deleted after they were read. More means that something
//! was missed: the windows where it was are found by counting halves, and read again.

use std::collections::{HashMap, HashSet};

use raw_store::{LogFilter, OpenWindow, Window, WindowState};

use crate::desk::{Desk, Unread};
use crate::plan::consecutive;
use crate::{RunError, RunEvent};

/// Consecutive completed windows, and the records read in each.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    windows: Vec<(Window, u64)>,
}

/// Counts that a shortfall is traced by. A source that counts everywhere more than it delivers would cost two for every
/// window; behind these, what is short is left as the stretch that it is.
const MOST_COUNTS: usize = 100;

/// A window of a claim that is not true: QuickBooks counts more than was read, in it or in a stretch that it is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shortfall {
    pub(crate) window: Window,
    /// Where was counted.
    span: Window,
    /// What it counts; nothing if it counted more before and does not answer any more.
    source: Option<u64>,
    read: u64,
}

impl Claim {
    fn span(&self) -> Window {
        let (first, last) = (self.windows[0].0, self.windows[self.windows.len() - 1].0);
        Window::new(first.start(), last.end()).expect("consecutive windows ascend")
    }

    fn read(&self) -> u64 {
        self.windows.iter().map(|(_, read)| read).sum()
    }

    /// Each of its windows, for QuickBooks counts more in all of them, or does not say.
    fn shortfalls(&self, source: Option<u64>) -> impl Iterator<Item = Shortfall> {
        let (span, read) = (self.span(), self.read());
        self.windows.iter().map(move |(window, _)| Shortfall { window: *window, span, source, read })
    }
}

impl Shortfall {
    /// Gives the window up: reading it again did not help.
    pub(crate) async fn fail(&self, desk: &Desk) -> Result<(), RunError> {
        let Self { window, span, source, read } = self;
        let place = if span == window { "here".to_owned() } else { format!("in {span}") };
        let message = match source {
            Some(source) => format!("QuickBooks counts {source} records {place}, {read} were read"),
            None => format!(
                "QuickBooks counted more records than were read {place}, and does not count them again: {read} were read"
            ),
        };
        desk.fail(&[*window], &message).await.map_err(|error| desk.error(Some(*window), error))
    }
}

/// The completed stretches that no count has confirmed since they were read: those of this run, and those of one that was
/// stopped before its count. What was confirmed before is left out, for edits since would hide what another window lacks.
pub(crate) async fn claims(desk: &Desk, plan: &[Window]) -> Result<Vec<Claim>, RunError> {
    let filter = LogFilter {
        entity_name: Some(desk.pipeline.entity_name.clone()),
        run: None,
        span: Some(desk.request.span),
        state: Some(WindowState::Completed),
    };
    let mut lines = desk.store.lines(&filter).await.map_err(|error| desk.error(None, error))?;
    let planned: HashSet<_> = plan.iter().collect();
    lines.retain(|line| {
        line.time_axis == desk.pipeline.time_axis
            && line.counted_at.is_none()
            && planned.contains(&line.window)
    });
    let read: HashMap<_, _> = lines.iter().map(|line| (line.window, line.metrics.records_read)).collect();
    let open = lines.iter().map(|line| OpenWindow { window: line.window, cursor: None });
    let claim = |windows: Vec<OpenWindow>| Claim {
        windows: windows.iter().map(|open| (open.window, read[&open.window])).collect(),
    };
    Ok(consecutive(open).into_iter().map(claim).collect())
}

/// Whether a stretch in which nothing was read is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Empty {
    /// The answer that held no record is proof enough, and costs no further call.
    Believed,
    /// There is a reason to doubt it.
    Counted,
}

/// Counts what was claimed, and notes what is confirmed. An entity that does not count is believed, unless there is a reason
/// to doubt it.
pub(crate) async fn shortfalls(
    desk: &Desk,
    claims: Vec<Claim>,
    empty: Empty,
) -> Result<Vec<Shortfall>, RunError> {
    let mut found: Vec<Shortfall> = Vec::new();
    let mut counted_windows = Vec::new();
    let mut counts_left = MOST_COUNTS;
    for claim in claims {
        let windows = claim.windows.iter().map(|(window, _)| *window);
        if claim.read() == 0 && empty == Empty::Believed {
            counted_windows.extend(windows);
            continue;
        }
        let (span, read) = (claim.span(), claim.read());
        let Some(source) = counted(desk, span).await? else {
            if empty == Empty::Counted {
                found.extend(claim.shortfalls(None));
            }
            continue;
        };
        point!("proof.counted");
        counted_windows.extend(windows);
        if source != read {
            let pipeline = desk.spec.pipeline_name();
            desk.emit(&RunEvent::CountDiffers { pipeline, span, source, read });
        }
        if source > read {
            narrow(desk, (claim, source), &mut counts_left, &mut found).await?;
        }
    }
    let short: HashSet<_> = found.iter().map(|one| one.window).collect();
    counted_windows.retain(|window| !short.contains(window));
    let noted = desk.store.note_counted(desk.owner(), &counted_windows, desk.clock.now_utc()).await;
    noted.map_err(|error| desk.error(None, error))?;
    Ok(found)
}

/// Counts halves of what is short until single windows are left. A half that is not short is left alone.
async fn narrow(
    desk: &Desk,
    claim: (Claim, u64),
    counts_left: &mut usize,
    found: &mut Vec<Shortfall>,
) -> Result<(), RunError> {
    let mut short = vec![claim];
    while let Some((mut claim, source)) = short.pop() {
        if claim.windows.len() == 1 || *counts_left == 0 {
            found.extend(claim.shortfalls(Some(source)));
            continue;
        }
        let later = Claim { windows: claim.windows.split_off(claim.windows.len() / 2) };
        *counts_left -= 1;
        let Some(first_half) = counted(desk, claim.span()).await? else {
            // It cannot be said where, so it may be anywhere.
            claim.windows.extend(later.windows);
            found.extend(claim.shortfalls(Some(source)));
            continue;
        };
        // Nothing can have come to the past meanwhile, so the later half holds no more than the rest.
        let second_half = source.saturating_sub(first_half);
        for (half, source) in [(later, second_half), (claim, first_half)] {
            if source > half.read() {
                short.push((half, source));
            }
        }
    }
    Ok(())
}

/// What QuickBooks counts; nothing where it does not count. An entity that cannot be counted has been read all the same.
async fn counted(desk: &Desk, span: Window) -> Result<Option<u64>, RunError> {
    let query = desk.spec.query(desk.request.axis, span.start(), span.end());
    match desk.count(&query).await {
        Ok(source) => Ok(Some(source)),
        Err(Unread::Fatal(failure)) => Err(desk.error(None, failure)),
        Err(Unread::TooMuch(_) | Unread::Poisoned(_) | Unread::Rest(_) | Unread::Unavailable(_)) => Ok(None),
    }
}
