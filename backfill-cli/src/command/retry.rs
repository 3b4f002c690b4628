//! The command `retry`: reads failed windows, or the windows that hold a given instant, again.

use backfill_report::instant::utc;
use raw_store::{Reopen, WindowState};

use super::rerun;
use super::run::Ending;
use crate::args::RetryArgs;
use crate::config::settings::Settings;
use crate::output::exit::Exit;

/// `retry`: reads failed or chosen windows again.
pub(crate) async fn retry(settings: &Settings, arguments: &RetryArgs) -> Result<u8, Exit> {
    let ending = Ending::of(arguments.details);
    let mut lines = rerun::lines(settings, &arguments.pipelines).await?;
    let Some(at) = arguments.window else {
        lines.retain(|line| line.state == WindowState::Failed);
        if lines.is_empty() {
            return Ok(rerun::nothing(settings, "no window has failed"));
        }
        return rerun::read(settings, &lines, Reopen::Unfinished, ending).await;
    };
    lines.retain(|line| line.window.contains(at));
    if lines.is_empty() {
        return Err(Exit::usage(
            format!("no window of the log contains {}", utc(at)),
            "see: qbo-backfill status --windows",
        ));
    }
    rerun::read(settings, &lines, Reopen::All, ending).await
}
