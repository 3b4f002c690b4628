//! What people are shown of a database: by whom it may be read, in which time zone, and from which plan.

use raw_store::{
    ActivityReader as _, BackfillLog as _, CoverageReader as _, EventLog as _, HistoryFilter, HistoryOrder,
    HistoryReader as _, IssueReader as _, LineFilter, NumberSearch, PageSink as _, PgStore, QuarantineFilter,
    Reopen, RowReader as _, RunFilter, RunReader as _, SchemaName, StoreErrorKind, Window,
};
use time::Month;
use time::macros::datetime;

use crate::support::{NOW, Work, connection, database, pipeline, row, store, with_roles};

#[tokio::test]
async fn a_reader_is_shown_everything_but_documents() {
    let database = database().await;
    // Its leases end with it.
    let owner = store(&database).await;
    let work = Work::begin(&owner).await;
    let page = work.page(1, vec![row("1", r#"{"DocNumber": "1043"}"#)]);
    owner.commit_page(&page).await.unwrap();
    let options = with_roles(&database, "qbo_reader").await;
    let reader = PgStore::connect(options, SchemaName::default()).await.unwrap();
    assert_eq!(reader.months("UTC").await.unwrap().value.len(), 1);
    assert_eq!(reader.stretches().await.unwrap().value.len(), 1);
    assert_eq!(reader.inserted_rows().await.unwrap().value[0].rows, 1);
    assert_eq!(reader.page_of_lines(&LineFilter::default(), None, 9).await.unwrap().value.len(), 1);
    assert_eq!(reader.page_of_runs(&RunFilter::default(), None, 9).await.unwrap().value.len(), 1);
    assert!(reader.progress(&work.run).await.unwrap().value.is_some());
    assert_eq!(reader.held_leases().await.unwrap().value.len(), 1);
    assert_eq!(reader.call_budget().await.unwrap().value.used, 0);
    assert!(reader.workers(9).await.unwrap().value.is_empty());
    assert!(reader.newest_findings(9).await.unwrap().value.is_empty());
    let kept = reader.page_of_quarantine(&QuarantineFilter::default(), None, 9).await.unwrap();
    assert!(kept.value.is_empty());
    let span = Window::new(NOW - time::Duration::DAY, NOW + time::Duration::DAY).unwrap();
    let told = reader.happened(span, &HistoryFilter::default(), HistoryOrder::OldestFirst, None, 9).await;
    assert_eq!(told.unwrap().value.len(), 2, "a run that began, and its page");

    let search = NumberSearch { pipeline: pipeline(), member: "DocNumber".into() };
    let shown = reader.row(&search, "1").await.unwrap().value.unwrap();
    assert_eq!((&*shown.id, shown.run.as_ref()), ("1", Some(&work.run)));
    assert_eq!((shown.number, shown.request, shown.digest), (None, None, None));
    let by_number = reader.rows_by_number(&[search], "1043", 9).await.unwrap_err();
    assert!(matches!(by_number.kind, StoreErrorKind::Forbidden(_)), "{by_number}");
    let document = reader.document(&pipeline(), "1").await.unwrap_err();
    assert!(matches!(document.kind, StoreErrorKind::Forbidden(_)), "{document}");
    assert!(reader.record_events(&[]).await.is_ok() && reader.remove_old_events().await.is_err());
}

#[tokio::test]
async fn months_are_those_of_the_time_zone_that_is_asked_for() {
    let database = database().await;
    let store = store(&database).await;
    let work = Work::begin(&store).await;
    // The last day of February in Guayaquil ends on the first of March of UTC, and so does its evening.
    let last = Window::new(datetime!(2024-02-29 5:00 UTC), datetime!(2024-03-01 5:00 UTC)).unwrap();
    let evening = Window::new(datetime!(2024-03-01 1:00 UTC), datetime!(2024-03-01 3:00 UTC)).unwrap();
    let long = Window::new(datetime!(2024-04-01 5:00 UTC), datetime!(2024-06-01 5:00 UTC)).unwrap();
    store.open_windows(work.owner(), &[last, evening, long], Reopen::Unfinished).await.unwrap();
    let months = async |zone: &str| {
        let found = store.months(zone).await.unwrap().value;
        found
            .into_iter()
            .map(|one| (one.month, one.windows, one.covered.as_secs() / 3600))
            .collect::<Vec<_>>()
    };
    let (january, february, march) = (Month::January, Month::February, Month::March);
    let (april, may, june) = (Month::April, Month::May, Month::June);
    assert_eq!(
        months("America/Guayaquil").await,
        [(january, 1, 24), (february, 2, 26), (april, 1, 720), (may, 1, 744)]
    );
    assert_eq!(
        months("UTC").await,
        [(january, 1, 24), (february, 1, 24), (march, 1, 2), (april, 1, 715), (may, 1, 744), (june, 1, 5)]
    );
}

#[tokio::test]
async fn the_view_of_the_coverage_sorts_no_lines() {
    let database = database().await;
    store(&database).await;
    let client = connection(&database).await;
    // Where the order of the primary key serves, the planner never needs the sort that is made expensive here.
    client.batch_execute("SET enable_sort = off; SET enable_incremental_sort = off").await.unwrap();
    let plan = client.query("EXPLAIN SELECT * FROM raw.v_backfill_coverage", &[]).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|line| line.get(0)).collect();
    assert!(!plan.iter().any(|line| line.contains("Sort")), "{plan:#?}");
}
