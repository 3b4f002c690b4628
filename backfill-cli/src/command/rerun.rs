//! Reads windows of the log again, in one run per axis.

use std::collections::BTreeMap;

use backfill_core::{Axis, ChunkSize, RunRequest};
use raw_store::{BackfillLog as _, LogFilter, LogLine, Reopen, Window};
use serde_json::json;

use super::log_reader::{is_wanted, or_nothing, reader};
use super::request::{nobody, request};
use super::run::{self, Ending};
use crate::args::{Output, RunArgs};
use crate::config::settings::Settings;
use crate::output::event;
use crate::output::exit::{DONE, Exit, INCOMPLETE};
use crate::output::print::say;

/// The lines of the log for these pipelines, or for all.
pub(super) async fn lines(settings: &Settings, pipelines: &[String]) -> Result<Vec<LogLine>, Exit> {
    let wanted = settings.catalog.select(pipelines.iter().map(String::as_str))?;
    let database = reader(settings).await?;
    let lines = or_nothing(database.store.lines(&LogFilter::default()).await);
    database.close().await?;
    let mut lines = lines?;
    // A pipeline that is no longer in the catalogue cannot be read.
    lines.retain(|line| settings.catalog.find(&line.entity_name).is_ok());
    lines.retain(|line| is_wanted(&wanted, &line.entity_name));
    Ok(lines)
}

/// Reports that there is nothing to read again.
pub(super) fn nothing(settings: &Settings, why: &str) -> u8 {
    match settings.output {
        Output::Json => event::write("nothing_to_read", json!({"message": why, "exit_code": DONE})),
        Output::Text => say(why),
    }
    DONE
}

/// Reads these windows again. If windows of one run fail, the next run still starts; any other error, or a signal, ends the
/// command.
pub(super) async fn read(
    settings: &Settings,
    lines: &[LogLine],
    reopen: Reopen,
    ending: Ending,
) -> Result<u8, Exit> {
    let mut by_axis: BTreeMap<&str, Vec<&LogLine>> = BTreeMap::new();
    for line in lines {
        by_axis.entry(&line.time_axis).or_default().push(line);
    }
    let mut incomplete = None;
    for (axis, lines) in by_axis {
        let Some(request) = along(settings, axis.parse().unwrap_or_default(), &lines)? else { continue };
        match run::execute(settings, RunRequest { reopen, ..request }, ending).await {
            Ok(_) => {}
            Err(exit) if exit.code == INCOMPLETE => incomplete = Some(exit),
            Err(exit) => return Err(exit),
        }
    }
    incomplete.map_or(Ok(DONE), Err)
}

/// The request to read these windows of one axis; `None` if there are none.
fn along(settings: &Settings, axis: Axis, lines: &[&LogLine]) -> Result<Option<RunRequest>, Exit> {
    let mut chosen: BTreeMap<Box<str>, Vec<Window>> = BTreeMap::new();
    for line in lines {
        chosen.entry(line.entity_name.clone()).or_default().push(line.window);
    }
    chosen_windows(settings, axis, chosen)
}

/// The request to read these windows; `None` if there are none.
pub(super) fn chosen_windows(
    settings: &Settings,
    axis: Axis,
    chosen: BTreeMap<Box<str>, Vec<Window>>,
) -> Result<Option<RunRequest>, Exit> {
    let all = || chosen.values().flatten();
    let ends = (all().map(|window| window.start()).min(), all().map(|window| window.end()).max());
    let (Some(from), Some(to)) = ends else { return Ok(None) };
    let span = Window::new(from, to).map_err(|error| Exit::usage(error.to_string(), ""))?;
    let pipelines = chosen.keys().map(ToString::to_string).collect();
    // The windows are given, so the range is not split.
    let arguments = RunArgs { by: axis, chunk: ChunkSize::Whole, ..RunArgs::by_day(pipelines, span) };
    let request = request(settings, &arguments, span, nobody(None))?;
    Ok(Some(RunRequest { chosen: Some(chosen), ..request }))
}
