//! The call budget that all processes share: admission, pauses, probing of a failing source, and monthly counts.

pub(super) mod session;

use std::time::Duration;

use postgres_types::ToSql;
use time::Date;
use tokio_postgres::Statement;

use super::connect::{Backend, Connector};
use super::rows::kept;
use crate::store::calls::{ASK_AGAIN, HUNG_UP, IN_FLIGHT, LONGEST_DOWN, LONGEST_GOOD_FOR};
use crate::{CallAdmission, CallEnd, CallLimits, CallMonth, CallSlot, StoreErrorKind};

/// Admits one call, or says how long to wait: one statement, one round trip, and no lock that a frozen process could keep. It
/// decides by a snapshot; another admission or a pause since then has moved `admissions`, and then nothing is taken and the
/// caller asks again. A call that ended since then only makes it too careful.
///
/// The n-th newest arrival must be out of the span before another call may leave. Its own arrival is not before now.
const ADMIT: &str = "
    WITH seen AS MATERIALIZED (
        SELECT admissions, paused_until_utc, down_until_utc, clock_timestamp() AS now_utc, share FROM call_budget
    ), rate AS MATERIALIZED (
        SELECT seen.*, date_trunc('month', now_utc AT TIME ZONE 'UTC')::date AS month_utc,
            least(1, share + $8 * greatest(0, extract(epoch FROM now_utc - paused_until_utc)::float8) / 60) AS now_share
        FROM seen
    ), decided AS MATERIALIZED (
        SELECT now_utc, admissions, month_utc,
            coalesce((SELECT calls FROM call_month WHERE call_month.month_utc = rate.month_utc), 0) AS used,
            greatest(
                paused_until_utc,
                down_until_utc,
                (SELECT arrived_by_utc FROM call_slot ORDER BY arrived_by_utc DESC
                    LIMIT 1 OFFSET greatest(1, floor($1 * now_share))::bigint - 1) + interval '1 minute',
                (SELECT arrived_by_utc FROM call_slot ORDER BY arrived_by_utc DESC
                    LIMIT 1 OFFSET greatest(1, floor($2 * now_share))::bigint - 1) + interval '1 second'
            ) AS free_at_utc,
            (SELECT count(*) FROM call_slot WHERE in_flight_until_utc > now_utc) >= $3 AS crowded
        FROM rate
    ), claimed AS (
        UPDATE call_budget AS budget SET
            admissions = budget.admissions + 1,
            down_until_utc = CASE WHEN budget.down_until_utc IS NOT NULL THEN now_utc + make_interval(secs => $10) END
        FROM decided
        WHERE free_at_utc <= now_utc AND NOT crowded AND ($4::bigint IS NULL OR used < $4)
          AND budget.admissions = decided.admissions
        RETURNING now_utc, month_utc
    ), counted AS (
        INSERT INTO call_month AS month (month_utc, calls) SELECT month_utc, 1 FROM claimed
        ON CONFLICT (month_utc) DO UPDATE SET calls = month.calls + 1
        RETURNING calls
    ), taken AS (
        INSERT INTO call_slot AS place (slot, uses, arrived_by_utc, in_flight_until_utc, backend_pid, backend_started_at)
        SELECT coalesce(
                (SELECT min(slot) FROM call_slot
                    WHERE arrived_by_utc <= now_utc - interval '1 minute' AND in_flight_until_utc <= now_utc),
                (SELECT max(slot) + 1 FROM call_slot),
                1),
            1, now_utc + make_interval(secs => $5), now_utc + make_interval(secs => $9), $6, $7
        FROM claimed
        ON CONFLICT (slot) DO UPDATE SET
            uses = place.uses + 1,
            arrived_by_utc = excluded.arrived_by_utc,
            in_flight_until_utc = excluded.in_flight_until_utc,
            backend_pid = excluded.backend_pid,
            backend_started_at = excluded.backend_started_at
        RETURNING slot, uses
    )
    SELECT extract(epoch FROM free_at_utc - now_utc)::float8, crowded, $4 IS NOT NULL AND used >= $4, month_utc,
        taken.slot, taken.uses, counted.calls, (SELECT count(*) FROM claimed)
    FROM decided LEFT JOIN taken ON true LEFT JOIN counted ON true";

