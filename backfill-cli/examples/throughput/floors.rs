//! What a backfill cannot be faster than: its pages received and thrown away, and its pages landed out of memory.

use std::sync::Arc;
use std::time::Duration;

use fixtures::{Compression, PlainCopy};
use qbo_client::{MINOR_VERSION, RawPage};
use raw_store::{
    BackfillLog as _, Lease, Leases as _, Owner, PageCommit, PageSink as _, PgStore, Pipeline, Reopen, Row,
    RunStart, StoreError, StoreIdentity, Tables as _, Window, WindowChange, WindowState,
};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use crate::part::{Began, Measured, Outcome, Task};

/// No invoice of the emulator has fewer bytes.
const SMALLEST: usize = 500;

const NOW: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

/// The same pages through a bare HTTP client, as many at a time, thrown away as they come.
pub(crate) async fn transfer(task: &Task) -> Outcome<Measured> {
    let url = format!("{}/v3/company/{}/query?minorversion={MINOR_VERSION}", task.url, task.realm_id);
    let json = reqwest::header::HeaderMap::from_iter([
        (reqwest::header::ACCEPT, "application/json".parse()?),
        (reqwest::header::CONTENT_TYPE, "application/text".parse()?),
    ]);
    let http = reqwest::Client::builder().no_proxy().default_headers(json).build()?;
    let questions: Vec<_> = task.questions()?.iter().map(qbo_client::Query::text).collect();
    let (mut places, mut received) = (JoinSet::new(), 0);
    let (began, calls) = (Began::now()?, questions.len() as u64);
    for place in 0..task.places.get() {
        let own: Vec<_> = questions.iter().skip(place).step_by(task.places.get()).cloned().collect();
        let (http, url, token, mut bytes) = (http.clone(), url.clone(), task.access_token.clone(), 0);
        places.spawn(async move {
            for question in own {
                let asked = http.post(&url).body(question).bearer_auth(&token);
                let mut answer = asked.send().await?.error_for_status()?;
                while let Some(chunk) = answer.chunk().await? {
                    bytes += chunk.len();
                }
            }
            Ok::<_, reqwest::Error>(bytes)
        });
    }
    while let Some(ended) = places.join_next().await {
        received += ended??;
    }
    if received < task.records * SMALLEST {
        return Err(format!("{received} bytes are not all records").into());
    }
    began.ended(task.records as u64, calls)
}

/// One COPY of the payloads, which are fetched before.
pub(crate) async fn copy(task: &Task) -> Outcome<Measured> {
    let pages = fetched(task).await?;
    let client = connected(task).await?;
    let copy = PlainCopy::table(&client, Compression::Default).await?;
    let mut documents = Vec::with_capacity(task.records);
    for record in pages.iter().flat_map(RawPage::records) {
        documents.push((record.id().map_err(|problem| problem.to_string())?, record.bytes()));
    }
    let began = Began::now()?;
    let rows = copy.load(documents.iter().map(|(id, payload)| (*id, &**payload))).await?;
    began.ended(rows, 0)
}

/// The pages landed, as many at a time, which are fetched before.
pub(crate) async fn load(task: &Task) -> Outcome<Measured> {
    let pages = fetched(task).await?;
    let client = connected(task).await?;
    client.batch_execute("DROP SCHEMA IF EXISTS loaded CASCADE").await?;
    let loader = Arc::new(Loader::new(task, task.store("loaded").await?).await?);
    let mut commits: Vec<Vec<PageCommit>> = vec![Vec::new(); task.places.get()];
    for (page, number) in pages.iter().zip(1_u32..) {
        let place = number as usize % commits.len();
        commits[place].push(loader.commit(page, number)?);
    }
    drop(pages);
    let (mut places, mut rows) = (JoinSet::new(), 0);
    let began = Began::now()?;
    for commits in commits {
        let loader = Arc::clone(&loader);
        places.spawn(async move {
            let mut rows = 0;
            for commit in commits {
                rows += loader.store.commit_page(&commit).await?.total.inserted;
            }
            Ok::<_, StoreError>(rows)
        });
    }
    while let Some(ended) = places.join_next().await {
        rows += ended??;
    }
    began.ended(rows, 0)
}

async fn fetched(task: &Task) -> Outcome<Vec<RawPage>> {
    let client = task.client(&Task::clock())?;
    let mut pages = Vec::new();
    for question in task.questions()? {
        pages.push(client.fetch_page(&question).await?);
    }
    Ok(pages)
}

async fn connected(task: &Task) -> Outcome<Client> {
    let mut config: tokio_postgres::Config = task.database.parse()?;
    let (client, connection) = config.password(&task.password).connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A run that lands pages without asking for any.
struct Loader {
    store: PgStore,
    pipeline: Pipeline,
    run: RunStart,
    lease: Lease,
}

impl Loader {
    async fn new(task: &Task, store: PgStore) -> Outcome<Self> {
        let table = "qb_invoices".parse()?;
        let pipeline = Pipeline { entity_name: "invoices".into(), table, time_axis: "updated".into() };
        let identity =
            StoreIdentity { realm_id: task.realm_id.as_str().into(), environment: "sandbox".into() };
        let span = Window::new(datetime!(2024-01-01 0:00 UTC), datetime!(2025-01-01 0:00 UTC))?;
        let run = RunStart {
            id: "load".parse()?,
            identity: identity.clone(),
            seed: 0,
            pipelines: vec![pipeline.clone()],
            span,
            chunk: "month".into(),
            started_at: NOW,
            fence: None,
        };
        store.bind(&identity).await?;
        store.prepare(&pipeline).await?;
        store.begin_run(&run).await?;
        let lease = store.acquire(&pipeline, "throughput").await?;
        let loader = Self { store, pipeline, run, lease };
        let windows: Vec<_> = (0..365).map(|day| loader.window(day)).collect::<Outcome<_>>()?;
        let owner =
            Owner { run: &loader.run.id, pipeline: &loader.pipeline, lease: &loader.lease, fence: None };
        loader.store.open_windows(owner, &windows, Reopen::All).await?;
        Ok(loader)
    }

    /// A day of the year. Pages side by side go to different ones, as those of a run do.
    fn window(&self, day: u32) -> Outcome<Window> {
        let start = self.run.span.start() + time::Duration::days((day % 365).into());
        Ok(Window::new(start, start + time::Duration::DAY)?)
    }

    fn commit(&self, page: &RawPage, number: u32) -> Outcome<PageCommit> {
        let rows = page.records().map(|record| {
            Ok(Row {
                id: record.id().map_err(|problem| problem.to_string())?.into(),
                payload: record.bytes(),
                window: 0,
                updated_at: record.updated_at(),
                updated_on: record.updated_on(),
                sync_token: record.sync_token(),
            })
        });
        let window = self.window(number)?;
        let state = WindowState::Running;
        Ok(PageCommit {
            pipeline: self.pipeline.clone(),
            run: self.run.id.clone(),
            lease: self.lease.clone(),
            page_number: number,
            page_size: 1000,
            request: r#"{"query":"SELECT * FROM Invoice"}"#.into(),
            started_at: NOW,
            ingested_at: NOW,
            answered_at: NOW,
            latest_at: NOW,
            all_fields: true,
            by_content: false,
            rows: rows.collect::<Outcome<_>>()?,
            rejected: Vec::new(),
            windows: vec![WindowChange {
                window,
                state,
                cursor: None,
                duration: Duration::ZERO,
                after: None,
            }],
        })
    }
}
