//! Splits a scan: what other scans see of it, and the later part that it hands over.
//!
//! Only the scan itself knows a moment at which it can be cut, between two of its pages. So a pipeline with free permits asks,
//! and the scan hands over when it is ready: half of what is left for one permit, two thirds for two.

use std::sync::{Mutex, MutexGuard, PoisonError};

use raw_store::{OpenWindow, Window};
use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;

/// Consecutive windows that no scan reads yet.
#[derive(Clone, Debug)]
pub(crate) struct PendingRange {
    pub(crate) windows: Vec<OpenWindow>,
    /// The expected number of pages per second of its time; zero if unknown.
    pub(crate) density: f64,
    /// How many permits it is for.
    pub(crate) places: u16,
}

/// What others see of a scan in progress.
#[derive(Debug, Default)]
pub(crate) struct WorkSplit {
    state: Mutex<State>,
    considered: Notify,
}

/// What a scan and its pipeline tell each other about work that can be split off.
#[derive(Debug, Default)]
struct State {
    left: Option<Remaining>,
    /// For how many permits a part is requested.
    asked: u16,
    handed: Option<PendingRange>,
    /// Whether the pipeline has considered what is left when it gives out permits.
    is_considered: bool,
}

/// What a scan has still to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remaining {
    /// The length of time left.
    pub(crate) span: Duration,
    /// Pages per second of that time.
    pub(crate) density: f64,
    /// Windows left; the scan is in the first of them.
    pub(crate) windows: usize,
}

impl Remaining {
    /// Returns how many other scans could have at least a page of it.
    fn others(&self) -> u16 {
        if self.windows < 2 { 0 } else { whole_pages(self.span, self.density).saturating_sub(1) }
    }
}

impl WorkSplit {
    /// Publishes what the scan has left.
    pub(crate) fn show(&self, left: Remaining, news: &Notify) {
        let mut state = self.state();
        (state.left, state.is_considered) = (Some(left), false);
        drop(state);
        if self.worth_asking().is_some() {
            news.notify_one();
        }
    }

    /// Notes that the pipeline has considered what was published, and requested a part of it if a permit was free.
    pub(crate) fn consider(&self) {
        self.state().is_considered = true;
        self.considered.notify_one();
    }

    /// Waits until the pipeline has considered what was published, if others could have a part of it.
    pub(crate) async fn considered(&self) {
        while self.worth_asking().is_some() && !self.state().is_considered {
            self.considered.notified().await;
        }
    }

    /// Returns for how many permits a part is requested.
    pub(crate) fn asked(&self) -> u16 {
        self.state().asked
    }

    /// Hands the later part over, or `None` if the scan cannot be cut now.
    pub(crate) fn hand_over(&self, part: Option<PendingRange>, news: &Notify) {
        let mut state = self.state();
        state.asked = 0;
        if part.is_none() {
            // It is asked again only when it has published something new.
            state.left = None;
        }
        state.handed = part;
        drop(state);
        news.notify_one();
    }

    /// Notes that the scan has ended and can hand over nothing more. A part that it handed over before waits to be taken.
    pub(crate) fn end(&self, news: &Notify) {
        let mut state = self.state();
        (state.asked, state.left) = (0, None);
        drop(state);
        news.notify_one();
    }

    /// Takes the part that was handed over.
    pub(crate) fn take(&self) -> Option<PendingRange> {
        self.state().handed.take()
    }

    /// Returns the time left to a scan that can be asked for a part of it, and for how many permits.
    pub(crate) fn worth_asking(&self) -> Option<(Duration, u16)> {
        let state = self.state();
        let left = state.left.filter(|_| state.asked == 0 && state.handed.is_none())?;
        Some((left.span, left.others())).filter(|(_, others)| *others > 0)
    }

