//! The command `report`: rebuilds a run's report from the log and writes it in the requested format.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use backfill_core::Report;
use backfill_report::ReportView;
use backfill_report::style::Colours;
use backfill_report::untrusted;
use clap::ValueEnum as _;
use failpoint::point;
use qbo_auth::{Clock as _, SystemClock, TokenVault as _};
use serde_json::json;

use super::auth::warn_if_ending;
use super::findings;
use super::log_reader::reader_and_secrets;
use crate::args::{Output, ReportArgs, ReportFormat};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit, unwritten};
use crate::output::print::{out, out_document, out_json, say};

/// `report`: rebuilds a run's report from the log, even of a killed run.
pub(crate) async fn report(settings: &Settings, arguments: &ReportArgs) -> Result<u8, Exit> {
    let (database, secrets) = reader_and_secrets(settings).await?;
    let mut report = Report::build(&*database.store, &settings.catalog, arguments.run.as_ref()).await?;
    let now = SystemClock::new().now_utc();
    findings::recall(&mut report, &*database.store, &settings.thresholds, now).await?;
    database.close().await?;
    if let Some(vault) = secrets.vault()
        && let Ok(Some(tokens)) = vault.load().await
    {
        warn_if_ending(&tokens);
    }
    let format = arguments.format.unwrap_or(match settings.output {
        Output::Json => ReportFormat::Json,
        Output::Text => ReportFormat::Text,
    });
    // As in other programs, `-` means stdout.
    let file = arguments.out.as_deref().filter(|file| *file != Path::new("-"));
    let is_json = settings.output == Output::Json;
    let is_styled = file.is_none() && !is_json;
    let view = ReportView { report: &report, monthly_calls: settings.monthly_calls };
    let text = match format {
        ReportFormat::Text if is_styled => view.to_text(),
        ReportFormat::Text => Colours::Dropped.apply(&view.to_text()).into_owned(),
        ReportFormat::Md => view.to_markdown(),
        ReportFormat::Json => untrusted::in_json(&format!("{:#}\n", view.to_json())).into_owned(),
        ReportFormat::Html => view.to_html(),
    };
    let Some(file) = file else {
        match format {
            ReportFormat::Json => out_json(&view.to_json()),
            format if is_json => {
                out_json(&json!({"run_id": report.run.id.as_str(), "format": word(format), "text": text}));
            }
            ReportFormat::Text => out(&text),
            _ => out_document(&text),
        }
        return Ok(DONE);
    };
    point!("report.write");
    write(file, &text).map_err(|error| unwritten(file, &error))?;
    point!("report.written");
    if is_json {
        let file = file.display().to_string();
        out_json(&json!({"run_id": report.run.id.as_str(), "format": word(format), "file": file}));
    } else {
        say(&format!("the report is in {}", file.display()));
    }
    Ok(DONE)
}

/// The format as `--format` spells it.
fn word(format: ReportFormat) -> String {
    format.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Writes a file and waits until it is on disk, because some systems report a full disk only then.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let mut opened = File::create(file)?;
    opened.write_all(text.as_bytes())?;
    // A pipe or a terminal cannot be synchronised to disk.
    if opened.metadata()?.is_file() { opened.sync_all() } else { Ok(()) }
}
