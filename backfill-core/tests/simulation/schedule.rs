//! One schedule: a world, some processes that are killed and started again while faults last, the quiet after them, and what
//! must be true then.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backfill_core::{
    Axis, CancellationToken, ChunkSize, Engine, EventSink, Failure, Proof, RunError, RunEvent, RunFactory,
    RunOutcome, RunRequest, SharedBudget, Until, Verification, VerifyMethod, VerifyRequest, Worker,
    WorkerPresence,
};
use qbo_auth::{
    AuthError, Clock, Endpoints, Environment, RefreshingProvider, SealedVault, TokenProvider as _,
};
use qbo_client::{ErrorKind, HttpQboClient, PageSize, RatePolicy};
use raw_store::{
    CallLedger, IfMissed, MemoryStore, NewTrigger, Reopen, RunId, Store, StoreIdentity, Tables as _,
    TriggerPlan, TriggerQueue, Window,
};

use crate::disk::{self, Place};
use crate::ledger;
use crate::process::{HostClock, Process};
use crate::profile::{Profile, Scenario};
use crate::reports;
use crate::source::{ENTITY, REALM, Way, span};
use crate::store::Connection;
use crate::tokens::{self, Endpoint};
use crate::world::{Broken, World};

/// In the quiet after the faults everything ends within this time.
const ENDS_WITHIN: Duration = Duration::from_secs(8 * 3600);

/// How one schedule ended.
pub(crate) struct Ended {
    pub(crate) broken: Option<Broken>,
    /// The same for the same seed.
    pub(crate) digest: u64,
    pub(crate) timeline: String,
    pub(crate) met: std::collections::BTreeSet<(&'static str, &'static str)>,
}

/// Runs one schedule in this thread.
pub(crate) fn run(profile: Profile, with_timeline: bool) -> Ended {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(play(profile, with_timeline))
}

async fn play(profile: Profile, with_timeline: bool) -> Ended {
    let world = World::new(profile, with_timeline);
    let store = Arc::new(MemoryStore::new());
    store.stand_at(world.database_time());
    store.bind(&identity(REALM)).await.unwrap();
    tokens::first_consent(&world).await;
    store.drop_one_of(world.profile.drops_one_of);
    let played = async {
        match world.profile.scenario {
            Scenario::Runs => backfills(&world, &store).await,
            Scenario::Triggers => triggers(&world, &store).await,
        }
        store.stand_at(world.database_time());
        ledger::at_the_end(&world, &store).await;
    };
    let limit = Duration::from_secs(world.profile.storm.into()) + ENDS_WITHIN;
    tokio::select! {
        biased;
        () = failed(&world) => {}
        ended = tokio::time::timeout(limit, played) => {
            if ended.is_err() {
                world.breaks("I9", "the schedule does not end".into());
            }
        }
    }
    let met = std::mem::take(&mut world.state().met);
    Ended { broken: world.broken(), digest: world.digest(), timeline: world.timeline(), met }
}

