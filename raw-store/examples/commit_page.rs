//! Commits pages of one window, is interrupted, and goes on where the log says.
//!
//! `cargo run -p raw-store --example commit_page`
//!
//! The store lives in memory; put `PgStore::connect(...)` in its place, and nothing else changes.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::time::Duration;

use raw_store::{
    BackfillLog as _, Bytes, LogFilter, MemoryStore, OffsetDateTime, OpenWindow, Owner, PageCommit, Pipeline,
    Reopen, Row, RunEnd, RunStart, RunStatus, ScanCursor, Store, StoreIdentity, Window, WindowChange,
    WindowState,
};
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-06-01 9:00 UTC);

/// One process: takes the pipeline, and reads what the log says is left. `dies` after its first page.
async fn load(store: &dyn Store, name: &str, dies: bool) -> Result<(), Box<dyn Error>> {
    let invoices = Pipeline {
        entity_name: "invoices".into(),
        table: "qb_invoices".parse()?,
        time_axis: "updated".into(),
    };
    let company = StoreIdentity { realm_id: "1000000000000001".into(), environment: "sandbox".into() };
    let january = Window::new(datetime!(2026-01-01 0:00 UTC), datetime!(2026-02-01 0:00 UTC))?;
    let run = RunStart {
        id: name.parse()?,
        identity: company.clone(),
        seed: 7,
        pipelines: vec![invoices.clone()],
        span: january,
        chunk: "month".into(),
        started_at: NOW,
        fence: None,
    };
    store.bind(&company).await?;
    store.prepare(&invoices).await?;
    store.begin_run(&run).await?;
    let lease = store.acquire(&invoices, name).await?;
    let owner = Owner { run: &run.id, pipeline: &invoices, lease: &lease, fence: None };

    for open in store.open_windows(owner, &[january], Reopen::Unfinished).await? {
        let from = open.cursor.as_ref().map_or(january.start(), |cursor| cursor.at);
        println!("{name}: reads {} from {from}", open.window);
        let page = page(owner, &open);
        // Rows, log line, totals and cursor are committed together; the same page again changes nothing.
        let outcome = store.commit_page(&page).await?;
        assert_eq!(store.commit_page(&page).await?, outcome);
        println!("{name}: {} inserted", outcome.total.inserted);
    }
    if dies {
        return Ok(());
    }
    let end = RunEnd {
        status: RunStatus::Completed,
        closed: 1,
        message: None,
        error_code: None,
        finished_at: NOW,
        calls: 2,
        retries: 0,
        waited_seconds: 0.0,
        fence: None,
    };
    store.finish_run(&run.id, &end).await?;
    store.release(&lease).await?;
    Ok(())
}

/// What the source returned: one invoice at a time, so that the window takes two pages.
fn page(owner: Owner<'_>, open: &OpenWindow) -> PageCommit {
    let at = datetime!(2026-01-14 10:00 UTC);
    let (id, state) = match &open.cursor {
        None => ("129", WindowState::Running),
        Some(_) => ("130", WindowState::Completed),
    };
    let reached = ScanCursor { at, seen: vec![id.into()] };
    PageCommit {
        pipeline: owner.pipeline.clone(),
        run: owner.run.clone(),
        lease: owner.lease.clone(),
        page_number: 1,
        page_size: 1000,
        request: r#"{"query": "select * from Invoice"}"#.into(),
        started_at: NOW,
        ingested_at: NOW,
        answered_at: NOW,
        latest_at: NOW,
        all_fields: true,
        by_content: false,
        rows: vec![Row {
            id: id.into(),
            payload: Bytes::from(format!(r#"{{"Id": "{id}", "TotalAmt": 362.07}}"#)),
            window: 0,
            updated_at: Some(at),
            updated_on: None,
            sync_token: Some(0),
        }],
        rejected: Vec::new(),
        windows: vec![WindowChange {
            window: open.window,
            state,
            cursor: (state == WindowState::Running).then_some(reached),
            duration: Duration::from_millis(180),
            after: Some(0),
        }],
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = MemoryStore::new();
    load(&store.another_process(), "first-run", true).await?;
    // Its process has ended, so that its lease is free.
    load(&store.another_process(), "second-run", false).await?;
    for line in store.lines(&LogFilter::default()).await? {
        println!(
            "{} {}: {}, {} records",
            line.entity_name, line.window, line.state, line.metrics.records_read
        );
    }
    Ok(())
}

#[test]
fn the_example_runs() {
    main().expect("it ends well");
}
