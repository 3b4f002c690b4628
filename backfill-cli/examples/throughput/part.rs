//! One measured part: what it needs to know, and what it tells.

use std::error::Error;
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use fixtures::measure::{cpu_seconds, peak_mib};
use qbo_auth::{AccessToken, Clock, Endpoints, Environment, StaticProvider, SystemClock};
use qbo_client::{HttpQboClient, PageSize, Property, QboClient, Query, RatePolicy};
use raw_store::{DatabaseOptions, PgStore};
use serde::{Deserialize, Serialize};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What a part needs to know; it travels over stdin, for it holds a password.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Task {
    pub(crate) part: String,
    pub(crate) url: String,
    pub(crate) realm_id: String,
    pub(crate) access_token: String,
    pub(crate) database: String,
    pub(crate) password: String,
    /// How many records there are.
    pub(crate) records: usize,
    /// Questions under way at the same time.
    pub(crate) places: NonZeroUsize,
    /// Seconds that every answer takes.
    pub(crate) latency: f64,
    /// Whether Intuit's limits are kept.
    pub(crate) limited: bool,
}

/// What a part measured of itself.
#[derive(Deserialize, Serialize)]
pub(crate) struct Measured {
    pub(crate) rows: u64,
    pub(crate) calls: u64,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_mib: f64,
}

/// When a part began, after what it had to prepare.
pub(crate) struct Began {
    at: Instant,
    cpu_seconds: f64,
}

impl Began {
    pub(crate) fn now() -> Outcome<Self> {
        Ok(Self { cpu_seconds: cpu_seconds()?, at: Instant::now() })
    }

    pub(crate) fn ended(&self, rows: u64, calls: u64) -> Outcome<Measured> {
        let seconds = self.at.elapsed().as_secs_f64();
        let cpu_seconds = cpu_seconds()? - self.cpu_seconds;
        Ok(Measured { rows, calls, seconds, cpu_seconds, peak_mib: peak_mib(std::process::id())? })
    }
}

impl Task {
    /// Runs it in a process of its own.
    pub(crate) fn run(&self) -> Outcome<Measured> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("part")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        serde_json::to_writer(child.stdin.take().ok_or("no stdin")?, self)?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("the part {} failed", self.part).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The questions for all records by position: as many pages as a backfill needs at least.
    pub(crate) fn questions(&self) -> Outcome<Vec<Query>> {
        let size = PageSize::MAX.get().into();
        let starts = (1..=u32::try_from(self.records)?).step_by(size);
        starts
            .map(|start| {
                let all = Query::select("Invoice".parse()?).order_by(Property::LAST_UPDATED_TIME);
                Ok(all.page(start, PageSize::MAX))
            })
            .collect()
    }

    pub(crate) fn clock() -> Arc<dyn Clock> {
        Arc::new(SystemClock::new())
    }

    pub(crate) fn client(&self, clock: &Arc<dyn Clock>) -> Outcome<Arc<dyn QboClient>> {
        let tokens = Arc::new(StaticProvider::new(AccessToken::new(self.access_token.clone())));
        let endpoints = Endpoints::of(Environment::Sandbox).with_api(&self.url)?;
        let builder = HttpQboClient::builder(self.realm_id.parse()?, endpoints, tokens, Arc::clone(clock));
        Ok(Arc::new(builder.rate_policy(self.limited.then_some(RatePolicy::QBO)).build()?))
    }

    pub(crate) async fn store(&self, schema: &str) -> Outcome<PgStore> {
        let options: DatabaseOptions = self.database.parse()?;
        // As the command does it: one more than places, for reading the log.
        let options = options.with_password(&self.password).with_pool_size(self.places.get() + 1);
        let store = PgStore::connect(options, schema.parse()?).await?;
        store.migrate().await?;
        Ok(store)
    }
}
