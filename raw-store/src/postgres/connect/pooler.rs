//! Detects a transaction pooler between this process and the server, with which locks and leases do not hold.

use tokio_postgres::Client;

use super::pool::Connector;
use super::session::rows;
use crate::StoreErrorKind;

const ME: &str = "SELECT pg_backend_pid()";

/// Checks that the server's side of a session is its own: a pooler may give it to another client after each transaction, and
/// then neither settings nor locks nor leases hold. It costs a connection, and is checked only where there is a pooler.
pub(in crate::postgres) async fn check_ownership(
    connector: &Connector,
    client: &Client,
) -> Result<(), StoreErrorKind> {
    if connector.is_direct() {
        return Ok(());
    }
    let me = async || -> Result<Vec<Vec<String>>, StoreErrorKind> { Ok(rows(client, ME).await?) };
    let (mine, again) = (me().await?, me().await?);
    let other = connector.dedicated().await?;
    let theirs = rows(&other, ME).await?;
    if mine == again && mine != theirs && mine == me().await? {
        return Ok(());
    }
    Err(StoreErrorKind::Session(
        "a pooler shares sessions between clients (transaction pooling), so that settings, locks and leases are lost"
            .into(),
    ))
}
