//! What the store says about a run that is being planned.

use raw_store::{
    CallBudget, LineFilter, LogFilter, LogLine, SourceRefusal, Trigger, Window, WindowSelection, WindowState,
};
use time::OffsetDateTime;

use crate::company::OpenCompany;
use crate::facts::is_present;
use crate::pages::new::asked::Asked;
use crate::trouble::Trouble;

/// The most failed windows that are looked at to find a range.
const MOST_FAILED: u32 = 10_000;

/// How many workers are looked at.
const WORKERS: u32 = 50;

/// What is known before the form is understood.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) now: OffsetDateTime,
    pub(super) triggers: Vec<Trigger>,
    pub(super) budget: CallBudget,
    pub(super) is_worked: bool,
}

pub(super) async fn known(open: &OpenCompany) -> Result<Known, Trouble> {
    let store = &open.store;
    let (triggers, now) = store.triggers().await?;
    let workers = store.workers(WORKERS).await?;
    let is_worked = workers.value.iter().any(|worker| is_present(worker, workers.now));
    Ok(Known { now, triggers, budget: store.call_budget().await?.value, is_worked })
}

/// The span from the first failed window of these pipelines to the last.
pub(super) async fn failed_span(
    open: &OpenCompany,
    names: &[&str],
    axis: &str,
) -> Result<Option<Window>, Trouble> {
    let filter = LineFilter {
        state: Some(WindowState::Failed),
        time_axis: Some(axis.into()),
        ..LineFilter::default()
    };
    let lines = open.store.page_of_lines(&filter, None, MOST_FAILED).await?.value;
    let own = || lines.iter().filter(|line| names.contains(&&*line.entity_name));
    let start = own().map(|line| line.window.start()).min();
    let end = own().map(|line| line.window.end()).max();
    Ok(start.zip(end).and_then(|(start, end)| Window::new(start, end).ok()))
}

/// The log of the range, as far as it concerns the pipelines, and what QuickBooks has refused.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) lines: Vec<LogLine>,
    pub(super) refusals: Vec<SourceRefusal>,
}

pub(super) async fn logged(open: &OpenCompany, asked: &Asked) -> Result<Logged, Trouble> {
    // One pipeline is asked for by its name; of several, the store gives all, which is one question.
    let entity_name = match &*asked.entities {
        [one] => Some(one.entity_name().into()),
        _ => None,
    };
    let state = (asked.selection == WindowSelection::Failed).then_some(WindowState::Failed);
    let filter = LogFilter { entity_name, state, span: Some(asked.span), ..LogFilter::default() };
    Ok(Logged { lines: open.store.lines(&filter).await?, refusals: open.store.refusals().await? })
}
