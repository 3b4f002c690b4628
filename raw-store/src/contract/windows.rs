//! Contract cases: windows are opened, resumed, confirmed, failed and listed.

use super::scene::{Scene, change, counts, day, noon, row};
use crate::{
    Confirmation, LogFilter, OpenWindow, Reopen, ScanCursor, Store, StoreError, StoreErrorKind, Window,
    WindowChange, WindowFailure, WindowMetrics, WindowState, WindowUpdate,
};

fn fresh(n: i64) -> OpenWindow {
    OpenWindow { window: day(n), cursor: None }
}

fn cursor() -> ScanCursor {
    ScanCursor { at: noon(0), seen: vec!["10".into(), "9".into(), "odd \"id\", {é}".into()] }
}

/// Opening is idempotent within a run: it returns the same windows, and counts one attempt. Every window gets its line, and
/// windows are returned in ascending order.
pub async fn a_run_opens_a_window_once(store: &dyn Store) -> Result<(), StoreError> {
    let scene = Scene::begin(store).await?;
    let shuffled = [day(1), day(0), day(2), day(1)];
    for _ in 0..2 {
        let open = store.open_windows(scene.owner(), &shuffled, Reopen::Unfinished).await?;
        assert_eq!(open, [fresh(0), fresh(1), fresh(2)]);
    }
    let line = scene.line(0).await?;
    assert_eq!((line.state, line.attempts, line.run.as_ref()), (WindowState::Pending, 1, Some(&scene.run)));
    assert_eq!(store.run(&scene.run).await?.unwrap().pipelines[0].windows_opened, 10);
    Ok(())
}