    /// Requests the later part, for this many permits.
    pub(crate) fn ask(&self, places: u16) {
        self.state().asked = places;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingRange {
    pub(crate) fn new(windows: Vec<OpenWindow>) -> Self {
        Self { windows, density: 0.0, places: 1 }
    }

    fn span(&self) -> Duration {
        self.windows[self.windows.len() - 1].window.end() - self.windows[0].window.start()
    }

    /// Returns the time that it covers, if it is worth cutting.
    pub(crate) fn worth_cutting(&self) -> Option<Duration> {
        (self.windows.len() > 1 && whole_pages(self.span(), self.density) > 1).then(|| self.span())
    }

    /// Cuts off the later half.
    pub(crate) fn cut(&mut self) -> Self {
        self.cut_off(1)
    }

    /// Cuts it into one part for each of its permits, or one for each window if there are fewer windows.
    pub(crate) fn divide(mut self) -> Vec<Self> {
        let mut parts = Vec::new();
        while self.places > 1 && self.windows.len() > 1 {
            let later = self.cut_off(self.places - 1);
            parts.push(Self { places: 1, ..self });
            self = later;
        }
        parts.push(self);
        parts
    }

    fn cut_off(&mut self, places: u16) -> Self {
        let windows: Vec<_> = self.windows.iter().map(|open| open.window).collect();
        let place = later_part(&windows, self.windows[0].window.start(), places);
        Self { windows: self.windows.split_off(place), density: self.density, places }
    }
}

fn whole_pages(span: Duration, density: f64) -> u16 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as many as there are, or the most"
    )]
    let pages = (span.as_seconds_f64() * density) as u16;
    pages
}

/// Returns the index of the first window of the part for `others` other scans, of what is left from an instant in the first
/// window; there are at least two windows.
pub(crate) fn later_part(windows: &[Window], from: OffsetDateTime, others: u16) -> usize {
    let end = windows[windows.len() - 1].end();
    let at = from + (end - from) / (i32::from(others) + 1);
    windows.partition_point(|window| window.start() < at).clamp(1, windows.len() - 1)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::{ChunkSize, tile};

    fn days(count: i64) -> Vec<Window> {
        let start = datetime!(2026-01-01 0:00 UTC);
        tile(Window::new(start, start + Duration::days(count)).unwrap(), ChunkSize::Day).unwrap()
    }

    #[test]
    fn the_later_part_begins_with_a_window() {
        let windows = days(10);
        assert_eq!(later_part(&windows, windows[0].start(), 1), 5);
        assert_eq!(later_part(&windows, windows[0].end(), 1), 6);
        assert_eq!(later_part(&windows, windows[0].start(), 4), 2);
        assert_eq!(later_part(&days(2), datetime!(2026-01-01 23:00 UTC), 9), 1);
    }

    #[test]
    fn what_is_handed_over_for_several_is_divided_evenly() {
        let open =
            |count| days(count).into_iter().map(|window| OpenWindow { window, cursor: None }).collect();
        let lengths = |count, places| {
            let parts = PendingRange { windows: open(count), density: 1.0, places }.divide();
            assert!(parts.iter().all(|part| part.places == 1 || part.windows.len() == 1));
            parts.iter().map(|part| part.windows.len()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(9, 3), [3, 3, 3]);
        assert_eq!(lengths(10, 4), [3, 3, 2, 2]);
        assert_eq!(lengths(3, 9), [1, 1, 1]);
        assert_eq!(lengths(5, 1), [5]);
    }

    #[test]
    fn a_part_of_a_scan_is_handed_over_once_and_only_if_each_part_holds_a_page() {
        let (share, news) = (WorkSplit::default(), Notify::new());
        assert_eq!(share.worth_asking(), None, "nothing is known of it");
        let left = Remaining { span: Duration::days(10), density: 3.0 / 864_000.0, windows: 10 };
        share.show(Remaining { density: left.density / 2.0, ..left }, &news);
        assert_eq!(share.worth_asking(), None, "it holds less than two pages");
        share.show(left, &news);
        assert_eq!(share.worth_asking(), Some((left.span, 2)));
        share.ask(1);
        assert_eq!(share.worth_asking(), None, "it is asked already");
        let open = days(5).into_iter().map(|window| OpenWindow { window, cursor: None }).collect();
        share.hand_over(Some(PendingRange::new(open)), &news);
        share.end(&news);
        assert_eq!(share.take().unwrap().windows.len(), 5);
        assert!(share.take().is_none());
    }
}
