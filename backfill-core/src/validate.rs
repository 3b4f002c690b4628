//! Looks over what a run has left in the database, and judges it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use qbo_client::Property;
use raw_store::{
    Examined, Finding, Inquiry, LogLine, StoreError, Validated, Validation, Window, WindowState,
};
use time::{Date, Duration, OffsetDateTime};

use crate::volumetry::{DayVolume, EmptyStretch, Outlier, empty_stretches, outliers};
use crate::{Axis, EntitySpec, FindingKind, PipelineReport, Report, Thresholds};

/// The member of a document that people know it by. What has none is not counted.
const NUMBER: [&str; 1] = ["DocNumber"];

/// Findings of one kind and pipeline; what is beyond is summed up in one more.
const MOST: usize = 50;

impl Report {
    /// Looks over the rows of every pipeline of the run, as they are now.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if they cannot be read.
    pub async fn validate(
        &self,
        store: &dyn Validation,
        thresholds: &Thresholds,
        at: OffsetDateTime,
    ) -> Result<Vec<Validated>, StoreError> {
        let mut validated = Vec::new();
        for pipeline in &self.pipelines {
            // What the catalogue does not know any more has no table to look into.
            let Some(spec) = &pipeline.spec else { continue };
            let examined = examine(store, self.run.span, pipeline, spec).await?;
            validated.push(Validated {
                entity_name: pipeline.totals.entity_name.clone(),
                time_axis: pipeline.axis.as_str().into(),
                at,
                rows: examined.rows,
                findings: judge(pipeline, spec, &examined, thresholds),
            });
        }
        Ok(validated)
    }
}

async fn examine(
    store: &dyn Validation,
    span: Window,
    pipeline: &PipelineReport,
    spec: &EntitySpec,
) -> Result<Examined, StoreError> {
    let path = |property: Property| property.as_str().split('.').collect::<Vec<_>>();
    let (updated, created) = (path(Property::LAST_UPDATED_TIME), path(Property::CREATE_TIME));
    let windows: Vec<Window> = apart(pipeline).iter().map(|line| line.window).collect();
    let inquiry = Inquiry {
        pipeline: &spec.pipeline(pipeline.axis),
        span,
        windows: &windows,
        by_update: measures_update(pipeline, spec),
        updated: &updated,
        created: &created,
        number: &NUMBER,
    };
    store.examine(&inquiry).await
}

/// The lines of a pipeline, without those whose time another one has too: windows that were chosen one by one may overlap.
fn apart(pipeline: &PipelineReport) -> Vec<&LogLine> {
    let mut lines: Vec<&LogLine> = Vec::with_capacity(pipeline.windows.len());
    for line in &pipeline.windows {
        if lines.last().is_none_or(|last| last.window.end() <= line.window.start()) {
            lines.push(line);
        }
    }
    lines
}

/// Whether the windows say when a record was last changed: the one window of what is read as a whole does not.
fn measures_update(pipeline: &PipelineReport, spec: &EntitySpec) -> bool {
    pipeline.axis == Axis::Updated && !spec.is_snapshot()
}

/// Everything worth telling, the most serious first.
fn judge(
    pipeline: &PipelineReport,
    spec: &EntitySpec,
    examined: &Examined,
    thresholds: &Thresholds,
) -> Vec<Finding> {
    let mut found = Found { thresholds, findings: Vec::new() };
    found.push_rows(examined);
    found.push_missing(&apart(pipeline), measures_update(pipeline, spec), examined);
    if !spec.is_snapshot() {
        found.push_volumes(&Volumes::of(pipeline, examined));
    }
    found.findings.sort_by_key(|finding| (Reverse(finding.severity), finding.span));
    found.findings
}

/// What was found so far.
#[derive(Debug)]
struct Found<'a> {
    thresholds: &'a Thresholds,
    findings: Vec<Finding>,
}