/// Returns once an invariant does not hold: the rest says no more.
async fn failed(world: &Arc<World>) {
    while world.broken().is_none() {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// Faults come to their end.
async fn storm(world: &Arc<World>, store: &MemoryStore) {
    tokio::time::sleep(Duration::from_secs(world.profile.storm.into())).await;
    // Somebody took the trigger of the table away.
    store.drop_one_of(0);
    world.state().quiet = true;
    world.note(0, "quiet", "");
}

async fn backfills(world: &Arc<World>, store: &Arc<MemoryStore>) {
    let storm = tokio::spawn({
        let (world, store) = (Arc::clone(world), Arc::clone(store));
        async move { storm(&world, &store).await }
    });
    let slots: Vec<_> = (0..world.profile.processes)
        .map(|n| {
            let (world, store) = (Arc::clone(world), Arc::clone(store));
            tokio::spawn(async move {
                let wait = Duration::from_millis(world.random(0..20_000));
                tokio::time::sleep(wait).await;
                for _ in 0..world.profile.rounds {
                    until_done(&world, &store, n as u64, Reopen::Unfinished).await;
                }
            })
        })
        .collect();
    if world.profile.stranger {
        stranger(world, store).await;
    }
    for slot in slots {
        slot.await.unwrap();
    }
    storm.await.unwrap();
    // What was provisional may be settled by now; and nothing that was failed may stay so.
    until_done(world, store, 90, Reopen::Unfinished).await;
    let table = ledger::table();
    let rows = || {
        let mut rows = store.rows(&table);
        // Where its page begins may decide whether the time that it says can be believed.
        rows.retain(|id, _| !world.state().source.is_odd(id));
        rows
    };
    let before = rows();
    if world.profile.by_hand {
        ledger::change_by_hand(world, store);
    }
    until_done(world, store, 91, Reopen::All).await;
    if !world.profile.replicas && !world.profile.by_hand && rows() != before {
        world.breaks("I5", "reading again changed rows though nothing has changed".into());
    }
    if world.profile.is_verified() {
        verified(world, store).await;
        if world.profile.reconciles && reports::reconciled(world, store).await {
            until_done(world, store, 93, Reopen::All).await;
        }
    }
}

/// Verifies what was read, by count, and marks what is gone; then a record comes back.
async fn verified(world: &Arc<World>, store: &Arc<MemoryStore>) {
    verify_until_done(world, store).await;
    ledger::marks_are_true(world, store).await;
    let again = verify_until_done(world, store).await;
    ledger::nothing_was_read(world, store, &again);
    if ledger::one_comes_back(world, store) {
        until_done(world, store, 92, Reopen::All).await;
        ledger::marks_are_true(world, store).await;
    }
}

async fn verify_until_done(world: &Arc<World>, store: &Arc<MemoryStore>) -> Verification {
    loop {
        let process = Process::new(world, store);
        let result = verify(&process).await;
        process.exits();
        match result {
            Ok(verification) if verification.failure.is_none() => return verification,
            Ok(Verification { failure: Some(error), .. }) | Err(error) => {
                world.note(process.id, "ends with", &error.to_string());
            }
            Ok(_) => {}
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

async fn verify(process: &Arc<Process>) -> Result<Verification, RunError> {
    let house = house(process, REALM).await?;
    let request = request(process, Reopen::Unfinished, REALM);
    let request = VerifyRequest::new(request).with_method(VerifyMethod::Count).with_marks(true);
    let result = house.engine().verify(request, CancellationToken::new()).await;
    house.provider.shutdown().await;
    result
}

/// A company's command, run over and over until it succeeds.
async fn until_done(world: &Arc<World>, store: &Arc<MemoryStore>, slot: u64, reopen: Reopen) {
    loop {
        let process = Process::new(world, store);
        let result = tokio::select! {
            biased;
            result = backfill(&process, reopen, REALM) => Some(result),
            () = process.died() => None,
        };
        if result.is_some() {
            process.exits();
        }
        match result {
            Some(Ok(outcome)) if outcome.failure.is_none() => {
                ledger::has_settled(world, &outcome);
                let failed = outcome.totals().windows_failed;
                if failed == 0 {
                    return;
                }
            }
            Some(Ok(RunOutcome { failure: Some(error), .. }) | Err(error)) => {
                world.note(process.id, "ends with", &error.to_string());
                if needs_consent(&error) {
                    tokens::consent_again(world).await;
                }
            }
            _ => {}
        }
        let wait = Duration::from_millis(world.random(100..30_000) + slot);
        tokio::time::sleep(wait).await;
    }
}

fn needs_consent(error: &RunError) -> bool {
    let Failure::Read(error) = &error.failure else { return false };
    matches!(&error.kind, ErrorKind::NeedsConsent | ErrorKind::Auth(AuthError::NeedsConsent(_)))
}

/// Somebody whose command names another company.
async fn stranger(world: &Arc<World>, store: &Arc<MemoryStore>) {
    let process = Process::new(world, store);
    let result = tokio::select! {
        biased;
        result = backfill(&process, Reopen::Unfinished, "9130000000000002") => Some(result),
        () = process.died() => None,
    };
    if result.is_some() {
        process.exits();
    }
}

/// The parts of one process, joined as the command joins them.
pub(crate) struct House {
    pub(crate) provider: Arc<RefreshingProvider>,
    connection: Arc<Connection>,
    clock: Arc<dyn Clock>,
    process: Arc<Process>,
    realm: &'static str,
}

impl std::fmt::Debug for House {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("House")
    }
}

#[derive(Debug)]
struct Silent;

impl EventSink for Silent {
    fn emit(&self, _: &RunEvent) {}
}

impl House {
    async fn new(process: &Arc<Process>, realm: &'static str) -> Result<Self, String> {
        let world = &process.world;
        let clock: Arc<dyn Clock> =
            Arc::new(HostClock { world: Arc::clone(world), process: Some(Arc::clone(process)) });
        let place = Place { world: Arc::clone(world), process: Some(Arc::clone(process)) };
        let vault =
            SealedVault::open_in(Arc::new(place), disk::key()).await.map_err(|error| error.to_string())?;
        let vault = Arc::new(vault.with_clock(Arc::clone(&clock)));
        let jitter = Duration::from_secs(world.random(0..60));
        let endpoint = Arc::new(Endpoint(Arc::clone(process)));
        let provider = RefreshingProvider::with_jitter(vault, endpoint, Arc::clone(&clock), jitter);
        Ok(Self {
            provider: Arc::new(provider),
            connection: Arc::new(Connection::new(Arc::clone(process))),
            clock,
            process: Arc::clone(process),
            realm,
        })
    }

    pub(crate) fn engine(&self) -> Engine {
        let profile = &self.process.world.profile;
        let ledger: Arc<dyn CallLedger> = self.connection.clone();
        let (per_minute, per_second) = (profile.per_minute, profile.per_second);
        let policy = RatePolicy { per_minute, per_second, ..RatePolicy::QBO };
        let budget = SharedBudget::new(Arc::downgrade(&ledger), &policy, None, self.clock.clone());
        let way = Way { process: Arc::clone(&self.process), realm: self.realm };
        let client = HttpQboClient::builder(
            self.realm.parse().unwrap(),
            Endpoints::of(Environment::Sandbox),
            self.provider.clone(),
            self.clock.clone(),
        );
        let client = client.transport(Arc::new(way)).budget(Arc::new(budget)).seed(self.process.id);
        let store: Arc<dyn Store> = self.connection.clone();
        Engine::new(Arc::new(client.build().unwrap()), store, self.clock.clone(), Arc::new(Silent))
    }

    /// As an embedding service does it: it asks for a token, and may give up waiting.
    async fn impatient_caller(&self) {
        let world = &self.process.world;
        loop {
            let pause = Duration::from_millis(world.random(500..20_000));
            tokio::time::sleep(pause).await;
            self.process.alive().await;
            let patience = Duration::from_millis(world.random(1..4000));
            tokio::select! {
                biased;
                token = self.provider.access_token() => {
                    if let Ok(token) = token {
                        tokens::used(world, &token);
                    }
                }
                () = tokio::time::sleep(patience) => {}
            }
        }
    }
}

pub(crate) fn identity(realm: &str) -> StoreIdentity {
    StoreIdentity { realm_id: realm.into(), environment: "sandbox".into() }
}

pub(crate) fn next_run(world: &World, kind: &str) -> RunId {
    let mut state = world.state();
    state.runs += 1;
    format!("{kind}-{}", state.runs).parse().unwrap()
}

async fn backfill(
    process: &Arc<Process>,
    reopen: Reopen,
    realm: &'static str,
) -> Result<RunOutcome, RunError> {
    let house = house(process, realm).await?;
    let request = request(process, reopen, realm);
    let engine = house.engine();
    let result = tokio::select! {
        biased;
        result = engine.run(request, CancellationToken::new()) => result,
        () = house.impatient_caller() => unreachable!("it never ends"),
    };
    house.provider.shutdown().await;
    result
}

pub(crate) async fn house(process: &Arc<Process>, realm: &'static str) -> Result<House, RunError> {
    House::new(process, realm).await.map_err(|error| RunError {
        pipeline: None,
        window: None,
        failure: Failure::Broken(error.into()),
    })
}

fn request(process: &Arc<Process>, reopen: Reopen, realm: &str) -> RunRequest {
    let world = &process.world;
    let profile = &world.profile;
    let (start, end) = span(profile);
    RunRequest {
        id: next_run(world, "run"),
        seed: process.id,
        identity: identity(realm),
        fence: None,
        holder: "a simulated process".into(),
        wait: Duration::from_secs([0, 30, 300][usize::try_from(process.id % 3).unwrap()]),
        entities: ledger::catalog().select([ENTITY]).unwrap(),
        span: Window::new(start, end).unwrap(),
        chunk: ChunkSize::Day,
        chosen: None,
        axis: Axis::Updated,
        page_size: PageSize::new(profile.page_size).unwrap(),
        concurrency: NonZeroUsize::new(profile.places).unwrap(),
        reopen,
        by_content: profile.by_hand && reopen == Reopen::All,
        proof: Proof::Count,
        settle: profile.settle(),
    }
}

#[derive(Debug)]
struct Maker(Arc<House>);

#[async_trait]
impl RunFactory for Maker {
    fn name(&self) -> (RunId, u64) {
        (next_run(&self.0.process.world, "triggered"), self.0.process.id)
    }

    fn engine(&self) -> Result<Engine, Box<str>> {
        Ok(self.0.engine())
    }
}

async fn triggers(world: &Arc<World>, store: &Arc<MemoryStore>) {
    let (start, end) = span(&world.profile);
    let days = world.profile.days.min(4);
    // In whole seconds; the last part may be longer.
    let part = time::Duration::seconds((end - start).whole_seconds() / i64::from(days));
    let border = |n: u32| if n == days { end } else { start + part * n };
    let triggers: Vec<_> = (0..days)
        .map(|n| {
            let from = border(n);
            let to = border(n + 1);
            let fire_at = world.database_time() + Duration::from_secs(world.random(0..90));
            NewTrigger {
                name: format!("trigger-{n}").parse().unwrap(),
                plan: TriggerPlan {
                    entity_names: vec![ENTITY.into()],
                    time_axis: "updated".into(),
                    span: Window::new(from, to).unwrap(),
                    chunk: "day".into(),
                    selection: raw_store::WindowSelection::Open,
                },
                fire_at,
                if_missed: IfMissed::Run,
                link: None,
            }
        })
        .collect();
    store.add(&triggers, "op1").await.unwrap();
    let storm = tokio::spawn({
        let (world, store) = (Arc::clone(world), Arc::clone(store));
        async move { storm(&world, &store).await }
    });
    let stop = CancellationToken::new();
    let workers: Vec<_> = (0..world.profile.processes)
        .map(|_| {
            let (world, store, stop) = (Arc::clone(world), Arc::clone(store), stop.clone());
            tokio::spawn(async move { work(&world, &store, &stop).await })
        })
        .collect();
    storm.await.unwrap();
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        store.stand_at(world.database_time());
        let (all, _) = store.triggers().await.unwrap();
        // A trigger that failed for a reason that is over is armed again, as a person would.
        for trigger in all.iter().filter(|one| one.state == raw_store::TriggerState::Failed) {
            tokens::consent_again(world).await;
            store.rearm(&trigger.asked.name, world.database_time(), None, "op1").await.unwrap();
        }
        if all.iter().all(|one| one.state.is_spent() && one.state != raw_store::TriggerState::Failed) {
            break;
        }
    }
    stop.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
}

/// A worker that is started again whenever it ends.
async fn work(world: &Arc<World>, store: &Arc<MemoryStore>, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let process = Process::new(world, store);
        let result = tokio::select! {
            biased;
            result = worker(&process, stop) => Some(result),
            () = process.died() => None,
        };
        if let Some(result) = result {
            process.exits();
            if let Err(error) = result {
                world.note(process.id, "ends with", &error);
            }
        }
        let wait = Duration::from_millis(world.random(100..20_000));
        tokio::time::sleep(wait).await;
    }
}

async fn worker(process: &Arc<Process>, stop: &CancellationToken) -> Result<(), String> {
    let house = Arc::new(House::new(process, REALM).await?);
    let store: Arc<dyn Store> = house.connection.clone();
    let queue: Arc<dyn TriggerQueue> = house.connection.clone();
    let worker = Worker {
        store,
        queue,
        clock: house.clock.clone(),
        catalog: ledger::catalog().clone(),
        identity: identity(REALM),
        holder: "a simulated worker".into(),
        settle: process.world.profile.settle(),
        sink: Arc::new(Silent),
        runs: Arc::new(Maker(Arc::clone(&house))),
        presence: WorkerPresence {
            log: house.connection.clone(),
            version: "simulated".into(),
            profile: None,
        },
    };
    let ended = Arc::new(worker).work(Until::Stopped, stop.child_token()).await;
    house.provider.shutdown().await;
    ended.map(drop).map_err(|error| error.to_string())
}
