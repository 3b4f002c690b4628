//! Contract cases: a newer version of a document replaces an older one, in whichever order they arrive.

use super::scene::{Scene, counts, noon, row};
use crate::{PageCommit, Row, Store, StoreError};

/// A row is replaced by a newer version and never by an older one, in whichever order they arrive.
pub async fn newer_wins_in_both_orders(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let old = || row("1", r#"{"v":"old"}"#, noon(1));
    let new = || row("1", r#"{"v":"new"}"#, noon(2));
    assert_eq!(scene.land(vec![old()]).await?, counts(1, 0, 0, 0));
    assert_eq!(scene.land(vec![new()]).await?, counts(0, 1, 0, 0));
    assert_eq!(scene.land(vec![old()]).await?, counts(0, 0, 1, 0));
    assert_eq!(scene.land(vec![new()]).await?, counts(0, 0, 1, 0), "the newer one is still there");
    Ok(())
}

/// At the same time the higher sync token is newer, and 10 is higher than 9.
pub async fn sync_tokens_are_numbers(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let token = |token: Option<i64>| Row {
        sync_token: token,
        ..row("1", &format!(r#"{{"v":"{token:?}"}}"#), noon(1))
    };
    assert_eq!(scene.land(vec![token(None)]).await?, counts(1, 0, 0, 0));
    assert_eq!(scene.land(vec![token(Some(9))]).await?, counts(0, 1, 0, 0));
    assert_eq!(scene.land(vec![token(Some(10))]).await?, counts(0, 1, 0, 0));
    assert_eq!(scene.land(vec![token(Some(9))]).await?, counts(0, 0, 1, 0));
    assert_eq!(scene.land(vec![token(None)]).await?, counts(0, 0, 1, 0));
    Ok(())
}

/// Between equal versions with different contents, the one from the source's later answer counts.
pub async fn the_later_answer_wins_between_equal_versions(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let mut later = scene.page(vec![row("1", r#"{"balance":10}"#, noon(1))]);
    later.answered_at += time::Duration::MINUTE;
    assert_eq!(store.commit_page(&later).await?.total, counts(1, 0, 0, 0));
    assert_eq!(scene.land(vec![row("1", r#"{"balance":20}"#, noon(1))]).await?, counts(0, 0, 1, 0));
    let mut latest = scene.page(vec![row("1", r#"{"balance":30}"#, noon(1))]);
    latest.answered_at += time::Duration::HOUR;
    assert_eq!(store.commit_page(&latest).await?.total, counts(0, 1, 0, 0));
    Ok(())
}

/// A document without a time is older than any with one; among documents without one, the time of the answer counts.
pub async fn a_document_without_a_time_is_older(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let timeless = |payload: &str| Row { updated_at: None, sync_token: None, ..row("1", payload, noon(1)) };
    assert_eq!(scene.land(vec![timeless(r#"{"v":1}"#)]).await?, counts(1, 0, 0, 0));
    let mut later = scene.page(vec![timeless(r#"{"v":2}"#)]);
    later.answered_at += time::Duration::MINUTE;
    assert_eq!(store.commit_page(&later).await?.total, counts(0, 1, 0, 0));
    assert_eq!(scene.land(vec![row("1", r#"{"v":3}"#, noon(1))]).await?, counts(0, 1, 0, 0));
    later.page_number = 99;
    assert_eq!(store.commit_page(&later).await?.total, counts(0, 0, 1, 0));
    Ok(())
}

/// Whitespace, the order of keys and escapes do not change a document; a digit does.
pub async fn the_spelling_of_json_does_not_count(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let plain = r#"{"a":[1,{"b":"é"}],"n":12345678901234567890.123}"#;
    let spelled = r#" { "n": 12345678901234567890.123, "a": [ 1, {"b": "\u00e9"} ] } "#;
    let other = r#"{"a":[1,{"b":"é"}],"n":12345678901234567890.124}"#;
    assert_eq!(scene.land(vec![row("1", plain, noon(1))]).await?, counts(1, 0, 0, 0));
    assert_eq!(scene.land(vec![row("1", spelled, noon(1))]).await?, counts(0, 0, 1, 0));
    assert_eq!(scene.land(vec![row("1", other, noon(1))]).await?, counts(0, 1, 0, 0));
    Ok(())
}

/// The version that a row claims counts as far as it can be true. A row that was stored before the page was requested and
/// claims a future time is replaced; if it claims a past time, content decides, unless the change falls into the minutes that
/// an answer may not know yet. A page that was requested before the row was stored replaces nothing newer.
pub async fn a_row_that_claims_what_cannot_be_is_replaced(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let old = |id: &str| row(id, r#"{"v":"old"}"#, noon(1));
    scene.land(vec![row("future", r#"{"v":"?"}"#, noon(90))]).await?;
    scene.land(vec![row("past", r#"{"v":"?"}"#, noon(5)), row("fresh", r#"{"v":"new"}"#, noon(20))]).await?;
    let all = || vec![old("fresh"), old("future"), old("past")];
    let by_content = |scene: &mut Scene<'_>| PageCommit { by_content: true, ..scene.page(all()) };
    // Requested before the rows were stored: they may be newer.
    assert_eq!(scene.land(all()).await?, counts(0, 0, 3, 0));
    let early = by_content(&mut scene);
    assert_eq!(store.compare(&early).await?.same, 3);
    assert_eq!(store.commit_page(&early).await?.total, counts(0, 0, 3, 0));

    scene.next_run("second").await?;
    scene.open(0..1, crate::Reopen::All).await?;
    assert_eq!(scene.land(all()).await?, counts(0, 1, 2, 0), "the one of the future");
    let late = by_content(&mut scene);
    let compared = store.compare(&late).await?;
    assert_eq!((compared.same, compared.changed.len()), (2, 1));
    assert_eq!(store.commit_page(&late).await?.total, counts(0, 1, 2, 0), "the one of the past");
    assert_eq!(store.compare(&late).await?.same, 3);
    // Of clocks that contradict each other, any may be right: the change may be newer than what this answer knew.
    let doubtful = PageCommit { answered_at: noon(0), ..by_content(&mut scene) };
    assert_eq!(store.commit_page(&doubtful).await?.total, counts(0, 0, 3, 0));
    Ok(())
}
