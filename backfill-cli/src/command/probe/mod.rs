//! The command `probe`: finds out what QuickBooks accepts for the company, and writes it without any data of the company.

mod overrides;

use std::io::Write as _;
use std::num::NonZeroUsize;

use backfill_core::probe::{ProbeReport, probe as ask_all, question_count};
use backfill_report::probe::{ProbeFacts, document, summary};
use backfill_report::untrusted;
use qbo_client::MINOR_VERSION;
use tempfile::NamedTempFile;
use time::Date;

use self::overrides::{CatalogFile, folder};
use crate::app::{App, Schema, workshop};
use crate::args::{Output, ProbeArgs};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit, INCOMPLETE, INTERRUPTED, unwritten};
use crate::output::print::{out, out_json, say};
use crate::shutdown::Stop;

/// `probe`: asks small questions and keeps the shape of their answers.
pub(crate) async fn probe(settings: &Settings, arguments: &ProbeArgs) -> Result<u8, Exit> {
    // Tried before anything is asked, so that no call is spent in vain.
    if arguments.out.is_dir() {
        return Err(unwritten(&arguments.out, &std::io::ErrorKind::IsADirectory.into()));
    }
    let file = NamedTempFile::new_in(folder(&arguments.out));
    let mut file = file.map_err(|error| unwritten(&arguments.out, &error))?;
    let is_text = settings.output == Output::Text;
    if is_text {
        say(&format!(
            "{} questions of at most ten records each, and more about what is refused; at most {} API calls",
            question_count(&settings.catalog),
            arguments.max_calls
        ));
    }
    let stop = Stop::waiting()?;
    let app = workshop(settings, NonZeroUsize::MIN, 0, Schema::Made).await?;
    stop.keep(&app.company.tokens);
    let asked = ask(settings, arguments, &app, &stop).await;
    let clock = std::sync::Arc::clone(&app.company.clock);
    let environment = app.company.identity.environment.clone();
    app.close().await?;
    let Asked { report, calls, error } = asked?;
    if let Some(error) = error.clone().filter(|_| report.answers.is_empty()) {
        return Err(error);
    }

    let day = clock.now_utc().date();
    let facts = ProbeFacts {
        program: concat!("qbo-backfill ", env!("CARGO_PKG_VERSION")),
        environment: &environment,
        minor_version: MINOR_VERSION,
        day,
        calls,
    };
    let document = document(&report, facts);
    let text = untrusted::in_json(&format!("{document:#}\n")).into_owned();
    let written = file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all());
    written.map_err(|error| unwritten(&arguments.out, &error))?;
    file.persist(&arguments.out).map_err(|error| unwritten(&arguments.out, &error.error))?;
    if is_text {
        out(&summary(&report, calls));
        say(&format!(
            "the answers are in {}: shapes, codes, keys and counts, and nothing of your books; read it before you share it",
            arguments.out.display()
        ));
    } else {
        out_json(&document);
    }
    if let Some(error) = error {
        let what = format!("{}; the answers before it are in {}", error.what, arguments.out.display());
        return Err(stop.signed(Exit { what, ..error }));
    }
    if arguments.apply {
        apply(settings, &report, day)?;
    }
    ended(&report, &stop)
}

/// The answers of a probe, and how it ended.
struct Asked {
    report: ProbeReport,
    calls: u64,
    /// The error that ended it early, if one did.
    error: Option<Exit>,
}

async fn ask(settings: &Settings, arguments: &ProbeArgs, app: &App, stop: &Stop) -> Result<Asked, Exit> {
    let client = app.capped_client(arguments.max_calls)?;
    let (report, error) = ask_all(&*client, &settings.catalog, &*app.company.clock, &stop.token).await;
    Ok(Asked { report, calls: client.usage().calls, error: error.map(Exit::from) })
}

/// Adds entries to the catalogue file for what QuickBooks refuses.
fn apply(settings: &Settings, report: &ProbeReport, day: Date) -> Result<(), Exit> {
    let file = CatalogFile::of(settings);
    let before = file.read()?;
    // What the file leaves out already, although the probe has not used it, is not added again.
    let known = file.extends(&settings.catalog, &before)?;
    let entries = report.overrides(&known);
    if entries.is_empty() {
        let is_known = report.overrides(&settings.catalog) != entries;
        if is_known {
            say(&format!("the catalogue file {} has entries for all that is refused", file.path.display()));
            file.tell_use();
        } else {
            say(
                "the catalogue stays as it is: no part of a request is refused alone that an entry leaves out",
            );
        }
        return Ok(());
    }
    file.append(&before, &entries, day)?;
    let (number, path) = (entries.matches("[[entity]]").count(), file.path.display());
    say(&format!("entries added to the catalogue file {path}: {number}"));
    file.tell_use();
    Ok(())
}

fn ended(report: &ProbeReport, stop: &Stop) -> Result<u8, Exit> {
    if report.is_stopped {
        let code = stop.code().unwrap_or(INTERRUPTED);
        return Err(Exit::new(code, "stopped; the answers so far are written", "run the same command again"));
    }
    match report.not_asked() {
        0 => Ok(DONE),
        open => Err(Exit::new(
            INCOMPLETE,
            format!(
                "questions that were not asked, because the calls were used up: {open}; the others are answered"
            ),
            "run the same command again with a higher --max-calls",
        )),
    }
}
