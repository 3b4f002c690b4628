//! The job: one pipeline of one company.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use backfill_core::{CancellationToken, Catalog, ChunkSize, Failure, RunError, RunOutcome, RunRequest};
use graphile_worker::worker_utils::types::RescheduleJobOptions;
use graphile_worker::{IntoTaskHandlerResult, Job, TaskHandler, WorkerContext};
use raw_store::{OffsetDateTime, RunId, Window};
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;

use crate::company::{Company, QUESTIONS};
use crate::roster::Roster;

/// How long a job waits for a pipeline that somebody else reads: longer than a frozen process keeps it.
const WAIT: Duration = Duration::from_mins(2);

/// What stands in the queue: what is to be read, and no secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Backfill {
    company: String,
    pipeline: String,
    from: String,
    to: String,
    chunk: String,
}

/// What every job of a worker shares.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) roster: Arc<Roster>,
    pub(crate) stop: CancellationToken,
    /// The jobs that were stopped in the middle.
    pub(crate) interrupted: Arc<Mutex<Vec<Again>>>,
}

/// A job that is to be tried again, as if it had not been tried this time.
#[derive(Debug)]
pub(crate) struct Again {
    pub(crate) id: i64,
    pub(crate) how: RescheduleJobOptions,
}

/// Why a job did not end, as the queue keeps it: it writes down what `Debug` says.
pub(crate) struct Sentence(String);

impl fmt::Debug for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Again {
    /// At the time that the job has now: before it is put off for having failed.
    pub(crate) fn of(job: &Job, attempts: i16) -> Self {
        let (run_at, attempts) = (Some(*job.run_at()), Some(attempts));
        Self {
            id: *job.id(),
            how: RescheduleJobOptions { run_at, attempts, ..RescheduleJobOptions::default() },
        }
    }

    /// At once, with all attempts, for one that was put off again and again and given up.
    pub(crate) fn from_scratch(job: &Job) -> Self {
        let (run_at, attempts) = (Some(*job.created_at()), Some(0));
        Self {
            id: *job.id(),
            how: RescheduleJobOptions { run_at, attempts, ..RescheduleJobOptions::default() },
        }
    }
}

impl Backfill {
    pub(crate) fn new(company: &str, pipeline: String, span: Window, chunk: ChunkSize) -> Self {
        Self {
            company: company.to_owned(),
            pipeline,
            from: utc(span.start()),
            to: utc(span.end()),
            chunk: chunk.as_str().to_owned(),
        }
    }

    /// What makes two jobs the same one.
    pub(crate) fn key(&self) -> String {
        let Self { company, pipeline, from, to, chunk } = self;
        format!("{company}/{pipeline}/{from}/{to}/{chunk}")
    }

    /// The line that its company's jobs stand in: one of them is worked on at a time.
    pub(crate) fn line(&self) -> String {
        format!("company {}", self.company)
    }

    /// Reads the pipeline as far as the log says that it is not read. Nothing if it was stopped.
    async fn read(&self, desk: &Desk, run: RunId) -> anyhow::Result<Option<RunOutcome>> {
        let company = Company::open(&desk.roster, &self.company).await?;
        let request = self.request(&company, run)?;
        let result = company.engine.run(request, desk.stop.child_token()).await;
        company.close().await;
        match result {
            Ok(RunOutcome { failure: Some(RunError { failure: Failure::Stopped, .. }), .. })
            | Err(RunError { failure: Failure::Stopped, .. }) => Ok(None),
            Ok(RunOutcome { failure: Some(error), .. }) | Err(error) => Err(anyhow!("{error}")),
            Ok(outcome) if outcome.totals().windows_failed > 0 => {
                Err(anyhow!("{} windows failed", outcome.totals().windows_failed))
            }
            Ok(outcome) => Ok(Some(outcome)),
        }
    }

    fn request(&self, company: &Company, run: RunId) -> anyhow::Result<RunRequest> {
        let instant = |text: &str| OffsetDateTime::parse(text, &Rfc3339).context("an instant of the job");
        let range = Window::new(instant(&self.from)?, instant(&self.to)?)?;
        let entities = Catalog::bundled().select([self.pipeline.as_str()])?;
        let concurrency = NonZeroUsize::new(QUESTIONS).unwrap_or(NonZeroUsize::MIN);
        Ok(RunRequest::new(run, company.identity.clone(), entities, range)
            .with_holder(format!("process {} of the fleet", std::process::id()))
            .with_wait(WAIT)
            .with_chunk(self.chunk.parse()?)
            .with_concurrency(concurrency))
    }
}

impl TaskHandler for Backfill {
    const IDENTIFIER: &'static str = "qbo_backfill";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let job = context.job();
        let desk = context.get_ext::<Desk>().ok_or_else(|| Sentence("the worker has no desk".into()))?;
        // The same job is the same run, however often it is begun: the company's log has one for it.
        let run = format!("fleet-{}-{}", job.id(), job.created_at().timestamp());
        let run: RunId = run.parse().map_err(|error| Sentence(format!("{error}")))?;
        let (company, pipeline) = (self.company.as_str(), self.pipeline.as_str());
        match self.read(desk, run).await {
            Ok(Some(outcome)) => {
                let (rows, calls) = (outcome.totals().counts.read(), outcome.usage.calls);
                tracing::info!(company, pipeline, rows, calls, "done");
                Ok(())
            }
            Ok(None) => {
                let again = Again::of(job, job.attempts().saturating_sub(1));
                desk.interrupted.lock().unwrap_or_else(PoisonError::into_inner).push(again);
                Err(Sentence("stopped with its worker".into()))
            }
            Err(error) => {
                tracing::warn!(company, pipeline, "{error:#}");
                Err(Sentence(format!("{error:#}")))
            }
        }
    }
}

fn utc(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}
