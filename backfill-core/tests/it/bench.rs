//! An emulated company, a client to it, a store and an engine, joined for a test.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use backfill_core::{Axis, CancellationToken, Catalog, Engine, EventSink, RunEvent, RunOutcome, RunRequest};
use fixtures::{Company, Sandbox, SandboxOptions, Shape};
use qbo_auth::{
    ClientId, ClientSecret, Clock, Endpoints, Environment, ManualClock, MemoryVault, OauthEndpoint,
    RefreshingProvider, SecretName, SecretVault as _,
};
use qbo_client::{
    ClientEvent, Deletions, EntityName, Error, ErrorKind, HttpQboClient, Property, QboClient, Query,
    RatePolicy, RawPage, ReportRequest, Usage,
};
use raw_store::{
    BackfillLog as _, Leases as _, LogFilter, LogLine, MemoryStore, RunId, Store, StoreIdentity, TableName,
    Tables as _, Window,
};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) const SPAN_END: OffsetDateTime = datetime!(2025-01-01 0:00 UTC);

type Hook = Arc<dyn Fn(&RunEvent) + Send + Sync>;

/// Passes events to whoever asked for them.
#[derive(Default)]
pub(crate) struct Listener(Mutex<Option<Hook>>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl EventSink for Listener {
    fn emit(&self, event: &RunEvent) {
        // Not locked meanwhile: the hook may run another engine.
        let hook = self.0.lock().unwrap().clone();
        if let Some(hook) = hook {
            hook(event);
        }
    }
}

/// A client that can be told to cut one page short, to hide a record, and to fail for some.
#[derive(Debug)]
struct Lossy {
    inner: HttpQboClient,
    pages: AtomicU32,
    cut_after: AtomicU32,
    /// Pages that come as they are, and behind them pages that come without their records.
    emptied: Mutex<(u32, u32)>,
    hidden: Mutex<BTreeSet<String>>,
    poisonous: Mutex<BTreeSet<String>>,
    by_offset: Mutex<ByOffset>,
    /// Fails for every page, also an empty one.
    refuses: AtomicBool,
    /// Records that say another time than the source goes by, and in how many answers.
    odd: Mutex<BTreeMap<String, (String, u32)>>,
    /// Asks for another order than it is asked for.
    unsorted: AtomicBool,
    /// The page that answers every question.
    stuck: Mutex<Option<Query>>,
    /// Is called with each page's question before its answer is handed on.
    on_answer: OnAnswer,
    /// By how much the next counts are wrong.
    counts_off: Mutex<VecDeque<i64>>,
}

type AnswerHook = Arc<dyn Fn(&Query) + Send + Sync>;

/// A hook, on a thread of its own: what waits for the database there must not keep the engine from ending its transactions.
struct OnAnswer(Mutex<Option<AnswerHook>>);

impl fmt::Debug for OnAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnAnswer")
    }
}

impl OnAnswer {
    async fn call(&self, query: &Query) {
        let hook = self.0.lock().unwrap().clone();
        if let Some(hook) = hook {
            let query = query.clone();
            tokio::task::spawn_blocking(move || hook(&query)).await.unwrap();
        }
    }
}

/// Whether questions are asked by offset, as other connectors ask them.
#[derive(Debug, Default)]
enum ByOffset {
    #[default]
    Never,
    /// From the next scan on.
    Next,
    /// The first question of the scan, and how many records came so far.
    Within(Query, u32),
}

impl Lossy {
    /// The question that a reader by offset asks in place of one by key.
    fn by_offset(&self, query: &Query) -> Option<Query> {
        let mut state = self.by_offset.lock().unwrap();
        if matches!(*state, ByOffset::Next) {
            *state = ByOffset::Within(query.clone(), 0);
        }
        match &*state {
            ByOffset::Within(first, read) => Some(first.clone().page(1 + read, first.page_size())),
            _ => None,
        }
    }

    /// The page with the times that its records are to say.
    fn distorted(&self, page: RawPage, query: &Query) -> RawPage {
        let mut odd = self.odd.lock().unwrap();
        let is_odd = |id: &str| odd.get(id).is_some_and(|(_, answers)| *answers > 0);
        if !page.records().any(|record| record.id().is_ok_and(is_odd)) {
            return page;
        }
        let mut texts = Vec::new();
        for record in page.records() {
            let mut text = String::from_utf8(record.bytes().to_vec()).unwrap();
            if let Some((time, answers)) = record.id().ok().and_then(|id| odd.get_mut(id))
                && *answers > 0
            {
                *answers -= 1;
                text = said_to_be(&text, time);
            }
            texts.push(text);
        }
        joined(&texts, query)
    }

