//! A company with invented data, for the tests and for the example.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration as Span;

use backfill_console::{
    Company, CompanyStore, ConsentAttempt, ConsentProgress, ConsentStatus, Consents, Console, OpenCompany,
    OpenStore, Problem, SecretShelf, async_trait,
};
use backfill_core::Catalog;
use qbo_auth::{Clock, SecretInfo, SecretName, SecretString};
use raw_store::store::{Leases as _, PageSink as _, Tables as _};
use raw_store::{
    BackfillLog as _, Bytes, ChainLink, Confirmation, IfMissed, Lease, MemoryStore, NewTrigger, Owner,
    PageCommit, Pipeline, Reopen, Row, RunEnd, RunId, RunStart, RunStatus, ScanCursor, StoreIdentity,
    TriggerPlan, TriggerQueue as _, Window, WindowChange, WindowFailure, WindowSelection, WindowState,
    WindowUpdate,
};
use time::macros::{date, datetime};
use time::{Date, Duration, OffsetDateTime};

/// The key of every invented console. It opens nothing else.
pub(crate) const KEY: &str = "false-key-of-an-invented-console";

/// Text of documents and secrets that no page may show.
pub(crate) const PAYLOAD_MARK: &str = "PAYLOAD-MARK-7d1f";
pub(crate) const SECRET_MARK: &str = "SECRET-MARK-93ab";

/// Text that a page must show as text.
pub(crate) const HOSTILE: &str = "<script>alert('x')</script>\u{202e}\u{7}";

/// A store that is open, or away.
#[derive(Debug)]
pub(crate) struct Door {
    store: Arc<MemoryStore>,
    pub(crate) away: Mutex<Option<Problem>>,
    /// Whether the network swallows everything, so that no answer ever comes.
    pub(crate) is_silent: AtomicBool,
}

#[async_trait]
impl OpenStore for Door {
    async fn open(&self) -> Result<Arc<OpenCompany>, Problem> {
        if self.is_silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if let Some(problem) = self.away.lock().unwrap().clone() {
            return Err(problem);
        }
        let store: Arc<dyn CompanyStore> = Arc::<MemoryStore>::clone(&self.store);
        Ok(Arc::new(OpenCompany { identity: Some(identity()), store }))
    }
}

fn identity() -> StoreIdentity {
    StoreIdentity { realm_id: "9130000000000001".into(), environment: "sandbox".into() }
}

/// A consent that ends in twelve days.
#[derive(Debug)]
struct InventedConsents(OffsetDateTime);

#[async_trait]
impl Consents for InventedConsents {
    async fn status(&self) -> Result<ConsentStatus, Problem> {
        let (refreshed_at, ends_unused_at) = (self.0 - Duration::hours(3), Some(self.0 + Duration::days(12)));
        Ok(ConsentStatus::Given { refreshed_at, ends_unused_at, ends_at: None })
    }

    async fn start(&self, person: &str) -> Result<ConsentAttempt, Problem> {
        Ok(ConsentAttempt {
            address: "https://appcenter.example/consent".into(),
            started_by: person.into(),
            started_at: self.0,
            expires_at: self.0 + Duration::minutes(10),
        })
    }

    async fn progress(&self) -> ConsentProgress {
        ConsentProgress::Idle
    }

    async fn receive(&self, query: &str) -> bool {
        query == "state=known"
    }
}

/// Two secrets.
#[derive(Debug)]
pub(crate) struct InventedShelf {
    at: OffsetDateTime,
    pub(crate) set: Mutex<BTreeMap<String, SecretString>>,
}

#[async_trait]
impl SecretShelf for InventedShelf {
    async fn list(&self) -> Result<Vec<SecretInfo>, Problem> {
        let info =
            |name: SecretName| SecretInfo { name, changed_at: self.at, fingerprint: Some("a1b2c3d4".into()) };
        Ok(self.names().into_iter().take(1).map(info).collect())
    }

    fn names(&self) -> Vec<SecretName> {
        ["QBO_CLIENT_ID", "QBO_CLIENT_SECRET"].map(|name| name.parse().unwrap()).into()
    }

    async fn set(&self, name: &SecretName, value: SecretString) -> Result<(), Problem> {
        self.set.lock().unwrap().insert(name.to_string(), value);
        Ok(())
    }
}

/// A console with one company, and what a test does to it.
#[derive(Debug)]
pub(crate) struct Invented {
    pub(crate) door: Arc<Door>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) shelf: Arc<InventedShelf>,
}

