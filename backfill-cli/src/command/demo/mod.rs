//! The command `demo`: a whole backfill without any configuration, with an emulated company, a private PostgreSQL, three
//! pipelines, the report, and two proofs.

mod own;
mod page;
mod stage;

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use backfill_core::{RunOutcome, RunRequest};
use backfill_report::ReportView;
use backfill_report::json::totals as totals_json;
use backfill_report::style::{Style, paint};
use fixtures::{Company, Sandbox, SandboxOptions, Shape};
use qbo_auth::{Environment, SealedVault, SecretName, SecretVault as _};
use qbo_client::Query;
use raw_store::{Reopen, Window};
use serde_json::json;
use time::macros::datetime;

use self::own::OwnDatabase;
use self::stage::Stage;
use super::console;
use super::document::STDOUT;
use super::findings::examined;
use super::request::request;
use crate::app::{RunApp, Schema, compose};
use crate::args::console::ConsoleArgs;
use crate::args::{DemoArgs, Output, RunArgs};
use crate::config::settings::{Place, PrivateServer, Settings, TestEndpoints};
use crate::output::exit::{BUG, DESTINATION, DONE, Exit, INTERRUPTED};
use crate::output::print::{say, say_lines};
use crate::secrets::prompt;
use crate::shutdown::Stop;
use crate::sinks::progress::sink;

/// What a person may want to see first.
const QUERY: &str = "SELECT * FROM raw.backfill_log ORDER BY window_start_utc LIMIT 20";

/// `demo`: runs the demonstration.
pub(crate) async fn demo(settings: Settings, arguments: &DemoArgs) -> Result<u8, Exit> {
    let span = Window::new(datetime!(2025-01-01 0:00 UTC), datetime!(2026-01-01 0:00 UTC));
    let span = span.map_err(|error| Exit::new(BUG, error.to_string(), ""))?;
    let on_stdout = arguments.out.as_deref() == Some(Path::new(STDOUT));
    if on_stdout && settings.output == Output::Json {
        let what = "stdout cannot hold both the page and the JSON";
        return Err(Exit::usage(what, "name a file with --out, or leave --output json out"));
    }
    // From here on there are files to remove at the end.
    let stop = Stop::listen()?;
    let folder = tempfile::Builder::new().prefix("qbo-demo-").tempdir().map_err(|error| {
        Exit::new(DESTINATION, format!("no temporary folder: {error}"), "make room in the temporary folder")
    })?;

    say(&format!(
        "An emulated company: {} invoices, {} customers and {} items over the twelve months of 2025.",
        arguments.invoices,
        arguments.invoices / 12,
        arguments.invoices / 40
    ));
    let mut stage = Stage::new(settings.output, arguments.details, on_stdout);
    let sandbox = company(arguments, span).await?;
    let own = if arguments.keep { Some(OwnDatabase::take(&settings.private).await?) } else { None };
    let settings = configure(settings, &sandbox, folder.path(), own.as_ref()).await?;
    let words = ["Invoice", "Customer", "Item"].map(str::to_owned).to_vec();
    let run = RunArgs::by_day(words, span);
    let first = request(&settings, &run, span, super::request::nobody(None))?;
    let page = page::Place::of(arguments, own.as_ref());
    let composed =
        compose(&settings, first.concurrency, first.seed, Schema::Made, |client| sink(&settings, client))
            .await?;
    stop.keep(&composed.tokens);
    let shown = show(&settings, &composed, first, &stop, &mut stage).await;
    let shown = shown.and_then(|()| page.write(&mut stage));
    let result = match shown {
        Ok(()) if stop.token.is_cancelled() => {
            Err(stopped(stop.code().unwrap_or(INTERRUPTED), arguments.keep))
        }
        Ok(()) if arguments.console => {
            if arguments.keep {
                name_commands(&composed, &mut stage);
            }
            stage.name_page();
            serve(&settings, folder.path(), arguments.keep, &stop).await
        }
        Ok(()) => look(&composed, arguments, settings.ask, &mut stage).await,
        Err(exit) => Err(exit),
    };
    let closed = composed.close().await;
    let left = match own {
        Some(own) => own.leave().await,
        None => Ok(()),
    };
    let result = result.and(closed).and(left);
    // A console ends by a signal and in no other way.
    if result.is_ok() || arguments.console {
        stage.close();
    }
    result.map(|()| DONE)
}

