//! What the database does not know of the attachments.

use raw_store::{BackfillLog, LogFilter, LogLine, Quarantine, WindowState};

use crate::output::exit::Exit;

/// The entity whose records describe attachments.
pub(super) const ENTITY: &str = "Attachable";

/// What the database does not know of the attachments: such records have files that nothing names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gap {
    /// Windows that were not read to their end.
    pub(super) windows: u64,
    /// Records in quarantine that wait for a decision.
    pub(super) quarantined: u64,
}

impl Gap {
    /// Looks up the gap. It is an error if no run has tried to read the records.
    pub(super) async fn find<S>(store: &S, entity_name: &str) -> Result<Self, Exit>
    where
        S: BackfillLog + Quarantine + ?Sized,
    {
        let filter = LogFilter { entity_name: Some(entity_name.into()), ..LogFilter::default() };
        let lines = store.lines(&filter).await?;
        if lines.is_empty() {
            return Err(Exit::usage(
                "the records of attachments were not read yet, and they name the files",
                format!("read them first: qbo-backfill run {ENTITY} --from T --to T"),
            ));
        }
        let windows = lines.iter().filter(|line| !is_read(line)).count() as u64;
        let quarantined = store.quarantined(Some(entity_name)).await?;
        let quarantined = quarantined.iter().filter(|one| one.is_open()).count() as u64;
        Ok(Self { windows, quarantined })
    }

    /// What is not known, and how to find it out; `None` if there is no gap.
    pub(super) fn told(self) -> Option<(String, String)> {
        let windows = (
            format!("windows whose records of attachments were not read to the end: {}", self.windows),
            format!("qbo-backfill retry --failed {ENTITY}, or a run of their range"),
        );
        let quarantined = (
            format!("records of attachments in quarantine: {}", self.quarantined),
            format!("qbo-backfill quarantine retry {ENTITY}"),
        );
        let parts = [(self.windows, windows), (self.quarantined, quarantined)];
        let parts: Vec<_> = parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, part)| part).collect();
        let (what, next): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        (!what.is_empty()).then(|| (what.join("; "), next.join("; ")))
    }
}

/// Whether the records of a window were read to its end. Those of a provisional one were; it may gain more.
fn is_read(line: &LogLine) -> bool {
    matches!(line.state, WindowState::Completed | WindowState::Provisional)
}