    fn went_on(&self, page: &RawPage, query: &Query) {
        let mut state = self.by_offset.lock().unwrap();
        if query.page_size().is_last_page(page.len()) {
            *state = ByOffset::Next;
        } else if let ByOffset::Within(_, read) = &mut *state {
            *read += u32::try_from(page.len()).unwrap();
        }
    }

    fn is_emptied(&self) -> bool {
        let mut emptied = self.emptied.lock().unwrap();
        let (whole, empty) = *emptied;
        *emptied = if whole > 0 { (whole - 1, empty) } else { (0, empty.saturating_sub(1)) };
        whole == 0 && empty > 0
    }

    /// The page without its records from a place on, and without the hidden one.
    fn cut(&self, page: &RawPage, query: &Query, length: usize) -> RawPage {
        let hidden = self.hidden.lock().unwrap().clone();
        let kept = page.records().take(length);
        let kept = kept.filter(|record| !record.id().is_ok_and(|id| hidden.contains(id)));
        let kept: Vec<_> = kept.map(|record| String::from_utf8(record.bytes().to_vec()).unwrap()).collect();
        joined(&kept, query)
    }
}

/// The record with another time of its last update.
pub(crate) fn said_to_be(record: &str, time: &str) -> String {
    let (before, rest) = record.split_once(r#""LastUpdatedTime":""#).unwrap();
    let (_, after) = rest.split_once('"').unwrap();
    format!(r#"{before}"LastUpdatedTime":"{time}"{after}"#)
}

fn joined(records: &[String], query: &Query) -> RawPage {
    let (key, records) = (query.entity(), records.join(","));
    let body = format!(r#"{{"QueryResponse":{{"{key}":[{records}]}},"time":"2025-06-01T00:00:00Z"}}"#);
    RawPage::answering(body.into(), query).unwrap()
}

#[async_trait]
impl QboClient for Lossy {
    async fn fetch_page(&self, query: &Query) -> Result<RawPage, Error> {
        let other =
            self.stuck.lock().unwrap().as_mut().map(|first| {
                if first.page_size() == query.page_size() { first.clone() } else { query.clone() }
            });
        let unsorted = self.unsorted.load(Ordering::SeqCst).then(|| query.clone().order_by(Property::ID));
        let query = &other.or(unsorted).unwrap_or_else(|| query.clone());
        let page = match self.by_offset(query) {
            None => self.inner.fetch_page(query).await?,
            Some(further) => {
                let page = self.inner.fetch_page(&further).await?;
                self.went_on(&page, &further);
                page
            }
        };
        self.on_answer.call(query).await;
        let poisonous = self.poisonous.lock().unwrap().clone();
        let refuses = self.refuses.load(Ordering::SeqCst);
        if refuses || page.records().any(|record| record.id().is_ok_and(|id| poisonous.contains(id))) {
            let kind = ErrorKind::PoisonedPage { code: "4002".into() };
            return Err(Error { entity: query.entity().clone(), intuit_tid: None, attempts: 1, kind });
        }
        if self.is_emptied() {
            return Ok(self.cut(&page, query, 0));
        }
        let page = self.distorted(page, query);
        let cut = self.pages.fetch_add(1, Ordering::SeqCst) == self.cut_after.load(Ordering::SeqCst);
        if cut || !self.hidden.lock().unwrap().is_empty() {
            return Ok(self.cut(&page, query, page.len() - usize::from(cut)));
        }
        Ok(page)
    }

    async fn count(&self, query: &Query) -> Result<u64, Error> {
        let off = self.counts_off.lock().unwrap().pop_front().unwrap_or(0);
        Ok(self.inner.count(query).await?.saturating_add_signed(off))
    }

    async fn deleted_since(&self, entity: &EntityName, since: OffsetDateTime) -> Result<Deletions, Error> {
        self.inner.deleted_since(entity, since).await
    }

    async fn fetch_report(&self, request: &ReportRequest) -> Result<qbo_client::Report, Error> {
        self.inner.fetch_report(request).await
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn subscribe(&self) -> UnboundedReceiver<ClientEvent> {
        self.inner.subscribe()
    }
}

pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    pub(crate) store: Arc<MemoryStore>,
    client: Arc<Lossy>,
    clock: Arc<ManualClock>,
    listener: Arc<Listener>,
}

pub(crate) fn window(start: OffsetDateTime, end: OffsetDateTime) -> Window {
    Window::new(start, end).unwrap()
}

pub(crate) fn run_id() -> RunId {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("run-{}", NEXT.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
}

impl Bench {
    pub(crate) async fn start(shape: Shape) -> Self {
        Self::with_options(shape, SandboxOptions::default()).await
    }

    pub(crate) async fn with_options(shape: Shape, options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(Company::generate(7, &shape), options).await.unwrap();
        let clock = Arc::new(ManualClock::auto(datetime!(2026-11-22 10:00 UTC)));
        let endpoints = Endpoints::of(Environment::Sandbox).with_api(&sandbox.url()).unwrap();
        let endpoints = endpoints.with_oauth(&sandbox.url()).unwrap();
        let credentials = sandbox.credentials();
        let vault = Arc::new(MemoryVault::new(clock.clone()));
        vault.set(SecretName::QboRefreshToken, credentials.refresh_token.into()).await.unwrap();
        let secret = ClientSecret::new(credentials.client_secret);
        let endpoint = OauthEndpoint::new(endpoints.clone(), ClientId::new(credentials.client_id), secret);
        let tokens = Arc::new(RefreshingProvider::new(vault, Arc::new(endpoint.unwrap()), clock.clone()));
        let realm = sandbox.realm_id().parse().unwrap();
        // The emulator measures its limits in real time, the client waits in its own: the limits that the test
        // clock would jump over are kept by the real time that requests take.
        let policy = RatePolicy::per_minute(500);
        let inner = HttpQboClient::builder(realm, endpoints, tokens, clock.clone());
        let inner = inner.rate_policy(Some(policy)).build().unwrap();
        let client = Arc::new(Lossy {
            inner,
            pages: AtomicU32::new(0),
            cut_after: AtomicU32::new(u32::MAX),
            emptied: Mutex::default(),
            hidden: Mutex::default(),
            poisonous: Mutex::default(),
            by_offset: Mutex::default(),
            refuses: AtomicBool::default(),
            odd: Mutex::default(),
            unsorted: AtomicBool::default(),
            stuck: Mutex::default(),
            on_answer: OnAnswer(Mutex::default()),
            counts_off: Mutex::default(),
        });
        Self { sandbox, store: Arc::default(), client, clock, listener: Arc::default() }
    }

    /// The time that has passed, by the clock that everything here goes by.
    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.clock.elapsed()
    }

    /// Lets time pass, by the clock that everything here goes by.
    pub(crate) fn pass(&self, time: std::time::Duration) {
        self.clock.advance(time);
    }

    pub(crate) fn on_event(&self, hook: impl Fn(&RunEvent) + Send + Sync + 'static) {
        *self.listener.0.lock().unwrap() = Some(Arc::new(hook));
    }

    /// Calls `hook` with each page's question, before the engine has its answer.
    pub(crate) fn on_answer(&self, hook: impl Fn(&Query) + Send + Sync + 'static) {
        *self.client.on_answer.0.lock().unwrap() = Some(Arc::new(hook));
    }

    pub(crate) fn drop_rows_after(&self, pages: u32) {
        self.client.cut_after.store(pages, Ordering::SeqCst);
    }

    /// The next pages come without records, and say nothing of it.
    pub(crate) fn empty_pages(&self, pages: u32) {
        self.empty_pages_after(0, pages);
    }

    /// Some pages behind others come without records.
    pub(crate) fn empty_pages_after(&self, whole: u32, empty: u32) {
        *self.client.emptied.lock().unwrap() = (whole, empty);
    }

    /// The next page lacks its last record, and says nothing of it.
    pub(crate) fn cut_next_page(&self) {
        self.drop_rows_after(self.client.pages.load(Ordering::SeqCst));
    }

    /// Every page lacks these records, and says nothing of it.
    pub(crate) fn hide(&self, ids: &[String]) {
        *self.client.hidden.lock().unwrap() = ids.iter().cloned().collect();
    }

    /// Reads by offset, as other connectors do.
    pub(crate) fn read_by_offset(&self) {
        *self.client.by_offset.lock().unwrap() = ByOffset::Next;
    }

    /// The next counts are wrong by these numbers.
    pub(crate) fn counts_are_off_by(&self, numbers: &[i64]) {
        *self.client.counts_off.lock().unwrap() = numbers.iter().copied().collect();
    }

    /// Every page fails as if for a record of it, while counts are answered.
    pub(crate) fn refuse_every_page(&self) {
        self.client.refuses.store(true, Ordering::SeqCst);
    }

    /// A record says another time than the source goes by, in so many answers.
    pub(crate) fn say(&self, id: &str, time: &str, answers: u32) {
        self.client.odd.lock().unwrap().insert(id.to_owned(), (time.to_owned(), answers));
    }

    /// The source pays no attention to the order that is asked for.
    pub(crate) fn sort_nothing(&self) {
        self.client.unsorted.store(true, Ordering::SeqCst);
    }

    /// Every question is answered with the same page.
    pub(crate) fn answer_all_with(&self, query: Query) {
        *self.client.stuck.lock().unwrap() = Some(query);
    }

    /// Every page with one of these records fails.
    pub(crate) fn poison(&self, ids: &[String]) {
        self.client.poisonous.lock().unwrap().extend(ids.iter().cloned());
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine_over(self.store.clone())
    }

    /// An engine over the store as another process sees it.
    pub(crate) fn engine_over(&self, store: Arc<dyn Store>) -> Engine {
        let clock: Arc<dyn Clock> = self.clock.clone();
        Engine::new(self.client.clone(), store, clock, self.listener.clone())
    }

    /// An engine whose waits do not end.
    pub(crate) fn engine_with_a_clock_that_stands(&self) -> Engine {
        let clock = Arc::new(ManualClock::new(datetime!(2026-11-22 10:00 UTC)));
        Engine::new(self.client.clone(), self.store.clone(), clock, self.listener.clone())
    }

    /// What `on_event` listens to.
    pub(crate) fn sink(&self) -> Arc<dyn EventSink> {
        self.listener.clone()
    }

    pub(crate) async fn run(&self, request: RunRequest) -> RunOutcome {
        self.run_until(request, CancellationToken::new()).await
    }

    pub(crate) async fn run_until(&self, request: RunRequest, stop: CancellationToken) -> RunOutcome {
        self.engine().run(request, stop).await.unwrap()
    }

    pub(crate) fn request(&self) -> RunRequest {
        self.request_for(&["Invoice", "Customer", "Item"])
    }

    pub(crate) fn request_for(&self, entities: &[&str]) -> RunRequest {
        let company =
            StoreIdentity { realm_id: self.sandbox.realm_id().into(), environment: "sandbox".into() };
        let entities = Catalog::bundled().select(entities.iter().copied()).unwrap();
        let year = window(datetime!(2024-01-01 0:00 UTC), SPAN_END);
        let request = RunRequest::new(run_id(), company, entities, year);
        request.with_seed(1).with_holder("this test").with_concurrency(NonZeroUsize::new(3).unwrap())
    }

    pub(crate) fn table(entity: &str) -> TableName {
        Catalog::bundled().find(entity).unwrap().table().clone()
    }

    pub(crate) fn count(&self, entity: &str) -> usize {
        self.sandbox.with_company(|company| company.count(entity))
    }

    /// Every record of the company is stored, byte for byte but for links that are new at every answer.
    pub(crate) fn assert_complete(&self, entity: &str) {
        let rows = self.store.rows(&Self::table(entity));
        self.sandbox.with_company(|company| {
            let ids: BTreeSet<String> = rows.keys().cloned().collect();
            assert_eq!(ids, company.ids(entity));
            for record in company.records(entity) {
                let payload =
                    if entity == "Item" { record.payload_with_sku() } else { record.lasting_payload() };
                assert_eq!(rows[&record.id].payload, payload, "{entity} {}", record.id);
            }
        });
    }

    pub(crate) async fn hold(&self, entity: &str, by: &MemoryStore) {
        let identity = self.request().identity;
        by.bind(&identity).await.unwrap();
        let pipeline = Catalog::bundled().find(entity).unwrap().pipeline(Axis::Updated);
        by.acquire(&pipeline, "somebody else").await.unwrap();
    }

    pub(crate) async fn lines(&self) -> Vec<LogLine> {
        self.store_lines(&LogFilter::default()).await
    }

    pub(crate) async fn store_lines(&self, filter: &LogFilter) -> Vec<LogLine> {
        self.store.lines(filter).await.unwrap()
    }
}
