//! What a database keeps from being written: by triggers, rules and row policies of its owner's.

#![cfg(feature = "pg")]

use fixtures::TempDatabase;
use raw_store::{
    Advice, BackfillLog as _, GoneMarks as _, GoneRecord, Leases as _, LogFilter, NewTrigger, PageCommit,
    PageSink as _, PgStore, RunId, RunStart, StoreError, StoreErrorKind, StoreIdentity, Tables as _,
    TriggerPlan, TriggerQueue as _, WindowCounts,
};

use crate::support::{NOW, Work, connection, database, loader, pipeline, row, store, window};

async fn begun(database: &TempDatabase, harm: &str) -> (PgStore, Work) {
    let store = store(database).await;
    let work = Work::begin(&store).await;
    harmed(database, harm).await;
    (store, work)
}

async fn harmed(database: &TempDatabase, harm: &str) {
    let as_owner = connection(database).await;
    as_owner.batch_execute(&format!("SET search_path TO raw; {harm}")).await.unwrap();
}

/// A trigger that does something with each new row.
fn trigger(event: &str, table: &str, body: &str) -> String {
    format!(
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN new; END $$;
         CREATE TRIGGER meddle BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION meddle()"
    )
}

const DROPS_TWO: &str = "IF new.id IN ('3', '7') THEN RETURN NULL; END IF;";

