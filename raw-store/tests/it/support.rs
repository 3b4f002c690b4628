//! A fresh database per test, stores over it, and a run under way.

use std::time::Duration;

use fixtures::{TempDatabase, TempPostgres};
use raw_store::{
    Bytes, DatabaseOptions, Lease, Owner, PageCommit, PgStore, Pipeline, Reopen, Row, RunId, RunStart,
    SchemaName, Store, StoreIdentity, Window, WindowChange, WindowState,
};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio_postgres::{Client, NoTls};

pub(crate) const NOW: OffsetDateTime = datetime!(2024-02-01 12:00 UTC);

/// A database of the shared server, with nothing in it.
pub(crate) async fn database() -> TempDatabase {
    TempPostgres::shared().await.database().await
}

/// How to reach it.
pub(crate) fn options(database: &TempDatabase) -> DatabaseOptions {
    let options: DatabaseOptions = database.url().parse().unwrap();
    options.with_password(database.password())
}

/// A store over it, not set up.
pub(crate) async fn bare_store(database: &TempDatabase) -> PgStore {
    PgStore::connect(options(database), SchemaName::default()).await.unwrap()
}

/// A store over it, set up.
pub(crate) async fn store(database: &TempDatabase) -> PgStore {
    let store = bare_store(database).await;
    store.migrate().await.unwrap();
    store
}

/// Roles belong to the whole server, and two tests must not make them at once.
static ROLES: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Creates the three roles, and says how to reach the database as one of them.
pub(crate) async fn with_roles(database: &TempDatabase, role: &str) -> DatabaseOptions {
    let store = store(database).await;
    let _turn = ROLES.lock().await;
    store.create_roles().await.unwrap();
    let password = format!("ALTER ROLE {role} PASSWORD 'fake-1'");
    connection(database).await.batch_execute(&password).await.unwrap();
    DatabaseOptions::new("127.0.0.1", database.port(), database.name(), role).with_password("fake-1")
}

/// A store that has the rights of a loader and no others.
pub(crate) async fn loader(database: &TempDatabase) -> PgStore {
    PgStore::connect(with_roles(database, "qbo_loader").await, SchemaName::default()).await.unwrap()
}

/// A plain connection to it.
pub(crate) async fn connection(database: &TempDatabase) -> Client {
    let (client, connection) = database.config().connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A run of one pipeline with one window.
pub(crate) struct Work {
    pub(crate) pipeline: Pipeline,
    pub(crate) run: RunId,
    pub(crate) lease: Lease,
}

pub(crate) fn pipeline() -> Pipeline {
    Pipeline {
        entity_name: "invoices".into(),
        table: "qb_invoices".parse().unwrap(),
        time_axis: "updated".into(),
    }
}

pub(crate) fn window() -> Window {
    Window::new(datetime!(2024-01-01 0:00 UTC), datetime!(2024-01-02 0:00 UTC)).unwrap()
}

pub(crate) fn row(id: &str, payload: &str) -> Row {
    Row {
        id: id.into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        window: 0,
        updated_at: Some(window().start()),
        updated_on: None,
        sync_token: Some(0),
    }
}

impl Work {
    pub(crate) async fn begin(store: &dyn Store) -> Self {
        let identity = StoreIdentity { realm_id: "1000000000000001".into(), environment: "sandbox".into() };
        let start = RunStart {
            id: "run".parse().unwrap(),
            identity: identity.clone(),
            seed: 1,
            pipelines: vec![pipeline()],
            span: window(),
            chunk: "day".into(),
            started_at: NOW,
            fence: None,
        };
        store.bind(&identity).await.unwrap();
        store.prepare(&pipeline()).await.unwrap();
        store.begin_run(&start).await.unwrap();
        let lease = store.acquire(&pipeline(), "a test").await.unwrap();
        let work = Self { pipeline: pipeline(), run: start.id, lease };
        store.open_windows(work.owner(), &[window()], Reopen::Unfinished).await.unwrap();
        work
    }

    pub(crate) fn owner(&self) -> Owner<'_> {
        Owner { run: &self.run, pipeline: &self.pipeline, lease: &self.lease, fence: None }
    }

    pub(crate) fn page(&self, number: u32, rows: Vec<Row>) -> PageCommit {
        let change = WindowChange {
            window: window(),
            state: WindowState::Running,
            cursor: None,
            duration: Duration::from_millis(1),
            after: None,
        };
        PageCommit {
            pipeline: self.pipeline.clone(),
            run: self.run.clone(),
            lease: self.lease.clone(),
            page_number: number,
            page_size: 1000,
            request: r#"{"query":"select * from Invoice"}"#.into(),
            started_at: NOW,
            ingested_at: NOW,
            answered_at: NOW,
            latest_at: NOW,
            all_fields: true,
            by_content: false,
            rows,
            rejected: Vec::new(),
            windows: vec![change],
        }
    }
}

/// The process of the one session of this database that waits for a lock, once there is one.
pub(crate) async fn waiting_backend(observer: &Client) -> i32 {
    let waiting =
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    loop {
        if let Some(row) = observer.query_opt(waiting, &[]).await.unwrap() {
            return row.get(0);
        }
    }
}
