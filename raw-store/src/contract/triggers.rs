//! Contract cases: triggers and chains of triggers fire once, survive their worker, expire, and are cancelled.

use std::time::Duration;

use time::OffsetDateTime;

use super::scene::{company, day, run_end, run_start};
use crate::{
    ChainLink, IfMissed, NewTrigger, RunStatus, Store, StoreError, StoreErrorKind, TriggerEnd, TriggerName,
    TriggerPlan, TriggerQueue, TriggerState,
};

const HOUR: time::Duration = time::Duration::HOUR;
const GRACE: Duration = Duration::from_mins(1);

fn name(text: &str) -> TriggerName {
    text.parse().unwrap()
}

fn trigger(text: &str, fire_at: OffsetDateTime) -> NewTrigger {
    NewTrigger {
        name: name(text),
        plan: TriggerPlan {
            entity_names: vec!["invoices".into(), "items".into()],
            time_axis: "updated".into(),
            span: day(0),
            chunk: "day".into(),
            selection: crate::WindowSelection::Open,
        },
        fire_at,
        if_missed: IfMissed::Run,
        link: None,
    }
}

fn done() -> TriggerEnd {
    TriggerEnd { state: TriggerState::Done, message: None, error_code: None }
}

/// The log says how a run ended.
async fn ended(store: &impl Store, run: &str) -> Result<(), StoreError> {
    store.finish_run(&run.parse().expect("a run's name"), &run_end()).await
}

async fn now(queue: &impl TriggerQueue) -> Result<OffsetDateTime, StoreError> {
    Ok(queue.triggers().await?.1)
}

async fn due(queue: &impl TriggerQueue) -> Result<Vec<TriggerName>, StoreError> {
    Ok(queue.poll(GRACE).await?.due.into_iter().map(|trigger| trigger.asked.name).collect())
}

/// A trigger creates one run, not before its time, and no second one until it is armed again.
pub async fn a_trigger_fires_once(
    store: &(impl Store + TriggerQueue),
    other: &(impl Store + TriggerQueue),
) -> Result<(), StoreError> {
    store.bind(&company()).await?;
    let now = now(store).await?;
    let (past, later) = (trigger("past", now - HOUR), trigger("later", now + HOUR));
    store.add(&[past.clone(), later.clone()], "op1").await?;
    let taken = store.add(&[trigger("third", now), later.clone()], "op1").await.unwrap_err();
    assert!(matches!(&taken.kind, StoreErrorKind::TriggerExists(one) if *one == later.name), "{taken}");
    assert_eq!(store.triggers().await?.0.len(), 2, "all or none");

    assert_eq!(due(store).await?, std::slice::from_ref(&past.name));
    let lease = store.claim(&later.name, "worker 1").await?;
    assert_eq!(store.fire(&lease, &later.name, &run_start("early")).await?, None);
    let lease = store.claim(&past.name, "worker 1").await?;
    let held = other.claim(&past.name, "worker 2").await.unwrap_err();
    assert!(matches!(held.kind, StoreErrorKind::LeaseHeld { .. }), "{held}");
    let fired = store.fire(&lease, &past.name, &run_start("first")).await?.unwrap();
    assert_eq!((fired.state, &fired.asked), (TriggerState::Running, &past));
    assert_eq!(fired.run.as_ref().unwrap().as_str(), "first");
    assert!(due(other).await?.is_empty());
    let again = store.fire(&lease, &past.name, &run_start("second")).await?.unwrap();
    assert_eq!(again.run, fired.run);
    let early = store.finish(&lease, &past.name, &done()).await.unwrap_err();
    assert!(matches!(early.kind, StoreErrorKind::LogMoved(_)), "its run has not ended: {early}");
    ended(store, "first").await?;
    store.finish(&lease, &past.name, &done()).await?;

    assert_eq!(store.fire(&lease, &past.name, &run_start("third")).await?, None);
    assert!(due(store).await?.is_empty() && store.add(std::slice::from_ref(&past), "op1").await.is_err());
    let spent = store.cancel(&past.name, "op1").await.unwrap_err();
    assert!(matches!(spent.kind, StoreErrorKind::TriggerState { state: TriggerState::Done, .. }), "{spent}");
    let armed = store.rearm(&past.name, now, None, "op1").await?;
    assert_eq!((armed.state, armed.armings, armed.run), (TriggerState::Armed, 2, None));
    assert!(store.rearm(&past.name, now, None, "op1").await.is_err());
    let fired = store.fire(&lease, &past.name, &run_start("fourth")).await?.unwrap();
    assert_eq!(fired.run.unwrap().as_str(), "fourth");
    ended(store, "fourth").await?;
    store.finish(&lease, &past.name, &done()).await?;

    let runs: Vec<_> = store.runs(9).await?.into_iter().map(|run| run.id.to_string()).collect();
    assert_eq!(runs.len(), 2, "{runs:?}");
    let history = store.trigger_history(&past.name).await?;
    let events: Vec<_> = history.iter().map(|one| &*one.event).collect();
    assert_eq!(events, ["armed", "fired", "resumed", "done", "armed", "fired", "done"]);
    assert!(
        store.cancel(&name("nobody"), "op1").await.is_err()
            && store.rearm(&name("nobody"), now, None, "op1").await.is_err()
    );
    Ok(())
}

