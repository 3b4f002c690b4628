//! How a scan is shared out: what others see of it, and the later half that it hands over.
//!
//! Only the scan itself knows a moment at which it can be cut, between two of its pages. So a pipeline with a free
//! place asks, and the scan hands over when it comes to it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use raw_store::{OpenWindow, Window};
use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;

/// A scan is worth cutting if each half is likely to hold a page.
const WORTH_CUTTING: f64 = 2.0;

/// Consecutive windows that nobody reads yet.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) windows: Vec<OpenWindow>,
    /// Pages a second of its time is likely to hold; zero where nobody knows.
    pub(crate) density: f64,
}

/// What others see of a scan under way.
#[derive(Debug, Default)]
pub(crate) struct Share(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    left: Option<Left>,
    asked: bool,
    handed: Option<Stretch>,
}

/// What a scan has still to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    /// Time.
    pub(crate) span: Duration,
    /// Pages in a second of it.
    pub(crate) density: f64,
    /// Windows, of which the scan stands in the first.
    pub(crate) windows: usize,
}

impl Left {
    fn pages(&self) -> f64 {
        self.span.as_seconds_f64() * self.density
    }
}

impl Share {
    /// The scan says how it stands.
    pub(crate) fn show(&self, left: Left, news: &Notify) {
        self.state().left = Some(left);
        if self.worth_asking().is_some() {
            news.notify_one();
        }
    }

    /// Whether the later half is asked for.
    pub(crate) fn is_asked(&self) -> bool {
        self.state().asked
    }

    /// The scan hands the later half over, or nothing if it cannot be cut now.
    pub(crate) fn hand_over(&self, half: Option<Stretch>, news: &Notify) {
        let mut state = self.state();
        state.asked = false;
        if half.is_none() {
            // Asked again only when it has something new to show.
            state.left = None;
        }
        state.handed = half;
        drop(state);
        news.notify_one();
    }

    /// The scan has ended, and can hand over nothing more. What it handed over before waits to be taken.
    pub(crate) fn end(&self, news: &Notify) {
        let mut state = self.state();
        (state.asked, state.left) = (false, None);
        drop(state);
        news.notify_one();
    }

    /// Takes what was handed over.
    pub(crate) fn take(&self) -> Option<Stretch> {
        self.state().handed.take()
    }

    /// The time that is left to a scan that can be asked for half of it.
    pub(crate) fn worth_asking(&self) -> Option<Duration> {
        let state = self.state();
        let left = state.left.filter(|_| !state.asked && state.handed.is_none())?;
        (left.windows > 1 && left.pages() >= WORTH_CUTTING).then_some(left.span)
    }

    /// Asks for the later half.
    pub(crate) fn ask(&self) {
        self.state().asked = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stretch {
    pub(crate) fn new(windows: Vec<OpenWindow>) -> Self {
        Self { windows, density: 0.0 }
    }

    fn span(&self) -> Duration {
        self.windows[self.windows.len() - 1].window.end() - self.windows[0].window.start()
    }

    /// The time it covers, if it is worth cutting.
    pub(crate) fn worth_cutting(&self) -> Option<Duration> {
        let pages = self.span().as_seconds_f64() * self.density;
        (self.windows.len() > 1 && pages >= WORTH_CUTTING).then(|| self.span())
    }

    /// Cuts off the later half.
    pub(crate) fn cut(&mut self) -> Self {
        let windows: Vec<_> = self.windows.iter().map(|open| open.window).collect();
        let from = self.windows[0].window.start();
        let place = middle(&windows, from);
        Self { windows: self.windows.split_off(place), density: self.density }
    }
}

/// The place of the first window of the later half of what is left from an instant in the first window; there are at
/// least two windows.
pub(crate) fn middle(windows: &[Window], from: OffsetDateTime) -> usize {
    let end = windows[windows.len() - 1].end();
    let middle = from + (end - from) / 2;
    windows.partition_point(|window| window.start() < middle).clamp(1, windows.len() - 1)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::{ChunkSize, tile};

    fn days(count: i64) -> Vec<Window> {
        let start = datetime!(2026-01-01 0:00 UTC);
        tile(Window::new(start, start + Duration::days(count)).unwrap(), ChunkSize::Day)
    }

    #[test]
    fn the_later_half_begins_with_a_window() {
        let windows = days(10);
        assert_eq!(middle(&windows, windows[0].start()), 5);
        assert_eq!(middle(&windows, windows[0].end()), 6);
        assert_eq!(middle(&days(2), datetime!(2026-01-01 23:00 UTC)), 1);
    }

    #[test]
    fn half_of_a_scan_is_handed_over_once_and_only_if_both_halves_hold_a_page() {
        let (share, news) = (Share::default(), Notify::new());
        assert_eq!(share.worth_asking(), None, "nothing is known of it");
        let left = Left { span: Duration::days(10), density: 3.0 / 864_000.0, windows: 10 };
        share.show(Left { density: left.density / 2.0, ..left }, &news);
        assert_eq!(share.worth_asking(), None, "it holds less than two pages");
        share.show(left, &news);
        assert_eq!(share.worth_asking(), Some(left.span));
        share.ask();
        assert_eq!(share.worth_asking(), None, "it is asked already");
        let open = days(5).into_iter().map(|window| OpenWindow { window, cursor: None }).collect();
        share.hand_over(Some(Stretch::new(open)), &news);
        share.end(&news);
        assert_eq!(share.take().unwrap().windows.len(), 5);
        assert!(share.take().is_none());
    }
}
