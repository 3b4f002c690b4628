//! The proof of a pipeline: what QuickBooks counts, beside what the log says was read.
//!
//! Fewer at the source is harmless: records that were edited or deleted after they were read. More means that something
//! was missed: the windows where it was are found by counting halves, and read again.
//!
//! An answer that is empty, or shorter than asked, is the only witness that nothing is left. Its windows are not closed on its
//! word: they stay open in the log until a count confirms them, or a second answer to the same question where the source
//! does not count. What a process that dies leaves open, the next run reads again.

use std::collections::{HashMap, HashSet};

use qbo_auth::planted::is_planted;
use raw_store::{LogFilter, LogLine, OpenWindow, Window, WindowState};

use super::log_snapshot::log_moved;
use crate::error::RunError;
use crate::event::RunEvent;
use crate::plan::consecutive;
use crate::scan::context::{Confirmed, Desk, Unread};

/// A window that waits for its proof.
#[derive(Clone, Copy, Debug)]
struct Claimed {
    window: Window,
    /// Records read in it.
    read: u64,
    /// Whether its last answer was the only word for it that nothing is left: it stays open until another confirms it.
    is_open: bool,
    /// The page that read it to its end, if it is open.
    page: Option<u32>,
}

/// Consecutive windows that were read to their end, and the records read in each.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    windows: Vec<Claimed>,
}

/// Counts that a shortfall is traced by. A source that counts everywhere more than it delivers would cost two for every
/// window; behind these, what is short is left as the stretch that it is.
const MOST_COUNTS: usize = 100;

/// A window of a claim that is not true: QuickBooks has more than was read, in it or in a stretch that it is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shortfall {
    pub(crate) window: Window,
    /// Where was counted.
    span: Window,
    found: Found,
    read: u64,
}

/// What QuickBooks says about a stretch, asked a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// It counts so many records.
    Counted(u64),
    /// It sends so many, where it is not asked to count.
    Sent(u64),
    /// It counted more than was read, and does not answer any more.
    Uncounted,
    /// It sends nothing, and does not say how many there are.
    Silent,
}

impl Claim {
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

    /// Those that wait for a second answer.
    fn open(&self) -> impl Iterator<Item = Window> {
        self.windows.iter().filter(|one| one.is_open).map(|one| one.window)
    }

    /// The part from its first open window to its last.
    fn silent(mut self) -> Option<Self> {
        let last = self.windows.iter().rposition(|one| one.is_open)?;
        let first = self.windows.iter().position(|one| one.is_open)?;
        self.windows = self.windows[first..=last].to_vec();
        Some(self)
    }

    /// Some of its windows, for QuickBooks has more in all of them, or does not say.
    fn shortfalls(
        &self,
        found: Found,
        windows: impl Iterator<Item = Window>,
    ) -> impl Iterator<Item = Shortfall> {
        let (span, read) = (self.span(), self.read());
        windows.map(move |window| Shortfall { window, span, found, read })
    }
}

impl Shortfall {
    /// Gives the window up: reading it again did not help.
    pub(crate) async fn fail(&self, desk: &Desk) -> Result<(), RunError> {
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
        desk.fail(&[*window], &message).await.map_err(|error| desk.error(Some(*window), error))
    }
}

/// What a run's proof is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Everything that was read and that no count has confirmed since.
    All,
    /// What a last answer was silent about.
    Silence,
}

/// The stretches that were read to their end and that no count has confirmed since: those of this run, and those of one that
/// was stopped before its count. What was confirmed before is left out, for edits since would hide what another window
/// lacks.
pub(crate) async fn claims(desk: &Desk, plan: &[Window], about: About) -> Result<Vec<Claim>, RunError> {
    let filter = LogFilter {
        entity_name: Some(desk.pipeline.entity_name.clone()),
        run: None,
        span: Some(desk.request.span),
        state: None,
    };
    let lines = desk.store.lines(&filter).await.map_err(|error| desk.error(None, error))?;
    let planned: HashSet<_> = plan.iter().collect();
    let waits = |line: &LogLine| {
        let is_open = line.state == WindowState::Running && line.run.as_ref() == Some(desk.run());
        let is_uncounted = line.state == WindowState::Completed && line.counted_at.is_none();
        let waits = is_open || (is_uncounted && desk.spec.is_counted());
        let is_of_plan = line.time_axis == desk.pipeline.time_axis && planned.contains(&line.window);
        (waits && is_of_plan).then(|| Claimed {
            window: line.window,
            read: line.metrics.records_read,
            is_open,
            page: desk.read_to_its_end_by(&line.window).filter(|_| is_open),
        })
    };
    let waiting: HashMap<_, _> =
        lines.iter().filter_map(waits).map(|claimed| (claimed.window, claimed)).collect();
    // Everything was read to its end by now. What the log says is still read was put back since.
    if waiting.values().any(|one| one.is_open && one.page.is_none()) && !is_planted("count of another log") {
        return Err(desk.error(None, log_moved(&desk.pipeline.entity_name)));
    }
    let mut windows: Vec<_> = waiting.keys().copied().collect();
    windows.sort_unstable();
    let open = windows.into_iter().map(|window| OpenWindow { window, cursor: None });
    let claim = |windows: Vec<OpenWindow>| Claim {
        windows: windows.iter().map(|open| waiting[&open.window]).collect(),
    };
    let claims = consecutive(open).into_iter().map(claim);
    Ok(match about {
        About::All => claims.collect(),
        About::Silence => claims.filter_map(Claim::silent).collect(),
    })
}

