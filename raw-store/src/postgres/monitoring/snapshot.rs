//! Reads several statements from one snapshot of the database, together with its time.

use deadpool_postgres::{Object, Transaction};
use time::OffsetDateTime;
use tokio_postgres::IsolationLevel;

use crate::{AsOf, StoreErrorKind};

/// A transaction that only reads, and sees one state of the database.
pub(super) struct Snapshot<'a> {
    pub(super) transaction: Transaction<'a>,
    now: OffsetDateTime,
}

impl<'a> Snapshot<'a> {
    /// Begins the transaction, and reads the server's clock.
    pub(super) async fn begin(client: &'a mut Object) -> Result<Self, StoreErrorKind> {
        let transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await?;
        let now = transaction.query_one("SELECT clock_timestamp()", &[]).await?.try_get(0)?;
        Ok(Self { transaction, now })
    }

    /// Ends the transaction, and returns the answer with its time.
    pub(super) async fn end<T>(self, value: T) -> Result<AsOf<T>, StoreErrorKind> {
        self.transaction.commit().await?;
        Ok(AsOf { now: self.now, value })
    }
}
