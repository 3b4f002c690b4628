//! The count check of a pipeline: compares what QuickBooks counts with what the log says was read.
//!
//! A lower count at the source is harmless: records were edited or deleted after they were read. A higher count means that
//! records were missed: counting halves finds the windows that miss them, and those are read again.
//!
//! A response that is empty, or shorter than requested, is the only evidence that nothing is left. It does not close its
//! windows: they stay open in the log until a count confirms them, or a second response to the same request where the source
//! does not count. Windows that a dying process leaves open are read again by the next run.

use std::collections::{HashMap, HashSet};

use failpoint::point;
use raw_store::{LogFilter, LogLine, OpenWindow, Window, WindowState};

use super::log_snapshot::log_moved;
use crate::error::RunError;
use crate::event::RunEventKind;
use crate::plan::consecutive;
use crate::scan::pipeline_context::{Confirmed, FetchFailure, PipelineContext};

/// A window that waits for its count check.
#[derive(Clone, Copy, Debug)]
struct Claimed {
    window: Window,
    /// Records read in the window.
    read: u64,
    /// Whether a single response is the only evidence that nothing is left; the window then stays open until a second one
    /// confirms it.
    is_open: bool,
    /// The page that read the window to its end, if the window is open.
    page: Option<u32>,
}

/// Consecutive windows that were read to their end, and the records read in each.
#[derive(Clone, Debug)]
pub(crate) struct ExpectedCount {
    windows: Vec<Claimed>,
}

/// The most counts spent on narrowing down a mismatch. A source that counts more than it delivers everywhere would cost two
/// counts for each window; beyond this limit, a mismatch is reported for the whole range.
const MOST_COUNTS: usize = 100;

/// A window whose expected count is wrong: QuickBooks has more records than were read, in the window or in the range that it is
/// part of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountMismatch {
    pub(crate) window: Window,
    /// The span that was counted.
    span: Window,
    found: Found,
    read: u64,
}

/// QuickBooks' second statement about a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// It counts this many records.
    Counted(u64),
    /// It sends this many records, where it cannot be asked to count.
    Sent(u64),
    /// It counted more than was read, and then stopped answering.
    Uncounted,
    /// It sends no records and gives no count.
    Silent,
}

impl ExpectedCount {
    fn span(&self) -> Window {
        let (first, last) = (self.windows[0].window, self.windows[self.windows.len() - 1].window);
        Window::new(first.start(), last.end()).expect("consecutive windows ascend")
    }

    fn read(&self) -> u64 {
        self.windows.iter().map(|one| one.read).sum()
    }

    fn all(&self) -> impl Iterator<Item = Window> {
        self.windows.iter().map(|one| one.window)
    }

    /// The windows that wait for a second response.
    fn open(&self) -> impl Iterator<Item = Window> {
        self.windows.iter().filter(|one| one.is_open).map(|one| one.window)
    }

    /// The part from the first open window to the last.
    fn silent(mut self) -> Option<Self> {
        let last = self.windows.iter().rposition(|one| one.is_open)?;
        let first = self.windows.iter().position(|one| one.is_open)?;
        self.windows = self.windows[first..=last].to_vec();
        Some(self)
    }

    /// Turns some of the windows into mismatches: QuickBooks has more records in all of them, or does not say.
    fn count_mismatches(
        &self,
        found: Found,
        windows: impl Iterator<Item = Window>,
    ) -> impl Iterator<Item = CountMismatch> {
        let (span, read) = (self.span(), self.read());
        windows.map(move |window| CountMismatch { window, span, found, read })
    }
}

impl CountMismatch {
    /// Gives the window up, because reading it again did not help.
    pub(crate) async fn fail(&self, context: &PipelineContext) -> Result<(), RunError> {
        let Self { window, span, found, read } = self;
        let place = if span == window { "here".to_owned() } else { format!("in {span}") };
        let message = match found {
            Found::Counted(source) => format!("QuickBooks counts {source} records {place}, {read} were read"),
            Found::Sent(source) => {
                format!("QuickBooks sends {source} records {place} when it is asked again, {read} were read")
            }
            Found::Uncounted => format!(
                "QuickBooks counted more records than were read {place}, and does not count them again: {read} were read"
            ),
            Found::Silent => format!(
                "QuickBooks sends no records {place} and does not count them: an empty answer alone proves nothing"
            ),
        };
        let code = match found {
            Found::Counted(_) | Found::Sent(_) => "count.differs",
            Found::Uncounted | Found::Silent => "count.unconfirmed",
        };
        context.fail(&[*window], (&message, code)).await.map_err(|error| context.error(Some(*window), error))
    }
}

