//! The command `worker`: waits for due triggers, and starts the run of each once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backfill_core::{
    CancellationToken, Engine, EventSink, RunFactory, RunOutcome, RunRequest, Until, Worker, WorkerEnd,
    WorkerPresence,
};
use backfill_report::number::counted;
use qbo_auth::{Clock as _, SystemClock};
use raw_store::{EventLog, RunId};
use serde_json::json;
use tokio::task::JoinSet;

use super::findings;
use super::request::{holder, new_run};
use super::unsound::QUARANTINE;
use crate::app::{App, Schema, workshop};
use crate::args::{Global, Output, WorkerArgs};
use crate::config::settings::{Settings, profiles};
use crate::interrupt;
use crate::output::event;
use crate::output::exit::{self, DONE, Exit};
use crate::output::print::say;
use crate::service::health::{Health, ProfileStatus};
use crate::service::metrics::{Counting, Metrics};
use crate::shutdown::Stop;
use crate::sinks::event_log::log_failure;
use crate::sinks::progress::plain_sink;
use crate::sinks::stored_events::{EventQueue, StoredEvents};

/// Delay before checking again whether a waiting company is ready.
const AGAIN: Duration = Duration::from_secs(15);

/// `worker`: works for the chosen profiles until it is stopped.
pub(crate) async fn worker(global: &Global, settings: &Settings, arguments: &WorkerArgs) -> Result<u8, Exit> {
    let companies = profiles_of(global, settings, &arguments.profiles)?;
    let stop = Stop::listen()?;
    stop.follow(settings)?;
    let health = Arc::new(Health::new());
    if let Some(address) = arguments.listen {
        let bound = health.serve(address).await?;
        match settings.output {
            Output::Text => say(&format!("health and metrics: http://{bound}/healthz, /metrics")),
            Output::Json => event::write("worker_started", json!({"listen": bound.to_string()})),
        }
    }
    let (end, verdict) = work_for(companies, &health, arguments.once, &stop).await;
    if settings.output == Output::Json {
        finished(end, verdict.as_ref());
    }
    verdict.map_or(Ok(DONE), Err)
}

/// Works for companies until the work ends or is stopped. Returns why the process does not exit with 0, if it does not.
pub(super) async fn work_for(
    companies: Vec<(String, Settings)>,
    health: &Arc<Health>,
    once: bool,
    stop: &Stop,
) -> (WorkerEnd, Option<Exit>) {
    let several = companies.len() > 1;
    let mut working = JoinSet::new();
    for (profile, settings) in companies {
        let desk = Desk { profile, settings, health: Arc::clone(health), once, stop: stop.clone() };
        working.spawn(desk.work());
    }
    let (mut end, mut failure) = (WorkerEnd::default(), None);
    while let Some(ended) = working.join_next().await {
        match ended {
            Ok(Ok(one)) => end += one,
            // A problem of one company does not stop the work for others.
            Ok(Err(exit)) => {
                if several {
                    say(&format!("error: {}", exit.what));
                }
                failure.get_or_insert(exit);
            }
            // The other tasks end cleanly first, so that their tokens are stored.
            Err(_) => {
                stop.token.cancel();
                failure = Some(Exit::new(exit::BUG, "a worker's task panicked", "start it again"));
            }
        }
    }
    let verdict = ended(stop, failure).or_else(|| unsound(end));
    (end, verdict)
}

/// Why a process that works until it is stopped does not exit with 0.
pub(super) fn ended(stop: &Stop, failure: Option<Exit>) -> Option<Exit> {
    failure.or_else(|| {
        let code = stop.code().unwrap_or(exit::INTERRUPTED);
        let what = "stopped; the next worker continues the runs in progress";
        stop.token.is_cancelled().then(|| Exit::new(code, what, "qbo-backfill worker"))
    })
}

/// Writes the last event of a worker.
fn finished(end: WorkerEnd, verdict: Option<&Exit>) {
    let (code, message, next) =
        verdict.map_or((DONE, "", ""), |exit| (exit.code, exit.what.as_str(), exit.next.as_str()));
    event::write(
        "worker_finished",
        json!({"failed": end.failed, "with_quarantine": end.with_quarantine, "exit_code": code,
               "message": message, "next": next}),
    );
}

/// Why a worker that ended by itself does not exit with 0.
fn unsound(end: WorkerEnd) -> Option<Exit> {
    let what = match (end.failed, end.with_quarantine) {
        (0, 0) => return None,
        (0, open) => counted(
            open,
            "trigger is done, and its run left records in quarantine",
            "triggers are done, and their runs left records in quarantine",
        ),
        (failed, _) => counted(failed, "trigger failed", "triggers failed"),
    };
    let next = match end.failed {
        0 => format!("qbo-backfill quarantine list, then {QUARANTINE}"),
        _ => "see: qbo-backfill trigger list, and qbo-backfill report RUN".to_owned(),
    };
    Some(Exit::new(exit::INCOMPLETE, format!("{what}; stored records stay"), next))
}

/// The profiles to work for, with their settings.
pub(super) fn profiles_of(
    global: &Global,
    settings: &Settings,
    wanted: &[String],
) -> Result<Vec<(String, Settings)>, Exit> {
    if wanted.is_empty() {
        let name = global.profile.clone().unwrap_or_else(|| "default".into());
        return Ok(vec![(name, settings.clone())]);
    }
    let names = if wanted == ["all"] { profiles(global)? } else { wanted.to_vec() };
    let of = |name: String| {
        let global = Global { profile: Some(name.clone()), ..global.clone() };
        Ok((name, Settings::resolve(&global)?))
    };
    names.into_iter().map(of).collect()
}

