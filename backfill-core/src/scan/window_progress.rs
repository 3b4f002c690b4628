//! Decides for each page that a scan reads which window each record belongs to, and which windows are finished. It does no I/O.

use std::time::Duration;

use raw_store::{OpenWindow, ScanCursor, Window, WindowChange, WindowState};
use time::OffsetDateTime;

use super::keyset::{KeysetCursor, Reached};
use crate::catalog::Axis;
use crate::clock_check::Moment;

/// The windows of one scan: which of them are closed, and how certain the responses so far make it that each is complete.
#[derive(Debug)]
pub(crate) struct WindowProgress {
    windows: Vec<Window>,
    /// The index of the first window that is not closed.
    first: usize,
    /// A window is settled only if it ended at least this long before the scan's first response, by QBO's clock.
    margin: time::Duration,
    /// The time of the scan's first response, which decides whether a window is settled; see `answered`.
    answered: Option<Moment>,
    /// Windows that start before this instant were closed by a single response that was not full (`Reached::Silent`). Settled
    /// ones stay `Running`, without a cursor, until a second response or a count confirms them.
    silent_before: Option<OffsetDateTime>,
}

/// What one page changes: the windows, and the window of each record.
#[derive(Debug)]
pub(crate) struct PageEffect {
    /// Changes of consecutive windows.
    pub(crate) changes: Vec<WindowChange>,
    /// For each record, the index of its window in `changes`.
    pub(crate) places: Vec<usize>,
    /// Whether the clocks disagree about a closed window: it would be settled by the latest clock, but is not by the earliest.
    pub(crate) is_held_back: bool,
}

impl WindowProgress {
    /// Starts with `windows`, which follow one another without a gap; there is at least one.
    pub(crate) fn new(windows: &[OpenWindow], axis: Axis) -> Self {
        Self {
            windows: windows.iter().map(|open| open.window).collect(),
            first: 0,
            margin: axis.margin(),
            answered: None,
            silent_before: None,
        }
    }

    /// Returns the windows that are not closed.
    pub(crate) fn open(&self) -> &[Window] {
        &self.windows[self.first..]
    }

    /// Whether a window lies before the first open one.
    pub(crate) fn has_passed(&self, window: &Window) -> bool {
        self.open().first().is_none_or(|first| window.start() < first.start())
    }

    /// Splits off the open windows from an index on, for another scan.
    pub(crate) fn split_off(&mut self, place: usize) -> Vec<Window> {
        self.windows.split_off(self.first + place)
    }

    /// Removes and returns the open windows that start before an instant.
    pub(crate) fn leave(&mut self, until: OffsetDateTime) -> Vec<Window> {
        let open = self.open();
        let left = open[..open.partition_point(|window| window.start() < until)].to_vec();
        self.first += left.len();
        left
    }

    /// Keeps the time of the scan's first response, and returns it. Every window is judged by the first response: by a later one
    /// a window could appear ended although earlier pages were read while it was still receiving records.
    pub(crate) fn answered(&mut self, at: Moment) -> Moment {
        *self.answered.get_or_insert(at)
    }

    /// Applies one page: the time of the response, the instants of its new records, the cursor after the page with how far it has
    /// read, and the duration of the page.
    pub(crate) fn enter(
        &mut self,
        answered: impl Into<Moment>,
        times: &[OffsetDateTime],
        keyset: (&KeysetCursor, Reached),
        spent: Duration,
    ) -> PageEffect {
        let answered = self.answered(answered.into());
        // A window that ends at or before this instant is settled: even by the earliest clock, less the margin, it had ended
        // when the first response was sent.
        let settled_before = answered.earliest - self.margin;
        let (keyset, reached) = keyset;
        let open = self.open();
        let place =
            |at: OffsetDateTime| open.partition_point(|window| window.end() <= at).min(open.len() - 1);
        let closed = match reached {
            Reached::End => open.len(),
            // Everything before `at` has been read. After `Silent` this rests on one response, so the windows are no longer
            // open, but are not completed yet.
            Reached::Instant(at) | Reached::Silent(at) => open.partition_point(|window| window.end() <= at),
            // Only a count shows whether all records of the current instant were read.
            Reached::Unproved => 0,
        };
        // One response does not prove that nothing is left, so settled windows that it ends stay `Running` until a second
        // response or a count confirms them.
        let is_end = reached == Reached::End;
        let silent_before = match reached {
            Reached::Silent(at) => Some(at),
            _ => self.silent_before,
        };
        let has_silence = |window: &Window| silent_before.is_some_and(|at| window.start() < at);
        let is_silent = |window: &Window| is_end || has_silence(window);
        // The window that holds the cursor is still running; after the last window, no window holds it.
        let standing = if closed < open.len() { place(keyset.sure_at()).max(closed) + 1 } else { closed };
        let places: Vec<_> = times.iter().map(|at| place(*at)).collect();
        // A page that is not full may be unsorted, so its last record need not be the latest.
        let touched = places.iter().max().map_or(0, |place| place + 1).max(standing);
        let shares = shares(&places, touched, spent);
        let changes = open[..touched].iter().enumerate().map(|(n, window)| {
            let settled = window.end() <= settled_before;
            WindowChange {
                window: *window,
                state: match (n < closed, settled) {
                    (false, _) => WindowState::Running,
                    (true, true) if is_silent(window) => WindowState::Running,
                    (true, true) => WindowState::Completed,
                    (true, false) => WindowState::Provisional,
                },
                // A window that is not settled is read again from its start, so it keeps no cursor. Nor does one that
                // only one response says is finished: a resumed run would start after it and skip it.
                cursor: ((n >= closed || is_end) && settled && !has_silence(window))
                    .then(|| cursor_in(*window, keyset))
                    .flatten(),
                duration: shares[n],
                after: Some(0),
            }
        });
        let changes = changes.collect();
        let would_be_settled = answered.latest - self.margin;
        let is_held_back = open[..closed]
            .iter()
            .any(|window| window.end() > settled_before && window.end() <= would_be_settled);
        (self.first, self.silent_before) = (self.first + closed, silent_before);
        PageEffect { changes, places, is_held_back }
    }
}

