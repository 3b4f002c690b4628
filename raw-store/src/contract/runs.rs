//! Contract cases: runs are recorded, resumed, fenced, stopped and totalled.

use super::scene::{Scene, company, counts, day, noon, pipeline, row, run_end, run_start};
use crate::{
    Advice, Owner, Pipeline, PipelineTotals, Reopen, RunEnd, RunId, RunStart, RunStatus, Store, StoreError,
    StoreErrorKind, StoreIdentity, WindowFailure, WindowState, WindowUpdate,
};

/// A run is recorded as it was begun and as it ended; the newest come first.
pub async fn a_run_is_remembered(store: &dyn Store) -> Result<(), StoreError> {
    store.bind(&company()).await?;
    let first = run_start("first");
    store.begin_run(&first).await?;
    store.begin_run(&first).await?;
    let under_way = store.run(&first.id).await?.unwrap();
    assert_eq!((under_way.status, under_way.finished_at, under_way.calls), (RunStatus::Running, None, 0));
    assert_eq!((under_way.seed, under_way.span, &under_way.chunk), (first.seed, first.span, &first.chunk));
    assert_eq!((&under_way.identity, under_way.started_at), (&company(), first.started_at));
    assert_eq!(under_way.pipelines.len(), 1);

    let mut second = run_start("second");
    second.started_at += time::Duration::HOUR;
    store.begin_run(&second).await?;
    store.finish_run(&first.id, &run_end()).await?;
    let ended = store.run(&first.id).await?.unwrap();
    assert_eq!((ended.status, ended.finished_at), (RunStatus::Completed, Some(run_end().finished_at)));
    assert_eq!((ended.calls, ended.retries, ended.waited_seconds.to_bits()), (3, 1, 0.5_f64.to_bits()));

    let names: Vec<RunId> = store.runs(10).await?.into_iter().map(|run| run.id).collect();
    assert_eq!(names, [second.id, first.id]);
    assert_eq!(store.runs(1).await?.len(), 1);
    let nobody: RunId = "nobody".parse().unwrap();
    assert!(store.run(&nobody).await?.is_none());
    assert_eq!(store.finish_run(&nobody, &run_end()).await.unwrap_err().advice(), Advice::FixDatabase);
    Ok(())
}

