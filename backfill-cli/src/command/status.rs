//! The command `status`: shows the windows, rows and open quarantine of every pipeline.

use std::collections::BTreeMap;

use backfill_report::instant::{short, utc};
use backfill_report::json::line as line_json;
use backfill_report::table::Table;
use backfill_report::windows::windows;
use raw_store::{BackfillLog as _, LogFilter, LogLine, Quarantine as _, Tables as _, WindowState};
use serde_json::json;

use super::log_reader::{is_wanted, or_nothing, reader};
use crate::args::{Output, StatusArgs};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit};
use crate::output::print::{out, out_json};

/// `status`: shows how far each pipeline is.
pub(crate) async fn status(settings: &Settings, arguments: &StatusArgs) -> Result<u8, Exit> {
    let wanted = settings.catalog.select(arguments.pipelines.iter().map(String::as_str))?;
    let database = reader(settings).await?;
    let mut lines = or_nothing(database.store.lines(&LogFilter::default()).await)?;
    lines.retain(|line| is_wanted(&wanted, &line.entity_name));
    let mut entities = Vec::new();
    for ((entity, axis), lines) in grouped(&lines) {
        let (rows, open_quarantine) = match settings.catalog.find(entity) {
            Ok(spec) => {
                let pipeline = spec.pipeline(axis.parse().unwrap_or_default());
                let open = database.store.open_quarantine(std::slice::from_ref(&pipeline), None).await?;
                (database.store.count_rows(&pipeline).await?, open)
            }
            Err(_) => (0, 0),
        };
        entities.push(EntityStatus { entity, axis, lines, rows, open_quarantine });
    }
    let listed = Listed { all: arguments.windows, of: arguments.status };
    match settings.output {
        Output::Json => {
            out_json(&json!({"pipelines": entities.iter().map(|one| one.json(listed)).collect::<Vec<_>>()}));
        }
        Output::Text if entities.is_empty() => out("nothing has been run yet: qbo-backfill run --help"),
        Output::Text => out(&text(&entities, listed)),
    }
    database.close().await?;
    Ok(DONE)
}

fn grouped(lines: &[LogLine]) -> BTreeMap<(&str, &str), Vec<&LogLine>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in lines {
        groups.entry((&*line.entity_name, &*line.time_axis)).or_default().push(line);
    }
    groups
}

/// Which windows are listed.
#[derive(Clone, Copy)]
struct Listed {
    all: bool,
    of: Option<WindowState>,
}

impl Listed {
    fn has(self, line: &LogLine) -> bool {
        self.all && self.of.is_none_or(|state| state == line.state)
    }
}

/// One pipeline by one axis: its log lines, rows and open quarantine.
struct EntityStatus<'a> {
    entity: &'a str,
    axis: &'a str,
    lines: Vec<&'a LogLine>,
    rows: u64,
    /// Records of the pipeline that are open in quarantine, by any axis.
    open_quarantine: u64,
}

impl EntityStatus<'_> {
    fn count(&self, state: WindowState) -> usize {
        self.lines.iter().filter(|line| line.state == state).count()
    }

    fn json(&self, listed: Listed) -> serde_json::Value {
        let lines = self.lines.iter().filter(|line| listed.has(line)).map(|line| line_json(line));
        json!({
            "entity_name": self.entity,
            "pipeline": format!("qb_{}_backfill", self.entity),
            "time_axis": self.axis,
            "rows": self.rows,
            "open_quarantine": self.open_quarantine,
            "windows": self.lines.len(),
            "completed": self.count(WindowState::Completed),
            "provisional": self.count(WindowState::Provisional),
            "failed": self.count(WindowState::Failed),
            "unavailable": self.count(WindowState::Unavailable),
            "running": self.count(WindowState::Running),
            "pending": self.count(WindowState::Pending),
            "first_utc": self.lines.iter().map(|line| line.window.start()).min().map(utc),
            "last_utc": self.lines.iter().map(|line| line.window.end()).max().map(utc),
            "lines": lines.collect::<Vec<_>>(),
        })
    }
}

fn text(entities: &[EntityStatus<'_>], listed: Listed) -> String {
    let mut table = Table::new(&[
        "pipeline",
        "by",
        "rows#",
        "from",
        "to",
        "windows#",
        "done#",
        "prov.#",
        "failed#",
        "unavail.#",
        "open#",
        "quarant.#",
    ]);
    for one in entities {
        let first = one.lines.iter().map(|line| line.window.start()).min().map(short).unwrap_or_default();
        let last = one.lines.iter().map(|line| line.window.end()).max().map(short).unwrap_or_default();
        let open = one.count(WindowState::Pending) + one.count(WindowState::Running);
        table.row([
            format!("qb_{}_backfill", one.entity),
            one.axis.to_owned(),
            one.rows.to_string(),
            first,
            last,
            one.lines.len().to_string(),
            one.count(WindowState::Completed).to_string(),
            one.count(WindowState::Provisional).to_string(),
            one.count(WindowState::Failed).to_string(),
            one.count(WindowState::Unavailable).to_string(),
            open.to_string(),
            one.open_quarantine.to_string(),
        ]);
    }
    if !listed.all {
        return table.to_string();
    }
    let list = windows(entities.iter().flat_map(|one| &one.lines).copied().filter(|line| listed.has(line)));
    format!("{table}\n{list}")
}