/// What a count check covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Everything that was read and that no count has confirmed since.
    All,
    /// Only the windows that rest on the evidence of a last response.
    Silence,
}

/// Returns the ranges that were read to their end and that no count has confirmed since, by this run or by one that stopped
/// before its count. Ranges confirmed before are left out, because edits since then would hide what another window misses.
pub(crate) async fn expected_counts(
    context: &PipelineContext,
    plan: &[Window],
    about: About,
) -> Result<Vec<ExpectedCount>, RunError> {
    let filter = LogFilter {
        entity_name: Some(context.pipeline.entity_name.clone()),
        run: None,
        span: Some(context.request.span),
        state: None,
    };
    let lines = context.store.log.lines(&filter).await.map_err(|error| context.error(None, error))?;
    let planned: HashSet<_> = plan.iter().collect();
    let waits = |line: &LogLine| {
        let is_open = line.state == WindowState::Running && line.run.as_ref() == Some(context.run());
        let is_uncounted = line.state == WindowState::Completed && line.counted_at.is_none();
        let waits = is_open || (is_uncounted && context.spec.is_counted());
        let is_of_plan = line.time_axis == context.pipeline.time_axis && planned.contains(&line.window);
        (waits && is_of_plan).then(|| Claimed {
            window: line.window,
            read: line.metrics.records_read,
            is_open,
            page: context.read_to_its_end_by(&line.window).filter(|_| is_open),
        })
    };
    let waiting: HashMap<_, _> =
        lines.iter().filter_map(waits).map(|claimed| (claimed.window, claimed)).collect();
    // By now everything was read to its end. A window that the log calls running was put back since.
    if waiting.values().any(|one| one.is_open && one.page.is_none()) {
        return Err(context.error(None, log_moved(&context.pipeline.entity_name)));
    }
    let mut windows: Vec<_> = waiting.keys().copied().collect();
    windows.sort_unstable();
    let open = windows.into_iter().map(|window| OpenWindow { window, cursor: None });
    let claim = |windows: Vec<OpenWindow>| ExpectedCount {
        windows: windows.iter().map(|open| waiting[&open.window]).collect(),
    };
    let expected_counts = consecutive(open).into_iter().map(claim);
    Ok(match about {
        About::All => expected_counts.collect(),
        About::Silence => expected_counts.filter_map(ExpectedCount::silent).collect(),
    })
}

/// Requests a second statement for each expected count and closes the windows that it confirms. `before` holds the mismatches
/// found when the windows were first read.
pub(crate) async fn count_mismatches(
    context: &PipelineContext,
    expected_counts: Vec<ExpectedCount>,
    before: &[CountMismatch],
) -> Result<Vec<CountMismatch>, RunError> {
    let mut found: Vec<CountMismatch> = Vec::new();
    let (mut by_count, mut otherwise) = (Vec::<Claimed>::new(), Vec::<Claimed>::new());
    let mut counts_left = MOST_COUNTS;
    let is_first = before.is_empty();
    for claim in expected_counts {
        let (span, read) = (claim.span(), claim.read());
        if !context.spec.is_counted() {
            match sent_again(context, &claim).await? {
                Found::Sent(source) if source <= read => otherwise.extend(&claim.windows),
                short => found.extend(claim.count_mismatches(short, claim.all())),
            }
            continue;
        }
        let Some(source) = counted(context, span).await? else {
            found.extend(uncounted(&claim, before, &mut otherwise));
            continue;
        };
        point!("proof.counted");
        by_count.extend(&claim.windows);
        if source != read {
            let pipeline = context.spec.pipeline_name();
            context.events.emit(RunEventKind::CountDiffers { pipeline, span, source, read });
        }
        if source > read {
            narrow(context, (claim, source), is_first, &mut counts_left, &mut found).await?;
        }
    }
    let short: HashSet<_> = found.iter().map(|one| one.window).collect();
    by_count.retain(|one| !short.contains(&one.window));
    let close = async |claimed: Vec<Claimed>, by| {
        let windows: Vec<_> = claimed.iter().map(|one| one.window).collect();
        let last_pages: Vec<_> = claimed.iter().filter_map(|one| Some((one.window, one.page?))).collect();
        context.close(&windows, (claimed.iter().map(|one| one.read).sum(), &last_pages), by).await
    };
    let closed = async {
        close(by_count, Confirmed::ByCount).await?;
        close(otherwise, Confirmed::Otherwise).await
    };
    closed.await.map_err(|error| context.error(None, error))?;
    Ok(found)
}

