//! The queue of triggers in PostgreSQL: adds, polls, claims, fires, cancels and finishes them.

use std::time::Duration;

use deadpool_postgres::{Object, Transaction};
use failpoint::point;
use time::OffsetDateTime;
use tokio_postgres::{Client, Row};

use super::lease;
use super::log::runs;
use super::rows::{kept, run_id, unexpected, window};
use crate::{
    ChainLink, DueTriggers, IfMissed, Lease, NewTrigger, RunId, RunStart, StoreErrorKind, Trigger,
    TriggerEnd, TriggerEvent, TriggerName, TriggerPlan, TriggerState, WindowSelection,
};

/// Several at once, so that a chain is added as a whole.
const ADD: &str = "
    INSERT INTO backfill_trigger AS new (trigger_name, fire_at_utc, if_missed, entity_names, time_axis,
        range_start_utc, range_end_utc, chunk, chain, chain_position, what)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT DO NOTHING";

const KNOWN: &str = "SELECT FROM backfill_trigger WHERE trigger_name = $1";

macro_rules! columns {
    () => {
        "trigger_name, status, fire_at_utc, if_missed, entity_names, time_axis, range_start_utc, range_end_utc,
         chunk, chain, chain_position, run_id, armings, stop_requested_at_utc IS NOT NULL, changed_at_utc, message,
         what, error_code"
    };
}

/// By time; a chain stays together.
const ALL: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM backfill_trigger
     ORDER BY min(fire_at_utc) OVER (PARTITION BY chain, CASE WHEN chain IS NULL THEN trigger_name END), chain,
        chain_position, trigger_name"
);

const ONE: &str = concat!("SELECT ", columns!(), " FROM backfill_trigger WHERE trigger_name = $1");

/// Whether an earlier trigger of the chain is not done, or any other is running. An expired one blocks none.
macro_rules! blocked {
    () => {
        "EXISTS (
            SELECT FROM backfill_trigger AS before
            WHERE before.chain = trigger_.chain AND before.trigger_name <> trigger_.trigger_name
              AND (before.status = 'running'
                OR (before.chain_position < trigger_.chain_position AND before.status NOT IN ('done', 'expired'))))"
    };
}

/// A trigger of a chain waits since the one before it was done.
const EXPIRE: &str = concat!(
    "WITH late AS (
        UPDATE backfill_trigger AS trigger_ SET
            status = 'expired',
            changed_at_utc = clock_timestamp(),
            message = 'no worker ran in time'
        WHERE status = 'armed' AND if_missed = 'skip' AND NOT ",
    blocked!(),
    "     AND greatest(fire_at_utc, (
                SELECT max(before.changed_at_utc) FROM backfill_trigger AS before
                WHERE before.chain = trigger_.chain AND before.chain_position < trigger_.chain_position
                  AND before.status = 'done')) < clock_timestamp() - make_interval(secs => $1)
        RETURNING trigger_name, message
    )
    INSERT INTO backfill_trigger_history (trigger_name, event, detail)
    SELECT trigger_name, 'expired', message FROM late"
);

/// Triggers that are due, and those that have lost their worker: as with pipelines, their lease was released or has run out, or
/// its server process has ended.
const DUE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM backfill_trigger AS trigger_
     WHERE (status = 'armed' AND fire_at_utc <= clock_timestamp() AND NOT ",
    blocked!(),
    ") OR (status = 'running' AND NOT EXISTS (
            SELECT FROM backfill_lease AS lease
            WHERE lease.entity_name = 'trigger ' || trigger_.trigger_name
              -- One that lies further ahead than a lease can is asked for, and thereby put right.
              AND lease.lease_until_utc BETWEEN clock_timestamp() AND clock_timestamp() + interval '2 minutes'
              AND EXISTS (
                SELECT FROM pg_stat_activity AS worker
                WHERE worker.pid = lease.backend_pid
                  AND (worker.backend_start IS NULL OR worker.backend_start = lease.backend_started_at))))
     ORDER BY fire_at_utc, chain_position, trigger_name"
);

const STOP: &str = "SELECT trigger_name FROM backfill_trigger WHERE status = 'running' AND stop_requested_at_utc IS NOT NULL";

const FIRE: &str = concat!(
    "UPDATE backfill_trigger AS trigger_ SET status = 'running', run_id = $2, changed_at_utc = clock_timestamp()
     WHERE trigger_name = $1 AND status = 'armed' AND fire_at_utc <= clock_timestamp() AND NOT ",
    blocked!()
);