async fn company(arguments: &DemoArgs, span: Window) -> Result<Sandbox, Exit> {
    let shape = Shape::default()
        .with_counts(arguments.invoices, arguments.invoices / 12, arguments.invoices / 40)
        .with_history(span.start()..span.end())
        .with_bulk_import(60);
    let company = Company::generate(2025, &shape);
    Sandbox::start(company, SandboxOptions::default()).await.map_err(|error| {
        Exit::usage(format!("the emulator cannot listen: {error}"), "check the loopback interface")
    })
}

/// Settings for the emulator and the demo's own folders, with a vault like a real company's.
async fn configure(
    settings: Settings,
    sandbox: &Sandbox,
    folder: &Path,
    own: Option<&OwnDatabase>,
) -> Result<Settings, Exit> {
    let (path, key) = (folder.join("vault"), folder.join("vault.key"));
    let vault = SealedVault::init(&path, &key)?;
    let credentials = sandbox.credentials();
    for (name, value) in [
        (SecretName::QboClientId, credentials.client_id),
        (SecretName::QboClientSecret, credentials.client_secret),
        (SecretName::QboRealmId, credentials.realm_id),
        (SecretName::QboRefreshToken, credentials.refresh_token),
    ] {
        vault.set(name, value.into()).await?;
    }
    Ok(Settings {
        environment: Some(Environment::Sandbox),
        realm: None,
        // Use only the private server: a demo must not touch a user's database.
        database: None,
        schema: raw_store::SchemaName::default(),
        vault: Place { path, named: true },
        vault_key: Place { path: key, named: true },
        secrets: None,
        endpoints: TestEndpoints { api: Some(sandbox.url()), oauth: Some(sandbox.url()) },
        private: match own {
            Some(own) => PrivateServer { database: own.name.clone(), ..settings.private },
            // Not in the demo's own folder, which other users may not enter: root's server runs as another user.
            None => PrivateServer {
                folder: Ok(folder.with_added_extension("postgres")),
                database: "demo".into(),
                temporary: true,
            },
        },
        output: Output::Text,
        ..settings
    })
}

async fn show(
    settings: &Settings,
    composed: &RunApp,
    mut first: RunRequest,
    stop: &Stop,
    stage: &mut Stage,
) -> Result<(), Exit> {
    first.identity = composed.identity.clone();
    let mut second = first.clone();
    say_lines("\nFirst run: every day of the year, three pipelines.");
    let began = composed.clock.elapsed();
    let outcome = engine_run(composed, first, stop).await?;
    let took = human_duration(composed.clock.elapsed().saturating_sub(began));
    let now = composed.clock.now_utc();
    let report = examined(settings, composed.database_store(), &outcome, now).await?;
    let view = ReportView { report: &report, monthly_calls: settings.monthly_calls };
    stage.show(&format!("\n{}", stage.told(view)));
    stage.note("report", view.to_json());
    stage.page = Some(view.to_html());
    stage.show(&format!("took {took}"));
    complete(composed, &second, stage).await?;

    stage.headline("Second run, everything read again (--force): nothing may change.");
    second.id = format!("{}-again", second.id).parse().map_err(|_| Exit::new(BUG, "no run id", ""))?;
    second.reopen = Reopen::All;
    let outcome = engine_run(composed, second, stop).await?;
    let counts = outcome.totals().counts;
    let same = counts.inserted == 0 && counts.updated == 0;
    stage.note("second_run", totals_json(&outcome.totals()));
    stage.show(&format!(
        "  inserted {}, updated {}, unchanged {}  {}",
        counts.inserted,
        counts.updated,
        counts.unchanged,
        mark(same)
    ));
    if same { Ok(()) } else { Err(Exit::new(BUG, "the second run changed something", "please report this")) }
}

