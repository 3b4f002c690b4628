//! Groups neighbouring windows that failed or are unavailable for the same reason into one line with a count.

use raw_store::{LogLine, WindowState};

use crate::instant::short;
use crate::number::seconds;

/// One line of a report: a window, or several neighbours with the same message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowGroup<'a> {
    first: &'a LogLine,
    last: &'a LogLine,
    /// Number of windows.
    pub(crate) count: usize,
    seconds: f64,
}

/// Groups neighbours with the same message.
pub(crate) fn group_windows<'a>(lines: impl IntoIterator<Item = &'a LogLine>) -> Vec<WindowGroup<'a>> {
    let mut groups: Vec<WindowGroup<'a>> = Vec::new();
    for line in lines {
        let seconds = line.duration.as_secs_f64();
        match groups.last_mut().filter(|group| group.takes(line)) {
            Some(group) => {
                group.last = line;
                group.count += 1;
                group.seconds += seconds;
            }
            None => groups.push(WindowGroup { first: line, last: line, count: 1, seconds }),
        }
    }
    groups
}

impl WindowGroup<'_> {
    fn takes(&self, line: &LogLine) -> bool {
        let tells = |line: &LogLine| {
            matches!(line.state, WindowState::Failed | WindowState::Unavailable)
                && line.metrics.records_read == 0
                && line.error_message.is_some()
        };
        tells(self.last)
            && tells(line)
            && self.last.window.end() == line.window.start()
            && (&self.last.entity_name, self.last.state, self.last.attempts)
                == (&line.entity_name, line.state, line.attempts)
            && self.last.error_message == line.error_message
    }

    /// Formats the span, as in `2024-01-01 .. 2024-12-31 (365 windows)`.
    fn place(&self) -> String {
        let place = format!("{} .. {}", short(self.first.window.start()), short(self.last.window.end()));
        if self.count == 1 { place } else { format!("{place} ({} windows)", self.count) }
    }

    /// The cells of its line in a report.
    pub(crate) fn cells(&self) -> [String; 9] {
        let metrics = &self.first.metrics;
        [
            self.place(),
            self.first.state.to_string(),
            metrics.records_read.to_string(),
            metrics.records_inserted.to_string(),
            metrics.records_updated.to_string(),
            metrics.records_unchanged.to_string(),
            metrics.records_quarantined.to_string(),
            seconds(self.seconds),
            self.first.error_message.as_deref().unwrap_or_default().to_owned(),
        ]
    }
}
