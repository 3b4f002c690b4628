//! Helpers shared by the queries: reading ledger columns, and checking that written rows were kept.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::{RunId, StoreErrorKind, Window};

/// Reads a window from two neighbouring columns.
pub(super) fn window(row: &Row, at: usize) -> Result<Window, StoreErrorKind> {
    Window::new(row.try_get(at)?, row.try_get(at + 1)?).map_err(|_| unexpected("a window"))
}

/// Reads a run's id, if there is one.
pub(super) fn run_id(text: Option<&str>) -> Result<Option<RunId>, StoreErrorKind> {
    text.map(|text| text.parse().map_err(|_| unexpected("a run_id"))).transpose()
}

/// An error for something in the ledger that this program has not written.
pub(super) fn unexpected(what: &str) -> StoreErrorKind {
    StoreErrorKind::Differs(format!("{what} cannot be read").into())
}

/// Checks that every row that was written to a ledger table was kept.
pub(super) fn kept(table: &str, found: u64, wanted: usize) -> Result<(), StoreErrorKind> {
    let rows = (wanted as u64).saturating_sub(found);
    if rows == 0 { Ok(()) } else { Err(StoreErrorKind::RowsAltered { table: table.into(), rows }) }
}

/// Maps an error where a run is named: a run that no longer exists was forgotten.
pub(super) fn of_a_run(error: tokio_postgres::Error, entity_name: &str) -> StoreErrorKind {
    if error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) {
        return StoreErrorKind::LogMoved(entity_name.into());
    }
    error.into()
}