/// A later run resumes inside a window where the last committed page left it.
pub async fn a_cursor_survives(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.pause(day(0), &cursor(), vec![row("9", r#"{"Id":"9"}"#, noon(0))]).await?;
    let before = scene.line(0).await?;
    scene.next_run("second").await?;
    let open = scene.open(0..1, Reopen::Unfinished).await?;
    assert_eq!(open, [OpenWindow { window: day(0), cursor: Some(cursor()) }]);
    let after = scene.line(0).await?;
    assert_eq!((after.state, after.attempts), (WindowState::Running, 2));
    assert_eq!(
        (after.metrics, after.duration, after.started_at),
        (before.metrics, before.duration, before.started_at)
    );

    scene.close(day(0), WindowState::Completed).await?;
    scene.next_run("third").await?;
    assert_eq!(scene.open(0..1, Reopen::Unfinished).await?, []);
    assert_eq!(scene.open(0..1, Reopen::All).await?, [fresh(0)]);
    Ok(())
}

/// A resumed run reads a window without a cursor from its start once more: the counts are those of that reading.
pub async fn a_window_that_starts_over_counts_once(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let rows = || vec![row("1", r#"{"Id":"1"}"#, noon(0)), row("2", r#"{"Id":"2"}"#, noon(0))];
    scene.land(rows()).await?;
    let failure = WindowFailure { message: "the count differs".into(), error_code: None, at: noon(20) };
    store.update_windows(scene.owner(), &[day(0)], WindowUpdate::Failed(&failure)).await?;
    assert_eq!(scene.line(0).await?.metrics.records_read, 2);

    store.begin_run(&super::scene::run_start(scene.run.as_str())).await?;
    assert_eq!(scene.open(0..1, Reopen::Unfinished).await?, [fresh(0)]);
    let line = scene.line(0).await?;
    assert_eq!((line.metrics, line.started_at, line.attempts), (WindowMetrics::default(), None, 1));
    scene.land(rows()).await?;
    scene.close(day(0), WindowState::Completed).await?;
    assert_eq!(scene.line(0).await?.metrics.records_read, 2);
    let totals = store.run(&scene.run).await?.unwrap().pipelines.remove(0);
    assert_eq!((totals.windows_completed, totals.windows_failed), (1, 0));
    Ok(())
}

/// Completed windows are not opened. A provisional one starts over; a failed one resumes at its cursor if it has one.
pub async fn unfinished_windows_are_opened_again(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.close(day(0), WindowState::Completed).await?;
    scene.close(day(1), WindowState::Provisional).await?;
    scene.pause(day(2), &cursor(), Vec::new()).await?;
    let failure = WindowFailure { message: "the source refused".into(), error_code: None, at: noon(20) };
    store.update_windows(scene.owner(), &[day(2), day(3)], WindowUpdate::Failed(&failure)).await?;
    assert_eq!(
        scene.open(0..5, Reopen::Unfinished).await?,
        [OpenWindow { window: day(2), cursor: Some(cursor()) }, fresh(3), fresh(4)],
        "what the run itself has closed is done for this run",
    );

    scene.next_run("second").await?;
    assert_eq!(
        scene.open(0..5, Reopen::Unfinished).await?,
        [fresh(1), OpenWindow { window: day(2), cursor: Some(cursor()) }, fresh(3), fresh(4)],
    );
    for (n, state) in [(1, WindowState::Pending), (2, WindowState::Running), (3, WindowState::Pending)] {
        let line = scene.line(n).await?;
        assert_eq!((line.state, line.attempts), (state, 2), "day {n}");
        assert_eq!((line.finished_at, line.error_message), (None, None), "day {n}");
    }
    assert_eq!(scene.line(0).await?.attempts, 1);
    Ok(())
}

/// All windows are read from their start, with counts from zero; the totals of the earlier run stay.
pub async fn reopening_all_starts_over(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.pause(day(0), &cursor(), vec![row("1", r#"{"Id":"1"}"#, noon(0))]).await?;
    scene.close(day(1), WindowState::Completed).await?;
    scene.next_run("second").await?;
    for _ in 0..2 {
        assert_eq!(scene.open(0..2, Reopen::All).await?, [fresh(0), fresh(1)]);
    }
    let line = scene.line(0).await?;
    assert_eq!(
        (line.state, line.metrics, line.attempts),
        (WindowState::Pending, WindowMetrics::default(), 2)
    );
    assert!(line.duration.is_zero() && line.started_at.is_none());
    let runs = store.runs(10).await?;
    assert_eq!(runs[1].pipelines[0].counts, counts(1, 0, 0, 0));
    Ok(())
}

/// A run can read a window that it has closed once more: from the start, with counts from zero, and without counting it as
/// closed twice.
pub async fn a_closed_window_is_taken_back(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.land(vec![row("1", r#"{"Id":"1"}"#, noon(0))]).await?;
    scene.close(day(0), WindowState::Completed).await?;
    store.update_windows(scene.owner(), &[day(0)], WindowUpdate::Reopen).await?;
    let line = scene.line(0).await?;
    assert_eq!(
        (line.state, line.metrics, line.attempts),
        (WindowState::Pending, WindowMetrics::default(), 2)
    );
    assert_eq!(scene.open(0..1, Reopen::Unfinished).await?, [fresh(0)]);
    scene.close(day(0), WindowState::Completed).await?;
    let totals = &store.run(&scene.run).await?.unwrap().pipelines[0];
    assert_eq!((totals.windows_completed, totals.windows_opened), (1, 10));
    let reason = WindowFailure { message: "not available".into(), error_code: None, at: noon(20) };
    store.update_windows(scene.owner(), &[day(1)], WindowUpdate::Unavailable(&reason)).await?;
    store.update_windows(scene.owner(), &[day(1)], WindowUpdate::Reopen).await?;
    let totals = &store.run(&scene.run).await?.unwrap().pipelines[0];
    assert_eq!(totals.windows_unavailable, 0);

    // A later run counts a window that it reopens as opened.
    scene.close(day(2), WindowState::Completed).await?;
    scene.next_run("second").await?;
    store.update_windows(scene.owner(), &[day(2), day(3)], WindowUpdate::Reopen).await?;
    let totals = &store.run(&scene.run).await?.unwrap().pipelines[0];
    assert_eq!((totals.windows_opened, totals.windows_completed), (2, 0));
    Ok(())
}

/// A window has all fields only if every page of its last attempt had them. Its end alone changes nothing.
pub async fn a_window_has_all_fields_if_all_its_pages_have(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let mut partial = scene.page(vec![row("1", r#"{"Id":"1"}"#, noon(0))]);
    partial.all_fields = false;
    partial.windows = vec![change(day(0), WindowState::Running), change(day(1), WindowState::Completed)];
    store.commit_page(&partial).await?;
    let cursor = ScanCursor { at: noon(2), seen: Vec::new() };
    partial = scene.page(Vec::new());
    partial.all_fields = false;
    partial.windows = vec![WindowChange { cursor: Some(cursor), ..change(day(2), WindowState::Running) }];
    store.commit_page(&partial).await?;
    for n in [0, 2, 3] {
        scene.close(day(n), WindowState::Completed).await?;
    }
    for (n, all_fields) in [(0, false), (1, false), (2, false), (3, true)] {
        assert_eq!(scene.line(n).await?.all_fields, all_fields, "day {n}");
    }
    scene.next_run("second").await?;
    scene.open(0..2, Reopen::All).await?;
    store.update_windows(scene.owner(), &[day(2)], WindowUpdate::Reopen).await?;
    for n in 0..3 {
        scene.close(day(n), WindowState::Completed).await?;
        assert!(scene.line(n).await?.all_fields, "day {n} was read again from its start");
    }
    // A window that resumes keeps what its first pages lacked.
    scene.open(5..6, Reopen::All).await?;
    let cursor = ScanCursor { at: noon(5), seen: Vec::new() };
    let mut partial = scene.page(Vec::new());
    partial.all_fields = false;
    partial.windows = vec![WindowChange { cursor: Some(cursor), ..change(day(5), WindowState::Running) }];
    store.commit_page(&partial).await?;
    scene.next_run("third").await?;
    scene.open(5..6, Reopen::Unfinished).await?;
    scene.close(day(5), WindowState::Completed).await?;
    assert!(!scene.line(5).await?.all_fields);
    Ok(())
}

/// A window that a count has confirmed stays confirmed until it is read again; one that is not completed cannot be confirmed.
pub async fn a_counted_window_says_so_until_it_is_read_again(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.land(vec![row("1", r#"{"Id":"1"}"#, noon(0))]).await?;
    scene.close(day(0), WindowState::Completed).await?;
    scene.close(day(1), WindowState::Completed).await?;
    let days = [day(0), day(1), day(2), day(99)];
    store.update_windows(scene.owner(), &days, WindowUpdate::Counted(noon(20).into())).await?;
    for (n, counted) in [(0, Some(noon(20))), (1, Some(noon(20))), (2, None)] {
        assert_eq!(scene.line(n).await?.counted_at, counted, "{n}");
    }
    store.update_windows(scene.owner(), &[day(0)], WindowUpdate::Reopen).await?;
    scene.next_run("second").await?;
    scene.open(1..2, Reopen::All).await?;
    for n in [0, 1] {
        assert_eq!(scene.line(n).await?.counted_at, None, "{n}");
    }
    Ok(())
}

/// A window that was read to its end stays running until a count or another answer confirms it: then it is completed, and
/// counted as such once. Windows of another run, and windows of which nothing was read, stay as they are.
pub async fn a_window_closes_when_it_is_confirmed(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.pause(day(0), &cursor(), vec![row("1", r#"{"Id":"1"}"#, noon(0))]).await?;
    scene.pause(day(1), &cursor(), Vec::new()).await?;
    scene.pause(day(2), &cursor(), Vec::new()).await?;
    // The log holds one record of them: a log that held two was restored since.
    let counted = Confirmation { records_read: Some(2), ..noon(20).into() };
    for days in [&[day(0)][..], &[day(0), day(1), day(3)]] {
        let moved =
            store.update_windows(scene.owner(), days, WindowUpdate::Counted(counted)).await.unwrap_err();
        assert!(matches!(moved.kind, StoreErrorKind::LogMoved(_)), "{moved}");
        assert!(store.update_windows(scene.owner(), days, WindowUpdate::Confirmed(counted)).await.is_err());
    }
    assert_eq!(scene.line(0).await?.state, WindowState::Running);
    let other_page = [(day(0), 2)];
    let counted = Confirmation { records_read: Some(1), last_pages: &other_page, ..counted };
    let moved =
        store.update_windows(scene.owner(), &[day(0)], WindowUpdate::Counted(counted)).await.unwrap_err();
    assert!(matches!(moved.kind, StoreErrorKind::LogMoved(_)), "{moved}");
    assert_eq!(scene.line(0).await?.state, WindowState::Running);
    let own_page = [(day(0), 1)];
    let counted = Confirmation { last_pages: &own_page, ..counted };
    store.update_windows(scene.owner(), &[day(0)], WindowUpdate::Counted(counted)).await?;
    for _ in 0..2 {
        store
            .update_windows(scene.owner(), &[day(0), day(3), day(99)], WindowUpdate::Counted(noon(20).into()))
            .await?;
        store
            .update_windows(
                scene.owner(),
                &[day(1), day(3), day(99)],
                WindowUpdate::Confirmed(noon(20).into()),
            )
            .await?;
    }
    for (n, state, counted, finished) in [
        (0, WindowState::Completed, Some(noon(20)), Some(noon(20))),
        (1, WindowState::Completed, None, Some(noon(20))),
        (2, WindowState::Running, None, None),
        (3, WindowState::Pending, None, None),
    ] {
        let line = scene.line(n).await?;
        assert_eq!((line.state, line.counted_at, line.finished_at), (state, counted, finished), "day {n}");
    }
    assert_eq!(scene.line(0).await?.metrics.records_read, 1);
    let totals = &store.run(&scene.run).await?.unwrap().pipelines[0];
    assert_eq!((totals.windows_completed, totals.windows_opened), (2, 10));

    scene.next_run("second").await?;
    store.update_windows(scene.owner(), &[day(0), day(2)], WindowUpdate::Counted(noon(21).into())).await?;
    assert_eq!(scene.line(2).await?.state, WindowState::Running, "it is not this run's");
    assert_eq!(scene.line(0).await?.counted_at, Some(noon(21)));
    assert_eq!(store.run(&scene.run).await?.unwrap().pipelines[0].windows_completed, 0);
    Ok(())
}

/// A failed window records why, keeps its counts, and needs a line.
pub async fn failed_windows_say_why(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.land(vec![row("1", r#"{"Id":"1"}"#, noon(0))]).await?;
    let failure = WindowFailure { message: "the source refused".into(), error_code: None, at: noon(20) };
    store.update_windows(scene.owner(), &[day(0)], WindowUpdate::Failed(&failure)).await?;
    let line = scene.line(0).await?;
    assert_eq!((line.state, line.metrics.records_inserted), (WindowState::Failed, 1));
    assert_eq!((line.error_message, line.finished_at), (Some(failure.message.clone()), Some(failure.at)));

    let error =
        store.update_windows(scene.owner(), &[day(99)], WindowUpdate::Failed(&failure)).await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::LogMoved(_)), "{error}");
    assert_eq!(store.run(&scene.run).await?.unwrap().pipelines[0].windows_failed, 1);
    Ok(())
}

/// Windows of something that the source does not have are marked and hold nothing; the run leaves them, and a later one asks
/// again.
pub async fn unavailable_windows_are_neither_failed_nor_done(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let reason =
        WindowFailure { message: "not available in this company".into(), error_code: None, at: noon(20) };
    store.update_windows(scene.owner(), &[day(0), day(1)], WindowUpdate::Unavailable(&reason)).await?;
    let line = scene.line(0).await?;
    assert_eq!((line.state, line.metrics), (WindowState::Unavailable, WindowMetrics::default()));
    assert_eq!((line.error_message, line.finished_at), (Some(reason.message.clone()), Some(reason.at)));
    assert_eq!(scene.open(0..3, Reopen::Unfinished).await?, [fresh(2)]);
    let totals = store.run(&scene.run).await?.unwrap().pipelines.remove(0);
    assert_eq!((totals.windows_unavailable, totals.windows_failed), (2, 0));

    scene.next_run("second").await?;
    assert_eq!(scene.open(0..1, Reopen::Unfinished).await?, [fresh(0)]);
    scene.close(day(0), WindowState::Completed).await?;
    let line = scene.line(0).await?;
    assert_eq!((line.state, line.error_message, line.attempts), (WindowState::Completed, None, 2));
    Ok(())
}

/// A line must match every field of a filter that is set; a span matches the windows that overlap it.
pub async fn the_log_is_filtered(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.close(day(3), WindowState::Completed).await?;
    let count = async |filter: LogFilter| Ok::<_, StoreError>(store.lines(&filter).await?.len());
    let all = LogFilter::default;
    assert_eq!(count(all()).await?, 10);
    assert_eq!(count(LogFilter { state: Some(WindowState::Completed), ..all() }).await?, 1);
    assert_eq!(count(LogFilter { entity_name: Some("customers".into()), ..all() }).await?, 0);
    assert_eq!(count(LogFilter { entity_name: Some("invoices".into()), ..all() }).await?, 10);
    assert_eq!(count(LogFilter { run: Some("other".parse().unwrap()), ..all() }).await?, 0);
    let span = Window::new(noon(2), day(4).start()).unwrap();
    let lines = store.lines(&LogFilter { span: Some(span), ..all() }).await?;
    assert_eq!(lines.iter().map(|line| line.window).collect::<Vec<_>>(), [day(2), day(3)]);
    Ok(())
}