/// A trigger whose worker has ended is due again, with the run that it has; the former worker changes nothing.
pub async fn a_trigger_outlives_its_worker(
    store: &(impl Store + TriggerQueue),
    other: &(impl Store + TriggerQueue),
) -> Result<(), StoreError> {
    store.bind(&company()).await?;
    let one = trigger("one", now(store).await? - HOUR);
    store.add(std::slice::from_ref(&one), "op1").await?;
    let lease = store.claim(&one.name, "worker 1").await?;
    store.fire(&lease, &one.name, &run_start("first")).await?.unwrap();
    assert!(due(other).await?.is_empty());
    store.release(&lease).await?;
    assert_eq!(due(other).await?, std::slice::from_ref(&one.name));
    let heir = other.claim(&one.name, "worker 2").await?;
    let lost = store.finish(&lease, &one.name, &done()).await.unwrap_err();
    assert!(matches!(lost.kind, StoreErrorKind::LeaseLost(_)), "{lost}");
    assert!(store.fire(&lease, &one.name, &run_start("second")).await.is_err());
    let resumed = other.fire(&heir, &one.name, &run_start("third")).await?.unwrap();
    assert_eq!(resumed.run.unwrap().as_str(), "first");
    ended(other, "first").await?;
    other.finish(&heir, &one.name, &done()).await?;
    assert_eq!(store.triggers().await?.0[0].state, TriggerState::Done);
    Ok(())
}

/// The triggers of a chain fire one after another; none fires after one that failed.
pub async fn a_chain_stops_behind_what_is_not_done(
    store: &(impl Store + TriggerQueue),
) -> Result<(), StoreError> {
    store.bind(&company()).await?;
    let at = now(store).await? - HOUR;
    let link = |position| ChainLink { chain: "year".into(), position };
    let chain = [1, 2, 3]
        .map(|place| NewTrigger { link: Some(link(place)), ..trigger(&format!("month-{place}"), at) });
    store.add(&chain, "op1").await?;
    let end = async |place: usize, state| {
        let name = &chain[place].name;
        let lease = store.claim(name, "worker").await?;
        let run = run_start(&format!("run-{place}-{}", state == TriggerState::Done));
        assert!(store.fire(&lease, name, &run).await?.is_some());
        ended(store, run.id.as_str()).await?;
        store
            .finish(&lease, name, &TriggerEnd { state, message: Some("so it was".into()), error_code: None })
            .await?;
        store.release(&lease).await
    };
    assert_eq!(due(store).await?, chain[..1].iter().map(|one| one.name.clone()).collect::<Vec<_>>());
    let lease = store.claim(&chain[1].name, "worker").await?;
    assert_eq!(store.fire(&lease, &chain[1].name, &run_start("no")).await?, None, "out of turn");
    store.release(&lease).await?;
    end(0, TriggerState::Done).await?;
    assert_eq!(due(store).await?, chain[1..2].iter().map(|one| one.name.clone()).collect::<Vec<_>>());
    end(1, TriggerState::Failed).await?;
    assert!(due(store).await?.is_empty());
    store.rearm(&chain[1].name, at, None, "op1").await?;
    end(1, TriggerState::Done).await?;
    assert_eq!(due(store).await?, chain[2..].iter().map(|one| one.name.clone()).collect::<Vec<_>>());
    Ok(())
}

