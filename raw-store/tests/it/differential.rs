//! The store in memory is what the simulation runs over, so it must be what PostgreSQL is: the same random scripts go to both,
//! step by step, with the same answers, the same log and the same rows.
//!
//! A failure prints its seed: `SCRIPT_SEED=n cargo test -p raw-store --test it differential`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use raw_store::{
    Bytes, Lease, LogFilter, MemoryStore, Owner, PageCommit, PgStore, Pipeline, Reopen, Row, RunEnd, RunId,
    RunStart, RunStatus, ScanCursor, Store, StoreError, StoreIdentity, Tables as _, Window, WindowChange,
    WindowFailure, WindowState, WindowUpdate,
};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::support::NOW;

/// Scripts, and steps of each.
const SCRIPTS: u64 = 120;
const STEPS: u32 = 40;

const START: OffsetDateTime = datetime!(2024-01-01 0:00 UTC);

struct Chance(TestRng);

impl Chance {
    fn new(seed: u64) -> Self {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.0.next_u32() % bound
    }
}

/// A page, and what becomes of windows with it.
#[derive(Clone, Debug)]
struct Page {
    number: u32,
    rows: Vec<Drawn>,
    /// Each with the page that has to have changed it before.
    windows: Vec<(u32, WindowState, Option<u32>)>,
}

#[derive(Clone, Copy, Debug)]
struct Drawn {
    id: u32,
    /// A place among the windows of the page.
    window: u32,
    value: u32,
    token: i64,
}

/// One step, decided before anybody takes it.
#[derive(Clone, Debug)]
enum Step {
    Begin { run: u32 },
    Acquire,
    Release,
    Open { run: u32, windows: Vec<u32>, reopen: Reopen },
    Again { run: u32, windows: Vec<u32> },
    Counted { run: u32, windows: Vec<u32> },
    Close { run: u32, windows: Vec<u32> },
    Fail { run: u32, windows: Vec<u32>, unavailable: bool },
    Land { run: u32, page: Page },
    Finish { run: u32 },
    LastPage { run: u32 },
}

impl Step {
    /// The run that has to have begun for it: the engine begins one before anything else.
    fn needs(&self) -> Option<u32> {
        match self {
            Self::Begin { .. } | Self::Acquire | Self::Release => None,
            Self::Open { run, .. }
            | Self::Again { run, .. }
            | Self::Counted { run, .. }
            | Self::Close { run, .. }
            | Self::Fail { run, .. }
            | Self::Land { run, .. }
            | Self::Finish { run }
            | Self::LastPage { run } => Some(*run),
        }
    }
}

fn some(chance: &mut Chance) -> Vec<u32> {
    (0..5).filter(|_| chance.below(2) == 0).collect()
}

/// Most pages do not say what they go on top of; a few say so wrongly.
fn after(chance: &mut Chance) -> Option<u32> {
    (chance.below(3) == 0).then(|| chance.below(2) * chance.below(6))
}

fn draw(chance: &mut Chance) -> Step {
    let run = chance.below(3);
    match chance.below(17) {
        0 => Step::Begin { run },
        1 | 2 => Step::Acquire,
        3 => Step::Release,
        4..=6 => {
            let reopen = if chance.below(4) == 0 { Reopen::All } else { Reopen::Unfinished };
            Step::Open { run, windows: some(chance), reopen }
        }
        7 => Step::Again { run, windows: some(chance) },
        8 => Step::Counted { run, windows: some(chance) },
        9 => Step::Fail { run, windows: some(chance), unavailable: chance.below(3) == 0 },
        10 => Step::Finish { run },
        11 => Step::LastPage { run },
        12 => Step::Close { run, windows: some(chance) },
        _ => {
            let states = [WindowState::Running, WindowState::Completed, WindowState::Provisional];
            let mut windows: Vec<_> = some(chance);
            if windows.is_empty() {
                windows.push(chance.below(5));
            }
            let windows: Vec<_> =
                windows.into_iter().map(|n| (n, states[chance.below(3) as usize], after(chance))).collect();
            let ids: Vec<_> = (0..6).filter(|_| chance.below(2) == 0).collect();
            let mut rows = Vec::new();
            for id in ids {
                let window = chance.below(u32::try_from(windows.len()).unwrap());
                rows.push(Drawn { id, window, value: chance.below(4), token: (8 + chance.below(4)).into() });
            }
            Step::Land { run, page: Page { number: chance.below(6), rows, windows } }
        }
    }
}

/// One of two processes over one of the two stores.
struct Player<'a> {
    store: &'a dyn Store,
    pipeline: Pipeline,
    script: u64,
    lease: Option<Lease>,
}

