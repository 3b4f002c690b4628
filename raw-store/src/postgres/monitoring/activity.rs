//! Shows leases, the budget of calls and workers, and records the heartbeats of workers.

use std::time::Duration;

use deadpool_postgres::Object;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::{Client, Row};

use super::snapshot::Snapshot;
use crate::postgres::rows::{kept, unexpected};
use crate::store::trigger::trigger_of;
use crate::{
    AsOf, CallBudget, HeldLease, RestingTrigger, StoreErrorKind, TriggerName, WorkerActivity, WorkerBeat,
    WorkerRecord,
};

/// The owner is at work as long as its lease has not run out, and its server process is there, as far as this role can see.
const HELD: &str = "
    SELECT entity_name, holder, taken_at_utc, lease_until_utc
    FROM backfill_lease AS lease
    WHERE backend_pid IS NOT NULL AND (lease_until_utc IS NULL OR lease_until_utc >= clock_timestamp())
      AND EXISTS (
        SELECT FROM pg_stat_activity AS owner
        WHERE owner.pid = lease.backend_pid
          AND (owner.backend_start IS NULL OR owner.backend_start = lease.backend_started_at))
    ORDER BY entity_name COLLATE \"C\"";

const BUDGET: &str = "
    SELECT coalesce(calls, 0), (month + interval '1 month') AT TIME ZONE 'UTC',
        CASE WHEN paused_until_utc > clock_timestamp() THEN paused_until_utc END, down_until_utc, share
    FROM call_budget
    CROSS JOIN LATERAL (SELECT date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') AS month) AS present
    LEFT JOIN call_month ON month_utc = month::date";

const WORKERS: &str = "
    SELECT worker, version, profile, activity, started_at_utc, seen_at_utc, running, resting::text
    FROM backfill_worker
    ORDER BY seen_at_utc DESC, worker COLLATE \"C\"
    LIMIT $1";

/// The delays become times of the server's clock.
const BEAT: &str = "
    INSERT INTO backfill_worker AS known (worker, version, profile, activity, running, resting)
    SELECT $1, $2, $3, $4, $5, coalesce(jsonb_agg(jsonb_build_object(
            'trigger', name, 'until', to_char((clock_timestamp() + make_interval(secs => seconds)) AT TIME ZONE 'UTC',
                'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), 'reason', reason) ORDER BY place), '[]')
    FROM unnest($6::text[], $7::float8[], $8::text[]) WITH ORDINALITY AS rest (name, seconds, reason, place)
    ON CONFLICT (worker) DO UPDATE SET
        version = excluded.version,
        profile = excluded.profile,
        activity = excluded.activity,
        running = excluded.running,
        resting = excluded.resting,
        started_at_utc = CASE known.activity WHEN 'ended' THEN clock_timestamp() ELSE known.started_at_utc END,
        seen_at_utc = clock_timestamp()";

/// An element of the column `resting`.
#[derive(Deserialize, Serialize)]
struct Resting {
    trigger: Box<str>,
    until: Box<str>,
    reason: Box<str>,
}

pub(super) async fn held_leases(client: &mut Object) -> Result<AsOf<Vec<HeldLease>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let rows = snapshot.transaction.query(HELD, &[]).await?;
    let held = |row: &Row| {
        let name: &str = row.try_get(0)?;
        let trigger = trigger_of(name);
        Ok::<_, StoreErrorKind>(HeldLease {
            entity_name: trigger.is_none().then(|| name.into()),
            trigger,
            holder: row.try_get::<_, &str>(1)?.into(),
            since: row.try_get(2)?,
            until: row.try_get(3)?,
        })
    };
    snapshot.end(rows.iter().map(held).collect::<Result<_, _>>()?).await
}

pub(super) async fn call_budget(client: &mut Object) -> Result<AsOf<CallBudget>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let row = snapshot.transaction.query_opt(BUDGET, &[]).await?;
    let row = row.ok_or_else(|| unexpected("the line of call_budget"))?;
    let budget = CallBudget {
        used: row.try_get::<_, i64>(0)?.cast_unsigned(),
        until: row.try_get(1)?,
        paused_until: row.try_get(2)?,
        down_until: row.try_get(3)?,
        share: row.try_get(4)?,
    };
    snapshot.end(budget).await
}

pub(super) async fn workers(
    client: &mut Object,
    limit: u32,
) -> Result<AsOf<Vec<WorkerRecord>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let rows = snapshot.transaction.query(WORKERS, &[&i64::from(limit)]).await?;
    snapshot.end(rows.iter().map(worker).collect::<Result<_, _>>()?).await
}

pub(super) async fn heartbeat(client: &Client, beat: &WorkerBeat) -> Result<(), StoreErrorKind> {
    let running: Vec<&str> = beat.running.iter().map(TriggerName::as_str).collect();
    let resting: Vec<&str> = beat.resting.iter().map(|rest| rest.trigger.as_str()).collect();
    let waits: Vec<f64> = beat.resting.iter().map(|rest| Duration::as_secs_f64(&rest.until)).collect();
    let reasons: Vec<&str> = beat.resting.iter().map(|rest| &*rest.reason).collect();
    let (worker, version, activity) = (&*beat.worker, &*beat.version, beat.activity.as_str());
    let written = client
        .execute(
            BEAT,
            &[&worker, &version, &beat.profile.as_deref(), &activity, &running, &resting, &waits, &reasons],
        )
        .await?;
    kept("backfill_worker", written, 1)
}

fn worker(row: &Row) -> Result<WorkerRecord, StoreErrorKind> {
    let name = |text: &str| text.parse().map_err(|_| unexpected("a trigger of backfill_worker"));
    let running = row.try_get::<_, Vec<&str>>(6)?.into_iter().map(name);
    let resting: Vec<Resting> = serde_json::from_str(row.try_get(7)?)
        .map_err(|_| unexpected("a column resting of backfill_worker"))?;
    let rest = |one: &Resting| {
        let until = OffsetDateTime::parse(&one.until, &Rfc3339)
            .map_err(|_| unexpected("a column resting of backfill_worker"))?;
        Ok::<_, StoreErrorKind>(RestingTrigger {
            trigger: name(&one.trigger)?,
            until,
            reason: one.reason.clone(),
        })
    };
    Ok(WorkerRecord {
        worker: row.try_get::<_, &str>(0)?.into(),
        version: row.try_get::<_, &str>(1)?.into(),
        profile: row.try_get::<_, Option<&str>>(2)?.map(Into::into),
        activity: WorkerActivity::from_word(row.try_get(3)?)
            .ok_or_else(|| unexpected("an activity of backfill_worker"))?,
        started_at: row.try_get(4)?,
        seen_at: row.try_get(5)?,
        running: running.collect::<Result<_, _>>()?,
        resting: resting.iter().map(rest).collect::<Result<_, _>>()?,
    })
}