impl Found<'_> {
    fn push(&mut self, kind: FindingKind, span: Option<Window>, amount: u64, detail: String) {
        if let Some(severity) = self.thresholds.severity(kind) {
            let kind = kind.as_str().into();
            self.findings.push(Finding { kind, severity, span, amount, detail: detail.into() });
        }
    }

    /// Tells of each, or of the first ones and how many more there are.
    fn push_all(&mut self, kind: FindingKind, all: Vec<(Window, u64, String)>) {
        let more = all.len().saturating_sub(MOST) as u64;
        for (span, amount, detail) in all.into_iter().take(MOST) {
            self.push(kind, Some(span), amount, detail);
        }
        if more > 0 {
            self.push(kind, None, more, format!("and {more} more of this kind"));
        }
    }

    /// What the rows say by themselves.
    fn push_rows(&mut self, examined: &Examined) {
        let said = [
            (FindingKind::KeyMissing, examined.without_key, "rows have no id"),
            (FindingKind::KeyRepeated, examined.repeated_keys, "rows have an id that another row has too"),
            (FindingKind::PayloadEmpty, examined.empty_payloads, "rows have a document that says nothing"),
            (
                FindingKind::TimeDiffers,
                examined.other_times,
                "rows have another time than their document gives, brought to UTC",
            ),
            (
                FindingKind::OutsideWindow,
                examined.outside_window,
                "rows name a window that their time is not in",
            ),
            (
                FindingKind::NumberRepeated,
                examined.repeated_numbers,
                "document numbers are used by more than one document",
            ),
        ];
        for (kind, amount, what) in said {
            if amount > 0 {
                self.push(kind, None, amount, format!("{amount} {what}"));
            }
        }
    }

    /// Rows that the log has and the table lacks. A record that was edited has left its window, and so has one of which a
    /// later version landed first: it was counted there as unchanged.
    fn push_missing(&mut self, lines: &[&LogLine], by_update: bool, examined: &Examined) {
        let lines: Vec<_> =
            lines.iter().zip(&examined.in_windows).filter(|(line, _)| is_read(line)).collect();
        let landed = |line: &LogLine| line.metrics.records_read - line.metrics.records_quarantined;
        if !by_update {
            let read: u64 = lines.iter().map(|(line, _)| landed(line)).sum();
            let missing = read.saturating_sub(examined.all_rows);
            if missing > examined.replaced {
                let detail = format!("the log has {read} records, the table {} rows", examined.all_rows);
                self.push(FindingKind::RowsMissing, None, missing, detail);
            }
            return;
        }
        let mut lacking = Vec::new();
        let mut sum = 0;
        for (line, rows) in lines {
            let read = landed(line);
            let missing = read.saturating_sub(*rows).saturating_sub(line.metrics.records_unchanged);
            if missing > 0 {
                sum += missing;
                lacking.push((
                    line.window,
                    missing,
                    format!("the log has {read} records, the table {rows} rows"),
                ));
            }
        }
        if sum > examined.replaced {
            self.push_all(FindingKind::RowsMissing, lacking);
        }
    }

    /// Days that should not be empty, and days that stand out.
    fn push_volumes(&mut self, volumes: &Volumes) {
        let (days, verb) = volumes.made.as_ref().unwrap_or(&volumes.read);
        let empty = empty_stretches(days, self.thresholds);
        self.push_all(FindingKind::EmptyDays, empty.iter().map(|one| told_stretch(one, verb)).collect());
        let high = outliers(days, self.thresholds);
        let mut told: Vec<_> = high.iter().map(|one| told_outlier(one, verb)).collect();
        if volumes.made.is_some() {
            // Changed together without having been made together.
            let (days, verb) = &volumes.read;
            let changed = outliers(days, self.thresholds);
            let changed = changed.iter().filter(|one| high.iter().all(|known| known.day != one.day));
            told.extend(changed.map(|one| told_outlier(one, verb)));
        }
        self.push_all(FindingKind::Outlier, told);
    }
}

fn told_stretch(one: &EmptyStretch, verb: &str) -> (Window, u64, String) {
    let usual = approximately(one.usual);
    let when = if one.first == one.last {
        format!("on {}", one.first)
    } else {
        format!("from {} to {}", one.first, one.last)
    };
    (
        span(one.first, one.last),
        one.days,
        format!("no record was {verb} {when}; about {usual} a day are usual"),
    )
}

fn told_outlier(one: &Outlier, verb: &str) -> (Window, u64, String) {
    let detail = format!(
        "{} records were {verb} on {}; about {} are usual",
        one.records,
        one.day,
        approximately(one.usual)
    );
    (span(one.day, one.day), one.records, detail)
}

fn approximately(number: f64) -> String {
    if number < 10.0 { format!("{number:.1}") } else { format!("{number:.0}") }
}

fn span(first: Date, last: Date) -> Window {
    let midnight = |day: Date| day.midnight().assume_utc();
    Window::new(midnight(first), midnight(last) + Duration::DAY).expect("a day ends after it begins")
}

fn is_read(line: &LogLine) -> bool {
    matches!(line.state, WindowState::Completed | WindowState::Provisional) && line.run.is_some()
}

/// Records a day, and the word for what happened to them on it.
type Series = (Vec<DayVolume>, &'static str);

/// What is known of the days of a pipeline.
#[derive(Debug)]
struct Volumes {
    /// By what the windows measure.
    read: Series,
    /// By the day on which records were made: what people do, which later edits do not move. `None` where it is not known
    /// of almost all, or where records that were edited since may not have been read.
    made: Option<Series>,
}

impl Volumes {
    fn of(pipeline: &PipelineReport, examined: &Examined) -> Self {
        let lines = apart(pipeline);
        let days: BTreeSet<Date> = lines
            .iter()
            .filter(|line| line.state == WindowState::Completed)
            .flat_map(|line| whole_days(line.window))
            .collect();
        let volumes = |known: &BTreeMap<Date, u64>| -> Vec<DayVolume> {
            days.iter()
                .map(|day| DayVolume { day: *day, records: known.get(day).copied().unwrap_or(0) })
                .collect()
        };
        let verb = match pipeline.axis {
            Axis::Updated => "changed",
            Axis::Created => "made",
            Axis::TxnDate => "dated",
        };
        let in_log = || lines.iter().map(|line| (line.window.start().date(), line.metrics.records_read));
        let read = if lines.iter().all(|line| line.window.end() - line.window.start() <= Duration::DAY) {
            volumes(&in_log().collect())
        } else if pipeline.axis == Axis::Updated {
            volumes(&examined.by_update.iter().copied().collect())
        } else {
            Vec::new()
        };
        let made: u64 = examined.by_creation.iter().map(|(_, records)| records).sum();
        let is_known = made * 10 >= examined.rows * 9 && lines.iter().all(|line| is_read(line));
        let by_creation = || (volumes(&examined.by_creation.iter().copied().collect()), "made");
        let made = (pipeline.axis == Axis::Updated && is_known).then(by_creation);
        Self { read: (read, verb), made }
    }
}

/// The days that lie in a window as a whole.
fn whole_days(window: Window) -> impl Iterator<Item = Date> {
    let first = window.start().date();
    let first = if window.start() > first.midnight().assume_utc() { first.next_day() } else { Some(first) };
    let ends_in = move |day: &Date| day.midnight().assume_utc() + Duration::DAY <= window.end();
    std::iter::successors(first, |day| day.next_day()).take_while(ends_in)
}