/// Asks for a second word on what was claimed, and closes what is confirmed. `before` is what was short when the windows were
/// read the first time.
pub(crate) async fn shortfalls(
    desk: &Desk,
    claims: Vec<Claim>,
    before: &[Shortfall],
) -> Result<Vec<Shortfall>, RunError> {
    let mut found: Vec<Shortfall> = Vec::new();
    let (mut by_count, mut otherwise) = (Vec::<Claimed>::new(), Vec::<Claimed>::new());
    let mut counts_left = MOST_COUNTS;
    let is_first = before.is_empty();
    for claim in claims {
        let (span, read) = (claim.span(), claim.read());
        if read == 0 && is_planted("empty answer believed") {
            by_count.extend(&claim.windows);
            continue;
        }
        if !desk.spec.is_counted() {
            match sent_again(desk, &claim).await? {
                Found::Sent(source) if source <= read => otherwise.extend(&claim.windows),
                short => found.extend(claim.shortfalls(short, claim.all())),
            }
            continue;
        }
        let Some(source) = counted(desk, span).await? else {
            found.extend(uncounted(&claim, before, &mut otherwise));
            continue;
        };
        point!("proof.counted");
        by_count.extend(&claim.windows);
        if source != read {
            let pipeline = desk.spec.pipeline_name();
            desk.emit(&RunEvent::CountDiffers { pipeline, span, source, read });
        }
        if source > read {
            narrow(desk, (claim, source), is_first, &mut counts_left, &mut found).await?;
        }
    }
    let short: HashSet<_> = found.iter().map(|one| one.window).collect();
    by_count.retain(|one| !short.contains(&one.window));
    let close = async |claimed: Vec<Claimed>, by| {
        let windows: Vec<_> = claimed.iter().map(|one| one.window).collect();
        let last_pages: Vec<_> = claimed.iter().filter_map(|one| Some((one.window, one.page?))).collect();
        desk.close(&windows, (claimed.iter().map(|one| one.read).sum(), &last_pages), by).await
    };
    let closed = async {
        close(by_count, Confirmed::ByCount).await?;
        close(otherwise, Confirmed::Otherwise).await
    };
    closed.await.map_err(|error| desk.error(None, error))?;
    Ok(found)
}

/// What becomes of a claim that QuickBooks does not count. What is open is read once more, which is a second answer; if that
/// delivers records, they are believed, as those of closed windows are.
fn uncounted(claim: &Claim, before: &[Shortfall], otherwise: &mut Vec<Claimed>) -> Vec<Shortfall> {
    let found = |window: &Window| before.iter().find(|one| one.window == *window).map(|one| one.found);
    let doubted =
        claim.all().find(|window| matches!(found(window), Some(Found::Counted(_) | Found::Uncounted)));
    if doubted.is_some() {
        return claim.shortfalls(Found::Uncounted, claim.all()).collect();
    }
    let is_second_answer = claim.open().any(|window| found(&window).is_some());
    if is_second_answer && claim.read() > 0 {
        otherwise.extend(claim.windows.iter().filter(|one| one.is_open));
        return Vec::new();
    }
    claim.shortfalls(Found::Silent, claim.open()).collect()
}

/// Asks once more for what is never counted, if the first answer was empty. Records are their own proof.
async fn sent_again(desk: &Desk, claim: &Claim) -> Result<Found, RunError> {
    if claim.read() > 0 {
        return Ok(Found::Sent(claim.read()));
    }
    let span = claim.span();
    let query = desk.spec.query(desk.request.axis, span.start(), span.end());
    match desk.ask(&query).await.map_err(Unread::settled) {
        Ok(page) => Ok(Found::Sent(page.len() as u64)),
        Err(Unread::Fatal(failure)) => Err(desk.error(None, failure)),
        Err(
            Unread::TooMuch(_)
            | Unread::Poisoned(_)
            | Unread::Doubtful(_)
            | Unread::Rest(_)
            | Unread::Unavailable(_),
        ) => Ok(Found::Silent),
    }
}

/// Counts halves of what is short until single windows are left. A half that is not short is left alone. One of which nothing
/// was read is read again as a whole, for that costs no more than a count; and one that holds a record for each window then,
/// of which nothing is sent, fails as a whole.
async fn narrow(
    desk: &Desk,
    claim: (Claim, u64),
    is_first: bool,
    counts_left: &mut usize,
    found: &mut Vec<Shortfall>,
) -> Result<(), RunError> {
    let mut short = vec![claim];
    while let Some((mut claim, source)) = short.pop() {
        let is_all_missing = claim.read() == 0 && (is_first || source >= claim.windows.len() as u64);
        if claim.windows.len() == 1 || is_all_missing || *counts_left == 0 {
            found.extend(claim.shortfalls(Found::Counted(source), claim.all()));
            continue;
        }
        let later = Claim { windows: claim.windows.split_off(claim.windows.len() / 2) };
        *counts_left -= 1;
        let Some(first_half) = counted(desk, claim.span()).await? else {
            // It cannot be said where, so it may be anywhere.
            claim.windows.extend(later.windows);
            found.extend(claim.shortfalls(Found::Counted(source), claim.all()));
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
        Err(
            Unread::TooMuch(_)
            | Unread::Poisoned(_)
            | Unread::Doubtful(_)
            | Unread::Rest(_)
            | Unread::Unavailable(_),
        ) => Ok(None),
    }
}
