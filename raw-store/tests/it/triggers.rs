//! Seeded schedules of two workers over one queue: add, fire, crash, freeze, restart, cancel, arm again, and a clock that is set
//! back. However it goes, an arming creates at most one run, never before its time.
//!
//! A failure prints its seed: `TRIGGER_SEED=n cargo test -p raw-store --test it triggers`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raw_store::{
    BackfillLog, IfMissed, Lease, Leases, MemoryStore, NewTrigger, OffsetDateTime, RunEnd, RunStart,
    RunStatus, StoreIdentity, Tables, TriggerEnd, TriggerName, TriggerPlan, TriggerQueue, TriggerState,
    Window,
};
use time::macros::datetime;

/// As many as the project promises to survive.
const SEEDS: u64 = 100_000;

const NOON: OffsetDateTime = datetime!(2026-02-02 12:00 UTC);

/// splitmix64: chance that a seed repeats.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

struct Worker {
    store: MemoryStore,
    /// What it believes to own; also after a freeze in which it lost it.
    leases: Vec<(TriggerName, Lease)>,
}

/// How a run ends that ends well.
fn end_of_run() -> RunEnd {
    RunEnd {
        status: RunStatus::Completed,
        closed: 0,
        message: None,
        error_code: None,
        finished_at: NOON,
        calls: 0,
        retries: 0,
        waited_seconds: 0.0,
        fence: None,
    }
}

/// Two workers, three triggers, and what has to be true of them.
struct World {
    chance: Chance,
    queue: MemoryStore,
    workers: [Worker; 2],
    now: OffsetDateTime,
    runs: u64,
    /// The earliest moment at which each arming may fire.
    armed_for: BTreeMap<(TriggerName, u32), OffsetDateTime>,
    fired: BTreeMap<(TriggerName, u32), String>,
    seed: u64,
}

impl World {
    async fn new(seed: u64) -> Self {
        let queue = MemoryStore::new();
        queue.stand_at(NOON);
        queue.bind(&company()).await.unwrap();
        let worker = || Worker { store: queue.another_process(), leases: Vec::new() };
        let workers = [worker(), worker()];
        let (chance, now) = (Chance(seed), NOON);
        Self {
            chance,
            queue,
            workers,
            now,
            runs: 0,
            armed_for: BTreeMap::new(),
            fired: BTreeMap::new(),
            seed,
        }
    }

    fn name(&mut self) -> TriggerName {
        format!("t{}", self.chance.below(3)).parse().unwrap()
    }