/// Marks the slots of callers that have ended: the other end may go on working on their calls for a short time.
const BURY: &str = "
    UPDATE call_slot SET
        in_flight_until_utc = least(in_flight_until_utc, clock_timestamp() + make_interval(secs => $1)),
        backend_pid = NULL,
        backend_started_at = NULL
    WHERE in_flight_until_utc > clock_timestamp() AND backend_pid IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM pg_stat_activity AS caller
        WHERE caller.pid = call_slot.backend_pid
          AND (caller.backend_start IS NULL OR caller.backend_start = call_slot.backend_started_at))";

/// Reassigns the slots of a connection that was cut to its successor, even if they were released meanwhile: the process lives.
const REASSIGN: &str = "
    UPDATE call_slot SET
        in_flight_until_utc = greatest(in_flight_until_utc, arrived_by_utc + make_interval(secs => $5)),
        backend_pid = $3,
        backend_started_at = $4
    FROM unnest($1::int4[], $2::int8[]) AS living (slot, uses)
    WHERE call_slot.slot = living.slot AND call_slot.uses = living.uses
      AND call_slot.in_flight_until_utc > clock_timestamp()";

/// Corrects times that lie further ahead than they can: the server's clock was set back, and would keep every call waiting for
/// as long as that.
const FIX_CLOCK: &str = "
    WITH moment AS MATERIALIZED (
        SELECT clock_timestamp() AS now_utc
    ), mended AS (
        UPDATE call_slot SET
            arrived_by_utc = least(arrived_by_utc, now_utc + make_interval(secs => $1)),
            in_flight_until_utc = least(in_flight_until_utc, now_utc + make_interval(secs => $2)),
            served_at_utc = least(served_at_utc, now_utc)
        FROM moment
        WHERE arrived_by_utc > now_utc + make_interval(secs => $1)
           OR in_flight_until_utc > now_utc + make_interval(secs => $2)
           OR served_at_utc > now_utc
    )
    UPDATE call_budget SET
        paused_until_utc = CASE
            WHEN refused_at_utc > now_utc THEN now_utc + (paused_until_utc - refused_at_utc)
            -- Nobody has asked for it.
            WHEN refused_at_utc IS NULL THEN least(paused_until_utc, now_utc)
            ELSE paused_until_utc END,
        down_until_utc = least(down_until_utc, now_utc + make_interval(secs => $3)),
        refused_since_utc = CASE WHEN refused_at_utc > now_utc THEN now_utc ELSE refused_since_utc END,
        refused_at_utc = least(refused_at_utc, now_utc)
    FROM moment
    WHERE refused_at_utc > now_utc OR (refused_at_utc IS NULL AND paused_until_utc > now_utc)
       OR down_until_utc > now_utc + make_interval(secs => $3)";

/// Inserts the one line of the budget if the table was emptied: it starts with nothing used.
const BEGIN: &str = "INSERT INTO call_budget DEFAULT VALUES ON CONFLICT (only_one) DO NOTHING";

/// Ends a call: records when it arrived, if it must have by now, and how long it may still be in flight.
const CONCLUDE: &str = "
    WITH ended AS (
        UPDATE call_slot SET
            arrived_by_utc = CASE $3::text WHEN 'unsent' THEN 'epoch' WHEN 'abandoned' THEN arrived_by_utc
                ELSE least(arrived_by_utc, clock_timestamp()) END,
            in_flight_until_utc = CASE $3 WHEN 'abandoned'
                THEN least(in_flight_until_utc, clock_timestamp() + make_interval(secs => $4::float8))
                ELSE 'epoch' END,
            served_at_utc = CASE $3 WHEN 'served' THEN clock_timestamp() ELSE served_at_utc END
        WHERE slot = $1 AND uses = $2
        RETURNING 1
    ), taken_back AS (
        UPDATE call_month SET calls = calls - 1
        WHERE month_utc = $5 AND $3 IN ('unsent', 'failed') AND EXISTS (SELECT FROM ended)
    )
    UPDATE call_budget SET refused_since_utc = NULL, down_until_utc = NULL
    WHERE $3 = 'served' AND (refused_since_utc IS NOT NULL OR down_until_utc IS NOT NULL)";