/// A resumed run is the same run: its page numbers continue, and its costs are added up.
pub async fn a_run_goes_on(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    assert_eq!(store.last_page(&scene.run, "invoices").await?, 0);
    scene.land(vec![row("1", r#"{"Id":"1"}"#, noon(0))]).await?;
    scene.land(vec![row("2", r#"{"Id":"2"}"#, noon(0))]).await?;
    assert_eq!(store.last_page(&scene.run, "invoices").await?, 2);
    assert_eq!(store.last_page(&scene.run, "items").await?, 0);
    // Its window is still open: a run that says otherwise read a log that was restored since.
    let moved = store.finish_run(&scene.run, &run_end()).await.unwrap_err();
    assert!(matches!(moved.kind, StoreErrorKind::LogMoved(_)), "{moved}");
    let stopped = RunEnd { status: RunStatus::Stopped, ..run_end() };
    store.finish_run(&scene.run, &stopped).await?;
    let mut start = run_start(scene.run.as_str());
    start.seed = 7;
    store.begin_run(&start).await?;
    let under_way = store.run(&scene.run).await?.unwrap();
    assert_eq!((under_way.status, under_way.finished_at, under_way.calls), (RunStatus::Running, None, 3));
    assert_ne!(under_way.seed, 7, "it began once");
    store.finish_run(&scene.run, &stopped).await?;
    let ended = store.run(&scene.run).await?.unwrap();
    assert_eq!((ended.calls, ended.retries, ended.waited_seconds.to_bits()), (6, 2, 1.0_f64.to_bits()));
    Ok(())
}

/// A run that is fenced by a lease records nothing once the lease is lost, and opens no windows that a later run has closed.
pub async fn a_run_without_its_right_records_nothing(
    store: &dyn Store,
    other: &dyn Store,
) -> Result<(), StoreError> {
    store.bind(&company()).await?;
    let lease = store.acquire(&pipeline(), "process 1").await?;
    let customers = Pipeline { entity_name: "customers".into(), ..pipeline() };
    let pipelines = vec![pipeline(), customers.clone()];
    let run = RunStart { fence: Some(lease.clone()), pipelines, ..run_start("first") };
    store.begin_run(&run).await?;
    store.release(&lease).await?;
    other.acquire(&pipeline(), "process 2").await?;
    let another = store.acquire(&customers, "process 1").await?;
    let owner = Owner { run: &run.id, pipeline: &customers, lease: &another, fence: Some(&lease) };
    let refused = store.open_windows(owner, &[day(0)], Reopen::All).await.unwrap_err();
    assert!(matches!(refused.kind, StoreErrorKind::LeaseLost(_)), "{refused}");
    let end = RunEnd { fence: Some(lease.clone()), ..run_end() };
    for error in
        [store.begin_run(&run).await.unwrap_err(), store.finish_run(&run.id, &end).await.unwrap_err()]
    {
        assert!(matches!(error.kind, StoreErrorKind::LeaseLost(_)), "{error}");
    }
    assert_eq!(store.run(&run.id).await?.unwrap().status, RunStatus::Running);
    Ok(())
}

/// A run in progress can be asked to stop; the request is cleared when it begins again.
pub async fn a_run_is_asked_to_stop(store: &dyn Store) -> Result<(), StoreError> {
    store.bind(&company()).await?;
    let run = run_start("first");
    assert!(!store.request_stop(&run.id, "op1").await?);
    store.begin_run(&run).await?;
    assert!(!store.stop_requested(&run.id).await?);
    assert!(store.request_stop(&run.id, "op1").await? && store.request_stop(&run.id, "op1").await?);
    assert!(store.stop_requested(&run.id).await?);
    store.finish_run(&run.id, &run_end()).await?;
    assert!(!store.request_stop(&run.id, "op1").await?);
    store.begin_run(&run).await?;
    assert!(!store.stop_requested(&run.id).await?);
    Ok(())
}

/// A run begins only in a schema that is bound to its company.
pub async fn a_run_needs_its_company(store: &dyn Store) -> Result<(), StoreError> {
    assert_eq!(store.begin_run(&run_start("first")).await.unwrap_err().advice(), Advice::FixRequest);
    store.bind(&company()).await?;
    let mut run = run_start("first");
    run.identity = StoreIdentity { realm_id: "1000000000000002".into(), ..company() };
    let error = store.begin_run(&run).await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::OtherCompany { .. }), "{error}");
    assert!(store.runs(10).await?.is_empty());

    store.begin_run(&run_start("first")).await?;
    let mut stranger = pipeline();
    stranger.entity_name = "customers".into();
    let lease = store.acquire(&stranger, "the story").await?;
    let owner = Owner { run: &run.id, pipeline: &stranger, lease: &lease, fence: None };
    let refused = store.open_windows(owner, &[day(0)], Reopen::Unfinished).await.unwrap_err();
    assert!(matches!(refused.kind, StoreErrorKind::LogMoved(_)), "the run did not begin with it: {refused}");
    Ok(())
}

/// The totals of a run count its pages, and each of its windows as what it is in the end.
pub async fn totals_follow_the_windows(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.land(vec![row("1", r#"{"Id":"1"}"#, noon(0)), row("2", r#"{"a":"\u0000"}"#, noon(0))]).await?;
    scene.land(vec![row("1", r#"{"Id":"1"}"#, noon(0))]).await?;
    let failure = WindowFailure { message: "the source refused".into(), error_code: None, at: noon(20) };
    store.update_windows(scene.owner(), &[day(0), day(1), day(2)], WindowUpdate::Failed(&failure)).await?;
    store.update_windows(scene.owner(), &[day(1)], WindowUpdate::Failed(&failure)).await?;
    store.update_windows(scene.owner(), &[day(0)], WindowUpdate::Unavailable(&failure)).await?;
    scene.close(day(0), WindowState::Provisional).await?;
    scene.close(day(0), WindowState::Completed).await?;
    scene.close(day(0), WindowState::Completed).await?;
    scene.close(day(3), WindowState::Provisional).await?;
    store.update_windows(scene.owner(), &[day(2), day(4)], WindowUpdate::Unavailable(&failure)).await?;
    store.update_windows(scene.owner(), &[day(4)], WindowUpdate::Unavailable(&failure)).await?;
    let expected = PipelineTotals {
        entity_name: "invoices".into(),
        counts: counts(1, 0, 1, 1),
        pages: 6,
        windows_opened: 10,
        windows_completed: 1,
        windows_provisional: 1,
        windows_failed: 1,
        windows_unavailable: 2,
    };
    let first = scene.run.clone();
    assert_eq!(store.run(&first).await?.unwrap().pipelines.first(), Some(&expected));

    scene.next_run("second").await?;
    scene.open(0..10, Reopen::Unfinished).await?;
    scene.close(day(3), WindowState::Completed).await?;
    assert_eq!(store.run(&first).await?.unwrap().pipelines, [expected]);
    let second = store.run(&scene.run).await?.unwrap().pipelines.remove(0);
    assert_eq!((second.windows_opened, second.windows_completed, second.pages), (9, 1, 1));
    Ok(())
}
