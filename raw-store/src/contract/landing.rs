//! Contract cases: pages are committed once, counted exactly per window, and bad documents go to quarantine alone.

use bytes::Bytes;

use super::scene::{Scene, change, counts, day, noon, pipeline, row, run_start};
use crate::{
    Advice, Pipeline, RejectedRow, Reopen, Row, RunId, ScanCursor, Store, StoreError, StoreErrorKind, Window,
    WindowChange, WindowMetrics, WindowState,
};

/// A document with a duplicate key becomes a row, and its bytes are kept beside it; one that is too large is kept by its
/// fingerprint and size alone.
pub async fn what_a_row_cannot_say_is_kept_beside_it(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let twice = r#"{"Id":"1","Memo":"first","Memo":"last"}"#;
    let large = format!(r#"{{"Id":"2","x":"{}"}}"#, "x".repeat(16 << 20));
    let rows = || vec![row("1", twice, noon(0)), row("2", &large, noon(0))];
    assert_eq!(scene.land(rows()).await?, counts(1, 0, 0, 1));
    assert_eq!(scene.land(rows()).await?, counts(0, 0, 1, 1));
    let kept = store.quarantined(None).await?;
    let of = |id: &str| kept.iter().find(|one| one.record_id.as_deref() == Some(id)).unwrap();
    assert!(of("1").reason.contains("twice") && of("2").reason.contains("it has 16777"), "{kept:?}");
    let bytes = store.quarantined_bytes("invoices", &of("1").digest).await?;
    assert_eq!(bytes.as_deref(), Some(twice.as_bytes()));
    let bytes = store.quarantined_bytes("invoices", &of("2").digest).await?;
    assert_eq!(bytes.as_deref(), Some(&b""[..]));
    let page = scene.page(rows());
    let compared = store.compare(&page).await?;
    assert_eq!((compared.same, compared.quarantined, compared.missing.len()), (1, 1, 0));
    Ok(())
}

/// The same documents in another page are `unchanged`.
pub async fn landing_twice_changes_nothing(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let rows = || vec![row("2", r#"{"Id":"2"}"#, noon(0)), row("1", r#"{"Id":"1"}"#, noon(0))];
    assert_eq!(scene.land(rows()).await?, counts(2, 0, 0, 0));
    assert_eq!(scene.land(rows()).await?, counts(0, 0, 2, 0));
    assert_eq!(store.count_rows(&scene.pipeline).await?, 2);
    Ok(())
}

/// A page that is committed again, as after a lost answer, is a no-op with the first outcome, even if its contents differ.
pub async fn the_same_page_again_has_the_same_outcome(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let mut page =
        scene.page(vec![row("1", r#"{"Id":"1"}"#, noon(0)), row("x", r#"{"x":"\u0000"}"#, noon(0))]);
    page.windows.push(change(day(1), WindowState::Completed));
    let first = store.commit_page(&page).await?;
    assert_eq!(first.windows, [counts(1, 0, 0, 1), counts(0, 0, 0, 0)]);
    let lines = store.lines(&crate::LogFilter::default()).await?;

    page.rows.push(row("3", r#"{"Id":"3"}"#, noon(0)));
    assert_eq!(store.commit_page(&page).await?, first);
    assert_eq!(store.count_rows(&scene.pipeline).await?, 1);
    assert_eq!(store.lines(&crate::LogFilter::default()).await?, lines);
    let totals = store.run(&scene.run).await?.unwrap().pipelines.remove(0);
    assert_eq!((totals.counts, totals.pages), (counts(1, 0, 0, 1), 1));
    Ok(())
}

/// Every record is in exactly one count of its own window, in the outcome and in the log.
pub async fn counts_are_exact_per_window(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    scene.land(vec![row("1", r#"{"Id":"1"}"#, noon(0)), row("2", r#"{"Id":"2"}"#, noon(0))]).await?;

    let second = |row: Row| Row { window: 2, ..row };
    let mut page = scene.page(vec![
        row("1", r#"{"Id":"1"}"#, noon(0)),
        row("2", r#"{"Id":"2","v":2}"#, noon(1)),
        second(row("3", r#"{"Id":"3"}"#, noon(2))),
        second(row("4", r#"{"Id":"4","x":"\u0000"}"#, noon(2))),
        second(row("5", r#"{"Id":"5"}"#, noon(2))),
    ]);
    page.rejected = vec![RejectedRow {
        id: None,
        raw: Bytes::from_static(b"{}"),
        reason: "the document has no id".into(),
        window: 0,
    }];
    page.windows = vec![
        change(day(0), WindowState::Completed),
        change(day(1), WindowState::Completed),
        change(day(2), WindowState::Running),
    ];
    let outcome = store.commit_page(&page).await?;
    assert_eq!(outcome.windows, [counts(0, 1, 1, 1), counts(0, 0, 0, 0), counts(2, 0, 0, 1)]);
    assert_eq!(outcome.total, counts(2, 1, 1, 2));

    let first = scene.line(0).await?;
    let expected = WindowMetrics {
        records_read: 5,
        records_inserted: 2,
        records_updated: 1,
        records_unchanged: 1,
        records_quarantined: 1,
        pages_read: 2,
    };
    assert_eq!((first.metrics, first.state), (expected, WindowState::Completed));
    assert_eq!((first.started_at, first.finished_at), (Some(page.started_at), Some(page.ingested_at)));
    assert_eq!(first.duration, page.windows[0].duration * 2);
    let empty = scene.line(1).await?;
    assert_eq!((empty.metrics, empty.state), (WindowMetrics::default(), WindowState::Completed));
    Ok(())
}

/// A document that cannot be stored goes to quarantine; the rest of its page is committed.
pub async fn hostile_documents_are_quarantined_alone(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
    let mut rows = vec![row("sound-a", r#"{"n":12345678901234567890.123e400}"#, noon(0))];
    for (n, hostile) in
        [r#"{"a":"\u0000"}"#, r#"{"a":"\ud800"}"#, r#"{"a":1e401}"#, &deep].into_iter().enumerate()
    {
        rows.push(row(&format!("hostile-{n}"), hostile, noon(0)));
    }
    rows.push(Row { payload: Bytes::from_static(b"{\"a\":\"\xff\"}"), ..row("hostile-utf8", "", noon(0)) });
    rows.push(row("nul\0in-id", r#"{"a":1}"#, noon(0)));
    rows.push(row("sound-b", r#"{"emoji":"\ud83d\ude00"}"#, noon(0)));
    assert_eq!(scene.land(rows.clone()).await?, counts(2, 0, 0, 6));
    assert_eq!(store.count_rows(&scene.pipeline).await?, 2);
    assert_eq!(scene.land(rows).await?, counts(0, 0, 2, 6));
    Ok(())
}

/// A document in quarantine is listed with its bytes. It is resolved when its window is read to the end without it, and open
/// again when it is seen again.
pub async fn the_quarantine_is_listed_and_resolved(store: &dyn Store) -> Result<(), StoreError> {
    let hostile = || vec![row("7", r#"{"a":"\u0000"}"#, noon(0))];
    let mut scene = Scene::begin(store).await?;
    scene.land(hostile()).await?;
    scene.close(day(0), WindowState::Completed).await?;
    assert_eq!(store.resolve_quarantine(scene.owner()).await?, 0, "this run has seen it");
    let kept = store.quarantined(Some("invoices")).await?;
    assert_eq!((kept.len(), kept[0].record_id.as_deref(), kept[0].window), (1, Some("7"), day(0)));
    assert!(kept[0].reason.contains("NUL") && kept[0].resolved_at.is_none());
    let bytes = store.quarantined_bytes("invoices", &kept[0].digest).await?;
    assert_eq!(bytes.as_deref(), Some(&br#"{"a":"\u0000"}"#[..]));
    assert!(store.quarantined(Some("items")).await?.is_empty());
    assert_eq!(store.quarantined_bytes("items", &kept[0].digest).await?, None);

    scene.next_run("second").await?;
    scene.open(0..1, Reopen::All).await?;
    assert_eq!(store.resolve_quarantine(scene.owner()).await?, 0, "its window is not read");
    scene.close(day(0), WindowState::Completed).await?;
    assert_eq!(store.resolve_quarantine(scene.owner()).await?, 1);
    assert!(store.quarantined(None).await?[0].resolved_at.is_some());
    assert_eq!(store.quarantined(None).await?[0].time_axis.as_deref(), Some("updated"));

    scene.next_run("third").await?;
    scene.open(0..1, Reopen::All).await?;
    scene.land(hostile()).await?;
    let again = &store.quarantined(None).await?[0];
    assert_eq!((again.resolved_at, again.first_seen_at), (None, kept[0].first_seen_at));
    Ok(())
}

/// A document in quarantine is open until it is resolved or a person accepts it. The first decision stays; other bytes are
/// another document, and open; a document kept beside its row is not open.
pub async fn what_is_in_quarantine_is_open_until_somebody_accepts_it(
    store: &dyn Store,
) -> Result<(), StoreError> {
    let hostile = || row("7", r#"{"a":"\u0000"}"#, noon(0));
    let mut scene = Scene::begin(store).await?;
    let (pipelines, whole) = ([scene.pipeline.clone()], Window::new(day(0).start(), day(9).end()).unwrap());
    scene.land(vec![hostile(), row("8", r#"{"b":1,"b":2}"#, noon(0))]).await?;
    scene.close(day(0), WindowState::Completed).await?;
    assert_eq!(store.open_quarantine(&pipelines, Some(whole)).await?, 1, "the other one has its row");
    assert_eq!(store.open_quarantine(&pipelines, Some(day(0))).await?, 1);
    assert_eq!(store.open_quarantine(&pipelines, Some(day(1))).await?, 0, "it lies before that day");
    assert_eq!(store.open_quarantine(&pipelines, None).await?, 1);
    let created = [Pipeline { time_axis: "created".into(), ..scene.pipeline.clone() }];
    assert_eq!(store.open_quarantine(&created, Some(day(1))).await?, 1, "days of another time say nothing");
    let items = [Pipeline { entity_name: "items".into(), ..scene.pipeline.clone() }];
    assert_eq!(store.open_quarantine(&items, None).await?, 0);
    assert_eq!(store.open_quarantine(&[], None).await?, 0);

    let kept = store.quarantined(None).await?;
    let one = |id: &str| kept.iter().find(|one| one.record_id.as_deref() == Some(id)).unwrap();
    assert!(one("7").is_open() && !one("8").is_open() && one("8").has_row);
    let digest = one("7").digest.clone();
    assert_eq!(store.accept_quarantined("items", &digest, "ana", "known").await?, None);
    let accepted = store.accept_quarantined("invoices", &digest, "ana", "known").await?.unwrap();
    let decision = accepted.accepted.clone().unwrap();
    assert_eq!((&*decision.by, &*decision.reason, accepted.is_open()), ("ana", "known", false));
    let again = store.accept_quarantined("invoices", &digest, "eva", "another reason").await?.unwrap();
    assert_eq!(again, accepted, "the first decision stays");
    assert_eq!(store.open_quarantine(&pipelines, Some(whole)).await?, 0);
    let beside = store.accept_quarantined("invoices", &one("8").digest, "ana", "known").await?.unwrap();
    assert_eq!(beside.accepted, None, "there is nothing to decide");

    scene.next_run("second").await?;
    scene.open(0..1, Reopen::All).await?;
    scene.land(vec![hostile()]).await?;
    assert_eq!(store.open_quarantine(&pipelines, Some(whole)).await?, 0, "the same bytes are accepted");
    let other = row("7", r#"{"a":"\u0000","b":2}"#, noon(0));
    scene.land(vec![other]).await?;
    assert_eq!(store.open_quarantine(&pipelines, Some(whole)).await?, 1, "other bytes are not");
    let kept = store.quarantined(None).await?;
    assert_eq!(kept.iter().filter(|one| one.accepted.as_ref() == Some(&decision)).count(), 1);

    scene.next_run("third").await?;
    scene.open(0..1, Reopen::All).await?;
    scene.close(day(0), WindowState::Completed).await?;
    assert_eq!(store.resolve_quarantine(scene.owner()).await?, 3);
    assert_eq!(store.open_quarantine(&pipelines, Some(whole)).await?, 0);
    let open = store.quarantined(None).await?.into_iter().find(|one| one.accepted.is_none() && !one.has_row);
    let resolved = store.accept_quarantined("invoices", &open.unwrap().digest, "ana", "late").await?.unwrap();
    assert_eq!(resolved.accepted, None, "what is resolved needs no decision");
    Ok(())
}

/// A run that resumes inside a window reads only what lies behind the cursor: documents that were quarantined before it were
/// not read again, and are not resolved.
pub async fn what_is_resumed_resolves_nothing(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let cursor = ScanCursor { at: noon(0), seen: Vec::new() };
    scene.pause(day(0), &cursor, vec![row("7", r#"{"a":"\u0000"}"#, noon(0))]).await?;
    scene.next_run("second").await?;
    scene.open(0..1, Reopen::Unfinished).await?;
    scene.close(day(0), WindowState::Completed).await?;
    assert_eq!(store.resolve_quarantine(scene.owner()).await?, 0);
    assert_eq!(store.quarantined(None).await?[0].resolved_at, None);
    Ok(())
}

/// A page that contradicts itself is a mistake of the caller: no part of it is committed.
pub async fn a_page_that_contradicts_itself_is_refused(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let one = || row("1", r#"{"Id":"1"}"#, noon(0));
    let mut twice = scene.page(vec![one(), one()]);
    let beyond = scene.page(vec![Row { window: 1, ..one() }]);
    let mut nowhere = scene.page(Vec::new());
    nowhere.windows.clear();
    let mut backwards = scene.page(Vec::new());
    backwards.windows = vec![change(day(1), WindowState::Running), change(day(0), WindowState::Running)];
    for page in [&twice, &beyond, &nowhere, &backwards] {
        let error = store.commit_page(page).await.unwrap_err();
        assert_eq!(error.advice(), Advice::FixRequest, "{error}");
    }
    twice.rows.pop();
    assert_eq!(
        store.commit_page(&twice).await?.total,
        counts(1, 0, 0, 0),
        "the name of the page is still free"
    );
    Ok(())
}

/// A page whose window was never opened, or whose run never began, changes nothing.
pub async fn a_page_without_its_window_changes_nothing(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let mut page = scene.page(vec![row("1", r#"{"Id":"1"}"#, noon(0))]);
    page.windows.push(change(day(99), WindowState::Completed));
    let error = store.commit_page(&page).await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::LogMoved(_)), "{error}");

    page.windows.pop();
    let stranger: RunId = "stranger".parse().unwrap();
    let known = std::mem::replace(&mut page.run, stranger);
    assert_eq!(store.commit_page(&page).await.unwrap_err().advice(), Advice::FixDatabase);
    assert_eq!(store.count_rows(&scene.pipeline).await?, 0);

    page.run = known;
    assert_eq!(store.commit_page(&page).await?.total, counts(1, 0, 0, 0));
    Ok(())
}

/// A page follows the page that it names and no other: it does not build on a page that the log no longer holds. Pages of other
/// windows come in any order.
pub async fn a_page_lands_on_top_of_the_page_before_it(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let mut page = |n: i64, after: u32| {
        let mut page = scene.page(vec![row(&format!("{n}-{after}"), r#"{"Id":"1"}"#, noon(n))]);
        page.windows = vec![WindowChange { after: Some(after), ..change(day(n), WindowState::Running) }];
        page
    };
    let (first, elsewhere, mut third) = (page(0, 0), page(1, 0), page(0, 2));
    store.commit_page(&first).await?;
    store.commit_page(&elsewhere).await?;
    let before = store.lines(&crate::LogFilter::default()).await?;
    for after in [0, 2, 3] {
        third.windows[0].after = Some(after);
        let error = store.commit_page(&third).await.unwrap_err();
        assert!(matches!(&error.kind, StoreErrorKind::LogMoved(name) if **name == *"invoices"), "{error}");
        assert_eq!((error.advice(), error.code()), (Advice::FixDatabase, "store.log_moved"));
    }
    assert_eq!(store.lines(&crate::LogFilter::default()).await?, before);
    assert_eq!(store.count_rows(&pipeline()).await?, 2);
    third.windows[0].after = Some(1);
    let landed = store.commit_page(&third).await?;
    assert_eq!(store.commit_page(&third).await?, landed, "an answer that was lost");

    // Opening the window begins a new chain, by another run or by the same one once more.
    scene.next_run("second").await?;
    let mut page = |after: u32| {
        let mut page = scene.page(vec![row("9", r#"{"Id":"9"}"#, noon(0))]);
        page.windows = vec![WindowChange { after: Some(after), ..change(day(0), WindowState::Running) }];
        page
    };
    let (not_opened, opened) = (page(3), page(0));
    assert!(store.commit_page(&not_opened).await.is_err(), "the window is the first run's");
    scene.open(0..2, Reopen::Unfinished).await?;
    store.commit_page(&opened).await?;
    for again in 0..2 {
        store.begin_run(&run_start("second")).await?;
        scene.open(0..2, Reopen::Unfinished).await?;
        let mut next = scene.page(Vec::new());
        let cursor = (again == 0).then(|| ScanCursor { at: noon(0), seen: Vec::new() });
        let change = change(day(0), WindowState::Running);
        next.windows = vec![WindowChange { after: Some(0), cursor, ..change }];
        store.commit_page(&next).await?;
    }
    Ok(())
}