const FAILING: &str = "
    UPDATE call_budget SET
        admissions = admissions + 1,
        down_until_utc = greatest(down_until_utc, clock_timestamp() + make_interval(secs => $1))
    WHERE NOT EXISTS (
        SELECT FROM call_slot
        WHERE served_at_utc > clock_timestamp() - make_interval(secs => $1) AND served_at_utc <= clock_timestamp())";

/// A call that is refused during a pause left before the pause: it is the same refusal once more, and does not slow down again.
/// The first refusal moves later by the time that does not count.
const PAUSE: &str = "
    UPDATE call_budget SET
        admissions = admissions + 1,
        share = CASE
            WHEN now_utc < paused_until_utc THEN share
            ELSE greatest($2, $3 * least(1, share + $4 * extract(epoch FROM now_utc - paused_until_utc)::float8 / 60))
        END,
        paused_until_utc = greatest(
            -- One that was asked for later than now is of a clock that was set back.
            CASE WHEN refused_at_utc <= now_utc THEN paused_until_utc END, now_utc + make_interval(secs => $1)),
        refused_since_utc = CASE
            WHEN refused_at_utc >= now_utc - make_interval(secs => $5) AND refused_since_utc IS NOT NULL
                THEN refused_since_utc + greatest(interval '0', now_utc - refused_at_utc - make_interval(secs => $6))
            ELSE now_utc
        END,
        refused_at_utc = now_utc
    FROM (SELECT clock_timestamp() AS now_utc OFFSET 0) AS moment
    RETURNING greatest(0, extract(epoch FROM refused_at_utc - refused_since_utc)::float8)";

