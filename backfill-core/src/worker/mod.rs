//! The worker: waits for triggers, and runs each once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use qbo_auth::Clock;
use qbo_client::PageSize;
use raw_store::{
    Advice, Reopen, RunId, Store, StoreIdentity, Trigger, TriggerName, TriggerQueue, TriggerState,
};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::errand::{Errand, Left, Rest};
use crate::{Catalog, Engine, EventSink, Proof, RunError, RunEvent, RunOutcome, RunRequest};

/// How often is looked for triggers: each starts within a second of its time.
const LOOK: Duration = Duration::from_millis(500);

/// How late a trigger may be seen for the first time before one that is not to be late expires.
const MISSED_AFTER: Duration = Duration::from_mins(1);

/// How long a worker stays away from a database that does not answer.
const AWAY: Duration = Duration::from_secs(5);

/// How long a run is left alone that the source or the database could not serve, and how often it is gone on with.
const RESUME_AFTER: Duration = Duration::from_mins(5);
const MOST_RESUMES: u32 = 24;

/// How long a run waits for a pipeline that another has: as long as any backfill takes.
const WAIT: Duration = Duration::from_hours(24);

/// What a worker needs for each run, from whoever builds it.
#[async_trait]
pub trait RunMaker: fmt::Debug + Send + Sync {
    /// A name for a new run, and a seed.
    fn name(&self) -> (RunId, u64);

    /// An engine for one run. Its client is its own: what it counts is what the run cost.
    ///
    /// # Errors
    ///
    /// A sentence that says why there is none.
    fn engine(&self) -> Result<Engine, Box<str>>;

    /// Called after each run, before its trigger is finished; skipped where the worker has to stop. Returns a sentence if the
    /// run has left something wrong in the database: then its trigger fails.
    async fn ended(&self, _outcome: &RunOutcome) -> Option<Box<str>> {
        None
    }
}

/// How a worker has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerEnd {
    /// Triggers that failed here.
    pub failed: u64,
    /// Triggers that are done, and whose runs left records open in quarantine.
    pub with_quarantine: u64,
}

impl WorkerEnd {
    /// Whether every trigger that ended here is done and left nothing for a person to do.
    pub fn is_sound(self) -> bool {
        self == Self::default()
    }
}

/// When a worker ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Not at all.
    Stopped,
    /// When no trigger is due and no run under way.
    Idle,
}

/// Waits for the triggers of one company. Several may share them, on one host or many.
#[derive(Debug)]
pub struct Worker {
    /// Where runs, leases and triggers are.
    pub store: Arc<dyn Store>,
    /// The same place, as the queue of its triggers.
    pub queue: Arc<dyn TriggerQueue>,
    /// The clock that waits go by.
    pub clock: Arc<dyn Clock>,
    /// What can be read.
    pub catalog: Catalog,
    /// Whose triggers.
    pub identity: StoreIdentity,
    /// Who runs it, for people.
    pub holder: Box<str>,
    /// Hears what becomes of triggers.
    pub sink: Arc<dyn EventSink>,
    /// Makes runs.
    pub runs: Arc<dyn RunMaker>,
}

/// The triggers that a worker has in hand.
#[derive(Debug, Default)]
struct Hand {
    working: JoinSet<Left>,
    under_way: HashMap<TriggerName, (Id, CancellationToken)>,
    /// What is left alone for a while, and how often that was.
    resting: HashMap<TriggerName, (Duration, u32)>,
    /// Triggers that ended with something missing.
    end: WorkerEnd,
}

impl std::ops::AddAssign for WorkerEnd {
    fn add_assign(&mut self, other: Self) {
        self.failed += other.failed;
        self.with_quarantine += other.with_quarantine;
    }
}

