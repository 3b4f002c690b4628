//! The command `report`: rebuilds a run's report from the log and writes it in the requested format.

use backfill_core::Report;
use backfill_report::ReportView;
use qbo_auth::{Clock as _, SystemClock, TokenVault as _};
use serde_json::json;

use super::auth::warn_if_ending;
use super::certificate::certificate;
use super::document::{Content, Document, wanted_format, width_of};
use super::find_run::find_run;
use super::findings;
use super::log_reader::reader_and_secrets;
use crate::args::{Output, ReportArgs, ReportFormat};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit};

/// `report`: rebuilds a run's report from the log, even of a killed run.
pub(crate) async fn report(settings: &Settings, arguments: &ReportArgs) -> Result<u8, Exit> {
    if arguments.certificate {
        return certificate(settings, arguments).await;
    }
    let format = wanted_format(arguments)?.unwrap_or(match settings.output {
        Output::Json => ReportFormat::Json,
        Output::Text => ReportFormat::Text,
    });
    let (database, secrets) = reader_and_secrets(settings).await?;
    let run = match &arguments.run {
        Some(wanted) => Some(find_run(&*database.store, wanted).await?.id),
        None => None,
    };
    let mut report = Report::build(&*database.store, &settings.catalog, run.as_ref()).await?;
    let now = SystemClock::new().now_utc();
    findings::recall(&mut report, &*database.store, &settings.thresholds, now).await?;
    database.close().await?;
    if let Some(vault) = secrets.vault()
        && let Ok(Some(tokens)) = vault.load().await
    {
        warn_if_ending(&tokens);
    }
    let view = ReportView { report: &report, monthly_calls: settings.monthly_calls };
    let content = match format {
        ReportFormat::Text => Content::Styled(view.to_text(width_of(arguments.out.as_deref()))),
        ReportFormat::Md => Content::Text(view.to_markdown()),
        ReportFormat::Json => Content::Json(view.to_json()),
        ReportFormat::Html => Content::Text(view.to_html()),
    };
    let named = json!({"run_id": report.run.id.as_str()});
    Document { noun: "report", named, format, content }.deliver(arguments.out.as_deref(), settings.output)?;
    Ok(DONE)
}
