//! Whether a worker is there.

use raw_store::{WorkerActivity, WorkerRecord};
use time::{Duration, OffsetDateTime};

/// A worker that was not seen for longer is taken to be gone. It says every ten seconds that it is there, and a page that shows
/// workers is fetched every five, and is then three seconds old at most: so a worker that was killed is told within thirty seconds, and
/// one late word is no alarm.
const GONE: Duration = Duration::seconds(21);

/// Whether a worker was seen lately, at a time by the store's clock, and has not said that it ends.
pub(crate) fn is_present(worker: &WorkerRecord, now: OffsetDateTime) -> bool {
    worker.activity != WorkerActivity::Ended && now - worker.seen_at < GONE
}
