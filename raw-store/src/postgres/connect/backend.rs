//! A dedicated connection, and the identity of the server process behind it.

use time::OffsetDateTime;
use tokio_postgres::Client;

use super::pool::Connector;
use crate::StoreErrorKind;

const ME: &str = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";

/// A connection outside the pool, and the server process behind it. Rows that name both belong to the connection's owner until
/// the connection ends, and to no process after that: the number alone may be another process's by then.
#[derive(Debug)]
pub(in crate::postgres) struct Backend {
    pub(in crate::postgres) client: Client,
    pub(in crate::postgres) pid: i32,
    pub(in crate::postgres) started_at: OffsetDateTime,
}

impl Backend {
    pub(in crate::postgres) async fn open(connector: &Connector) -> Result<Self, StoreErrorKind> {
        let client = connector.dedicated().await?;
        let me = client.query_one(ME, &[]).await?;
        Ok(Self { pid: me.try_get(0)?, started_at: me.try_get(1)?, client })
    }
}
