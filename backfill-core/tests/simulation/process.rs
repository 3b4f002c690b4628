//! A process: it lives, is frozen, or is dead. Whatever leaves it passes one point, where chance decides what becomes of it.
//!
//! A dead process's tasks wait there for ever, and so have no effect any more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use qbo_auth::Clock;
use raw_store::MemoryStore;
use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::profile::Fault;
use crate::world::{LEASE, World};

pub(crate) struct Process {
    pub(crate) id: u64,
    pub(crate) world: Arc<World>,
    pub(crate) memory: Arc<MemoryStore>,
    life: Mutex<Life>,
    died: Notify,
    /// How often the database had forgotten something when the log was read last.
    looked_at: AtomicU64,
    /// Until when something other than ordinary waits happened to it last.
    disturbed: Mutex<Option<Duration>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Lives,
    FrozenUntil(Duration),
    Dead,
}

/// The step was cut: nobody in the process hears of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut;

/// What will become of a step after its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Fine,
    ReplyLost,
    KilledAfter,
    FrozenAfter(Duration),
}

impl Process {
    pub(crate) fn new(world: &Arc<World>, store: &MemoryStore) -> Arc<Self> {
        let memory = Arc::new(store.another_process());
        let id = memory.number();
        let process = Arc::new(Self {
            id,
            world: Arc::clone(world),
            memory: Arc::clone(&memory),
            life: Mutex::new(Life::Lives),
            died: Notify::new(),
            looked_at: AtomicU64::new(0),
            disturbed: Mutex::default(),
        });
        let now = world.elapsed();
        let mut state = world.state();
        state.processes.insert(id, Arc::downgrade(&process));
        state.beats.insert(id, (memory, now));
        drop(state);
        world.note(id, "begins", "");
        process
    }

    /// It reads the log.
    pub(crate) fn looks(&self) {
        self.looked_at.store(self.world.state().forgets, Ordering::Relaxed);
    }

    pub(crate) fn looked_at(&self) -> u64 {
        self.looked_at.load(Ordering::Relaxed)
    }

    pub(crate) fn is_alive(&self) -> bool {
        *self.life.lock().unwrap() != Life::Dead
    }

    /// Returns once the process may go on; never, if it is dead.
    pub(crate) async fn alive(&self) {
        loop {
            let life = *self.life.lock().unwrap();
            match life {
                Life::Lives => return,
                Life::Dead => std::future::pending().await,
                Life::FrozenUntil(until) => {
                    let now = self.world.elapsed();
                    if now >= until {
                        let mut life = self.life.lock().unwrap();
                        if *life == Life::FrozenUntil(until) {
                            *life = Life::Lives;
                        }
                        continue;
                    }
                    tokio::time::sleep(until.saturating_sub(now)).await;
                }
            }
        }
    }

    pub(crate) async fn died(&self) {
        if self.is_alive() {
            self.died.notified().await;
        }
    }

    /// The process is killed. Its locks are the kernel's and end with it; its connections are noticed later.
    pub(crate) fn kill(self: &Arc<Self>) {
        if !self.is_alive() {
            return;
        }
        self.world.note(self.id, "killed", "");
        let noticed = Duration::from_millis(self.world.random(0..4000));
        self.ends(noticed);
    }

    /// The process has come to its end.
    pub(crate) fn exits(self: &Arc<Self>) {
        self.world.note(self.id, "exits", "");
        self.ends(Duration::ZERO);
    }

    fn ends(self: &Arc<Self>, noticed: Duration) {
        *self.life.lock().unwrap() = Life::Dead;
        self.disturb();
        let mut state = self.world.state();
        state.processes.remove(&self.id);
        state.beats.remove(&self.id);
        state.disk.unlock_all_of(self.id);
        state.tokens.process_died(self.id);
        drop(state);
        self.died.notify_waiters();
        let (memory, world) = (Arc::clone(&self.memory), Arc::clone(&self.world));
        tokio::spawn(async move {
            tokio::time::sleep(noticed).await;
            memory.stand_at(world.database_time());
            memory.end();
        });
    }

