//! The windows that `verify --by-count` counts: those that the log calls completed, cut where they overlap.

use std::collections::BTreeMap;

use backfill_core::{EntitySpec, MOST_WINDOWS};
use raw_store::{LogLine, Window, WindowState};
use time::OffsetDateTime;

/// Returns the completed windows of an entity within a range, in ascending order and without overlaps. An entity that is read
/// whole has one window.
pub(crate) fn completed(spec: &EntitySpec, lines: &[LogLine], range: Option<Window>) -> Vec<Window> {
    let own = lines.iter().filter(|line| *line.entity_name == *spec.entity_name());
    let own = own.filter(|line| line.state == WindowState::Completed);
    let mut edges: BTreeMap<OffsetDateTime, i32> = BTreeMap::new();
    for line in own {
        let (mut start, mut end) = (line.window.start(), line.window.end());
        if let Some(range) = range {
            (start, end) = (start.max(range.start()), end.min(range.end()));
        }
        if start < end {
            *edges.entry(start).or_default() += 1;
            *edges.entry(end).or_default() -= 1;
        }
    }
    let mut depth = 0;
    let mut windows = Vec::new();
    for ((start, change), (end, _)) in edges.iter().zip(edges.iter().skip(1)) {
        depth += change;
        if let (1.., Ok(window)) = (depth, Window::new(*start, *end)) {
            windows.push(window);
        }
    }
    if spec.is_snapshot() {
        return windows
            .last()
            .and_then(|last| Window::new(windows[0].start(), last.end()).ok())
            .into_iter()
            .collect();
    }
    joined(windows, MOST_WINDOWS)
}

/// Joins neighbours until there are at most so many windows, or gaps between all of them.
fn joined(windows: Vec<Window>, most: usize) -> Vec<Window> {
    let at_once = windows.len().div_ceil(most).max(1);
    let mut joined: Vec<(Window, usize)> = Vec::new();
    for window in windows {
        match joined.last_mut() {
            Some((last, count)) if *count < at_once && last.end() == window.start() => {
                if let Ok(both) = Window::new(last.start(), window.end()) {
                    (*last, *count) = (both, *count + 1);
                }
            }
            _ => joined.push((window, 1)),
        }
    }
    joined.into_iter().map(|(window, _)| window).collect()
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn neighbours_are_joined_as_far_as_needed_and_never_across_a_gap() {
        let day = |n: i64| {
            let start = datetime!(2025-01-01 0:00 UTC) + Duration::days(n);
            Window::new(start, start + Duration::DAY).unwrap()
        };
        let days: Vec<_> = (0..6).chain(8..10).map(day).collect();
        assert_eq!(joined(days.clone(), 100), days);
        let ends: Vec<_> = joined(days, 4).iter().map(|one| (one.start(), one.end())).collect();
        let both = |n: i64| (day(n).start(), day(n + 1).end());
        assert_eq!(ends, [both(0), both(2), both(4), both(8)]);
    }
}
