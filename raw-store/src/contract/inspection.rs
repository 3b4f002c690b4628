//! Contract cases: documents are compared with what is stored, and nothing changes.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::scene::{Scene, change, counts, day, noon, row};
use crate::{
    Deviation, GoneRecord, Lease, LogFilter, PageCommit, RejectedRow, Row, Store, StoreError, StoreErrorKind,
    Window, WindowState,
};

fn deviation(id: Option<&str>, window: usize) -> Deviation {
    Deviation { id: id.map(Into::into), window }
}

/// A document that is stored, in another spelling or in a newer version, is the same; all others are named, and neither rows
/// nor the log change.
pub async fn a_page_is_compared_and_nothing_changes(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let without_id = RejectedRow {
        id: None,
        raw: Bytes::from_static(b"{}"),
        reason: "the document has no id".into(),
        window: 0,
    };
    let mut stored = scene.page(vec![
        row("1", r#"{"Id":"1","a":1,"b":2}"#, noon(0)),
        row("2", r#"{"Id":"2"}"#, noon(0)),
        row("3", r#"{"Id":"3","new":true}"#, noon(3)),
        row("4", r#"{"Id":"4","x":"\u0000"}"#, noon(0)),
    ]);
    stored.rejected.push(without_id.clone());
    store.commit_page(&stored).await?;
    let lines = store.lines(&LogFilter::default()).await?;

    let later = |row: Row| Row { window: 1, ..row };
    let mut page = scene.page(vec![
        row("1", r#"{ "b":2, "Id":"1", "a":1}"#, noon(0)),
        later(row("2", r#"{"Id":"2","edited":true}"#, noon(1))),
        row("3", r#"{"Id":"3"}"#, noon(0)),
        row("4", r#"{"Id":"4","x":"\u0000"}"#, noon(0)),
        later(row("5", r#"{"Id":"5"}"#, noon(1))),
        row("6", r#"{"Id":"6","x":"\u0000"}"#, noon(0)),
    ]);
    page.rejected = vec![without_id.clone(), RejectedRow { raw: Bytes::from_static(b"[]"), ..without_id }];
    page.windows = vec![change(day(0), WindowState::Completed), change(day(1), WindowState::Completed)];
    let mut compared = store.compare(&page).await?;
    compared.missing.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    assert_eq!((compared.same, compared.quarantined), (2, 2));
    assert_eq!(compared.missing, [deviation(None, 0), deviation(Some("5"), 1), deviation(Some("6"), 0)]);
    assert_eq!(compared.changed, [deviation(Some("2"), 1)]);

    assert_eq!(store.lines(&LogFilter::default()).await?, lines);
    assert_eq!((store.count_rows(&scene.pipeline).await?, store.quarantined(None).await?.len()), (3, 2));
    let outcome = store.commit_page(&page).await?;
    assert_eq!((outcome.total.unchanged, outcome.total.updated, outcome.total.inserted), (2, 1, 1));

    page.pipeline.table = "qb_never_prepared".parse().unwrap();
    let compared = store.compare(&page).await?;
    assert_eq!((compared.same, compared.missing.len(), compared.quarantined), (0, 4, 4));
    Ok(())
}

/// The ids of documents last changed in a span, or of all, are listed page by page, each once.
pub async fn stored_ids_are_listed_in_pages(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let rows = (0..9).map(|n| row(&format!("{n}"), &format!(r#"{{"Id":"{n}"}}"#), noon(n))).collect();
    scene.land(rows).await?;
    let untimed = Row { updated_at: None, ..row("none", r#"{"Id":"none"}"#, noon(0)) };
    scene.land(vec![untimed]).await?;

    let span = Window::new(noon(2), noon(6)).unwrap();
    for (span, expected) in [(Some(span), 2..6), (None, 0..9)] {
        let mut found = Vec::new();
        let mut after: Box<str> = "".into();
        loop {
            let ids = store.stored_ids(&scene.pipeline, span, &after, 3).await?;
            let is_last = ids.len() < 3;
            found.extend(ids);
            if is_last {
                break;
            }
            after.clone_from(&found[found.len() - 1]);
        }
        let mut all: BTreeSet<Box<str>> = expected.map(|n: i64| n.to_string().into()).collect();
        all.extend(span.is_none().then(|| "none".into()));
        assert_eq!(found.len(), all.len());
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), all);
    }
    let unknown = crate::Pipeline { table: "qb_never_prepared".parse().unwrap(), ..scene.pipeline.clone() };
    assert_eq!(store.stored_ids(&unknown, None, "", 3).await?, []);
    Ok(())
}

/// Live rows are counted by window, without those that are marked, outside of all windows or without a time.
pub async fn live_rows_are_counted_by_window(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let rows = (0..9).map(|n| row(&format!("{n}"), &format!(r#"{{"Id":"{n}"}}"#), noon(n / 2))).collect();
    scene.land(rows).await?;
    let untimed = Row { updated_at: None, ..row("none", r#"{"Id":"none"}"#, noon(0)) };
    scene.land(vec![untimed]).await?;
    let gone = ["2", "8"].map(|id| GoneRecord { id: id.into(), deleted_at: None });
    store.mark_gone(&scene.pipeline, &scene.lease, &gone, noon(9)).await?;
    let windows = [day(0), day(1), day(3), day(4), day(6)];
    assert_eq!(store.count_live(&scene.pipeline, &windows).await?, [2, 1, 2, 0, 0]);
    assert_eq!(store.count_live(&scene.pipeline, &[]).await?, Vec::<u64>::new());
    let halves = [Window::new(noon(0), noon(1)).unwrap(), Window::new(noon(1), noon(2)).unwrap()];
    assert_eq!(store.count_live(&scene.pipeline, &halves).await?, [2, 1]);
    let unknown = crate::Pipeline { table: "qb_never_prepared".parse().unwrap(), ..scene.pipeline.clone() };
    assert_eq!(store.count_live(&unknown, &windows).await?, [0; 5]);
    Ok(())
}

/// The store has a clock of its own, which advances.
pub async fn the_store_has_a_clock(store: &dyn Store) -> Result<(), StoreError> {
    let first = store.clock().await?;
    let second = store.clock().await?;
    assert!(first <= second && second - first < time::Duration::MINUTE, "{first} {second}");
    Ok(())
}

/// A row is marked as gone by the owner of its pipeline alone, keeps its first mark and its document, and loses the mark with
/// the next page that holds its record, whether the record has changed, has not, or comes in an older version.
pub async fn a_mark_of_what_is_gone_stays_until_the_record_comes_back(
    store: &dyn Store,
) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let documents = |version: &str| {
        let document = |n: i64| row(&n.to_string(), &format!(r#"{{"Id":"{n}","v":"{version}"}}"#), noon(3));
        (0..5).map(document).collect::<Vec<_>>()
    };
    scene.land(documents("first")).await?;
    let record = |id: &str, deleted_at| GoneRecord { id: id.into(), deleted_at };
    let gone = [record("1", None), record("2", Some(noon(4))), record("3", None), record("none", None)];
    let stale = Lease { epoch: scene.lease.epoch - 1, ..scene.lease.clone() };
    let refused = store.mark_gone(&scene.pipeline, &stale, &gone, noon(5)).await.unwrap_err();
    assert!(matches!(refused.kind, StoreErrorKind::LeaseLost(_)), "{refused}");
    assert_eq!(store.stored_ids(&scene.pipeline, None, "", 9).await?.len(), 5);
    assert_eq!(store.mark_gone(&scene.pipeline, &scene.lease, &gone, noon(5)).await?, 3);
    assert_eq!(store.mark_gone(&scene.pipeline, &scene.lease, &gone[..2], noon(6)).await?, 0);
    let unknown = crate::Pipeline { table: "qb_never_prepared".parse().unwrap(), ..scene.pipeline.clone() };
    assert_eq!(store.mark_gone(&unknown, &scene.lease, &gone, noon(5)).await?, 0);

    // What is known to be gone is not searched for again, and its rows are kept.
    let ids = |ids: &[&str]| ids.iter().map(|id| Box::from(*id)).collect::<Vec<Box<str>>>();
    assert_eq!(store.stored_ids(&scene.pipeline, None, "", 9).await?, ids(&["0", "4"]));
    assert_eq!(store.count_rows(&scene.pipeline).await?, 5);

    // Record 1 comes back as it was, record 2 in an older version, record 3 in a newer one.
    let mut back = documents("first");
    back[2] = row("2", r#"{"Id":"2","v":"before"}"#, noon(2));
    back[3] = row("3", r#"{"Id":"3","v":"second"}"#, noon(7));
    let page = scene.page(back[..4].to_vec());
    let mut compared = store.compare(&page).await?;
    compared.changed.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let changed = ["1", "2", "3"].map(|id| deviation(Some(id), 0));
    assert_eq!((compared.same, compared.changed), (1, changed.to_vec()));
    assert_eq!(store.commit_page(&page).await?.total, counts(0, 3, 1, 0));
    let all = ids(&["0", "1", "2", "3", "4"]);
    assert_eq!(store.stored_ids(&scene.pipeline, None, "", 9).await?, all);
    let again = scene.page(documents("first"));
    assert_eq!(store.commit_page(&again).await?.total, counts(0, 0, 5, 0), "older versions replaced nothing");

    // A page that is compared by content takes marks back as well.
    store.mark_gone(&scene.pipeline, &scene.lease, &gone[..1], noon(5)).await?;
    let page = PageCommit { by_content: true, ..scene.page(documents("first")[1..2].to_vec()) };
    assert_eq!(store.compare(&page).await?.changed, changed[..1]);
    assert_eq!(store.commit_page(&page).await?.total, counts(0, 1, 0, 0));
    assert_eq!(store.stored_ids(&scene.pipeline, None, "", 9).await?, all);
    Ok(())
}
