//! The command `status`: shows the windows, rows and open quarantine of every pipeline.

use std::fmt::Write as _;

use backfill_core::catalog::pipeline_name;
use backfill_core::reconcile::WHOLE;
use backfill_core::report::by_pipeline;
use backfill_core::{Axis, CustomFields, EntitySpec, RequestPart};
use backfill_report::instant::{short, utc};
use backfill_report::json::{line as line_json, verified as verified_json};
use backfill_report::table::Table;
use backfill_report::windows::windows;
use backfill_report::{confirmation, custom_fields_line};
use qbo_auth::{Clock as _, SystemClock};
use raw_store::{
    BackfillLog as _, LogFilter, LogLine, Pipeline, Quarantine as _, SourceRefusals as _, Tables as _,
    Validation, VerificationLog as _, VerificationRecord, VerifyMethod, WindowState,
};
use serde_json::json;

use super::log_reader::{is_wanted, or_nothing, reader};
use crate::args::{Output, StatusArgs};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit};
use crate::output::print::{out, out_json};
use crate::output::screen_width;

/// `status`: shows how far each pipeline is.
pub(crate) async fn status(settings: &Settings, arguments: &StatusArgs) -> Result<u8, Exit> {
    let wanted = settings.catalog.select(arguments.pipelines.iter().map(String::as_str))?;
    let database = reader(settings).await?;
    let mut lines = or_nothing(database.store.lines(&LogFilter::default()).await)?;
    lines.retain(|line| is_wanted(&wanted, &line.entity_name));
    let refusals = or_nothing(database.store.refusals().await)?;
    let now = SystemClock::new().now_utc();
    let mut entities = Vec::new();
    for ((entity, axis), lines) in by_pipeline(&lines) {
        let mut status = EntityStatus::of(entity, axis, lines);
        if let Ok(spec) = settings.catalog.find(entity) {
            let by = axis.parse().unwrap_or_default();
            let spec = spec.clone().as_accepted(by, &refusals, now);
            let pipeline = spec.pipeline(by);
            status.open_quarantine =
                database.store.open_quarantine(std::slice::from_ref(&pipeline), None).await?;
            status.rows = database.store.count_rows(&pipeline).await?;
            status.with_all_fields = with_all_fields(&*database.store, &spec, &pipeline, &status).await?;
            status.left_out = spec.left_out().to_vec();
        }
        entities.push(status);
    }
    let verified = or_nothing(database.store.last_verifications().await)?;
    let listed = Listed { all: arguments.windows, of: arguments.status };
    match settings.output {
        Output::Json => {
            out_json(
                &json!({"pipelines": entities.iter().map(|one| one.json(listed, &verified)).collect::<Vec<_>>(),
                        "reconciled": whole(&verified).map(verified_json)}),
            );
        }
        Output::Text if entities.is_empty() => out("nothing has been run yet: qbo-backfill run --help"),
        Output::Text => out(&format!("{}{}", text(&entities, listed), confirmations(&entities, &verified))),
    }
    database.close().await?;
    Ok(DONE)
}

