//! What a run costs at least, before anybody starts it.

use std::collections::BTreeMap;

use backfill_core::{Axis, Catalog, Plan, RunRequest};
use raw_store::{LogLine, Reopen, StoreIdentity, Window};

/// The least number of calls to read the windows of these lines again; `None` if that cannot be said, as for a pipeline that
/// the catalogue does not have.
pub(crate) fn least_calls(catalog: &Catalog, lines: &[LogLine]) -> Option<u64> {
    let first = lines.first()?;
    let axis: Axis = first.time_axis.parse().ok()?;
    let mut chosen: BTreeMap<Box<str>, Vec<Window>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.time_axis == first.time_axis) {
        chosen.entry(line.entity_name.clone()).or_default().push(line.window);
    }
    let entities = catalog.select(chosen.keys().map(|name| &**name)).ok()?;
    let start = lines.iter().map(|line| line.window.start()).min()?;
    let end = lines.iter().map(|line| line.window.end()).max()?;
    let span = Window::new(start, end).ok()?;
    // A plan does not depend on the company or on the name of the run.
    let company = StoreIdentity { realm_id: String::new().into(), environment: String::new().into() };
    let request = RunRequest::new("price".parse().ok()?, company, entities, span);
    let request = RunRequest { chosen: Some(chosen), axis, reopen: Reopen::All, ..request };
    Some(Plan::new(&request, lines).ok()?.estimated_calls)
}