fn cursor_in(window: Window, keyset: &KeysetCursor) -> Option<ScanCursor> {
    let cursor = keyset.cursor();
    window.contains(cursor.at).then_some(cursor)
}

/// Splits the page's duration among the windows in proportion to their records, or evenly if the page has no records.
fn shares(places: &[usize], windows: usize, spent: Duration) -> Vec<Duration> {
    let mut records = vec![u32::from(places.is_empty()); windows];
    for place in places {
        records[*place] += 1;
    }
    let all: u32 = records.iter().sum();
    records.iter().map(|count| spent.mul_f64(f64::from(*count) / f64::from(all.max(1)))).collect()
}

#[cfg(test)]
mod tests {
    use qbo_client::PageSize;
    use time::macros::datetime;

    use super::*;
    use crate::{ChunkSize, tile};

    const START: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);
    const LATER: OffsetDateTime = datetime!(2026-06-01 0:00 UTC);

    fn days(count: i64) -> Vec<OpenWindow> {
        let span = Window::new(START, START + time::Duration::days(count)).unwrap();
        tile(span, ChunkSize::Day)
            .unwrap()
            .into_iter()
            .map(|window| OpenWindow { window, cursor: None })
            .collect()
    }

    fn walk_at(at: OffsetDateTime, end: OffsetDateTime) -> KeysetCursor {
        KeysetCursor::new(Axis::Updated, ScanCursor { at, seen: vec!["7".into()] }, end, PageSize::default())
    }

    fn states(entry: &PageEffect) -> Vec<WindowState> {
        entry.changes.iter().map(|change| change.state).collect()
    }

    #[test]
    fn an_empty_answer_leaves_every_window_to_its_proof() {
        let mut progress = WindowProgress::new(&days(30), Axis::Updated);
        let keyset = walk_at(START, START + time::Duration::days(30));
        let entry = progress.enter(LATER, &[], (&keyset, Reached::End), Duration::from_secs(3));
        assert_eq!(states(&entry), [WindowState::Running; 30]);
        assert!(progress.open().is_empty());
        let spent: Duration = entry.changes.iter().map(|change| change.duration).sum();
        assert!(spent.abs_diff(Duration::from_secs(3)) < Duration::from_micros(1));
    }

    #[test]
    fn windows_close_as_the_cursor_passes_them_and_the_one_it_stands_in_keeps_it() {
        let mut progress = WindowProgress::new(&days(5), Axis::Updated);
        let at = START + time::Duration::hours(60);
        let keyset = walk_at(at, START + time::Duration::days(5));
        let times = [START, START + time::Duration::hours(1), at];
        let entry = progress.enter(LATER, &times, (&keyset, Reached::Instant(at)), Duration::from_secs(3));
        assert_eq!(states(&entry), [WindowState::Completed, WindowState::Completed, WindowState::Running]);
        assert_eq!(entry.places, [0, 0, 2]);
        assert_eq!(entry.changes[2].cursor.as_ref().unwrap().at, at);
        assert_eq!(entry.changes[0].duration, Duration::from_secs(2));
        assert_eq!(entry.changes[1].duration, Duration::ZERO);
        assert_eq!(progress.open().len(), 3);
    }

    #[test]
    fn a_window_that_ends_too_near_to_the_sources_clock_is_provisional_and_keeps_no_cursor() {
        let now = START + time::Duration::hours(49);
        let mut progress = WindowProgress::new(&days(3), Axis::Updated);
        let at = START + time::Duration::hours(48);
        let keyset = walk_at(at, START + time::Duration::days(3));
        let entry = progress.enter(now, &[at], (&keyset, Reached::Instant(at)), Duration::ZERO);
        assert_eq!(states(&entry), [WindowState::Completed, WindowState::Completed, WindowState::Running]);
        assert_eq!(entry.changes[2].cursor, None);
        let entry = progress.enter(now, &[], (&keyset, Reached::End), Duration::ZERO);
        assert_eq!(states(&entry), [WindowState::Provisional]);
    }

    #[test]
    fn an_instant_that_must_be_counted_first_closes_nothing() {
        let mut progress = WindowProgress::new(&days(1), Axis::Updated);
        let keyset = walk_at(START, START + time::Duration::DAY);
        let entry = progress.enter(LATER, &[START], (&keyset, Reached::Unproved), Duration::ZERO);
        assert_eq!(states(&entry), [WindowState::Running]);
        assert_eq!(progress.open().len(), 1);
    }
}
