//! What all processes of a schedule share: time, chance, the source, the disk, and the record of what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use fastrand::Rng;
use raw_store::{MemoryStore, Snapshot};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::time::Instant;

use crate::disk::Disk;
use crate::ledger::Ledger;
use crate::process::Process;
use crate::profile::{Fault, Profile};
use crate::source::Source;
use crate::tokens::TokenServer;

/// The source's clock at the beginning.
pub(crate) const BEGIN: OffsetDateTime = datetime!(2026-03-02 10:00 UTC);

/// How long a lease lasts without a heartbeat.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// Steps after which a schedule is taken for one that does not end.
const MOST_STEPS: u64 = 60_000;

pub(crate) struct World {
    pub(crate) profile: Profile,
    began: Instant,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) rng: Rng,
    /// No more faults.
    pub(crate) quiet: bool,
    pub(crate) source: Source,
    pub(crate) tokens: TokenServer,
    pub(crate) disk: Disk,
    pub(crate) ledger: Ledger,
    /// What the database falls back to when it forgets, and what was seen committed by then.
    fallback: Option<(Snapshot, Ledger)>,
    /// How often it has forgotten something.
    pub(crate) forgets: u64,
    /// By the number that the store knows them by.
    pub(crate) processes: BTreeMap<u64, Weak<Process>>,
    /// The stores of living processes, and when each was heard of last.
    pub(crate) beats: BTreeMap<u64, (Arc<MemoryStore>, Duration)>,
    pub(crate) runs: u32,
    steps: u64,
    digest: u64,
    timeline: Option<String>,
    broken: Option<Broken>,
    /// Which kind of step met which fault.
    pub(crate) met: BTreeSet<(&'static str, &'static str)>,
}

/// An invariant that does not hold, and how that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) invariant: &'static str,
    pub(crate) how: String,
}

impl World {
    pub(crate) fn new(profile: Profile, with_timeline: bool) -> Arc<Self> {
        let mut rng = Rng::with_seed(profile.seed);
        let source = Source::new(&profile, &mut rng);
        Arc::new(Self {
            began: Instant::now(),
            state: Mutex::new(State {
                rng,
                quiet: false,
                source,
                tokens: TokenServer::new(),
                disk: Disk::default(),
                ledger: Ledger::default(),
                fallback: None,
                forgets: 0,
                processes: BTreeMap::new(),
                beats: BTreeMap::new(),
                runs: 0,
                steps: 0,
                digest: 0xcbf2_9ce4_8422_2325,
                timeline: with_timeline.then(String::new),
                broken: None,
                met: BTreeSet::new(),
            }),
            profile,
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The source's time, which is the true one.
    pub(crate) fn now(&self) -> OffsetDateTime {
        BEGIN + self.elapsed()
    }

    pub(crate) fn host_time(&self) -> OffsetDateTime {
        self.now() + time::Duration::seconds(self.profile.host_skew)
    }

    pub(crate) fn database_time(&self) -> OffsetDateTime {
        let is_back = self.elapsed() > Duration::from_secs(self.profile.storm.into()) / 2;
        let back = if is_back { self.profile.set_back } else { 0 };
        self.now() + time::Duration::seconds(self.profile.database_skew - i64::from(back))
    }

    /// Notes what happens: part of the digest that two runs of a seed must share, and of the timeline, if there is one.
    pub(crate) fn note(&self, process: u64, what: &str, how: &str) {
        let at = self.elapsed();
        let mut state = self.state();
        state.steps += 1;
        let mut digest = state.digest;
        let numbers = [u64::try_from(at.as_micros()).unwrap_or(0), process];
        for byte in numbers.iter().flat_map(|n| n.to_le_bytes()).chain(what.bytes()).chain(how.bytes()) {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        state.digest = digest;
        if let Some(timeline) = &mut state.timeline {
            let _ = writeln!(timeline, "{:>10.3} s  p{process:<3} {what} {how}", at.as_secs_f64());
        }
        let endless = state.steps == MOST_STEPS;
        drop(state);
        if endless {
            self.breaks("I9", "the schedule does not end".into());
        }
    }

    /// The first invariant that does not hold is kept.
    pub(crate) fn breaks(&self, invariant: &'static str, how: String) {
        let at = self.elapsed();
        let mut state = self.state();
        if let Some(timeline) = &mut state.timeline {
            let _ = writeln!(timeline, "{:>10.3} s  {invariant} BROKEN: {how}", at.as_secs_f64());
        }
        if state.broken.is_none() {
            state.broken = Some(Broken { invariant, how });
        }
    }

    pub(crate) fn broken(&self) -> Option<Broken> {
        self.state().broken.clone()
    }

    pub(crate) fn digest(&self) -> u64 {
        self.state().digest
    }

    pub(crate) fn timeline(&self) -> String {
        self.state().timeline.clone().unwrap_or_default()
    }

    /// Whether this fault is met now.
    pub(crate) fn meets(&self, fault: Fault) -> bool {
        let chance = self.profile.chance(fault);
        let mut state = self.state();
        chance > 0 && !state.quiet && state.rng.u32(0..10_000) < chance
    }

    pub(crate) fn random(&self, range: std::ops::Range<u64>) -> u64 {
        self.state().rng.u64(range)
    }

    /// An ordinary wait on the way.
    pub(crate) fn latency(&self) -> Duration {
        Duration::from_millis(1 + self.random(0..self.profile.latency))
    }

    /// Everybody dies at once; the disk keeps what it was told to keep, and by chance the rest.
    pub(crate) fn cut_power(self: &Arc<Self>) {
        let processes: Vec<_> = self.state().processes.values().filter_map(Weak::upgrade).collect();
        for process in &processes {
            process.kill();
        }
        let mut state = self.state();
        let keeps = state.rng.bool();
        if state.disk.lose_power(keeps) {
            state.tokens.excused = true;
        }
        drop(state);
        crate::tokens::vault_changed(self);
    }

    /// The database may forget what came last; otherwise it may keep what it will fall back to.
    pub(crate) fn may_forget(&self, process: u64, store: &MemoryStore) {
        if self.profile.chance(Fault::Forgets) == 0 {
            return;
        }
        if self.meets(Fault::Forgets) {
            let mut state = self.state();
            let Some((snapshot, ledger)) = state.fallback.take() else { return };
            store.put_back(&snapshot);
            state.ledger.fall_back_to(ledger);
            state.forgets += 1;
            drop(state);
            self.note(process, "database", "forgets");
        } else if self.random(0..12) == 0 {
            let mut state = self.state();
            let ledger = state.ledger.clone();
            state.fallback = Some((store.snapshot(), ledger));
        }
    }

    /// Gives away the leases of those who have not been heard of for as long as a lease lasts.
    pub(crate) fn let_leases_run_out(&self) {
        let now = self.elapsed();
        let silent: Vec<_> = {
            let state = self.state();
            state
                .beats
                .values()
                .filter(|(_, last)| *last + LEASE < now)
                .map(|(store, _)| store.clone())
                .collect()
        };
        for store in silent {
            store.let_leases_run_out();
        }
    }
}