impl Player<'_> {
    fn window(n: u32) -> Window {
        let start = START + time::Duration::days(n.into());
        Window::new(start, start + time::Duration::DAY).unwrap()
    }

    fn run(&self, n: u32) -> RunId {
        format!("script-{}-{n}", self.script).parse().unwrap()
    }

    fn owner<'a>(&'a self, run: &'a RunId, lease: &'a Lease) -> Owner<'a> {
        Owner { run, pipeline: &self.pipeline, lease, fence: None }
    }

    /// What came of a step, in words that both stores must share.
    async fn take(&mut self, step: &Step, at: OffsetDateTime) -> String {
        // Whoever has never had the pipeline tries with a lease that nobody gave.
        let lease = self.lease.clone();
        let name = self.pipeline.entity_name.clone();
        let Some(lease) = lease else {
            return match step {
                Step::Begin { run } => said(self.begin(*run).await),
                Step::Acquire => self.acquire(&name).await,
                _ => "no lease".into(),
            };
        };
        let windows = |numbers: &[u32]| numbers.iter().map(|n| Self::window(*n)).collect::<Vec<_>>();
        match step {
            Step::Begin { run } => said(self.begin(*run).await),
            Step::Acquire => self.acquire(&name).await,
            Step::Release => said(self.store.release(&lease).await),
            Step::Open { run, windows: open, reopen } => {
                let run = self.run(*run);
                let owner = self.owner(&run, &lease);
                said(self.store.open_windows(owner, &windows(open), *reopen).await)
            }
            Step::Again { run, windows } => self.update(&lease, *run, windows, WindowUpdate::Reopen).await,
            Step::Counted { run, windows } => {
                self.update(&lease, *run, windows, WindowUpdate::Counted(at.into())).await
            }
            Step::Close { run, windows } => {
                self.update(&lease, *run, windows, WindowUpdate::Confirmed(at.into())).await
            }
            Step::Fail { run, windows, unavailable } => {
                let failure = WindowFailure { message: "for a reason".into(), error_code: None, at };
                let update = if *unavailable { WindowUpdate::Unavailable } else { WindowUpdate::Failed };
                self.update(&lease, *run, windows, update(&failure)).await
            }
            Step::Land { run, page } => {
                said(self.store.commit_page(&self.commit(&lease, *run, page, at)).await)
            }
            Step::Finish { run } => {
                let end = RunEnd {
                    closed: 0,
                    status: RunStatus::Completed,
                    message: None,
                    error_code: None,
                    finished_at: at,
                    calls: 1,
                    retries: 2,
                    waited_seconds: 0.5,
                    fence: None,
                };
                said(self.store.finish_run(&self.run(*run), &end).await)
            }
            Step::LastPage { run } => said(self.store.last_page(&self.run(*run), &name).await),
        }
    }

    async fn update(&self, lease: &Lease, run: u32, windows: &[u32], update: WindowUpdate<'_>) -> String {
        let run = self.run(run);
        let windows: Vec<_> = windows.iter().map(|number| Self::window(*number)).collect();
        said(self.store.update_windows(self.owner(&run, lease), &windows, update).await)
    }

    async fn begin(&self, run: u32) -> Result<(), StoreError> {
        let start = RunStart {
            id: self.run(run),
            identity: company(),
            seed: 1,
            pipelines: vec![self.pipeline.clone()],
            span: Window::new(START, START + time::Duration::days(5)).unwrap(),
            chunk: "day".into(),
            started_at: NOW + time::Duration::seconds(run.into()),
            fence: None,
        };
        self.store.begin_run(&start).await
    }

    async fn acquire(&mut self, name: &str) -> String {
        match self.store.acquire(&self.pipeline, "a player").await {
            Ok(lease) => {
                let epoch = lease.epoch;
                self.lease = Some(lease);
                format!("{name} {epoch}")
            }
            Err(error) => error.code().into(),
        }
    }

    fn commit(&self, lease: &Lease, run: u32, page: &Page, at: OffsetDateTime) -> PageCommit {
        PageCommit {
            pipeline: self.pipeline.clone(),
            run: self.run(run),
            lease: lease.clone(),
            page_number: page.number,
            page_size: 6,
            request: "{}".into(),
            started_at: at,
            ingested_at: at,
            answered_at: at,
            latest_at: at,
            all_fields: true,
            by_content: false,
            rows: page
                .rows
                .iter()
                .map(|row| Row {
                    id: row.id.to_string().into(),
                    payload: Bytes::from(format!("{{\"v\": {}}}", row.value)),
                    window: row.window as usize,
                    // Of one second for all: the token and the answer decide.
                    updated_at: Some(START + time::Duration::hours((row.value % 2).into())),
                    updated_on: None,
                    sync_token: Some(row.token),
                })
                .collect(),
            rejected: Vec::new(),
            windows: page
                .windows
                .iter()
                .map(|(n, state, after)| WindowChange {
                    window: Self::window(*n),
                    state: *state,
                    cursor: (*state == WindowState::Running)
                        .then(|| ScanCursor { at: Self::window(*n).start(), seen: vec!["7".into()] }),
                    duration: Duration::from_millis(250),
                    after: *after,
                })
                .collect(),
        }
    }

    /// All that the log says of the script.
    async fn log(&self) -> String {
        let filter =
            LogFilter { entity_name: Some(self.pipeline.entity_name.clone()), ..LogFilter::default() };
        let mut lines = self.store.lines(&filter).await.unwrap();
        lines.sort_by_key(|line| line.window);
        let mut runs = Vec::new();
        for n in 0..3 {
            runs.push(self.store.run(&self.run(n)).await.unwrap());
        }
        format!("{lines:#?}\n{runs:#?}")
    }
}

