//! Contract cases: rows are looked up, and reports of the source are kept as sent.

use time::macros::date;

use super::scene::{Scene, company, day, noon, pipeline, row};
use crate::{GoneRecord, KeptReport, MemberRange, Pipeline, Presence, Store, StoreError, TableName};

/// Rows are found by id, in the order of the question; a mark is told, and a table that does not exist holds nothing.
pub async fn rows_are_looked_up_by_id(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let page = scene.page(vec![row("1", r#"{"A":"b"}"#, noon(0)), row("2", "{}", noon(0))]);
    store.commit_page(&page).await?;
    let gone = [GoneRecord { id: "2".into(), deleted_at: None }];
    store.mark_gone(&pipeline(), &scene.lease, &gone, noon(1)).await?;
    let ids: Vec<Box<str>> = ["3", "2", "1", "2"].map(Into::into).into();
    let expected = |text: Option<&str>| {
        [Presence::Absent, Presence::Gone, Presence::Live(text.map(Into::into)), Presence::Gone]
    };
    assert_eq!(store.presence(&pipeline(), &ids, "").await?, expected(None));
    assert_eq!(store.presence(&pipeline(), &ids, "A").await?, expected(Some("b")));
    assert_eq!(store.presence(&pipeline(), &ids, "B").await?, expected(None));
    let nowhere = Pipeline { table: "qb_nothings".parse().unwrap(), ..pipeline() };
    assert_eq!(store.presence(&nowhere, &ids, "").await?, vec![Presence::Absent; 4]);
    Ok(())
}

/// Rows without a mark are listed by a member of their documents, in pages.
pub async fn rows_are_listed_by_a_member(store: &dyn Store) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let documents = [
        ("1", r#"{"TxnDate":"2024-01-31"}"#),
        ("2", r#"{"TxnDate":"2024-02-01"}"#),
        ("3", r#"{"TxnDate":"2024-02-29"}"#),
        ("4", r#"{"TxnDate":"2024-03-01"}"#),
        ("5", r#"{"TxnDate":null}"#),
        ("6", "{}"),
        ("7", r#"{"TxnDate":"2024-02-10"}"#),
        ("8", r#"{"TxnDate":"2024-02-11"}"#),
    ];
    let page = scene.page(documents.iter().map(|(id, payload)| row(id, payload, noon(0))).collect());
    store.commit_page(&page).await?;
    let gone = [GoneRecord { id: "7".into(), deleted_at: None }];
    store.mark_gone(&pipeline(), &scene.lease, &gone, noon(1)).await?;
    let february =
        MemberRange { member: "TxnDate".into(), first: "2024-02-01".into(), last: "2024-02-29".into() };
    let listed = |after: &'static str| store.ids_between(&scene.pipeline, &february, after, 2);
    assert_eq!(listed("").await?, ["2".into(), "3".into()] as [Box<str>; 2]);
    assert_eq!(listed("3").await?, ["8".into()] as [Box<str>; 1]);
    let nowhere = Pipeline { table: "qb_nothings".parse().unwrap(), ..pipeline() };
    assert!(store.ids_between(&nowhere, &february, "", 9).await?.is_empty());
    Ok(())
}

/// A report keeps its bytes, and a question its newest answer.
pub async fn a_report_is_kept_as_sent(store: &dyn Store) -> Result<(), StoreError> {
    store.bind(&company()).await?;
    let table: TableName = "qb_report_journal_report".parse().unwrap();
    let question = "JournalReport?start_date=2024-02-01";
    assert_eq!(store.kept_report(&table, question).await?, None);
    let report = KeptReport {
        question: question.into(),
        answer: r#"{ "Rows":{},"Header":{"A":1.0,"A":"\u0000"} }"#.into(),
        first_day: date!(2024 - 02 - 01),
        last_day: date!(2024 - 02 - 29),
        basis: None,
        answered_at: Some(day(9).start()),
        received_at: noon(9),
        verification: "one".parse().unwrap(),
    };
    store.keep_report(&table, &report).await?;
    assert_eq!(store.kept_report(&table, question).await?, Some(report.clone()));
    let later = KeptReport {
        answer: "{}".into(),
        basis: None,
        received_at: noon(10),
        verification: "two".parse().unwrap(),
        ..report.clone()
    };
    store.keep_report(&table, &later).await?;
    store.keep_report(&table, &report).await?;
    assert_eq!(store.kept_report(&table, question).await?, Some(later));
    let other: TableName = "qb_report_trial_balance".parse().unwrap();
    assert_eq!(store.kept_report(&other, question).await?, None);
    Ok(())
}