/// A console whose store holds nothing.
pub(crate) async fn empty(clock: Arc<dyn Clock>) -> (Console, Invented) {
    let (now, store) = (clock.now_utc(), Arc::new(MemoryStore::new()));
    store.bind(&identity()).await.unwrap();
    let door = Arc::new(Door {
        store: Arc::clone(&store),
        away: Mutex::new(None),
        is_silent: AtomicBool::new(false),
    });
    let shelf = Arc::new(InventedShelf { at: now - Duration::days(262), set: Mutex::default() });
    let open: Arc<dyn OpenStore> = Arc::<Door>::clone(&door);
    let secrets: Arc<dyn SecretShelf> = Arc::<InventedShelf>::clone(&shelf);
    let company = Company {
        profile: "acme".into(),
        environment: "sandbox".into(),
        zone: "America/Guayaquil".into(),
        catalog: Catalog::bundled(),
        monthly_calls: Some(500_000),
        store: open,
        consents: Some(Arc::new(InventedConsents(now))),
        secrets: Some(secrets),
    };
    let console = Console {
        companies: vec![company],
        key: SecretString::from(KEY.to_owned()),
        look_only: false,
        documents: false,
        public_url: None,
        status: None,
        clock,
        version: "0.1.0",
    };
    (console, Invented { door, store, shelf })
}

/// A console whose store holds two years: one pipeline with failures, one that is confirmed, one that is being read.
pub(crate) async fn full(clock: Arc<dyn Clock>) -> (Console, Invented) {
    let now = clock.now_utc();
    let (console, invented) = empty(clock).await;
    let store = &invented.store;
    let ended = now - Duration::hours(9);
    let mut night = Work::begin(store, "20261129T050000Z-0a1b2c3d", &["invoices", "customers"], ended).await;
    night.read("invoices", date!(2024 - 01 - 01), date!(2025 - 12 - 29)).await;
    night.read("customers", date!(2024 - 01 - 01), date!(2025 - 12 - 29)).await;
    let failed = [date!(2025 - 03 - 14), date!(2025 - 03 - 15), date!(2025 - 08 - 02)];
    night.fail("invoices", &failed).await;
    night.end(RunStatus::Incomplete).await;
    let mut live =
        Work::begin(store, "20261130T140000Z-4e5f6a7b", &["items"], now - Duration::minutes(4)).await;
    live.leave_half("items", date!(2024 - 01 - 01), date!(2025 - 12 - 29)).await;
    triggers(store, now).await;
    (console, invented)
}

async fn triggers(store: &MemoryStore, now: OffsetDateTime) {
    let span = Window::new(datetime!(2026-02-01 0:00 UTC), datetime!(2026-03-01 0:00 UTC)).unwrap();
    let trigger = |name: &str, fire_at, link| NewTrigger {
        name: name.parse().unwrap(),
        plan: TriggerPlan {
            entity_names: vec!["invoices".into()],
            time_axis: "updated".into(),
            span,
            chunk: "day".into(),
            selection: WindowSelection::Open,
        },
        fire_at,
        if_missed: IfMissed::Run,
        link,
    };
    let link = |position| Some(ChainLink { chain: "year".into(), position });
    let soon = now + Duration::minutes(133);
    let chain = [trigger("year.2025-03-01", soon, link(1)), trigger("year.2025-04-01", soon, link(2))];
    store.add(&[trigger("febrero_2026", soon, None)], "op1").await.unwrap();
    store.add(&chain, "op2").await.unwrap();
    store.cancel(&"year.2025-03-01".parse().unwrap(), "op2").await.unwrap();
}

/// A run, as an engine would record it.
#[derive(Debug)]
struct Work<'a> {
    store: &'a MemoryStore,
    run: RunId,
    leases: BTreeMap<String, (Pipeline, Lease, u32)>,
    ended: OffsetDateTime,
    next_id: u64,
}

fn windows(from: Date, to: Date) -> Vec<Window> {
    let days = std::iter::successors(Some(from), |day| day.next_day()).take_while(|day| *day < to);
    days.map(|day| {
        let start = day.midnight().assume_utc();
        Window::new(start, start + Duration::DAY).unwrap()
    })
    .collect()
}

/// Records of a day: many on some days, none on weekends.
fn records(entity: &str, window: Window) -> u64 {
    let day = u64::try_from(window.start().date().to_julian_day()).unwrap();
    let weekday = window.start().weekday().number_days_from_monday();
    match entity {
        _ if weekday > 4 => 0,
        "invoices" => day * 7_919 % 13,
        _ => day * 104_729 % 3,
    }
}

impl<'a> Work<'a> {
    async fn begin(store: &'a MemoryStore, id: &str, names: &[&str], ended: OffsetDateTime) -> Self {
        let mut leases = BTreeMap::new();
        for name in names {
            let pipeline = Pipeline {
                entity_name: (*name).into(),
                table: format!("qb_{name}").parse().unwrap(),
                time_axis: "updated".into(),
            };
            store.prepare(&pipeline).await.unwrap();
            let lease = store.acquire(&pipeline, "worker@invented").await.unwrap();
            leases.insert((*name).to_owned(), (pipeline, lease, 0));
        }
        let run: RunId = id.parse().unwrap();
        let start = RunStart {
            id: run.clone(),
            identity: identity(),
            seed: 1,
            pipelines: leases.values().map(|(pipeline, ..)| pipeline.clone()).collect(),
            span: Window::new(datetime!(2024-01-01 0:00 UTC), datetime!(2025-12-29 0:00 UTC)).unwrap(),
            chunk: "day".into(),
            started_at: ended - Duration::minutes(7),
            fence: None,
        };
        store.begin_run(&start).await.unwrap();
        Self { store, run, leases, ended, next_id: 0 }
    }

