use tokio_postgres::Client;

use crate::{Lease, StoreErrorKind};

/// Takes a pipeline for the server process of the connection that runs this.
///
/// The holder is gone when no server process has both its number and its start. Where the role may not see
/// other roles' sessions their start is null: then the number alone counts, and the holder is taken to live.
const ACQUIRE: &str = "
    INSERT INTO backfill_lease AS lease (entity_name, epoch, holder, backend_pid, backend_started_at)
    SELECT $1, 1, $2, me.pid, me.backend_start FROM pg_stat_activity AS me WHERE me.pid = pg_backend_pid()
    ON CONFLICT (entity_name) DO UPDATE SET
        epoch = lease.epoch + 1,
        holder = excluded.holder,
        backend_pid = excluded.backend_pid,
        backend_started_at = excluded.backend_started_at,
        taken_at_utc = clock_timestamp()
    WHERE lease.backend_pid IS NULL
       OR (lease.backend_pid = excluded.backend_pid AND lease.backend_started_at = excluded.backend_started_at)
       OR NOT EXISTS (
            SELECT FROM pg_stat_activity AS other
            WHERE other.pid = lease.backend_pid
              AND (other.backend_start IS NULL OR other.backend_start = lease.backend_started_at))
    RETURNING epoch";

const HOLDER: &str = "SELECT holder FROM backfill_lease WHERE entity_name = $1";

const RELEASE: &str = "UPDATE backfill_lease SET backend_pid = NULL, backend_started_at = NULL WHERE entity_name = $1 AND epoch = $2";

/// The first statement of a page's transaction. Its share lock makes a takeover wait until the page is
/// committed, and pages of several scans do not wait for one another. After a wait the row is read again, so an
/// epoch that has passed finds nothing.
pub(super) const FENCE: &str = "SELECT FROM backfill_lease WHERE entity_name = $1 AND epoch = $2 FOR SHARE";

/// Takes a pipeline. `guard` is the connection that lives as long as this process.
pub(super) async fn acquire(
    guard: &Client,
    entity_name: &str,
    holder: &str,
) -> Result<Lease, StoreErrorKind> {
    if let Some(row) = guard.query_opt(ACQUIRE, &[&entity_name, &holder]).await? {
        return Ok(Lease { entity_name: entity_name.into(), epoch: row.try_get(0)? });
    }
    let holder: String = guard.query_one(HOLDER, &[&entity_name]).await?.try_get(0)?;
    Err(StoreErrorKind::LeaseHeld { entity_name: entity_name.into(), holder: holder.into() })
}

/// Gives a pipeline back, unless it has been taken over.
pub(super) async fn release(client: &Client, lease: &Lease) -> Result<(), StoreErrorKind> {
    client.execute(RELEASE, &[&&*lease.entity_name, &lease.epoch]).await?;
    Ok(())
}