const MONTH: &str = "
    SELECT coalesce((SELECT calls FROM call_month WHERE month_utc = begun::date), 0),
        (begun + interval '1 month') AT TIME ZONE 'UTC'
    FROM (SELECT date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') AS begun OFFSET 0) AS month";

/// A connection for calls alone: pages in the middle of their transactions never make a call wait, nor the other way round.
/// Each request is one statement, so many callers can use it at once.
#[derive(Debug)]
pub(super) struct CallLine {
    backend: Backend,
    admit: Statement,
    conclude: Statement,
}

impl CallLine {
    /// Opens it, and takes over these slots from the connection before it.
    pub(super) async fn open(
        connector: &Connector,
        (slots, uses): (&[i32], &[i64]),
    ) -> Result<Self, StoreErrorKind> {
        let backend = Backend::open(connector).await?;
        let client = &backend.client;
        // Durable here, without waiting for replicas: after a crash no call of the last minute may be forgotten. No other
        // session of the store does this.
        client.batch_execute("SET synchronous_commit = local").await?;
        if !slots.is_empty() {
            let under_way = IN_FLIGHT.as_secs_f64();
            client.execute(REASSIGN, &[&slots, &uses, &backend.pid, &backend.started_at, &under_way]).await?;
        }
        let (admit, conclude) = (client.prepare(ADMIT).await?, client.prepare(CONCLUDE).await?);
        Ok(Self { backend, admit, conclude })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.backend.client.is_closed()
    }

    pub(super) async fn admit(
        &self,
        limits: &CallLimits,
        good_for: Duration,
    ) -> Result<CallAdmission, StoreErrorKind> {
        let (per_minute, per_second) = (f64::from(limits.per_minute), f64::from(limits.per_second));
        let in_flight = i64::from(limits.in_flight);
        let per_month = limits.per_month.map(|calls| i64::try_from(calls).unwrap_or(i64::MAX));
        let arrives = (good_for.min(LONGEST_GOOD_FOR) + limits.arrival_slack).as_secs_f64();
        let latest_arrival = (LONGEST_GOOD_FOR + limits.arrival_slack).as_secs_f64();
        // The longest time for which a rate can make a call wait: a minute after the latest arrival.
        let longest_wait = 60.0 + latest_arrival;
        let (under_way, probe_interval) = (IN_FLIGHT.as_secs_f64(), limits.probe_interval.as_secs_f64());
        let mut mended = false;
        loop {
            let row = self
                .backend
                .client
                .query_opt(
                    &self.admit,
                    &[
                        &per_minute,
                        &per_second,
                        &in_flight,
                        &per_month,
                        &arrives,
                        &self.backend.pid,
                        &self.backend.started_at,
                        &limits.share_gain_per_minute,
                        &under_way,
                        &probe_interval,
                    ],
                )
                .await?;
            let Some(row) = row else {
                self.begin().await?;
                continue;
            };
            let (wait, crowded, used_up): (f64, bool, bool) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if used_up {
                return Ok(CallAdmission::UsedUp { until: self.month().await?.until });
            }
            if !mended && (crowded || wait > longest_wait) {
                mended = true;
                let down = LONGEST_DOWN.as_secs_f64();
                self.backend.client.execute(FIX_CLOCK, &[&latest_arrival, &under_way, &down]).await?;
                // The decision is outdated.
                if wait > longest_wait {
                    continue;
                }
            }
            if crowded {
                self.backend.client.execute(BURY, &[&HUNG_UP.as_secs_f64()]).await?;
                return Ok(CallAdmission::Wait(ASK_AGAIN));
            }
            if wait > 0.0 {
                return Ok(CallAdmission::Wait(seconds(wait)));
            }
            // Otherwise another call was admitted between the check and the step.
            if let (Some(slot), Some(uses), Some(used)) =
                (row.try_get(4)?, row.try_get(5)?, row.try_get::<_, Option<i64>>(6)?)
            {
                let month: Date = row.try_get(3)?;
                return Ok(CallAdmission::Go {
                    slot: CallSlot { slot, uses, month },
                    used: used.cast_unsigned(),
                });
            }
            if row.try_get::<_, i64>(7)? > 0 {
                return Err(StoreErrorKind::RowsAltered { table: "call_slot".into(), rows: 1 });
            }
        }
    }

    /// Inserts the line of the budget again.
    async fn begin(&self) -> Result<(), StoreErrorKind> {
        kept("call_budget", self.backend.client.execute(BEGIN, &[]).await?, 1)
    }

    pub(super) async fn conclude(&self, slot: &CallSlot, end: CallEnd) -> Result<(), StoreErrorKind> {
        let end = match end {
            CallEnd::Unsent => "unsent",
            CallEnd::Served => "served",
            CallEnd::Failed => "failed",
            CallEnd::Abandoned => "abandoned",
        };
        let hung_up = HUNG_UP.as_secs_f64();
        self.backend
            .client
            .execute(&self.conclude, &[&slot.slot, &slot.uses, &end, &hung_up, &slot.month])
            .await?;
        Ok(())
    }

    pub(super) async fn pause(
        &self,
        limits: &CallLimits,
        pause: Duration,
    ) -> Result<Duration, StoreErrorKind> {
        let pause = pause.as_secs_f64();
        let (apart, silence) = (limits.refusals_apart.as_secs_f64(), limits.counted_silence.as_secs_f64());
        let parameters: [&(dyn ToSql + Sync); 6] = [
            &pause,
            &limits.least_share,
            &limits.share_after_refusal,
            &limits.share_gain_per_minute,
            &apart,
            &silence,
        ];
        let row = if let Some(row) = self.backend.client.query_opt(PAUSE, &parameters).await? {
            row
        } else {
            self.begin().await?;
            self.backend.client.query_one(PAUSE, &parameters).await?
        };
        Ok(seconds(row.try_get(0)?))
    }

    pub(super) async fn failing(&self, apart: Duration) -> Result<(), StoreErrorKind> {
        self.backend.client.execute(FAILING, &[&apart.as_secs_f64()]).await?;
        Ok(())
    }

    pub(super) async fn month(&self) -> Result<CallMonth, StoreErrorKind> {
        let row = self.backend.client.query_one(MONTH, &[]).await?;
        Ok(CallMonth { used: row.try_get::<_, i64>(0)?.cast_unsigned(), until: row.try_get(1)? })
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
