//! What the log's lines cover: by pipeline, and in time.

use std::collections::BTreeMap;

use raw_store::{LogLine, Window};

/// Groups lines by the pipeline's name in the log and its time axis.
pub fn by_pipeline(lines: &[LogLine]) -> BTreeMap<(&str, &str), Vec<&LogLine>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in lines {
        groups.entry((&*line.entity_name, &*line.time_axis)).or_default().push(line);
    }
    groups
}

/// Returns the spans that some windows cover together, in ascending order and apart from each other.
pub(super) fn covered<'a>(lines: impl IntoIterator<Item = &'a LogLine>) -> Vec<Window> {
    let mut windows: Vec<_> = lines.into_iter().map(|line| line.window).collect();
    windows.sort_unstable();
    let mut spans: Vec<Window> = Vec::new();
    for window in windows {
        match spans.last_mut().filter(|last| window.start() <= last.end()) {
            Some(last) => {
                let end = last.end().max(window.end());
                *last = Window::new(last.start(), end).expect("the later end is after the start");
            }
            None => spans.push(window),
        }
    }
    spans
}
