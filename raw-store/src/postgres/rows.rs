use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::{RunId, StoreErrorKind, Window};

/// A window from two neighbouring columns.
pub(super) fn window(row: &Row, at: usize) -> Result<Window, StoreErrorKind> {
    Window::new(row.try_get(at)?, row.try_get(at + 1)?).map_err(|_| unexpected("a window"))
}

/// A run, where one is named.
pub(super) fn run_id(text: Option<&str>) -> Result<Option<RunId>, StoreErrorKind> {
    text.map(|text| text.parse().map_err(|_| unexpected("a run_id"))).transpose()
}

/// Something in the ledger that this program has not written.
pub(super) fn unexpected(what: &str) -> StoreErrorKind {
    StoreErrorKind::Differs(format!("{what} cannot be read").into())
}

/// Every row that was written to a table of the ledger must have been kept.
pub(super) fn kept(table: &str, found: u64, wanted: usize) -> Result<(), StoreErrorKind> {
    let rows = (wanted as u64).saturating_sub(found);
    if rows == 0 { Ok(()) } else { Err(StoreErrorKind::RowsAltered { table: table.into(), rows }) }
}

/// What an error means where a run is named: one that is not there any more was forgotten.
pub(super) fn of_a_run(error: tokio_postgres::Error, entity_name: &str) -> StoreErrorKind {
    if error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) {
        return StoreErrorKind::LogMoved(entity_name.into());
    }
    error.into()
}
