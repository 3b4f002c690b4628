use backfill_core::Report;

use qbo_auth::TokenVault as _;

use super::auth::warn_if_ending;
use super::reader_and_secrets;
use crate::args::{Output, ReportArgs, ReportFormat};
use crate::exit::{DONE, Exit};
use crate::render::{out, report_json, report_markdown, report_text, say};
use crate::settings::Settings;

/// `report`: rebuilt from the log, so that a killed run has one too.
pub(crate) async fn report(settings: &Settings, arguments: &ReportArgs) -> Result<u8, Exit> {
    let (database, secrets) = reader_and_secrets(settings).await?;
    let report = Report::build(&*database.store, &settings.catalog, arguments.run.as_ref()).await?;
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
    let text = match format {
        ReportFormat::Text => report_text(&report),
        ReportFormat::Md => report_markdown(&report),
        ReportFormat::Json => format!("{:#}\n", report_json(&report)),
    };
    let Some(file) = &arguments.out else {
        out(&text);
        return Ok(DONE);
    };
    std::fs::write(file, text).map_err(|error| {
        Exit::usage(format!("{}: {error}", file.display()), "name a file that can be written with --out")
    })?;
    say(&format!("the report is in {}", file.display()));
    Ok(DONE)
}
