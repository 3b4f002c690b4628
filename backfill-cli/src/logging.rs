//! Starts logging to stderr, as text or JSON.

use tracing_subscriber::EnvFilter;

use crate::args::{Global, LogFormat};
use crate::output::print::Log;

/// Starts logging. `level` is a word such as `info`, or directives such as `info,backfill_core=debug`.
pub(crate) fn start(global: &Global) {
    // At their lowest levels, protocol libraries log headers and statements, which contain tokens and payloads.
    const QUIET: &str = "h2=info,hyper=info,hyper_util=info,reqwest=info,rustls=info,tokio_postgres=info,postgres=info,oauth2=info";
    let filter = EnvFilter::new(format!("{},{QUIET}", global.log_level.to_ascii_lowercase()));
    let is_json = matches!(global.log_format, LogFormat::Json);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || Log { is_json });
    // Otherwise an error on stderr would be reported on stderr again, which panics.
    let builder = builder.log_internal_errors(false);
    let result = match global.log_format {
        LogFormat::Text => builder.with_ansi(false).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // This fails only if the process has a subscriber already.
    drop(result);
}