/// The first proof: each table has as many rows as QuickBooks counts records.
async fn complete(composed: &RunApp, read: &RunRequest, stage: &mut Stage) -> Result<(), Exit> {
    let mut tables = Vec::new();
    stage.headline("Are all records there? QuickBooks' own count beside the rows in PostgreSQL:");
    for spec in &read.entities {
        let query = Query::select(spec.name().clone());
        let query = if spec.has_inactive() { query.filter(both_active()) } else { query };
        let counted = composed.client.count(&query).await?;
        let rows = composed.store.count_rows(&spec.pipeline(read.axis)).await?;
        tables.push(json!({"table": spec.table().as_str(), "records": counted, "rows": rows}));
        stage.show(&format!(
            "  {:<14} {counted:>6} records, {rows:>6} rows  {}",
            spec.table(),
            mark(counted == rows)
        ));
        if counted != rows {
            return Err(Exit::new(BUG, format!("{} is not complete", spec.table()), "please report this"));
        }
    }
    stage.note("tables", tables);
    Ok(())
}

async fn engine_run(composed: &RunApp, request: RunRequest, stop: &Stop) -> Result<RunOutcome, Exit> {
    let mut outcome = composed.engine.run(request, stop.token.clone()).await?;
    match outcome.failure.take() {
        None => Ok(outcome),
        Some(failure) => {
            let mut exit = Exit::from(failure);
            exit.code = stop.code().unwrap_or(exit.code);
            Err(exit)
        }
    }
}

fn both_active() -> qbo_client::Predicate {
    let both = [true, false].map(qbo_client::Value::Bool);
    qbo_client::Predicate::is_in(qbo_client::Property::ACTIVE, both)
}

/// Formats a duration as in `1 min 5 s`.
fn human_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

fn mark(good: bool) -> impl std::fmt::Display {
    if good { paint(Style::Good, "✓") } else { paint(Style::Bad, "✗") }
}

/// A signal at the end is no failure of the demo.
fn stopped(code: u8, is_kept: bool) -> Exit {
    if is_kept {
        return Exit::new(code, "stopped; the demo had finished, and its database is kept", "");
    }
    let what = "stopped; the demo had finished, and its database is deleted";
    Exit::new(code, what, "qbo-backfill demo --keep keeps it")
}

/// Serves the console until the demo is stopped. Its key goes with the demo's folder.
async fn serve(settings: &Settings, folder: &Path, is_kept: bool, stop: &Stop) -> Result<(), Exit> {
    say_lines("\nThe console, until you press Ctrl-C:");
    let key = folder.join("console.key");
    console::make_key(&key)?;
    let arguments = ConsoleArgs::of_demo(key);
    let served =
        console::serve(vec![("demo".to_owned(), settings.clone())], settings, &arguments, stop).await;
    match (stop.code(), served) {
        (Some(code), Ok(_)) => Err(stopped(code, is_kept)),
        (Some(code), Err(exit)) if exit.code == code => Err(stopped(code, is_kept)),
        (_, served) => served.map(drop),
    }
}

/// Names the commands that open psql on a database that is kept.
fn name_commands(composed: &RunApp, stage: &mut Stage) {
    let line = format!("{} -c '{QUERY}'", composed.look());
    stage.note("look", line.clone());
    stage.headline("Look at the data:");
    stage.show(&format!("  {}", paint(Style::Command, line)));
    stage.show(&format!("  {}", paint(Style::Command, composed.look())));
}

/// Shows how to open psql on the data. A temporary database stays until the person at the terminal presses Enter.
async fn look(composed: &RunApp, arguments: &DemoArgs, ask: bool, stage: &mut Stage) -> Result<(), Exit> {
    if arguments.keep {
        name_commands(composed, stage);
        stage.name_page();
        return Ok(());
    }
    stage.note("look", None::<String>);
    let is_watched = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !(ask && is_watched && stage.is_for_people()) {
        stage.show("\nThe database was deleted with the demo; demo --keep keeps it.");
        stage.name_page();
        return Ok(());
    }
    stage.headline("Look at the data:");
    let line = format!("{} -c '{QUERY}'", composed.psql());
    stage.show(&format!("  {}", paint(Style::Command, line)));
    stage.name_page();
    let question = "\nThe database is deleted when the demo ends (demo --keep keeps it). Press Enter to end.";
    // If the terminal cannot be read any more, the person is gone, and the demo ends.
    let ended = prompt::shown(question, |_| Exit::new(DONE, "", "")).await.map(drop);
    ended.or_else(|exit| if exit.code == DONE { Ok(()) } else { Err(stopped(exit.code, false)) })
}