const CONCLUDE: &str = "
    UPDATE backfill_trigger SET status = $2, message = $3, error_code = $4, changed_at_utc = clock_timestamp()
    WHERE trigger_name = $1 AND status = 'running'
    RETURNING run_id";

/// A trigger is done only if the log says that its run has ended: the log may have been restored since.
const UNFINISHED: &str = "
    SELECT one.run_id FROM backfill_trigger AS one LEFT JOIN backfill_run AS run USING (run_id)
    WHERE one.trigger_name = $1 AND one.status = 'running' AND one.run_id IS NOT NULL AND run.finished_at_utc IS NULL";

/// A run that never began, or never recorded its end, ends with its trigger.
const END_RUN: &str = "
    UPDATE backfill_run SET
        status = CASE $2 WHEN 'cancelled' THEN 'stopped' WHEN 'failed' THEN 'failed' ELSE 'incomplete' END,
        message = $3,
        error_code = $4,
        finished_at_utc = clock_timestamp()
    WHERE run_id = $1 AND status = 'running'";

const CANCEL: &str = "
    UPDATE backfill_trigger SET
        stop_requested_at_utc = CASE status WHEN 'running' THEN coalesce(stop_requested_at_utc, clock_timestamp()) END,
        stop_requested_by = CASE WHEN status = 'running'
            THEN CASE WHEN stop_requested_at_utc IS NULL THEN $2::text ELSE stop_requested_by END END,
        message = CASE status WHEN 'running' THEN message ELSE 'cancelled before it fired' END,
        changed_at_utc = CASE status WHEN 'running' THEN changed_at_utc ELSE clock_timestamp() END,
        status = CASE status WHEN 'armed' THEN 'cancelled' ELSE status END
    WHERE trigger_name = $1 AND status IN ('armed', 'running')
    RETURNING status";

const REARM: &str = "
    UPDATE backfill_trigger SET status = 'armed', fire_at_utc = $2, run_id = NULL, stop_requested_at_utc = NULL,
        stop_requested_by = NULL, armings = armings + 1, changed_at_utc = clock_timestamp(), message = NULL,
        error_code = NULL
    WHERE trigger_name = $1 AND status NOT IN ('armed', 'running') AND ($3::integer IS NULL OR armings = $3)";

const ARMED_BY: &str = "
    SELECT by_whom FROM backfill_trigger_history WHERE trigger_name = $1 AND event = 'armed' ORDER BY entry DESC LIMIT 1";

const NOTE: &str = "
    INSERT INTO backfill_trigger_history (trigger_name, event, run_id, detail, by_whom) VALUES ($1, $2, $3, $4, $5)";

const HISTORY: &str = "
    SELECT happened_at_utc, event, run_id, detail, by_whom FROM backfill_trigger_history
    WHERE trigger_name = $1 ORDER BY entry";

pub(super) async fn add(
    client: &mut Object,
    triggers: &[NewTrigger],
    by: &str,
) -> Result<(), StoreErrorKind> {
    let transaction = client.transaction().await?;
    for NewTrigger { name, plan, fire_at, if_missed, link } in triggers {
        let entities: Vec<&str> = plan.entity_names.iter().map(|name| &**name).collect();
        let (chain, position) = (
            link.as_ref().map(|link| &*link.chain),
            link.as_ref().map(|link| i32::try_from(link.position).unwrap_or(i32::MAX)),
        );
        let added = transaction
            .execute(
                ADD,
                &[
                    &name.as_str(),
                    fire_at,
                    &if_missed.as_str(),
                    &entities,
                    &&*plan.time_axis,
                    &plan.span.start(),
                    &plan.span.end(),
                    &&*plan.chunk,
                    &chain,
                    &position,
                    &plan.selection.as_str(),
                ],
            )
            .await?;
        if added == 0 {
            let known = transaction.query_opt(KNOWN, &[&name.as_str()]).await?.is_some();
            return Err(match link {
                Some(link) if !known => StoreErrorKind::ChainExists(link.chain.clone()),
                None if !known => StoreErrorKind::RowsAltered { table: "backfill_trigger".into(), rows: 1 },
                _ => StoreErrorKind::TriggerExists(name.clone()),
            });
        }
        note(&transaction, name, "armed", (None, None, Some(by))).await?;
    }
    Ok(transaction.commit().await?)
}

