//! Finds the run that a person names: by its id, by the first characters of the id, or as `latest`.

use backfill_core::ReportError;
use raw_store::{BackfillLog, RunId, RunRecord};

use crate::args::words::LATEST;
use crate::output::exit::Exit;

/// How many ids are shown of those that begin alike.
const SHOWN: usize = 3;

/// Finds the run that is meant. Its record is as it was a moment ago.
pub(super) async fn find_run(store: &dyn BackfillLog, wanted: &RunId) -> Result<RunRecord, Exit> {
    if wanted.as_str() == LATEST {
        let newest = store.runs(1).await?.into_iter().next();
        return newest.ok_or_else(|| ReportError::NoRuns.into());
    }
    // An id that is spelled out is meant, even if others begin with it.
    if let Some(run) = store.run(wanted).await? {
        return Ok(run);
    }
    let mut runs = store.runs(u32::MAX).await?;
    runs.retain(|run| run.id.as_str().starts_with(wanted.as_str()));
    match runs.len() {
        0 => Err(ReportError::UnknownRun(wanted.clone()).into()),
        1 => Ok(runs.remove(0)),
        number => Err(ambiguous(wanted, &runs, number)),
    }
}

fn ambiguous(wanted: &RunId, runs: &[RunRecord], number: usize) -> Exit {
    let ids: Vec<_> = runs.iter().take(SHOWN).map(|run| run.id.as_str()).collect();
    let more = if number > SHOWN { ", …" } else { "" };
    Exit::usage(
        format!("{wanted} is ambiguous: the ids of {number} runs begin with it ({}{more})", ids.join(", ")),
        "give more characters of the id, or latest; see: qbo-backfill runs",
    )
}
