//! The commands, one file each. A command turns settings into a result, and leaves the format of its output to
//! `backfill-report`.

mod attachments;
mod auth;
mod cancel;
mod certificate;
mod company_info;
mod console;
mod db;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod document;
mod entities;
mod find_run;
mod findings;
mod health;
mod log_reader;
mod plan;
mod probe;
mod reconcile;
mod quarantine;
mod report;
mod request;
mod rerun;
mod retry;
mod run;
mod runs;
mod secrets;
mod status;
mod trigger;
mod unsound;
mod verify;
mod verify_windows;
mod views;
mod worker;

use crate::args::{self, Cli, Command, Db, Output};
use crate::config::settings::Settings;
use crate::logging;
use crate::output::exit::{DONE, Exit};

/// Runs the command.
pub(crate) fn dispatch(cli: Cli) -> Result<u8, Exit> {
    if let Command::Completions { shell } = cli.command {
        args::completions(shell, cli.global.output);
        return Ok(DONE);
    }
    if let Command::Manual { folder } = &cli.command {
        return args::manual::manual(folder, cli.global.output);
    }
    logging::start(&cli.global);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|_| Exit::usage("the runtime cannot be started", "check the system's limits"))?;
    // The runtime outlives the command, so that signals still work while output is being written.
    let runtime: &'static tokio::runtime::Runtime = Box::leak(Box::new(runtime));
    if let (Command::Db(Db::Psql { .. }), Output::Json) = (&cli.command, cli.global.output) {
        return Err(Exit::usage(
            "db psql does not support --output json: psql formats its own output",
            "leave it out, and use a format of psql: db psql --csv -c 'SELECT …'",
        ));
    }
    #[cfg(feature = "embedded")]
    if let Command::Db(Db::Psql { private: Some(folder), arguments }) = &cli.command {
        return runtime.block_on(db::psql_in(folder, arguments));
    }
    let settings = Settings::resolve(&cli.global)?;
    runtime.block_on(async {
        match cli.command {
            Command::Run(arguments) if arguments.dry_run => plan::plan(&settings, &arguments).await,
            Command::Run(arguments) => run::run(&settings, &arguments).await,
            Command::Plan(arguments) => plan::plan(&settings, &arguments).await,
            Command::Status(arguments) => status::status(&settings, &arguments).await,
            Command::Runs(arguments) => runs::runs(&settings, &arguments).await,
            Command::Report(arguments) => report::report(&settings, &arguments).await,
            Command::Cancel { run } => cancel::cancel(&settings, &run).await,
            Command::Retry(arguments) => retry::retry(&settings, &arguments).await,
            Command::Verify(arguments) => verify::verify(&settings, &arguments).await,
            Command::Attachments(command) => attachments::attachments(&settings, &command).await,
            Command::Probe(arguments) => probe::probe(&settings, &arguments).await,
            Command::Reconcile(arguments) => reconcile::reconcile(&settings, &arguments).await,
            Command::Trigger(command) => trigger::trigger(&settings, &command).await,
            Command::Worker(arguments) => worker::worker(&cli.global, &settings, &arguments).await,
            Command::Console(arguments) => console::console(&cli.global, &settings, &arguments).await,
            Command::Health(arguments) => health::health(settings.output, &arguments).await,
            Command::Quarantine(command) => quarantine::quarantine(&settings, &command).await,
            Command::Db(command) => db::db(&settings, &command).await,
            Command::Views(command) => views::views(&settings, &command).await,
            Command::Secrets(command) => secrets::secrets(&settings, command).await,
            Command::Auth(command) => auth::auth(&settings, command).await,
            Command::Doctor(arguments) => doctor::doctor(&settings, &arguments).await,
            Command::Entities => Ok(entities::entities(&settings)),
            #[cfg(feature = "demo")]
            Command::Demo(arguments) => demo::demo(settings, &arguments).await,
            Command::Completions { .. } | Command::Manual { .. } => Ok(DONE),
        }
    })
}