pub(super) async fn all(client: &Client) -> Result<(Vec<Trigger>, OffsetDateTime), StoreErrorKind> {
    let now = client.query_one("SELECT clock_timestamp()", &[]).await?.try_get(0)?;
    let rows = client.query(ALL, &[]).await?;
    Ok((rows.iter().map(trigger).collect::<Result<_, _>>()?, now))
}

pub(super) async fn history(
    client: &Client,
    name: &TriggerName,
) -> Result<Vec<TriggerEvent>, StoreErrorKind> {
    let rows = client.query(HISTORY, &[&name.as_str()]).await?;
    let event = |row: &Row| {
        Ok(TriggerEvent {
            at: row.try_get(0)?,
            event: row.try_get::<_, String>(1)?.into(),
            run: run_id(row.try_get(2)?)?,
            detail: row.try_get::<_, Option<String>>(3)?.map(Into::into),
            by: row.try_get::<_, Option<String>>(4)?.map(Into::into),
        })
    };
    rows.iter().map(event).collect()
}

pub(super) async fn poll(client: &Client, missed_after: Duration) -> Result<DueTriggers, StoreErrorKind> {
    // When a trigger of a chain expires, the next one follows.
    while client.execute(EXPIRE, &[&missed_after.as_secs_f64()]).await? > 0 {}
    let (due, stop) = (client.query(DUE, &[]).await?, client.query(STOP, &[]).await?);
    Ok(DueTriggers {
        due: due.iter().map(trigger).collect::<Result<_, _>>()?,
        stop: stop.iter().map(|row| name(row.try_get(0)?)).collect::<Result<_, _>>()?,
    })
}

pub(super) async fn fire(
    client: &mut Object,
    lease: &Lease,
    name: &TriggerName,
    run: &RunStart,
) -> Result<Option<Trigger>, StoreErrorKind> {
    let transaction = client.transaction().await?;
    lease::fence(&transaction, lease).await?;
    let fired = transaction.execute(FIRE, &[&name.as_str(), &run.id.as_str()]).await? == 1;
    let Some(row) = transaction.query_opt(ONE, &[&name.as_str()]).await? else { return Ok(None) };
    let found = trigger(&row)?;
    if found.state != TriggerState::Running {
        return Ok(None);
    }
    point!("trigger.spent");
    if fired {
        runs::begin_in(&transaction, run).await?;
    }
    let event = if fired { "fired" } else { "resumed" };
    note(&transaction, name, event, (found.run.as_ref(), None, None)).await?;
    point!("trigger.fire", transaction.commit()).await?;
    point!("trigger.fired");
    Ok(Some(found))
}

pub(super) async fn finish(
    client: &mut Object,
    lease: &Lease,
    name: &TriggerName,
    end: &TriggerEnd,
) -> Result<(), StoreErrorKind> {
    let transaction = client.transaction().await?;
    lease::fence(&transaction, lease).await?;
    if end.state == TriggerState::Done
        && let Some(row) = transaction.query_opt(UNFINISHED, &[&name.as_str()]).await?
    {
        let run: &str = row.try_get(0)?;
        return Err(StoreErrorKind::LogMoved(format!("run {run}").into()));
    }
    let (word, message, code) = (end.state.as_str(), end.message.as_deref(), end.error_code.as_deref());
    if let Some(row) = transaction.query_opt(CONCLUDE, &[&name.as_str(), &word, &message, &code]).await? {
        let run = run_id(row.try_get(0)?)?;
        let ended = run.as_ref().map(RunId::as_str);
        transaction.execute(END_RUN, &[&ended, &word, &message, &code]).await?;
        note(&transaction, name, word, (run.as_ref(), message, None)).await?;
    } else {
        // Finished before, without a delivered answer; or forgotten, or not kept.
        let now = one(&transaction, name).await?.state;
        kept("backfill_trigger", u64::from(now != TriggerState::Running), 1)?;
        if now == TriggerState::Armed {
            return Err(StoreErrorKind::TriggerState { name: name.clone(), state: now });
        }
    }
    point!("trigger.concluding");
    transaction.commit().await?;
    point!("trigger.concluded");
    Ok(())
}