    pub(crate) fn freeze(&self, time: Duration) {
        let until = self.world.elapsed() + time;
        let mut life = self.life.lock().unwrap();
        if *life != Life::Dead {
            *life = Life::FrozenUntil(until);
        }
        drop(life);
        self.disturb_until(until);
    }

    pub(crate) fn disturb(&self) {
        self.disturb_until(self.world.elapsed());
    }

    fn disturb_until(&self, end: Duration) {
        let mut disturbed = self.disturbed.lock().unwrap();
        *disturbed = (*disturbed).max(Some(end));
    }

    /// Whether nothing has happened to it since then.
    pub(crate) fn is_undisturbed_since(&self, then: Duration) -> bool {
        self.is_alive() && self.disturbed.lock().unwrap().is_none_or(|at| at < then)
    }

    /// Before the effect of a step.
    pub(crate) async fn enter(self: &Arc<Self>, step: &'static str) -> Result<Fate, Cut> {
        self.alive().await;
        let fate = self.draw(step).await?;
        let latency = self.world.latency();
        tokio::time::sleep(latency).await;
        self.alive().await;
        Ok(fate)
    }

    async fn draw(self: &Arc<Self>, step: &'static str) -> Result<Fate, Cut> {
        let world = &self.world;
        let met = |how: &'static str| {
            world.note(self.id, step, how);
            world.state().met.insert((step, how));
        };
        if world.meets(Fault::PowerCut) {
            met("power cut");
            world.cut_power();
            self.alive().await;
        }
        if world.meets(Fault::Kill) {
            if world.random(0..2) == 0 {
                met("killed before");
                self.kill();
                self.alive().await;
            }
            met("killed after");
            return Ok(Fate::KilledAfter);
        }
        if world.meets(Fault::Freeze) {
            let time = Duration::from_millis(world.random(1000..3000 * LEASE.as_secs()));
            if world.random(0..2) == 0 {
                met("frozen before");
                self.freeze(time);
                self.alive().await;
            } else {
                met("frozen after");
                return Ok(Fate::FrozenAfter(time));
            }
        }
        if world.meets(Fault::Lost) {
            met("lost");
            self.disturb();
            let wait = Duration::from_millis(world.random(1..3000));
            tokio::time::sleep(wait).await;
            self.alive().await;
            return Err(Cut);
        }
        if world.meets(Fault::ReplyLost) {
            met("reply lost");
            return Ok(Fate::ReplyLost);
        }
        Ok(Fate::Fine)
    }

    /// After the effect of a step.
    pub(crate) async fn leave(self: &Arc<Self>, fate: Fate) -> Result<(), Cut> {
        match fate {
            Fate::Fine => {}
            Fate::KilledAfter => self.kill(),
            Fate::FrozenAfter(time) => self.freeze(time),
            Fate::ReplyLost => {
                self.disturb();
                let wait = Duration::from_millis(self.world.random(1..3000));
                tokio::time::sleep(wait).await;
            }
        }
        let latency = self.world.latency();
        tokio::time::sleep(latency).await;
        self.alive().await;
        if fate == Fate::ReplyLost { Err(Cut) } else { Ok(()) }
    }
}

/// The host's clock, as a process sees it; without a process it is that of a person beside them.
pub(crate) struct HostClock {
    pub(crate) world: Arc<World>,
    pub(crate) process: Option<Arc<Process>>,
}

impl std::fmt::Debug for HostClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostClock")
    }
}

#[async_trait]
impl Clock for HostClock {
    fn now_utc(&self) -> OffsetDateTime {
        // No two processes look in the same microsecond.
        let apart = self.process.as_ref().map_or(0, |process| process.id * 7 % 997);
        self.world.host_time() + Duration::from_micros(apart)
    }

    fn elapsed(&self) -> Duration {
        self.world.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
        if let Some(process) = &self.process {
            process.alive().await;
        }
    }
}