/// The worker of one company.
struct Desk {
    profile: String,
    settings: Settings,
    health: Arc<Health>,
    once: bool,
    stop: Stop,
}

impl Desk {
    /// Works until it is asked to stop. If work becomes impossible, such as after a change of the database's password, it
    /// waits for an operator, and starts again.
    async fn work(self) -> Result<WorkerEnd, Exit> {
        let stop = self.stop.token.clone();
        loop {
            let Some(workshop) = self.workshop(&stop).await? else { return Ok(WorkerEnd::default()) };
            match self.work_in(workshop, stop.clone()).await {
                Err(exit) if !self.once && exit.code != exit::BUG && !stop.is_cancelled() => {
                    say(&format!("{}: {}. Next: {}", self.profile, exit.what, exit.next));
                    if !self.wait(exit, &stop).await {
                        return Ok(WorkerEnd::default());
                    }
                }
                ended => return ended,
            }
        }
    }

    /// Waits before the next attempt. Returns `false` if it was asked to stop.
    async fn wait(&self, why: Exit, stop: &CancellationToken) -> bool {
        self.health.note(&self.profile, ProfileStatus::Waits(why.what));
        stop.run_until_cancelled(SystemClock::new().sleep(AGAIN)).await.is_some()
    }

    async fn work_in(&self, workshop: App, stop: CancellationToken) -> Result<WorkerEnd, Exit> {
        let workshop = Arc::new(workshop);
        let (profile, metrics) = (self.profile.clone(), Arc::clone(&self.health.metrics));
        let log: Arc<dyn EventLog> = workshop.store.clone();
        let events = EventQueue::start(Arc::downgrade(&log));
        drop(log);
        let (settings, app) = (self.settings.clone(), Arc::clone(&workshop));
        let maker = Maker { settings, workshop: app, profile, metrics, events };
        let worker = Arc::new(Worker {
            store: workshop.store.clone(),
            queue: workshop.store.clone(),
            clock: Arc::clone(&workshop.company.clock),
            catalog: self.settings.catalog.clone(),
            identity: workshop.company.identity.clone(),
            holder: holder().into(),
            settle: self.settings.settle,
            sink: maker.sink(),
            runs: Arc::new(maker),
            presence: WorkerPresence {
                log: workshop.store.clone(),
                version: env!("CARGO_PKG_VERSION").into(),
                profile: Some(self.profile.as_str().into()),
            },
        });
        let until = if self.once { Until::Idle } else { Until::Stopped };
        let done = worker.work(until, stop).await;
        // The health endpoint releases the database with this status.
        self.health.note(&self.profile, ProfileStatus::Waits("it has ended".into()));
        // The worker has ended, too, so nothing else holds the database.
        if let Some(workshop) = Arc::into_inner(workshop) {
            workshop.close().await?;
        }
        Ok(done?)
    }

    /// Opens everything that the worker needs. If a vault, a consent or the database is missing, it waits for an operator.
    /// Returns `None` if it was asked to stop.
    async fn workshop(&self, stop: &CancellationToken) -> Result<Option<App>, Exit> {
        let mut told = String::new();
        loop {
            let exit = match workshop(&self.settings, RunRequest::MOST_AT_ONCE, 0, Schema::Made).await {
                Ok(workshop) => {
                    let (store, allowance) = (Arc::clone(&workshop.store), self.settings.monthly_calls);
                    self.health.note(&self.profile, ProfileStatus::Works { store, allowance });
                    self.stop.keep(&workshop.company.tokens);
                    return Ok(Some(workshop));
                }
                Err(exit) => exit,
            };
            if self.once || exit.code == exit::BUG {
                return Err(exit);
            }
            if told != exit.what && !interrupt::has_ended_a_question() {
                say(&format!("{}: waiting: {}. Next: {}", self.profile, exit.what, exit.next));
                told.clone_from(&exit.what);
            }
            if !self.wait(exit, stop).await {
                return Ok(None);
            }
        }
    }
}

/// Creates a name and an engine for each run of one profile.
#[derive(Debug)]
struct Maker {
    settings: Settings,
    workshop: Arc<App>,
    profile: String,
    metrics: Arc<Metrics>,
    events: EventQueue,
}

#[async_trait]
impl RunFactory for Maker {
    fn name(&self) -> (RunId, u64) {
        new_run()
    }

    fn engine(&self) -> Result<Engine, Box<str>> {
        let (engine, _) = self.workshop.engine(|_| self.sink()).map_err(|exit| exit.what)?;
        Ok(engine)
    }

    async fn ended(&self, outcome: &RunOutcome) -> Option<Box<str>> {
        if let Some(failure) = &outcome.failure {
            log_failure(outcome.run(), failure);
            return None;
        }
        let (store, now) = (&*self.workshop.store, self.workshop.company.clock.now_utc());
        match findings::examined(&self.settings, store, outcome, now).await {
            Ok(report) => {
                findings::tell(&self.settings, &report);
                let missing = report.rows_missing();
                (missing > 0)
                    .then(|| format!("{missing} rows that the log has are missing from their tables").into())
            }
            // The run itself has succeeded; `report` validates its rows later.
            Err(exit) => {
                tracing::warn!(phase = "validate", what = exit.what, "the rows were not validated");
                None
            }
        }
    }
}

impl Maker {
    /// The event sink of one run, or of the triggers.
    fn sink(&self) -> Arc<dyn EventSink> {
        let (profile, metrics) = (self.profile.clone(), Arc::clone(&self.metrics));
        let inner = Arc::new(StoredEvents { queue: self.events.clone(), inner: plain_sink(&self.settings) });
        Arc::new(Counting { profile, metrics, inner })
    }
}