    async fn open(&self, name: &str, windows: &[Window]) {
        let (pipeline, lease, _) = &self.leases[name];
        let owner = Owner { run: &self.run, pipeline, lease, fence: None };
        self.store.open_windows(owner, windows, Reopen::All).await.unwrap();
    }

    /// Reads days to their end, a month a page, and has all but some confirmed by a count.
    async fn read(&mut self, name: &str, from: Date, to: Date) {
        let all = windows(from, to);
        self.open(name, &all).await;
        for month in all.chunks(30) {
            let last = month.last() == all.last();
            self.commit(name, month, if last { WindowState::Provisional } else { WindowState::Completed })
                .await;
        }
        let (pipeline, lease, _) = &self.leases[name];
        let owner = Owner { run: &self.run, pipeline, lease, fence: None };
        let unconfirmed = name == "invoices";
        let is_counted = |window: &&Window| {
            !(unconfirmed && (date!(2025 - 06 - 09)..date!(2025 - 06 - 21)).contains(&window.start().date()))
        };
        let counted: Vec<_> = all.iter().filter(is_counted).copied().collect();
        let update = WindowUpdate::Counted(Confirmation::from(self.ended));
        self.store.update_windows(owner, &counted, update).await.unwrap();
    }

    /// Reads the first half of some days.
    async fn leave_half(&mut self, name: &str, from: Date, to: Date) {
        let all = windows(from, to);
        self.open(name, &all).await;
        let half = &all[..all.len() * 63 / 100];
        for month in half.chunks(30) {
            self.commit(name, month, WindowState::Completed).await;
        }
    }

    async fn commit(&mut self, name: &str, windows: &[Window], state: WindowState) {
        let mut rows = Vec::new();
        for (place, window) in windows.iter().enumerate() {
            for _ in 0..records(name, *window) {
                self.next_id += 1;
                let payload = format!("{{\"Id\":\"{}\",\"Note\":\"{PAYLOAD_MARK}\"}}", self.next_id);
                rows.push(Row {
                    id: self.next_id.to_string().into(),
                    payload: Bytes::from(payload),
                    window: place,
                    updated_at: Some(window.start() + Duration::hours(12)),
                    updated_on: None,
                    sync_token: Some(0),
                });
            }
        }
        let (pipeline, lease, pages) = self.leases.get_mut(name).unwrap();
        *pages += 1;
        let change = |window: &Window| WindowChange {
            window: *window,
            state,
            cursor: None::<ScanCursor>,
            duration: Span::from_millis(40),
            after: None,
        };
        let page = PageCommit {
            pipeline: pipeline.clone(),
            run: self.run.clone(),
            lease: lease.clone(),
            page_number: *pages,
            page_size: 1000,
            request: "{}".into(),
            started_at: self.ended - Duration::minutes(1),
            ingested_at: self.ended,
            answered_at: self.ended,
            latest_at: self.ended,
            all_fields: true,
            by_content: false,
            rows,
            rejected: Vec::new(),
            windows: windows.iter().map(change).collect(),
        };
        self.store.commit_page(&page).await.unwrap();
    }

    async fn fail(&self, name: &str, days: &[Date]) {
        let (pipeline, lease, _) = &self.leases[name];
        let owner = Owner { run: &self.run, pipeline, lease, fence: None };
        let windows: Vec<_> = days.iter().flat_map(|day| windows(*day, day.next_day().unwrap())).collect();
        self.store.update_windows(owner, &windows, WindowUpdate::Reopen).await.unwrap();
        let failure = WindowFailure {
            message: format!("QuickBooks counts 12 records, 11 were read twice {HOSTILE}").into(),
            error_code: Some("count.differs".into()),
            at: self.ended,
        };
        self.store.update_windows(owner, &windows, WindowUpdate::Failed(&failure)).await.unwrap();
    }

    async fn end(self, status: RunStatus) {
        let end = RunEnd {
            status,
            closed: 0,
            message: None,
            error_code: None,
            finished_at: self.ended,
            calls: 19,
            retries: 1,
            waited_seconds: 2.5,
            fence: None,
        };
        self.store.finish_run(&self.run, &end).await.unwrap();
        for (_, lease, _) in self.leases.values() {
            self.store.release(lease).await.unwrap();
        }
    }
}
