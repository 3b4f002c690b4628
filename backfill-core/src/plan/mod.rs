//! What a run is asked to do, and what that takes: a pure function of the request and the log.

mod request;

pub use self::request::{Proof, RunRequest};

use std::collections::HashMap;

use raw_store::{LogLine, OpenWindow, Reopen, Window, WindowState};

use crate::catalog::EntitySpec;
use crate::chunk::TooManyWindows;

/// What a run will do, printable before anything runs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Per pipeline, in the order asked for.
    pub pipelines: Vec<PipelinePlan>,
    /// API calls it will take at least: one a scan, one a scan to confirm it, and one for every page of rows that the log
    /// already knows. Records that nobody has counted yet come on top, one call for 999, and more for an entity with
    /// smaller pages.
    pub estimated_calls: u64,
}

/// One pipeline's part of a plan.
#[derive(Clone, Debug)]
pub struct PipelinePlan {
    /// What is read.
    pub spec: EntitySpec,
    /// All windows of the span, in ascending order.
    pub windows: Vec<Window>,
    /// How many of them are completed and will not be read.
    pub completed: usize,
    /// Stretches of completed windows that no count has confirmed yet, because a run was stopped before it, or was told not to
    /// count.
    pub uncounted: usize,
    /// The ordered reads that cover the others.
    pub scans: Vec<PlannedScan>,
}

/// One ordered read of consecutive windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedScan {
    /// From where to where.
    pub span: Window,
    /// How many windows it covers.
    pub windows: usize,
}

impl Plan {
    /// Plans a run over what the log says is done.
    ///
    /// # Errors
    ///
    /// [`TooManyWindows`] as [`RunRequest::check`] says.
    pub fn new(request: &RunRequest, log: &[LogLine]) -> Result<Self, TooManyWindows> {
        let mut lines: HashMap<(&str, &str), Vec<&LogLine>> = HashMap::new();
        for line in log {
            lines.entry((&*line.entity_name, &*line.time_axis)).or_default().push(line);
        }
        for lines in lines.values_mut() {
            lines.sort_unstable_by_key(|line| line.window);
        }
        let mut estimated_calls = 0;
        let mut pipelines = Vec::new();
        for spec in &request.entities {
            let pipeline = spec.pipeline(request.axis);
            let windows = request.windows(spec)?;
            let lines =
                lines.get(&(&*pipeline.entity_name, &*pipeline.time_axis)).map_or(&[][..], Vec::as_slice);
            let known = |window: &Window| {
                let place = lines.binary_search_by_key(window, |line| line.window).ok()?;
                Some(lines[place])
            };
            let is_done =
                |line: &LogLine| request.reopen == Reopen::Unfinished && line.state == WindowState::Completed;
            let was_read =
                |line: &LogLine| line.finished_at.is_some() && line.state != WindowState::Unavailable;
            let known: Vec<(&Window, Option<&LogLine>)> =
                windows.iter().map(|window| (window, known(window))).collect();
            let open = known.iter().filter(|(_, line)| !line.is_some_and(is_done));
            let rows: u64 =
                open.clone().filter_map(|(_, line)| *line).map(|line| line.metrics.records_read).sum();
            let completed = windows.len() - open.clone().count();
            let unread = |window: &Window| OpenWindow { window: *window, cursor: None };
            let scans: Vec<_> = consecutive(open.clone().map(|(window, _)| unread(window)))
                .into_iter()
                .map(|scan| PlannedScan { span: span(&scan), windows: scan.len() })
                .collect();
            // What a last answer is silent about is counted in any case. An answer that held records is its own proof where
            // nothing is counted, and one that held none is asked for once more.
            let is_empty = rows == 0 && open.clone().all(|(_, line)| line.is_some_and(was_read));
            let proofs = if spec.is_counted() || is_empty { scans.len() } else { 0 };
            let counted = request.proof == Proof::Count && spec.is_counted();
            let uncounted = known.iter().filter(|(_, line)| {
                counted && line.is_some_and(|line| is_done(line) && line.counted_at.is_none())
            });
            let uncounted = consecutive(uncounted.map(|(window, _)| unread(window))).len();
            // A page repeats the last record of the one before.
            let fresh = u64::from(spec.page_size(request.page_size).get() - 1).max(1);
            estimated_calls += (scans.len() + proofs + uncounted) as u64 + rows / fresh;
            pipelines.push(PipelinePlan { spec: spec.clone(), windows, completed, uncounted, scans });
        }
        Ok(Self { pipelines, estimated_calls })
    }

    /// Windows that will be read.
    pub fn open_windows(&self) -> usize {
        self.pipelines.iter().map(|pipeline| pipeline.windows.len() - pipeline.completed).sum()
    }
}

/// Cuts open windows into scans: a scan ends at a gap, and before a window that another scan has begun.
pub(crate) fn consecutive(windows: impl IntoIterator<Item = OpenWindow>) -> Vec<Vec<OpenWindow>> {
    let mut scans: Vec<Vec<OpenWindow>> = Vec::new();
    for open in windows {
        let last = scans.last_mut();
        match last
            .filter(|scan| open.cursor.is_none() && scan.last().is_some_and(|last| follows(last, &open)))
        {
            Some(scan) => scan.push(open),
            None => scans.push(vec![open]),
        }
    }
    scans
}

fn follows(before: &OpenWindow, after: &OpenWindow) -> bool {
    before.window.end() == after.window.start()
}

/// The span that a scan's windows cover together.
pub(crate) fn span(scan: &[OpenWindow]) -> Window {
    let (first, last) = (scan[0].window, scan[scan.len() - 1].window);
    Window::new(first.start(), last.end()).expect("consecutive windows ascend")
}

#[cfg(test)]
mod tests {
    use raw_store::ScanCursor;
    use time::macros::datetime;

    use super::*;
    use crate::chunk::{ChunkSize, tile};

    #[test]
    fn scans_break_at_gaps_and_where_another_one_had_begun() {
        let days = Window::new(datetime!(2026-01-01 0:00 UTC), datetime!(2026-01-08 0:00 UTC)).unwrap();
        let mut open: Vec<_> = tile(days, ChunkSize::Day)
            .unwrap()
            .into_iter()
            .map(|window| OpenWindow { window, cursor: None })
            .collect();
        open.remove(2);
        open[4].cursor = Some(ScanCursor { at: open[4].window.start(), seen: Vec::new() });
        let lengths: Vec<_> = consecutive(open).iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 2, 2]);
    }
}