/// Decides about a range that QuickBooks does not count. Open windows are read once more, which is a second response; records
/// that it delivers are believed, as those of closed windows are.
fn uncounted(
    claim: &ExpectedCount,
    before: &[CountMismatch],
    otherwise: &mut Vec<Claimed>,
) -> Vec<CountMismatch> {
    let found = |window: &Window| before.iter().find(|one| one.window == *window).map(|one| one.found);
    let doubted =
        claim.all().find(|window| matches!(found(window), Some(Found::Counted(_) | Found::Uncounted)));
    if doubted.is_some() {
        return claim.count_mismatches(Found::Uncounted, claim.all()).collect();
    }
    let is_second_answer = claim.open().any(|window| found(&window).is_some());
    if is_second_answer && claim.read() > 0 {
        otherwise.extend(claim.windows.iter().filter(|one| one.is_open));
        return Vec::new();
    }
    claim.count_mismatches(Found::Silent, claim.open()).collect()
}

/// Requests again what is never counted, if the first response was empty. Records that arrived prove themselves.
async fn sent_again(context: &PipelineContext, claim: &ExpectedCount) -> Result<Found, RunError> {
    if claim.read() > 0 {
        return Ok(Found::Sent(claim.read()));
    }
    let span = claim.span();
    let query = context.spec.query(context.request.axis, span.start(), span.end());
    match context.ask(&query).await.map_err(FetchFailure::settled) {
        Ok(page) => Ok(Found::Sent(page.len() as u64)),
        Err(unread) => match unread.fatal() {
            Some(failure) => Err(context.error(None, failure)),
            None => Ok(Found::Silent),
        },
    }
}

/// Counts halves of a mismatch until single windows are left. A half that matches is left alone. A half of which nothing was
/// read is read again as a whole, which costs no more than a count. After that second reading, a half that counts at least one
/// record for each window, of which none was sent, fails as a whole.
async fn narrow(
    context: &PipelineContext,
    claim: (ExpectedCount, u64),
    is_first: bool,
    counts_left: &mut usize,
    found: &mut Vec<CountMismatch>,
) -> Result<(), RunError> {
    let mut short = vec![claim];
    while let Some((mut claim, source)) = short.pop() {
        let is_all_missing = claim.read() == 0 && (is_first || source >= claim.windows.len() as u64);
        if claim.windows.len() == 1 || is_all_missing || *counts_left == 0 {
            found.extend(claim.count_mismatches(Found::Counted(source), claim.all()));
            continue;
        }
        let later = ExpectedCount { windows: claim.windows.split_off(claim.windows.len() / 2) };
        *counts_left -= 1;
        let Some(first_half) = counted(context, claim.span()).await? else {
            // The location is unknown, so any of the windows may miss records.
            claim.windows.extend(later.windows);
            found.extend(claim.count_mismatches(Found::Counted(source), claim.all()));
            continue;
        };
        // No record can have been added to the past meanwhile, so the later half holds no more than the rest.
        let second_half = source.saturating_sub(first_half);
        for (half, source) in [(later, second_half), (claim, first_half)] {
            if source > half.read() {
                short.push((half, source));
            }
        }
    }
    Ok(())
}

/// Returns QuickBooks' count, or `None` where it does not count. An entity that cannot be counted was read all the same.
async fn counted(context: &PipelineContext, span: Window) -> Result<Option<u64>, RunError> {
    let query = context.spec.query(context.request.axis, span.start(), span.end());
    match context.count(&query).await {
        Ok(source) => Ok(Some(source)),
        Err(unread) => match unread.fatal() {
            Some(failure) => Err(context.error(None, failure)),
            None => Ok(None),
        },
    }
}
