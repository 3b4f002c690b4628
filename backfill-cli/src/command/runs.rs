//! The command `runs`: lists the newest runs, or shows one run with its windows.

use backfill_core::Totals;
use backfill_report::instant::{short, utc};
use backfill_report::json::{line as line_json, run as run_json};
use backfill_report::table::Table;
use backfill_report::windows::windows;
use raw_store::{BackfillLog as _, LogFilter, RunRecord};

use super::find_run::find_run;
use super::log_reader::{or_nothing, reader};
use crate::args::{Output, RunsArgs, RunsCommand};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit};
use crate::output::print::{out, out_json};
use crate::output::screen_width;

/// `runs`: lists the newest runs, or shows one.
pub(crate) async fn runs(settings: &Settings, arguments: &RunsArgs) -> Result<u8, Exit> {
    let database = reader(settings).await?;
    let runs = match &arguments.command {
        None => or_nothing(database.store.runs(arguments.limit).await)?,
        Some(RunsCommand::Show { run, .. }) => {
            vec![find_run(&*database.store, run).await?]
        }
    };
    let lines = match &arguments.command {
        Some(RunsCommand::Show { windows: true, status, .. }) => {
            let filter = LogFilter { run: Some(runs[0].id.clone()), state: *status, ..LogFilter::default() };
            Some(database.store.lines(&filter).await?)
        }
        _ => None,
    };
    database.close().await?;
    match (settings.output, &arguments.command) {
        (Output::Json, Some(_)) => {
            let mut run = run_json(&runs[0]);
            if let Some(lines) = &lines {
                run["lines"] = lines.iter().map(line_json).collect();
            }
            out_json(&run);
        }
        (Output::Json, None) => out_json(&runs.iter().map(run_json).collect()),
        (Output::Text, _) if runs.is_empty() => out("nothing has been run yet: qbo-backfill run --help"),
        (Output::Text, _) => {
            let list = lines
                .map(|lines| format!("\n{}", windows(&lines, screen_width::of_stdout())))
                .unwrap_or_default();
            out(&format!("{}{list}", text(&runs)));
        }
    }
    Ok(DONE)
}

fn text(runs: &[RunRecord]) -> String {
    let mut table = Table::new(&[
        "run",
        "status",
        "from .. to",
        "chunk",
        "windows#",
        "done#",
        "failed#",
        "unavail.#",
        "inserted#",
        "updated#",
        "unchanged#",
        "calls#",
        "started (UTC)",
        "seconds#",
    ])
    .optional(&[
        "chunk",
        "unavail.",
        "seconds",
        "unchanged",
        "updated",
        "calls",
        "started (UTC)",
        "windows",
        "inserted",
        "done",
    ]);
    for run in runs {
        let totals = Totals::of(&run.pipelines);
        let seconds = run.finished_at.map(|end| format!("{:.1}", (end - run.started_at).as_seconds_f64()));
        table.row([
            run.id.to_string(),
            run.status.as_str().to_owned(),
            format!("{} .. {}", short(run.span.start()), short(run.span.end())),
            run.chunk.to_string(),
            totals.windows_opened.to_string(),
            totals.windows_completed.to_string(),
            totals.windows_failed.to_string(),
            totals.windows_unavailable.to_string(),
            totals.counts.inserted.to_string(),
            totals.counts.updated.to_string(),
            totals.counts.unchanged.to_string(),
            run.calls.to_string(),
            utc(run.started_at),
            seconds.unwrap_or_default(),
        ]);
    }
    table.fitted(screen_width::of_stdout())
}