/// Says when each pipeline was last confirmed, and how.
fn confirmations(entities: &[EntityStatus<'_>], verified: &[VerificationRecord]) -> String {
    let mut text = String::new();
    for one in entities.iter().filter(|one| one.axis == Axis::Updated.as_str()) {
        for record in one.verified(verified) {
            let _ = write!(text, "\n{}", confirmation::sentence(record));
        }
    }
    if let Some(record) = whole(verified) {
        let _ = write!(text, "\n{}", confirmation::sentence(record));
    }
    text
}

/// The newest result of comparing the company as a whole with the reports.
fn whole(verified: &[VerificationRecord]) -> Option<&VerificationRecord> {
    verified.iter().find(|one| &*one.entity_name == WHOLE && one.method == VerifyMethod::Report)
}

/// Returns how many rows are known to be stored with all their custom fields. `None` for an entity whose custom fields are not
/// requested.
async fn with_all_fields(
    store: &dyn Validation,
    spec: &EntitySpec,
    pipeline: &Pipeline,
    status: &EntityStatus<'_>,
) -> Result<Option<u64>, Exit> {
    if !spec.has_custom_fields() {
        return Ok(None);
    }
    let fields = CustomFields::of(status.lines.iter().copied());
    if fields.whole == fields.records {
        return Ok(Some(status.rows));
    }
    // Where windows say when a record was changed, the table knows how many of its rows lie in them: an edited record has left
    // the window that it was counted in.
    let spans = CustomFields::spans(status.lines.iter().copied());
    if status.axis != Axis::Updated.as_str() || spec.is_snapshot() || spans.is_empty() {
        return Ok(Some(fields.whole.min(status.rows)));
    }
    let surveyed = store.survey(pipeline, &spans, 0).await?;
    Ok(Some(surveyed.in_windows.iter().sum::<u64>().min(status.rows)))
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
    /// Rows that are known to be stored with all their custom fields, if these are requested.
    with_all_fields: Option<u64>,
    /// Parts of its requests that QuickBooks refuses.
    left_out: Vec<RequestPart>,
}

impl<'a> EntityStatus<'a> {
    fn of(entity: &'a str, axis: &'a str, lines: Vec<&'a LogLine>) -> Self {
        Self { entity, axis, lines, rows: 0, open_quarantine: 0, with_all_fields: None, left_out: Vec::new() }
    }

    /// What is special about its requests and fields, in sentences.
    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<_> = self.left_out.iter().map(|part| part.consequence().to_owned()).collect();
        // Where QuickBooks refuses them, reading again does not help.
        let are_refused = self.left_out.contains(&RequestPart::CustomFields);
        if let Some(whole) = self.with_all_fields.filter(|whole| *whole < self.rows && !are_refused) {
            notes.push(custom_fields_line(whole, self.rows, "rows"));
        }
        notes.iter().map(|note| format!("{}: {note}", pipeline_name(self.entity))).collect()
    }

    fn count(&self, state: WindowState) -> usize {
        self.lines.iter().filter(|line| line.state == state).count()
    }

    /// The results of its verifications. They concern the axis of the last update, whatever else was read.
    fn verified<'r>(
        &self,
        verified: &'r [VerificationRecord],
    ) -> impl Iterator<Item = &'r VerificationRecord> {
        let entity = self.entity.to_owned();
        verified.iter().filter(move |record| *record.entity_name == *entity)
    }

    fn json(&self, listed: Listed, verified: &[VerificationRecord]) -> serde_json::Value {
        let verified = self.verified(verified).map(verified_json);
        let lines = self.lines.iter().filter(|line| listed.has(line)).map(|line| line_json(line));
        json!({
            "entity_name": self.entity,
            "pipeline": pipeline_name(self.entity),
            "time_axis": self.axis,
            "rows": self.rows,
            "open_quarantine": self.open_quarantine,
            "rows_with_all_fields": self.with_all_fields,
            "left_out": self.left_out.iter().map(|part| part.as_str()).collect::<Vec<_>>(),
            "windows": self.lines.len(),
            "completed": self.count(WindowState::Completed),
            "provisional": self.count(WindowState::Provisional),
            "failed": self.count(WindowState::Failed),
            "unavailable": self.count(WindowState::Unavailable),
            "running": self.count(WindowState::Running),
            "pending": self.count(WindowState::Pending),
            "first_utc": self.lines.iter().map(|line| line.window.start()).min().map(utc),
            "last_utc": self.lines.iter().map(|line| line.window.end()).max().map(utc),
            "verified": verified.collect::<Vec<_>>(),
            "lines": lines.collect::<Vec<_>>(),
        })
    }
}

fn text(entities: &[EntityStatus<'_>], listed: Listed) -> String {
    let width = screen_width::of_stdout();
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
    ])
    .optional(&["unavail.", "prov.", "quarant.", "by", "windows", "open", "from", "to", "done"]);
    for one in entities {
        let first = one.lines.iter().map(|line| line.window.start()).min().map(short).unwrap_or_default();
        let last = one.lines.iter().map(|line| line.window.end()).max().map(short).unwrap_or_default();
        let open = one.count(WindowState::Pending) + one.count(WindowState::Running);
        table.row([
            pipeline_name(one.entity),
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
    let mut text = table.fitted(width);
    let sum = |rows: fn(&EntityStatus<'_>) -> Option<u64>| entities.iter().filter_map(rows).sum::<u64>();
    let whole = sum(|one| one.with_all_fields);
    let rows = sum(|one| one.with_all_fields.map(|_| one.rows));
    if rows > 0 {
        let _ = writeln!(text, "\n{}", custom_fields_line(whole, rows, "rows"));
    }
    for note in entities.iter().flat_map(EntityStatus::notes) {
        let _ = writeln!(text, "{note}");
    }
    if !listed.all {
        return text;
    }
    let list =
        windows(entities.iter().flat_map(|one| &one.lines).copied().filter(|line| listed.has(line)), width);
    format!("{text}\n{list}")
}