fn page(work: &Work, number: u32, version: &str) -> PageCommit {
    let document = |n: u32| row(&n.to_string(), &format!(r#"{{"Id":"{n}","version":"{version}"}}"#));
    work.page(number, (0..10).map(document).collect())
}

fn counts(inserted: u64, updated: u64, unchanged: u64) -> WindowCounts {
    WindowCounts { inserted, updated, unchanged, quarantined: 0 }
}

/// The table and the number of rows that a refusal names.
fn named(error: &StoreError) -> (&str, u64) {
    let StoreErrorKind::RowsAltered { table, rows } = &error.kind else { panic!("{error}") };
    assert_eq!((error.advice(), error.code()), (Advice::FixDatabase, "store.rows_altered"));
    assert!(error.to_string().contains("a trigger, rule or row policy"), "{error}");
    (table, *rows)
}

/// Refuses the page whole: the log knows nothing of it, and the same page lands once the cause is gone.
async fn is_refused(store: &PgStore, page: &PageCommit) -> (String, u64) {
    let before = store.lines(&LogFilter::default()).await.unwrap();
    let error = store.commit_page(page).await.unwrap_err();
    let (table, rows) = named(&error);
    assert_eq!(store.lines(&LogFilter::default()).await.unwrap(), before);
    (table.to_owned(), rows)
}

#[tokio::test]
async fn rows_that_a_trigger_drops_are_not_counted_as_unchanged() {
    let database = database().await;
    let (store, work) = begun(&database, &trigger("INSERT", "qb_invoices", DROPS_TWO)).await;
    let first = page(&work, 1, "a");
    assert_eq!(is_refused(&store, &first).await, ("qb_invoices".into(), 2));
    assert_eq!(store.count_rows(&work.pipeline).await.unwrap(), 0);
    harmed(&database, "DROP TRIGGER meddle ON qb_invoices").await;
    assert_eq!(store.commit_page(&first).await.unwrap().total, counts(10, 0, 0));
}

#[tokio::test]
async fn newer_versions_that_a_trigger_drops_are_not_counted_as_unchanged() {
    let database = database().await;
    let (store, work) = begun(&database, "").await;
    store.commit_page(&page(&work, 1, "a")).await.unwrap();
    harmed(&database, &trigger("UPDATE", "qb_invoices", DROPS_TWO)).await;
    assert_eq!(is_refused(&store, &page(&work, 2, "b")).await, ("qb_invoices".into(), 2));
    // What is there as it was sent needs no write.
    assert_eq!(store.commit_page(&page(&work, 3, "a")).await.unwrap().total, counts(0, 0, 10));
}

#[tokio::test]
async fn a_trigger_that_changes_documents_is_noticed_whatever_it_changes() {
    for body in [
        "new.payload := new.payload - 'version';",
        "IF new.id = '3' THEN new.payload := '{}'; END IF;",
        "new.id := 'x' || new.id;",
    ] {
        let database = database().await;
        let (store, work) = begun(&database, &trigger("INSERT OR UPDATE", "qb_invoices", body)).await;
        let (table, rows) = is_refused(&store, &page(&work, 1, "a")).await;
        assert_eq!((&*table, rows), ("qb_invoices", if body.starts_with("IF") { 1 } else { 10 }), "{body}");
    }
}

#[tokio::test]
async fn what_a_trigger_changed_on_its_way_in_is_found_when_it_comes_again() {
    let database = database().await;
    let (store, work) = begun(&database, "").await;
    store.commit_page(&page(&work, 1, "a")).await.unwrap();
    // The fingerprint that was taken says that nothing has changed.
    harmed(&database, "UPDATE qb_invoices SET payload = '{}' WHERE id = '3'").await;
    harmed(&database, &trigger("UPDATE", "qb_invoices", "new.payload := '{}';")).await;
    assert_eq!(is_refused(&store, &page(&work, 2, "a")).await, ("qb_invoices".into(), 1));
}

#[tokio::test]
async fn a_trigger_that_leaves_documents_alone_is_welcome() {
    let database = database().await;
    let harm = format!(
        "ALTER TABLE qb_invoices ADD COLUMN theirs text; {}",
        trigger("INSERT OR UPDATE", "qb_invoices", "new.theirs := 'seen';")
    );
    let (store, work) = begun(&database, &harm).await;
    assert_eq!(store.commit_page(&page(&work, 1, "a")).await.unwrap().total, counts(10, 0, 0));
    assert_eq!(store.commit_page(&page(&work, 2, "a")).await.unwrap().total, counts(0, 0, 10));
    assert_eq!(store.commit_page(&page(&work, 3, "b")).await.unwrap().total, counts(0, 10, 0));
}

#[tokio::test]
async fn a_rule_that_does_nothing_instead_is_named() {
    for event in ["INSERT", "UPDATE"] {
        let database = database().await;
        let rule = format!("CREATE RULE meddle AS ON {event} TO qb_invoices DO INSTEAD NOTHING");
        let (store, work) = begun(&database, &rule).await;
        assert_eq!(is_refused(&store, &page(&work, 1, "a")).await.0, "qb_invoices", "{event}");
    }
}

#[tokio::test]
async fn a_row_policy_is_named() {
    for policy in ["FOR INSERT TO PUBLIC WITH CHECK (id <> '3')", "FOR SELECT TO PUBLIC USING (id <> '3')"] {
        let database = database().await;
        let store = loader(&database).await;
        let work = Work::begin(&store).await;
        harmed(&database, "ALTER TABLE qb_invoices ENABLE ROW LEVEL SECURITY").await;
        let rest = ["SELECT", "INSERT", "UPDATE"].into_iter().filter(|right| !policy.contains(right));
        for right in rest {
            let pass = if right == "INSERT" { "WITH CHECK (true)" } else { "USING (true)" };
            harmed(
                &database,
                &format!("CREATE POLICY let_{right} ON qb_invoices FOR {right} TO PUBLIC {pass}"),
            )
            .await;
        }
        harmed(&database, &format!("CREATE POLICY meddle ON qb_invoices {policy}")).await;
        assert_eq!(is_refused(&store, &page(&work, 1, "a")).await.0, "qb_invoices", "{policy}");
        harmed(&database, "ALTER TABLE qb_invoices DISABLE ROW LEVEL SECURITY").await;
        assert_eq!(store.commit_page(&page(&work, 1, "a")).await.unwrap().total, counts(10, 0, 0));
    }
}

#[tokio::test]
async fn what_is_stored_in_a_newer_version_or_another_spelling_is_unchanged_still() {
    let database = database().await;
    let (store, work) = begun(&database, "").await;
    let newer = raw_store::Row { sync_token: Some(9), ..row("1", r#"{"Id":"1","v":9}"#) };
    store.commit_page(&work.page(1, vec![newer, row("2", r#"{"Id":"2","v":1}"#)])).await.unwrap();
    let rows = vec![row("1", r#"{"Id":"1","v":1}"#), row("2", r#"{ "v": 1, "Id": "2" }"#)];
    assert_eq!(store.commit_page(&work.page(2, rows)).await.unwrap().total, counts(0, 0, 2));
}

fn run_start(name: &str) -> RunStart {
    RunStart {
        id: name.parse().unwrap(),
        identity: StoreIdentity { realm_id: "1000000000000001".into(), environment: "sandbox".into() },
        seed: 1,
        pipelines: vec![pipeline()],
        span: window(),
        chunk: "day".into(),
        started_at: NOW,
        fence: None,
    }
}

#[tokio::test]
async fn every_table_of_the_ledger_that_does_not_keep_its_rows_is_named() {
    for (table, event) in [
        ("backfill_page", "INSERT"),
        ("backfill_page", "UPDATE"),
        ("backfill_log", "UPDATE"),
        ("backfill_run_pipeline", "UPDATE"),
        ("quarantine", "INSERT"),
    ] {
        let database = database().await;
        let (store, work) = begun(&database, &trigger(event, table, "RETURN NULL;")).await;
        let mut page = page(&work, 1, "a");
        page.rows.push(row("bad", r#"{"a":"\u0000"}"#));
        assert_eq!(is_refused(&store, &page).await, (table.into(), 1), "{event}");
        assert_eq!(store.count_rows(&work.pipeline).await.unwrap(), 0, "{table}");
    }
    for (table, event) in [("backfill_run", "INSERT"), ("backfill_run_pipeline", "INSERT")] {
        let database = database().await;
        let (store, _) = begun(&database, &trigger(event, table, "RETURN NULL;")).await;
        let error = store.begin_run(&run_start("second")).await.unwrap_err();
        assert_eq!(named(&error), (table, 1));
        assert!(store.run(&"second".parse::<RunId>().unwrap()).await.unwrap().is_none());
    }
    for table in ["backfill_trigger", "backfill_trigger_history"] {
        let database = database().await;
        let (store, _) = begun(&database, &trigger("INSERT", table, "RETURN NULL;")).await;
        let plan = TriggerPlan {
            entity_names: vec!["Invoice".into()],
            time_axis: "updated".into(),
            span: window(),
            chunk: "day".into(),
            selection: raw_store::WindowSelection::Open,
        };
        let name = "once".parse().unwrap();
        let new = NewTrigger { name, plan, fire_at: NOW, if_missed: raw_store::IfMissed::Run, link: None };
        let error = store.add(&[new], "op1").await.unwrap_err();
        assert_eq!(named(&error), (table, 1));
        assert!(store.triggers().await.unwrap().0.is_empty());
    }
    let database = database().await;
    let store = store(&database).await;
    harmed(&database, &trigger("INSERT", "backfill_lease", "RETURN NULL;")).await;
    assert_eq!(named(&store.acquire(&pipeline(), "a test").await.unwrap_err()), ("backfill_lease", 1));
}

#[tokio::test]
async fn a_call_whose_place_is_not_kept_is_refused_and_does_not_ask_for_ever() {
    let database = database().await;
    let store = store(&database).await;
    harmed(&database, &trigger("INSERT", "call_slot", "RETURN NULL;")).await;
    let limits = raw_store::contract::USUAL_LIMITS;
    let error = raw_store::CallLedger::admit(&store, &limits, std::time::Duration::from_millis(250)).await;
    assert_eq!(named(&error.unwrap_err()), ("call_slot", 1));
}

/// A mark that the database does not keep, or does not give up, is not taken for one.
#[tokio::test]
async fn a_mark_that_is_kept_out_or_kept_on_is_named() {
    let database = database().await;
    let (store, work) = begun(&database, "SELECT 1").await;
    store.commit_page(&page(&work, 1, "one")).await.unwrap();
    let gone = |id: &str| [GoneRecord { id: id.into(), deleted_at: None }];
    store.mark_gone(&work.pipeline, &work.lease, &gone("3"), NOW).await.unwrap();
    harmed(&database, &trigger("UPDATE", "qb_invoices", DROPS_TWO)).await;
    let error = store.mark_gone(&work.pipeline, &work.lease, &gone("7"), NOW).await.unwrap_err();
    assert_eq!(named(&error), ("qb_invoices", 1));
    assert_eq!(is_refused(&store, &page(&work, 2, "one")).await, ("qb_invoices".into(), 1));
}