pub(super) async fn cancel(
    client: &mut Object,
    name: &TriggerName,
    by: &str,
) -> Result<Trigger, StoreErrorKind> {
    let transaction = client.transaction().await?;
    let changed = transaction.query_opt(CANCEL, &[&name.as_str(), &by]).await?;
    let now = one(&transaction, name).await?;
    if changed.is_none() {
        return Err(StoreErrorKind::TriggerState { name: name.clone(), state: now.state });
    }
    let event = if now.state == TriggerState::Cancelled { "cancelled" } else { "stop requested" };
    note(&transaction, name, event, (now.run.as_ref(), None, Some(by))).await?;
    transaction.commit().await?;
    Ok(now)
}

pub(super) async fn rearm(
    client: &mut Object,
    name: &TriggerName,
    fire_at: OffsetDateTime,
    (seen, by): (Option<u32>, &str),
) -> Result<Trigger, StoreErrorKind> {
    let transaction = client.transaction().await?;
    let armings = seen.map(u32::cast_signed);
    let armed = transaction.execute(REARM, &[&name.as_str(), &fire_at, &armings]).await?;
    let now = one(&transaction, name).await?;
    if armed == 0 && seen.is_some_and(|seen| seen != now.armings) {
        let row = transaction.query_opt(ARMED_BY, &[&name.as_str()]).await?;
        let by = row.map(|row| row.try_get::<_, Option<String>>(0)).transpose()?.flatten();
        let (name, armings) = (name.clone(), now.armings);
        return Err(StoreErrorKind::TriggerChanged { name, armings, by: by.map(Into::into) });
    }
    if armed == 0 {
        return Err(StoreErrorKind::TriggerState { name: name.clone(), state: now.state });
    }
    note(&transaction, name, "armed", (None, Some("again"), Some(by))).await?;
    transaction.commit().await?;
    Ok(now)
}

async fn one(transaction: &Transaction<'_>, name: &TriggerName) -> Result<Trigger, StoreErrorKind> {
    match transaction.query_opt(ONE, &[&name.as_str()]).await? {
        Some(row) => trigger(&row),
        None => Err(StoreErrorKind::UnknownTrigger(name.clone())),
    }
}

async fn note(
    transaction: &Transaction<'_>,
    name: &TriggerName,
    event: &str,
    (run, detail, by): (Option<&RunId>, Option<&str>, Option<&str>),
) -> Result<(), StoreErrorKind> {
    let noted =
        transaction.execute(NOTE, &[&name.as_str(), &event, &run.map(RunId::as_str), &detail, &by]).await?;
    kept("backfill_trigger_history", noted, 1)
}

fn name(text: &str) -> Result<TriggerName, StoreErrorKind> {
    text.parse().map_err(|_| unexpected("a trigger_name"))
}

fn trigger(row: &Row) -> Result<Trigger, StoreErrorKind> {
    let text = |at| row.try_get::<_, String>(at).map(Box::<str>::from);
    let chain: Option<String> = row.try_get(9)?;
    let position: Option<i32> = row.try_get(10)?;
    let link = chain
        .zip(position)
        .map(|(chain, position)| ChainLink { chain: chain.into(), position: position.unsigned_abs() });
    Ok(Trigger {
        asked: NewTrigger {
            name: name(row.try_get(0)?)?,
            plan: TriggerPlan {
                entity_names: row.try_get::<_, Vec<String>>(4)?.into_iter().map(Into::into).collect(),
                time_axis: text(5)?,
                span: window(row, 6)?,
                chunk: text(8)?,
                selection: WindowSelection::from_word(row.try_get(16)?)
                    .ok_or_else(|| unexpected("a what of backfill_trigger"))?,
            },
            fire_at: row.try_get(2)?,
            if_missed: IfMissed::from_word(row.try_get(3)?).ok_or_else(|| unexpected("an if_missed"))?,
            link,
        },
        state: TriggerState::from_word(row.try_get(1)?)
            .ok_or_else(|| unexpected("a status of backfill_trigger"))?,
        run: run_id(row.try_get(11)?)?,
        armings: row.try_get::<_, i32>(12)?.cast_unsigned(),
        stop_requested: row.try_get(13)?,
        changed_at: row.try_get(14)?,
        message: row.try_get::<_, Option<String>>(15)?.map(Into::into),
        error_code: row.try_get::<_, Option<String>>(17)?.map(Into::into),
    })
}