/// A chain that must not be late expires as a whole; if one of its triggers is armed again, it waits for one in progress.
pub async fn a_chain_expires_as_a_whole_and_runs_one_at_a_time(
    store: &(impl Store + TriggerQueue),
) -> Result<(), StoreError> {
    store.bind(&company()).await?;
    let now = now(store).await?;
    let chain = |name: &str, fire_at, if_missed| {
        [1, 2, 3].map(|position| NewTrigger {
            if_missed,
            link: Some(ChainLink { chain: name.into(), position }),
            ..trigger(&format!("{name}-{position}"), fire_at)
        })
    };
    store.add(&chain("late", now - HOUR, IfMissed::Skip), "op1").await?;
    assert!(due(store).await?.is_empty());
    let (all, _) = store.triggers().await?;
    assert!(all.iter().all(|one| one.state == TriggerState::Expired), "{all:?}");
    let renamed = chain("late", now, IfMissed::Run).map(|one| NewTrigger { name: name("other"), ..one });
    let taken = store.add(&renamed[..1], "op1").await.unwrap_err();
    assert!(matches!(taken.kind, StoreErrorKind::ChainExists(_)), "{taken}");

    store.add(&chain("soon", now - HOUR, IfMissed::Run), "op1").await?;
    let (first, second) = (name("soon-1"), name("soon-2"));
    let lease = store.claim(&first, "worker").await?;
    store.fire(&lease, &first, &run_start("first")).await?.unwrap();
    ended(store, "first").await?;
    store.finish(&lease, &first, &done()).await?;
    let other = store.claim(&second, "worker").await?;
    store.fire(&other, &second, &run_start("second")).await?.unwrap();
    // Its run never began; it ends with the trigger.
    store.rearm(&first, now - HOUR, None, "op1").await?;
    assert!(due(store).await?.is_empty());
    assert_eq!(store.fire(&lease, &first, &run_start("third")).await?, None);
    let end = TriggerEnd { state: TriggerState::Failed, message: Some("so it was".into()), error_code: None };
    store.finish(&other, &second, &end).await?;
    let run = store.run(&run_start("second").id).await?.unwrap();
    assert_eq!((run.status, run.message.as_deref()), (RunStatus::Failed, Some("so it was")));
    assert_eq!(due(store).await?, std::slice::from_ref(&first));
    Ok(())
}

/// A cancelled trigger never fires; the run of one that has fired is asked to stop; one that must not be late expires.
pub async fn triggers_are_cancelled_and_expire(
    store: &(impl Store + TriggerQueue),
) -> Result<(), StoreError> {
    store.bind(&company()).await?;
    let at = now(store).await? - HOUR;
    let late = NewTrigger { if_missed: IfMissed::Skip, ..trigger("late", at) };
    let soon = NewTrigger { if_missed: IfMissed::Skip, ..trigger("soon", at + HOUR) };
    store.add(&[trigger("back", at), trigger("under-way", at), late.clone(), soon.clone()], "op1").await?;
    assert_eq!(store.cancel(&name("back"), "op1").await?.state, TriggerState::Cancelled);
    let lease = store.claim(&name("under-way"), "worker").await?;
    store.fire(&lease, &name("under-way"), &run_start("first")).await?.unwrap();
    let asked = store.cancel(&name("under-way"), "op1").await?;
    assert_eq!((asked.state, asked.stop_requested), (TriggerState::Running, true));
    assert_eq!(store.poll(GRACE).await?.stop, [name("under-way")]);
    assert_eq!(due(store).await?, [soon.name]);
    let end = TriggerEnd { state: TriggerState::Cancelled, message: None, error_code: None };
    store.finish(&lease, &name("under-way"), &end).await?;
    assert!(store.poll(GRACE).await?.stop.is_empty());
    let (all, _) = store.triggers().await?;
    let state = |one: &TriggerName| all.iter().find(|trigger| trigger.asked.name == *one).unwrap().state;
    assert_eq!(state(&late.name), TriggerState::Expired);
    assert_eq!(state(&name("under-way")), TriggerState::Cancelled);
    assert!(!store.rearm(&name("under-way"), at, None, "op1").await?.stop_requested);
    Ok(())
}
