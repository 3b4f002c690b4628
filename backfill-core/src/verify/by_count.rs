//! Verification by count: narrows a span down to the windows that have to be read.
//!
//! An edit gives a record a later time, and a deletion takes it away. Both leave one record less in the past, so a past with as
//! many records at the source as live rows in the store has lost none. A stretch whose numbers differ is halved until it is one
//! window or holds few records; only such stretches are read, and compared by id. The reading is the second witness: if it does
//! not explain the difference, a count was wrong.

use std::collections::BTreeMap;

use raw_store::{OpenWindow, Pipeline, Window};
use tokio_util::sync::CancellationToken;

use super::outcome::{VerifiedPipeline, VerifyMethod};
use crate::answer::unless_stopped;
use crate::catalog::{Axis, EntitySpec};
use crate::engine::Engine;
use crate::error::{Failure, RunError};
use crate::plan::{RunRequest, stretches};

/// A stretch with at most this many records on both sides is read instead of counted in halves. A page has room for more, but
/// the smaller it is, the fewer records are read that nobody has changed; the larger, the fewer counts are needed.
const READ_UP_TO: u64 = 100;

/// Adjacent windows, each with the number of records that are expected at the source.
#[derive(Clone, Debug)]
struct Stretch(Vec<(Window, u64)>);

/// What the counts of one pipeline have shown.
pub(super) struct Counted {
    /// The windows whose numbers agree, taken together.
    pub(super) confirmed: VerifiedPipeline,
    /// The windows to read.
    pub(super) differing: Vec<Window>,
    /// Records that the source has more than were expected, of all windows together.
    more: u64,
    /// Records that the source has less than were expected.
    less: u64,
}

impl Counted {
    /// Whether the records that were read explain why the numbers differ. If they do not, one of the counts was wrong, and an
    /// equal count may be as well.
    pub(super) fn is_explained_by(&self, found: &VerifiedPipeline) -> bool {
        found.unread > 0
            || self.more <= found.missing + found.changed
                && self.less <= found.gone + found.changed + found.unknown
    }
}

impl Stretch {
    fn span(&self) -> Window {
        let (first, last) = (self.0[0].0, self.0[self.0.len() - 1].0);
        Window::new(first.start(), last.end()).expect("adjacent windows ascend")
    }

    fn expected(&self) -> u64 {
        self.0.iter().map(|(_, expected)| expected).sum()
    }
}

/// Counts the windows of one pipeline at the source, in one call for each stretch of adjacent windows whose numbers agree.
pub(super) async fn count(
    engine: &Engine,
    request: &RunRequest,
    spec: &EntitySpec,
    stop: &CancellationToken,
) -> Result<Counted, RunError> {
    let failed = |failure: Failure| RunError { pipeline: Some(spec.pipeline_name()), window: None, failure };
    let windows = request.windows(spec).map_err(RunError::general)?;
    let mut confirmed = VerifiedPipeline::new(spec, request.span);
    if spec.is_snapshot() || !spec.is_counted() {
        return Ok(Counted { confirmed, differing: windows, more: 0, less: 0 });
    }
    (confirmed.method, confirmed.looked_for_gone) = (VerifyMethod::Count, true);
    let pipeline = spec.pipeline(Axis::Updated);
    let expected = expected(engine, &pipeline, &windows).await.map_err(RunError::general)?;
    let by_window: BTreeMap<Window, u64> = windows.iter().copied().zip(expected).collect();
    let with_number = |open: &OpenWindow| (open.window, by_window[&open.window]);
    let (mut differing, mut more, mut less) = (Vec::new(), 0, 0);
    let parts = stretches(windows);
    // What lies between them is not counted, so the span as a whole is not confirmed.
    confirmed.unread += parts.len().saturating_sub(1) as u64;
    for part in parts {
        let stretch = Stretch(part.iter().map(with_number).collect());
        let Some(source) = ask(engine, spec, stretch.span(), stop).await.map_err(failed)? else {
            // What cannot be counted is compared.
            differing.extend(stretch.0.iter().map(|(window, _)| *window));
            continue;
        };
        more += source.saturating_sub(stretch.expected());
        less += stretch.expected().saturating_sub(source);
        let mut suspects = vec![(stretch, source)];
        while let Some((mut stretch, source)) = suspects.pop() {
            let expected = stretch.expected();
            if source == expected {
                confirmed.counted += expected;
                continue;
            }
            if stretch.0.len() == 1 || source.max(expected) <= READ_UP_TO {
                differing.extend(stretch.0.iter().map(|(window, _)| *window));
                continue;
            }
            let later = Stretch(stretch.0.split_off(middle(&stretch.0)));
            match ask(engine, spec, stretch.span(), stop).await.map_err(failed)? {
                // If a record left the first half between the two counts, the later half seems to have one more, and is looked
                // into in vain.
                Some(first) => suspects.extend([(later, source.saturating_sub(first)), (stretch, first)]),
                None => differing.extend(stretch.0.iter().chain(&later.0).map(|(window, _)| *window)),
            }
        }
    }
    differing.sort_unstable();
    Ok(Counted { confirmed, differing, more, less })
}

/// Where to halve a stretch: at the middle of its records, because empty years need no counts of their own.
fn middle(windows: &[(Window, u64)]) -> usize {
    let all: u64 = windows.iter().map(|(_, expected)| expected).sum();
    let mut before = 0;
    let at = windows.iter().position(|(_, expected)| {
        before += expected;
        before * 2 >= all
    });
    (at.unwrap_or(windows.len() / 2) + 1).clamp(1, windows.len() - 1)
}

/// The number of records that the source should have in each window: the live rows, and the records in quarantine that have no
/// row.
async fn expected(
    engine: &Engine,
    pipeline: &Pipeline,
    windows: &[Window],
) -> Result<Vec<u64>, raw_store::StoreError> {
    let mut expected = engine.store.rows.count_live(pipeline, windows).await?;
    for one in engine.store.quarantine.quarantined(Some(&pipeline.entity_name)).await? {
        if one.has_row || one.resolved_at.is_some() || one.time_axis.as_ref() != Some(&pipeline.time_axis) {
            continue;
        }
        let at = windows.partition_point(|window| window.end() <= one.window.start());
        if windows.get(at).is_some_and(|window| window.overlaps(one.window)) {
            expected[at] += 1;
        }
    }
    Ok(expected)
}

/// Counts a span at the source; `None` where it does not count.
async fn ask(
    engine: &Engine,
    spec: &EntitySpec,
    span: Window,
    stop: &CancellationToken,
) -> Result<Option<u64>, Failure> {
    let query = spec.query(Axis::Updated, span.start(), span.end());
    Ok(unless_stopped(stop, engine.client.count(&query)).await?.ok())
}