fn said<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.code().into(),
    }
}

fn company() -> StoreIdentity {
    StoreIdentity { realm_id: "1000000000000001".into(), environment: "sandbox".into() }
}

type Rows = BTreeMap<String, (String, Option<i64>, OffsetDateTime, OffsetDateTime)>;

async fn rows_of(database: &tokio_postgres::Client, table: &str) -> Rows {
    let query = format!(
        "SELECT id, payload::text, source_sync_token, ingested_at_utc, extract_window_start_utc FROM raw.{table}"
    );
    let rows = database.query(&query, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3), row.get(4)))).collect()
}

async fn play(
    seed: u64,
    memory: &[MemoryStore; 2],
    postgres: &[PgStore; 2],
    database: &tokio_postgres::Client,
) {
    let mut chance = Chance::new(seed);
    let table = format!("qb_script_{seed}");
    let pipeline = Pipeline {
        entity_name: format!("script_{seed}").into(),
        table: table.parse().unwrap(),
        time_axis: "updated".into(),
    };
    memory[0].prepare(&pipeline).await.unwrap();
    postgres[0].prepare(&pipeline).await.unwrap();
    let player = |store| Player { store, pipeline: pipeline.clone(), script: seed, lease: None };
    let mut in_memory = [player(&memory[0] as &dyn Store), player(&memory[1])];
    let mut in_postgres = [player(&postgres[0] as &dyn Store), player(&postgres[1])];
    let mut begun = BTreeSet::new();
    for n in 0..STEPS {
        let (who, step) = (chance.below(2) as usize, draw(&mut chance));
        if let Step::Begin { run } = step {
            begun.insert(run);
        }
        if step.needs().is_some_and(|run| !begun.contains(&run)) {
            continue;
        }
        let at = NOW + time::Duration::minutes(n.into());
        let expected = in_memory[who].take(&step, at).await;
        let found = in_postgres[who].take(&step, at).await;
        assert_eq!(found, expected, "SCRIPT_SEED={seed}, step {n}: {step:?}");
        let (expected, found) = (in_memory[who].log().await, in_postgres[who].log().await);
        assert_eq!(found, expected, "SCRIPT_SEED={seed}, the log after step {n}: {step:?}");
    }
    let rows = memory[0].rows(&pipeline.table).into_iter().map(|(id, row)| {
        let payload = String::from_utf8(row.payload.to_vec()).unwrap();
        (id, (payload, row.sync_token, row.ingested_at, row.window.start()))
    });
    assert_eq!(rows_of(database, &table).await, rows.collect::<Rows>(), "SCRIPT_SEED={seed}");
}

#[tokio::test]
async fn both_stores_say_the_same_of_every_script() {
    let database = crate::support::database().await;
    let postgres = [crate::support::store(&database).await, crate::support::bare_store(&database).await];
    let connection = crate::support::connection(&database).await;
    let memory = MemoryStore::new();
    let memory = [memory.another_process(), memory.another_process()];
    memory[0].bind(&company()).await.unwrap();
    postgres[0].bind(&company()).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "a seed to repeat comes from the environment")]
    let only = std::env::var("SCRIPT_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    for seed in only.map_or(0..SCRIPTS, |seed| seed..seed + 1) {
        play(seed, &memory, &postgres, &connection).await;
    }
}
