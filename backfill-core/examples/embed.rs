//! A backfill from another Rust program, with an event sink of its own.
//!
//! `cargo run -p backfill-core --example embed`
//!
//! Everything here is real but the company, which is emulated on loopback and fails once, and the store, which lives in memory;
//! put `raw_store::PgStore` and Intuit's endpoints in their places. A program that does so depends on `backfill-core` alone,
//! with its features `http` and `pg`: the crates below it are re-exported.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::sync::Arc;

use backfill_core::qbo_auth::{
    ClientId, ClientSecret, Clock, Endpoints, Environment, MemoryVault, OauthEndpoint, RefreshingProvider,
    SecretName, SecretVault as _, SystemClock,
};
use backfill_core::qbo_client::{ClientEvent, HttpQboClient};
use backfill_core::raw_store::{MemoryStore, StoreIdentity, Window, WindowState};
use backfill_core::{CancellationToken, Catalog, Engine, EventSink, RunEvent, RunEventKind, RunRequest};
use fixtures::{CallKind, Company, Fault, Rule, Sandbox, SandboxOptions, Shape};
use time::macros::datetime;

/// Counts the days that had records. A real one would feed metrics or a progress page.
#[derive(Debug, Default)]
struct BusyDays(std::sync::atomic::AtomicU32);

impl EventSink for BusyDays {
    fn emit(&self, event: &RunEvent) {
        match &event.kind {
            RunEventKind::Window(day) if day.state == WindowState::Completed && day.counts.read() > 0 => {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            RunEventKind::PageCommitted { pipeline, page, rows, .. } => {
                println!("{} {pipeline}: page {page}, {rows} records", event.at.time());
            }
            // The engine hands on what the client reports, without any wiring.
            RunEventKind::Source(ClientEvent::Retrying { entity, cause, .. }) => {
                println!("{} {entity} is requested again: {cause}", event.at.time());
            }
            RunEventKind::Source(ClientEvent::Waiting { reason, time }) => {
                println!("{} waiting for {:.0} s: {reason}", event.at.time(), time.as_secs_f64());
            }
            _ => {}
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::start(Company::generate(1, &Shape::default()), SandboxOptions::default()).await?;
    sandbox.faults().push(Rule::on(CallKind::Query, Fault::Html { status: 503 }));
    let credentials = sandbox.credentials();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());

    // Who may call. `SealedVault` keeps the rotated refresh token between runs.
    let vault = Arc::new(MemoryVault::new(Arc::clone(&clock)));
    vault.set(SecretName::QboRefreshToken, credentials.refresh_token.into()).await?;
    let endpoints =
        Endpoints::of(Environment::Sandbox).with_api(&sandbox.url())?.with_oauth(&sandbox.url())?;
    let secret = ClientSecret::new(credentials.client_secret);
    let endpoint = OauthEndpoint::new(endpoints.clone(), ClientId::new(credentials.client_id), secret)?;
    let tokens = Arc::new(RefreshingProvider::new(vault, Arc::new(endpoint), Arc::clone(&clock)));

    // Who is read, where it lands, who listens.
    let realm = credentials.realm_id.parse()?;
    let client = Arc::new(HttpQboClient::builder(realm, endpoints, tokens, Arc::clone(&clock)).build()?);
    let store = Arc::new(MemoryStore::default());
    let days = Arc::new(BusyDays::default());
    let engine = Engine::new(client, store, clock, days.clone());

    let company = StoreIdentity { realm_id: credentials.realm_id.into(), environment: "sandbox".into() };
    let year = Window::new(datetime!(2024-01-01 0:00 UTC), datetime!(2025-01-01 0:00 UTC))?;
    let entities = Catalog::bundled().select(["Invoice", "Customer"])?;
    let request = RunRequest::new("first-run".parse()?, company, entities, year);
    let outcome = engine.run(request, CancellationToken::new()).await?;
    println!(
        "{}: {} records inserted with {} calls; {} window(s) with records",
        outcome.status().as_str(),
        outcome.totals().counts.inserted,
        outcome.usage.calls,
        days.0.load(std::sync::atomic::Ordering::Relaxed)
    );
    Ok(())
}

#[test]
fn the_example_runs() {
    main().expect("it ends well");
}
