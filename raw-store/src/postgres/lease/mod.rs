//! Acquires, checks and releases the leases on pipelines; the epoch of a lease fences the writes of its owner.

pub(super) mod heartbeat;

use std::time::Duration;

use deadpool_postgres::Transaction;
use tokio_postgres::Client;

use super::connect::{Backend, LEASE_TIME};
use super::rows::kept;
use crate::{Lease, StoreErrorKind};

/// When a pipeline may be taken: it was released, or its owner is this very process, has ended, or has sent no heartbeat for as
/// long as a lease lasts. The owner has ended when no server process has both its number and its start. Where the role may not
/// see other roles' sessions their start is null: then the number alone counts, and the owner is assumed to live.
macro_rules! free {
    () => {
        "(lease.backend_pid IS NULL
          OR (lease.backend_pid = $3 AND lease.backend_started_at = $4)
          OR lease.lease_until_utc < clock_timestamp()
          OR NOT EXISTS (
                SELECT FROM pg_stat_activity AS other
                WHERE other.pid = lease.backend_pid
                  AND (other.backend_start IS NULL OR other.backend_start = lease.backend_started_at)))"
    };
}

/// Inserts the line of a pipeline that has had no owner yet. Without an arbiter: two first owners meet in both unique indexes,
/// and a conflict in the one that is not named would be an error.
const BEGIN: &str = "
    INSERT INTO backfill_lease (entity_name, epoch, holder) VALUES ($1, 0, '') ON CONFLICT DO NOTHING";

/// Takes a pipeline for a process. A process that finds it taken locks nothing, so the pages of its owner continue.
const ACQUIRE: &str = concat!(
    "UPDATE backfill_lease AS lease SET
         epoch = lease.epoch + 1,
         holder = $2,
         backend_pid = $3,
         backend_started_at = $4,
         lease_until_utc = clock_timestamp() + make_interval(secs => $5),
         taken_at_utc = clock_timestamp()
     WHERE lease.entity_name = $1 AND ",
    free!(),
    " RETURNING epoch"
);

/// Corrects a time that lies further ahead than a lease can: the server's clock was set back, and a frozen owner would keep the
/// pipeline for as long as that. An owner that lives renews it.
const FIX_CLOCK: &str = "
    UPDATE backfill_lease SET lease_until_utc = least(lease_until_utc, clock_timestamp() + make_interval(secs => $2))
    WHERE entity_name = $1";

const OWN: &str =
    "SELECT FROM backfill_lease WHERE entity_name = $1 AND epoch = $2 AND backend_pid IS NOT NULL";

/// There is no line yet of a name that another task of this process is requesting.
const HOLDER: &str = "
    SELECT coalesce(nullif(holder, ''), 'another task of this process'), coalesce(taken_at_utc, clock_timestamp())
    FROM (SELECT) AS asked LEFT JOIN backfill_lease ON entity_name = $1";

/// Also reassigns the leases to a connection that replaced one that was cut.
const RENEW: &str = "
    UPDATE backfill_lease AS lease SET
        lease_until_utc = clock_timestamp() + make_interval(secs => $5),
        backend_pid = $3,
        backend_started_at = $4
    FROM unnest($1::text[], $2::bigint[]) AS mine (entity_name, epoch)
    WHERE lease.entity_name = mine.entity_name AND lease.epoch = mine.epoch AND lease.backend_pid IS NOT NULL
    RETURNING lease.entity_name";

const RELEASE: &str = "UPDATE backfill_lease SET backend_pid = NULL, backend_started_at = NULL WHERE entity_name = $1 AND epoch = $2";

/// The first statement of every transaction that changes something for a pipeline. Its lock makes a takeover, which changes the
/// key, wait until the transaction is over; transactions of several scans, and heartbeats, which do not change it, never wait.
/// After a wait the row is read again, so an outdated epoch finds nothing.
pub(super) const FENCE: &str =
    "SELECT FROM backfill_lease WHERE entity_name = $1 AND epoch = $2 FOR KEY SHARE";

/// Lets a transaction go on only for the owner.
pub(super) async fn fence(transaction: &Transaction<'_>, lease: &Lease) -> Result<(), StoreErrorKind> {
    let owned = transaction.query_opt(FENCE, &[&&*lease.entity_name, &lease.epoch]).await?;
    owned.map(drop).ok_or_else(|| StoreErrorKind::LeaseLost(lease.entity_name.clone()))
}

/// Takes a pipeline. `guard` is the connection that lives as long as this process.
pub(super) async fn acquire(
    client: &Client,
    guard: &Backend,
    (entity_name, holder): (&str, &str),
    lasts: Duration,
) -> Result<Lease, StoreErrorKind> {
    client.execute(BEGIN, &[&entity_name]).await?;
    let taken = client
        .query_opt(ACQUIRE, &[&entity_name, &holder, &guard.pid, &guard.started_at, &lasts.as_secs_f64()])
        .await?;
    if let Some(row) = taken {
        return Ok(Lease { entity_name: entity_name.into(), epoch: row.try_get(0)? });
    }
    let line = client.execute(FIX_CLOCK, &[&entity_name, &lasts.max(LEASE_TIME).as_secs_f64()]).await?;
    kept("backfill_lease", line, 1)?;
    Err(held(client, entity_name).await)
}

/// Whether the ownership that this process knows of is the current one.
pub(super) async fn is_own(
    client: &Client,
    entity_name: &str,
    epoch: Option<i64>,
) -> Result<bool, StoreErrorKind> {
    let Some(epoch) = epoch else { return Ok(false) };
    Ok(client.query_opt(OWN, &[&entity_name, &epoch]).await?.is_some())
}

/// The owner of a pipeline, as an error.
pub(super) async fn held(client: &Client, entity_name: &str) -> StoreErrorKind {
    let said = async {
        let row = client.query_one(HOLDER, &[&entity_name]).await?;
        let holder: String = row.try_get(0)?;
        Ok(StoreErrorKind::LeaseHeld {
            entity_name: entity_name.into(),
            holder: holder.into(),
            since: row.try_get(1)?,
        })
    };
    said.await.unwrap_or_else(|error: StoreErrorKind| error)
}

/// Renews leases, and returns the pipelines of those that are still owned.
pub(super) async fn renew(
    guard: &Backend,
    (names, epochs): (&[&str], &[i64]),
    lasts: Duration,
) -> Result<Vec<String>, StoreErrorKind> {
    let lasts = lasts.as_secs_f64();
    let renewed =
        guard.client.query(RENEW, &[&names, &epochs, &guard.pid, &guard.started_at, &lasts]).await?;
    renewed.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Releases a pipeline, unless it has been taken over.
pub(super) async fn release(client: &Client, lease: &Lease) -> Result<(), StoreErrorKind> {
    client.execute(RELEASE, &[&&*lease.entity_name, &lease.epoch]).await?;
    Ok(())
}