    async fn step(&mut self) {
        let worker = usize::try_from(self.chance.below(2)).unwrap();
        match self.chance.below(12) {
            0 | 1 => self.add().await,
            2 | 3 => {
                let seconds = self.chance.below(120);
                self.pass(i64::try_from(seconds).unwrap());
            }
            // Its clock is set back.
            4 => {
                let seconds = self.chance.below(90);
                self.pass(-i64::try_from(seconds).unwrap());
            }
            5..=7 => self.work(worker).await,
            8 => self.conclude(worker).await,
            9 => match self.chance.below(3) {
                // It dies, and another is started.
                0 => {
                    self.workers[worker] = Worker { store: self.queue.another_process(), leases: Vec::new() };
                }
                // It is frozen for longer than a lease lasts, and wakes up as if nothing had been.
                1 => self.workers[worker].store.let_leases_run_out(),
                _ => self.give_back(worker).await,
            },
            10 => {
                let name = self.name();
                let _ = self.queue.cancel(&name, "op1").await;
            }
            _ => self.rearm().await,
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.now += time::Duration::seconds(seconds);
        self.queue.stand_at(self.now);
    }

    async fn add(&mut self) {
        let name = self.name();
        let fire_at = self.soon();
        let if_missed = if self.chance.below(3) == 0 { IfMissed::Skip } else { IfMissed::Run };
        let plan = TriggerPlan {
            entity_names: vec!["invoices".into()],
            time_axis: "updated".into(),
            span: span(),
            chunk: "day".into(),
            selection: raw_store::WindowSelection::Open,
        };
        let new = NewTrigger { name: name.clone(), plan, fire_at, if_missed, link: None };
        if self.queue.add(&[new], "op1").await.is_ok() {
            assert!(self.armed_for.insert((name, 1), fire_at).is_none(), "seed {}", self.seed);
        }
    }

    async fn rearm(&mut self) {
        let (name, fire_at) = (self.name(), self.soon());
        if let Ok(armed) = self.queue.rearm(&name, fire_at, None, "op1").await {
            self.armed_for.insert((name, armed.armings), fire_at);
        }
    }

    fn soon(&mut self) -> OffsetDateTime {
        self.now + time::Duration::seconds(i64::try_from(self.chance.below(200)).unwrap() - 50)
    }

    async fn work(&mut self, worker: usize) {
        let due = self.workers[worker].store.poll(Duration::from_secs(60)).await.unwrap().due;
        // It may also believe in something that it saw a while ago.
        let seen = if self.chance.below(4) == 0 {
            Some(self.name())
        } else {
            due.into_iter().next().map(|one| one.asked.name)
        };
        let Some(name) = seen else { return };
        let worker = &mut self.workers[worker];
        let lease = match worker.leases.iter().find(|(owned, _)| *owned == name) {
            Some((_, lease)) if self.chance.below(2) == 0 => lease.clone(),
            _ => match worker.store.claim(&name, "a worker").await {
                Ok(lease) => lease,
                Err(_) => return,
            },
        };
        worker.leases.retain(|(owned, _)| *owned != name);
        worker.leases.push((name.clone(), lease.clone()));
        self.runs += 1;
        let run = run(self.runs);
        let Ok(Some(trigger)) = worker.store.fire(&lease, &name, &run).await else { return };
        let (arming, run) = ((name, trigger.armings), trigger.run.unwrap().to_string());
        let first = self.fired.entry(arming.clone()).or_insert_with(|| run.clone());
        assert_eq!(*first, run, "seed {}: {arming:?} has two runs", self.seed);
        if run == format!("run-{}", self.runs) {
            assert!(self.now >= self.armed_for[&arming], "seed {}: {arming:?} is early", self.seed);
        }
    }

    async fn conclude(&mut self, worker: usize) {
        let worker = &mut self.workers[worker];
        let Some((name, lease)) = worker.leases.pop() else { return };
        let state = [TriggerState::Done, TriggerState::Failed, TriggerState::Cancelled]
            [usize::try_from(self.chance.below(3)).unwrap()];
        // Its run comes to its end first, whoever runs it.
        let (all, _) = worker.store.triggers().await.unwrap();
        let run = all.into_iter().find(|one| one.asked.name == name).and_then(|one| one.run);
        if let Some(run) = run {
            let _ = worker.store.finish_run(&run, &end_of_run()).await;
        }
        let _ =
            worker.store.finish(&lease, &name, &TriggerEnd { state, message: None, error_code: None }).await;
    }

    async fn give_back(&mut self, worker: usize) {
        let worker = &mut self.workers[worker];
        if let Some((_, lease)) = worker.leases.pop() {
            worker.store.release(&lease).await.unwrap();
        }
    }

    /// Lets a fresh worker go on until nothing is left, and looks at all that has been.
    async fn end(mut self) {
        self.pass(10_000);
        for worker in &mut self.workers {
            *worker = Worker { store: self.queue.another_process(), leases: Vec::new() };
        }
        for _ in 0..20 {
            self.work(0).await;
            self.conclude(0).await;
        }
        let (all, _) = self.queue.triggers().await.unwrap();
        for trigger in &all {
            let seed = self.seed;
            let name = &trigger.asked.name;
            assert!(trigger.state.is_spent(), "seed {seed}: {name} is left {:?}", trigger.state);
            for arming in 1..=trigger.armings {
                let history = self.queue.trigger_history(name).await.unwrap();
                let of = |event: &str| history.iter().filter(|one| &*one.event == event).count();
                assert_eq!(of("armed"), usize::try_from(trigger.armings).unwrap(), "seed {seed}");
                assert!(of("fired") <= of("armed"), "seed {seed}: {name} fired {arming} times");
            }
        }
        let created: BTreeSet<_> =
            self.queue.runs(1000).await.unwrap().into_iter().map(|run| run.id.to_string()).collect();
        let known: BTreeSet<_> = self.fired.values().cloned().collect();
        assert_eq!(created, known, "seed {}: a run without a trigger", self.seed);
        assert_eq!(known.len(), self.fired.len(), "seed {}: two armings share a run", self.seed);
    }
}

fn company() -> StoreIdentity {
    StoreIdentity { realm_id: "1000000000000001".into(), environment: "sandbox".into() }
}

fn span() -> Window {
    Window::new(datetime!(2026-01-01 0:00 UTC), datetime!(2026-02-01 0:00 UTC)).unwrap()
}

fn run(number: u64) -> RunStart {
    RunStart {
        id: format!("run-{number}").parse().unwrap(),
        identity: company(),
        seed: 0,
        pipelines: Vec::new(),
        span: span(),
        chunk: "day".into(),
        started_at: NOON,
        fence: None,
    }
}

async fn survives(seed: u64) {
    let mut world = World::new(seed).await;
    for _ in 0..40 {
        world.step().await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_hundred_thousand_schedules_fire_each_arming_once_and_never_early() {
    #[expect(clippy::disallowed_methods, reason = "a seed to repeat comes from the environment")]
    let only = std::env::var("TRIGGER_SEED");
    if let Ok(seed) = only {
        return survives(seed.parse().unwrap()).await;
    }
    for seed in 0..SEEDS {
        survives(seed).await;
    }
}
