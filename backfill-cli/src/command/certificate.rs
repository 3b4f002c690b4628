//! The certificate of `report --certificate`: what is stored of the company, and what its verifications have shown.

use backfill_core::Certificate;
use backfill_report::CertificateView;
use serde_json::json;

use super::document::{Content, Document, wanted_format};
use super::log_reader::reader;
use crate::args::{Output, ReportArgs, ReportFormat};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit};

const PROGRAM: &str = concat!("qbo-backfill ", env!("CARGO_PKG_VERSION"));

/// Sums up all tables and writes the certificate.
pub(super) async fn certificate(settings: &Settings, arguments: &ReportArgs) -> Result<u8, Exit> {
    let format = match (wanted_format(arguments)?, settings.output) {
        (None, Output::Json) => ReportFormat::Json,
        (None, Output::Text) => ReportFormat::Html,
        (Some(format @ (ReportFormat::Html | ReportFormat::Json)), _) => format,
        (Some(ReportFormat::Text | ReportFormat::Md), _) => {
            let what = "a certificate is written as html or json; nothing was read";
            return Err(Exit::usage(what, "name a file that ends in .html or .json, or give --format json"));
        }
    };
    let database = reader(settings).await?;
    let certificate = Certificate::issue(&*database.store, &settings.catalog).await?;
    let schema_version = database.store.schema_status().await?.found;
    database.close().await?;
    let schema = settings.schema.as_str();
    let view = CertificateView { certificate: &certificate, program: PROGRAM, schema_version, schema };
    let content = match format {
        ReportFormat::Json => Content::Json(view.to_json()),
        _ => Content::Text(view.to_html()),
    };
    let named = json!({"sha256": view.hash()});
    let document = Document { noun: "certificate", named, format, content };
    document.deliver(arguments.out.as_deref(), settings.output)?;
    Ok(DONE)
}
