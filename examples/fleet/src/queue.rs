//! The queue: `graphile_worker` in a schema of its own, beside the companies'.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use backfill_core::CancellationToken;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use graphile_worker::{
    JobKeyMode, JobSpec, Worker, WorkerOptions, WorkerRecoveryConfig, WorkerShutdownConfig, WorkerUtils,
};
use qbo_auth::{Clock as _, ExposeSecret as _, SecretName, SystemClock};
use raw_store::SslMode;
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres::{Config, NoTls, config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::backfill::{Again, Backfill, Desk};
use crate::company;
use crate::roster::Roster;
use crate::vaults;

/// The schema of the queue.
const SCHEMA: &str = "fleet_queue";

/// Connections of one process to the queue: jobs are taken and given back in no time, and heartbeats go between them.
const CONNECTIONS: usize = 2;

/// How often a worker looks for jobs. With each look every free place takes one at most, so there have to be more looks than
/// jobs end.
const LOOK: Duration = Duration::from_millis(200);

/// How often is looked whether the queue is empty.
const LOOK_FOR_THE_END: Duration = Duration::from_secs(1);

/// How long the pages in hand may take when a worker is told to stop. What is not committed then is read again.
const GRACE: Duration = Duration::from_mins(1);

/// A worker is dead after so many heartbeats that did not come.
const MISSED: u32 = 5;

/// How a worker works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerSettings {
    pub(crate) jobs: u16,
    pub(crate) dead_after: Duration,
    pub(crate) until_empty: bool,
}

/// What became of jobs that were to be added.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Added {
    pub(crate) new: usize,
    pub(crate) there: usize,
    pub(crate) revived: usize,
}

/// The queue of a fleet.
#[derive(Debug)]
pub(crate) struct Queue {
    pool: Pool,
}

impl Queue {
    pub(crate) async fn open(roster: &Roster) -> anyhow::Result<Self> {
        let options = company::database(roster).await?;
        let mut config = Config::new();
        config.host(options.host()).port(options.port()).user(options.user()).dbname(options.database());
        config.application_name("fleet queue");
        if let Some(password) = vaults::find(roster, None, SecretName::PgPassword).await? {
            config.password(password.expose_secret());
        }
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        // The stores refuse an address that would send anything in the clear to another machine.
        let manager = if matches!(options.ssl_mode(), SslMode::Disable | SslMode::Prefer) {
            config.ssl_mode(config::SslMode::Disable);
            Manager::from_config(config, NoTls, recycling)
        } else {
            config.ssl_mode(config::SslMode::Require);
            Manager::from_config(config, MakeRustlsConnect::new(tls()?), recycling)
        };
        Ok(Self { pool: Pool::builder(manager).max_size(CONNECTIONS).build()? })
    }

    /// Adds jobs. One that is there, waiting or under way, stays as it is; one that was given up is tried again.
    pub(crate) async fn add(&self, jobs: impl Iterator<Item = Backfill>) -> anyhow::Result<Added> {
        // Its schema is made, or brought to the version of this program.
        let worker = self.options().init().await.map_err(told)?;
        let (utils, mut added) = (worker.create_utils(), Added::default());
        for backfill in jobs {
            let spec = JobSpec {
                queue_name: Some(backfill.line()),
                job_key: Some(backfill.key()),
                // The other modes put a second job beside one that is under way.
                job_key_mode: Some(JobKeyMode::UnsafeDedupe),
                ..JobSpec::default()
            };
            let job = utils.add_job(backfill, spec).await.map_err(told)?;
            if *job.attempts() >= *job.max_attempts() && job.locked_at().is_none() {
                put_back(&utils, Again::from_scratch(&job)).await?;
                added.revived += 1;
            } else if *job.revision() == 0 {
                added.new += 1;
            } else {
                added.there += 1;
            }
        }
        Ok(added)
    }

    /// Works jobs off until it is told to stop. What was stopped in the middle is there for the next worker at once.
    pub(crate) async fn work(
        &self,
        roster: Roster,
        settings: WorkerSettings,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let interrupted: Arc<Mutex<Vec<Again>>> = Arc::default();
        let desk =
            Desk { roster: Arc::new(roster), stop: stop.clone(), interrupted: Arc::clone(&interrupted) };
        let heartbeat = settings.dead_after / MISSED;
        let recovery = WorkerRecoveryConfig::default()
            .enabled(true)
            .heartbeat_interval(heartbeat)
            .sweep_interval(heartbeat)
            .sweep_threshold(settings.dead_after)
            .recovery_delay(Duration::ZERO);
        let shutdown = WorkerShutdownConfig::default()
            .listen_os_shutdown_signals(false)
            .grace_period(GRACE)
            .interrupted_job_retry_delay(Duration::ZERO)
            .shutdown_signal(stop.clone().cancelled_owned());
        let options = self.options().concurrency(settings.jobs.into()).add_extension(desk);
        let worker =
            options.worker_recovery(recovery).worker_shutdown(shutdown).init().await.map_err(told)?;
        let watch = async {
            if settings.until_empty {
                self.emptied(&stop).await
            } else {
                stop.cancelled().await;
                Ok(())
            }
        };
        let (worked, watched) = tokio::join!(run(&worker, &stop), watch);
        let utils = worker.create_utils();
        let interrupted = std::mem::take(&mut *interrupted.lock().unwrap_or_else(PoisonError::into_inner));
        for job in interrupted {
            put_back(&utils, job).await?;
        }
        worked.and(watched)
    }

    /// Tells the worker to stop when no job is left that would still be tried.
    async fn emptied(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let clock = SystemClock::new();
        let left = format!(
            "SELECT count(*) FROM {SCHEMA}.jobs WHERE attempts < max_attempts OR locked_at IS NOT NULL"
        );
        while !stop.is_cancelled() {
            let client = self.pool.get().await?;
            if client.query_one(&left, &[]).await?.get::<_, i64>(0) == 0 {
                stop.cancel();
            }
            drop(client);
            tokio::select! {
                () = stop.cancelled() => {}
                () = clock.sleep(LOOK_FOR_THE_END) => {}
            }
        }
        Ok(())
    }

    fn options(&self) -> WorkerOptions {
        WorkerOptions::default()
            .database(self.pool.clone())
            .schema(SCHEMA)
            .poll_interval(LOOK)
            // It would be one more connection for each worker, to start at once what a backfill starts within a second.
            .use_notification_delivery(false)
            .define_job::<Backfill>()
    }
}

/// Works. A worker that ends by itself ends the whole process.
async fn run(worker: &Worker, stop: &CancellationToken) -> anyhow::Result<()> {
    let result = worker.run().await.map_err(told);
    stop.cancel();
    result
}

/// Puts a job back as if it had not been tried this time.
async fn put_back(utils: &WorkerUtils, job: Again) -> anyhow::Result<()> {
    utils.reschedule_jobs(&[job.id], job.how).await.map_err(told)?;
    Ok(())
}

/// Whoever has a certificate of the system's authorities for this name. Given explicitly, as the stores do.
fn tls() -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder =
        builder.with_platform_verifier().context("the system has no list of authorities to trust")?;
    Ok(builder.with_no_client_auth())
}

/// The queue's own words, without their sources: those quote data.
fn told(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the queue: {error}")
}
