//! Plans a run: a pure function of the request and the log.

mod request;
mod settle;
mod settling;

pub use self::request::{Proof, RunRequest};
pub use self::settle::Settle;
pub use self::settling::Settling;

use std::collections::HashMap;

use raw_store::{LogLine, OpenWindow, Reopen, Window, WindowState};

use crate::catalog::EntitySpec;
use crate::chunk::TooManyWindows;

/// The plan of a run, which can be printed before anything runs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The plan of each pipeline, in the requested order.
    pub pipelines: Vec<PipelinePlan>,
    /// The least number of API calls: one for each scan, one to confirm each scan, and one for every page of rows that the log
    /// already knows. Records that were never counted come on top: one call for 999, and more for an entity with smaller pages.
    pub estimated_calls: u64,
}

/// The plan of one pipeline.
#[derive(Clone, Debug)]
pub struct PipelinePlan {
    /// The entity to read.
    pub spec: EntitySpec,
    /// All windows of the span, in ascending order.
    pub windows: Vec<Window>,
    /// The number of windows that are completed and will not be read.
    pub completed: usize,
    /// Ranges of completed windows that no count has confirmed yet, because a run stopped before its count or was told not to
    /// count.
    pub uncounted: usize,
    /// The scans that cover the other windows.
    pub scans: Vec<PlannedScan>,
}

/// One ordered read of consecutive windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedScan {
    /// The span from the first window's start to the last one's end.
    pub span: Window,
    /// The number of windows that the scan covers.
    pub windows: usize,
}

impl Plan {
    /// Plans a run over the windows that the log does not call done.
    ///
    /// # Errors
    ///
    /// [`TooManyWindows`], as [`RunRequest::check`] says.
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
            let scans: Vec<_> = stretches(open.clone().map(|(window, _)| **window))
                .into_iter()
                .map(|scan| PlannedScan { span: span(&scan), windows: scan.len() })
                .collect();
            // Windows that rest on the evidence of a last response are always counted. Where nothing is counted, a response
            // with records proves itself, and an empty one is requested once more.
            let is_empty = rows == 0 && open.clone().all(|(_, line)| line.is_some_and(was_read));
            let proofs = if spec.is_counted() || is_empty { scans.len() } else { 0 };
            let counted = request.proof == Proof::Count && spec.is_counted();
            let uncounted = known.iter().filter(|(_, line)| {
                counted && line.is_some_and(|line| is_done(line) && line.counted_at.is_none())
            });
            let uncounted = stretches(uncounted.map(|(window, _)| **window)).len();
            // A page repeats the last record of the one before.
            let fresh = u64::from(spec.page_size(request.page_size).get() - 1).max(1);
            estimated_calls += (scans.len() + proofs + uncounted) as u64 + rows / fresh;
            pipelines.push(PipelinePlan { spec: spec.clone(), windows, completed, uncounted, scans });
        }
        Ok(Self { pipelines, estimated_calls })
    }

    /// Returns the number of windows that will be read.
    pub fn open_windows(&self) -> usize {
        self.pipelines.iter().map(|pipeline| pipeline.windows.len() - pipeline.completed).sum()
    }
}

/// Groups windows that no scan has begun into stretches without gaps.
pub(crate) fn stretches(windows: impl IntoIterator<Item = Window>) -> Vec<Vec<OpenWindow>> {
    consecutive(windows.into_iter().map(|window| OpenWindow { window, cursor: None }))
}

/// Groups open windows into scans: a scan ends at a gap, and before a window that another scan has begun.
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

/// Returns the span that a scan's windows cover together.
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