impl Worker {
    /// Works until it is told to stop, or until nothing is left. Runs under way commit their page in hand first; they go on
    /// with the next worker.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the queue cannot be used. A database that does not answer for a while is waited for.
    pub async fn work(self: Arc<Self>, until: Until, stop: CancellationToken) -> Result<WorkerEnd, RunError> {
        self.store.bind(&self.identity).await.map_err(RunError::general)?;
        // What ends this worker is nobody else's business.
        let stop = stop.child_token();
        let mut hand = Hand::default();
        let result = loop {
            let pause = match self.queue.look(MISSED_AFTER).await {
                Ok(board) => {
                    for name in &board.stop {
                        match hand.under_way.get(name) {
                            Some((_, halt)) => halt.cancel(),
                            // It ends at once, in place of when its rest is over.
                            None => drop(hand.resting.remove(name)),
                        }
                    }
                    let now = self.clock.elapsed();
                    let mut idle = true;
                    for trigger in &board.due {
                        idle &= !self.begin(trigger, now, &mut hand, &stop);
                    }
                    if until == Until::Idle && idle && hand.under_way.is_empty() {
                        break Ok(());
                    }
                    LOOK
                }
                Err(error) if error.advice() == Advice::Retry => {
                    self.trouble(format!("{error}; looking again in {} s", AWAY.as_secs()));
                    AWAY
                }
                Err(error) => break Err(RunError::general(error)),
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                Some(ended) = hand.working.join_next_with_id() => hand.put_down(ended, self.clock.elapsed()),
                () = self.clock.sleep(pause) => {}
            }
        };
        stop.cancel();
        while let Some(ended) = hand.working.join_next_with_id().await {
            hand.put_down(ended, self.clock.elapsed());
        }
        result.map(|()| hand.end)
    }

    /// Begins with a trigger, unless it is in hand or rests. Returns whether there is something to wait for.
    fn begin(
        self: &Arc<Self>,
        trigger: &Trigger,
        now: Duration,
        hand: &mut Hand,
        stop: &CancellationToken,
    ) -> bool {
        let name = trigger.asked.name.clone();
        if hand.under_way.contains_key(&name)
            || hand.resting.get(&name).is_some_and(|(until, _)| now < *until)
        {
            return true;
        }
        let request = match self.request(trigger) {
            Ok(request) => request,
            Err(why) => {
                // Another worker may know how.
                self.trouble(format!("trigger {name}: {why}"));
                hand.resting.insert(name, (now + RESUME_AFTER, 0));
                return false;
            }
        };
        let resumes = hand.resting.get(&name).map_or(0, |(_, times)| *times);
        let halt = stop.child_token();
        let errand = Errand {
            worker: Arc::clone(self),
            name: name.clone(),
            request,
            stop: stop.clone(),
            halt: halt.clone(),
            may_rest: resumes < MOST_RESUMES,
        };
        let task = hand.working.spawn(errand.run());
        hand.under_way.insert(name, (task.id(), halt));
        true
    }

    /// What a trigger asks for.
    fn request(&self, trigger: &Trigger) -> Result<RunRequest, String> {
        let plan = &trigger.asked.plan;
        let words = plan.entity_names.iter().map(|name| &**name);
        let entities = self.catalog.select(words).map_err(|error| error.to_string())?;
        let (id, seed) = self.runs.name();
        Ok(RunRequest {
            id,
            seed,
            identity: self.identity.clone(),
            fence: None,
            holder: self.holder.clone(),
            wait: WAIT,
            entities,
            span: plan.span,
            chunk: plan.chunk.parse().map_err(|error: crate::UnknownChunk| error.to_string())?,
            chosen: None,
            axis: plan.time_axis.parse().map_err(|error: crate::UnknownAxis| error.to_string())?,
            page_size: PageSize::MAX,
            concurrency: RunRequest::MOST_AT_ONCE,
            reopen: Reopen::Unfinished,
            by_content: false,
            proof: Proof::Count,
        })
    }

    pub(crate) fn trouble(&self, message: String) {
        self.sink.emit(&RunEvent::WorkerTrouble { message: message.into() });
    }
}

impl Hand {
    /// Notes how a task ended.
    fn put_down(&mut self, ended: Result<(Id, Left), JoinError>, now: Duration) {
        let (id, left) = match ended {
            Ok((id, left)) => (id, left),
            // A bug of ours in one run is no reason to leave the others. Its lease is given back as it unwinds.
            Err(panicked) => (panicked.id(), Left::Open(Rest::AWhile)),
        };
        let name = self.under_way.iter().find(|(_, (task, _))| *task == id).map(|(name, _)| name.clone());
        let Some(name) = name else { return };
        self.under_way.remove(&name);
        match left {
            Left::Open(rest) => {
                let (pause, more) = match rest {
                    Rest::AMoment => (AWAY, 0),
                    Rest::AWhile => (RESUME_AFTER, 1),
                };
                let times = self.resting.get(&name).map_or(0, |(_, times)| *times);
                self.resting.insert(name, (now + pause, times + more));
            }
            Left::Ended { state, open } => {
                self.end.failed += u64::from(state == TriggerState::Failed);
                self.end.with_quarantine += u64::from(open);
                self.resting.remove(&name);
            }
            Left::Alone => {
                self.resting.remove(&name);
            }
        }
    }
}
