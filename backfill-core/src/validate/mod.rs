//! Validates the rows that a run has left in the database.

mod clock_finding;
mod refusal_finding;
mod thresholds;
pub mod volume;

pub use self::thresholds::{InvalidThreshold, Level, Thresholds};

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use qbo_client::Property;
use raw_store::{
    Finding, LogLine, Pipeline, RunId, RunRecord, Store, StoreError, TableSurvey, Validation,
    ValidationQuery, ValidationResult, ValidationStats, Window, WindowState,
};
use time::{Date, Duration, OffsetDateTime};

use self::volume::{DayVolume, EmptyStretch, Outlier, Sight, empty_stretches, outliers};
use crate::catalog::{Axis, Catalog, EntitySpec};
use crate::clock_check::CLOCKS_AGREE_WITHIN;
use crate::engine::RunOutcome;
use crate::report::{FindingKind, PipelineReport, Report, ReportError};
use crate::scan::record_heads::Told;

/// The member of a document that people know it by. Documents without one are not counted.
const NUMBER: [&str; 1] = ["DocNumber"];

/// The most findings of one kind and pipeline; the rest is summed up in one more.
const MOST: usize = 50;

/// How long after a range records are searched for that were created in it.
const LATER: Duration = Duration::days(92);

/// Rows of a table that the report of a run counts, beyond as many as the run has read.
const COUNTED: u64 = 10_000;

impl Report {
    /// Validates the rows of every pipeline in the run's range, as they are now, whichever process wrote them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the rows cannot be read.
    pub async fn validate(
        &self,
        store: &dyn Validation,
        thresholds: &Thresholds,
        at: OffsetDateTime,
    ) -> Result<Vec<ValidationResult>, StoreError> {
        let mut validated = Vec::new();
        for pipeline in &self.pipelines {
            // An entity that the catalogue no longer knows has no table to validate.
            let Some(spec) = &pipeline.spec else { continue };
            let look = Look { run: &self.run, pipeline, spec, lines: apart(pipeline), is_whole: true };
            let examined = look.examine(store, self.run.span).await?;
            validated.push(look.validated(store, thresholds, at, &examined).await?);
        }
        Ok(validated)
    }

    /// Builds the report of a run that has just ended, and validates the rows of the windows that the run has read, and of
    /// windows in its range that were not validated since they were read. The cost grows with these, not with what is stored. A
    /// pipeline without such windows is not validated.
    ///
    /// # Errors
    ///
    /// [`ReportError`] if the log or the rows cannot be read.
    pub async fn of_run<S: Store + Validation>(
        store: &S,
        catalog: &Catalog,
        outcome: &RunOutcome,
        thresholds: &Thresholds,
        at: OffsetDateTime,
    ) -> Result<Self, ReportError> {
        let mut report = Self::of(store, catalog, outcome.record.clone()).await?;
        for pipeline in &mut report.pipelines {
            let Some(spec) = pipeline.spec.clone() else { continue };
            let all = apart(pipeline);
            let lines = due(store, &spec.pipeline(pipeline.axis), &report.run.id, &all).await?;
            let enough = pipeline.totals.counts.read() + COUNTED;
            let is_whole = lines.len() == all.len();
            let look = Look { run: &report.run, pipeline, spec: &spec, lines, is_whole };
            let heads = outcome.heads.of(spec.entity_name());
            let surveyed = look.survey(store, enough.max(look.enough()) + 1).await?;
            if !look.lines.is_empty() {
                let examined = match (heads.told(&look.windows()), look.span()) {
                    (None, Some(span)) => look.examine(store, span).await?,
                    (told, _) => look.told(&told.unwrap_or_default(), &surveyed),
                };
                let validated = look.validated(store, thresholds, at, &examined).await?;
                report.validated.push(validated);
            }
            pipeline.has_more_rows = surveyed.all_rows > enough;
            pipeline.rows = surveyed.all_rows.min(enough);
        }
        Ok(report)
    }
}

/// Returns the lines that a run has to validate: its own, and those of others that were not found sound since they were read,
/// because their run was killed or something was wrong with them.
async fn due<'a>(
    store: &dyn Validation,
    pipeline: &Pipeline,
    run: &RunId,
    lines: &[&'a LogLine],
) -> Result<Vec<&'a LogLine>, StoreError> {
    // Other findings say nothing that a later look could find mended.
    let missing = FindingKind::RowsMissing.as_str();
    let read = || lines.iter().copied().filter(|line| is_read(line));
    let others: BTreeSet<&RunId> =
        read().filter_map(|line| line.run.as_ref()).filter(|other| *other != run).collect();
    let others: Vec<RunId> = others.into_iter().cloned().collect();
    let done: BTreeSet<RunId> = if others.is_empty() {
        BTreeSet::new()
    } else {
        store.looked_over(&pipeline.entity_name, &others, missing).await?.into_iter().collect()
    };
    let due: Vec<&LogLine> =
        read().filter(|line| line.run.as_ref().is_some_and(|run| !done.contains(run))).collect();
    let is_own = |line: &&LogLine| line.run.as_ref() == Some(run);
    let others = || due.iter().copied().filter(|line| !is_own(line));
    let (Some(first), Some(last)) = (others().next(), others().next_back()) else { return Ok(due) };
    let (Ok(span), Some(oldest)) = (
        Window::new(first.window.start(), last.window.end()),
        others().filter_map(|line| line.finished_at).min(),
    ) else {
        return Ok(due);
    };
    let sound = store.sound_ranges(pipeline, span, oldest, missing).await?;
    // The processes that validated and that read may have had different clocks.
    let is_sound = |line: &LogLine| {
        let holds = |range: &Window| range.start() <= line.window.start() && line.window.end() <= range.end();
        let since = |at| line.finished_at.is_some_and(|read| at > read + CLOCKS_AGREE_WITHIN);
        sound.iter().any(|(range, at)| holds(range) && since(*at))
    };
    Ok(due.into_iter().filter(|line| is_own(line) || !is_sound(line)).collect())
}

/// Some windows of a pipeline that are validated together.
#[derive(Debug)]
struct Look<'a> {
    run: &'a RunRecord,
    pipeline: &'a PipelineReport,
    spec: &'a EntitySpec,
    /// The lines of the windows, in ascending order and without overlaps.
    lines: Vec<&'a LogLine>,
    /// Whether they are all lines of the run's range.
    is_whole: bool,
}

impl Look<'_> {
    fn windows(&self) -> Vec<Window> {
        self.lines.iter().map(|line| line.window).collect()
    }

    fn span(&self) -> Option<Window> {
        let (first, last) = (self.lines.first()?, self.lines.last()?);
        Window::new(first.window.start(), last.window.end()).ok()
    }

    /// Whether the windows say when a record was last changed: the single window of an entity that is read whole does not.
    fn by_update(&self) -> bool {
        self.pipeline.axis == Axis::Updated && !self.spec.is_snapshot()
    }

    /// Returns how many rows of the whole table have to be counted: where windows do not say when a record was changed, only
    /// the number of all their rows together is known.
    fn enough(&self) -> u64 {
        if self.by_update() {
            return 0;
        }
        self.lines.iter().filter(|line| is_read(line)).map(|line| landed(line)).sum()
    }

    /// Queries everything that the rows of a span show.
    async fn examine(&self, store: &dyn Validation, span: Window) -> Result<ValidationStats, StoreError> {
        let path = |property: Property| property.as_str().split('.').collect::<Vec<_>>();
        let (updated, created) = (path(Property::LAST_UPDATED_TIME), path(Property::CREATE_TIME));
        let inquiry = ValidationQuery {
            pipeline: &self.spec.pipeline(self.pipeline.axis),
            span,
            windows: &self.windows(),
            by_update: self.by_update(),
            enough: self.enough(),
            updated: &updated,
            created: &created,
            number: &NUMBER,
        };
        store.examine(&inquiry).await
    }

    /// Queries what only the table can show.
    async fn survey(&self, store: &dyn Validation, enough: u64) -> Result<TableSurvey, StoreError> {
        let windows = if self.by_update() { self.windows() } else { Vec::new() };
        store.survey(&self.spec.pipeline(self.pipeline.axis), &windows, enough).await
    }

    /// Combines the heads and the table's survey into the result that an examination would give.
    fn told(&self, told: &Told, surveyed: &TableSurvey) -> ValidationStats {
        let span = self.run.span;
        let in_span = |day: &Date| span.start().date() <= *day && day.midnight().assume_utc() < span.end();
        let made = told.by(|days| days.made.filter(in_span));
        ValidationStats {
            rows: if self.by_update() { surveyed.in_windows.iter().sum() } else { told.rows },
            all_rows: surveyed.all_rows,
            without_key: surveyed.without_key,
            // The primary key, which committing needs, allows none.
            repeated_keys: 0,
            empty_payloads: if self.by_update() {
                surveyed.empty_payloads
            } else {
                told.altered.empty_payloads
            },
            other_times: told.altered.other_times,
            outside_window: surveyed.outside_window,
            repeated_numbers: told.repeated_numbers,
            in_windows: surveyed.in_windows.clone(),
            by_update: told.by(|days| days.changed),
            by_creation: made,
            lags: told.lags(half(span)),
        }
    }

    /// Counts records created in the range and changed soon after it, where later windows were read: they are counted there.
    async fn made_later(&self, store: &dyn Validation) -> Result<Vec<(Date, u64)>, StoreError> {
        let end = self.run.span.end();
        let Ok(later) = Window::new(end, end + LATER) else { return Ok(Vec::new()) };
        let created: Vec<_> = Property::CREATE_TIME.as_str().split('.').collect();
        store.made_by_day(&self.spec.pipeline(self.pipeline.axis), later, &created).await
    }

    /// Judges the statistics.
    async fn validated(
        &self,
        store: &dyn Validation,
        thresholds: &Thresholds,
        at: OffsetDateTime,
        examined: &ValidationStats,
    ) -> Result<ValidationResult, StoreError> {
        let mut found = Found { thresholds, findings: Vec::new() };
        found.push_rows(examined);
        found.push_refusals(self.pipeline);
        let missing = self.missing(examined);
        let sum: u64 = missing.iter().map(|one| one.1).sum();
        // A record that was edited has left the window that it was counted in.
        if sum > 0 && sum > store.replaced(&self.pipeline.totals.entity_name).await? {
            found.push_all(FindingKind::RowsMissing, missing);
        }
        if !self.spec.is_snapshot() {
            let mut volumes = Volumes::of(self, examined);
            if volumes.may_be_seen_later(thresholds) {
                volumes.add_made(self.made_later(store).await?);
            }
            found.push_volumes(&volumes, |span| {
                self.is_whole || self.lines.iter().any(|line| line.window.overlaps(span))
            });
        }
        found.findings.sort_by_key(|finding| (Reverse(finding.severity), finding.span));
        Ok(ValidationResult {
            entity_name: self.pipeline.totals.entity_name.clone(),
            time_axis: self.pipeline.axis.as_str().into(),
            at,
            rows: examined.rows,
            findings: found.findings,
        })
    }

    /// Returns the rows that the log has and the table lacks: by window, or together where windows do not say when a record was
    /// changed. A record of which a later version was committed first was counted in its window as unchanged.
    fn missing(&self, examined: &ValidationStats) -> Vec<Missing> {
        let lines = self.lines.iter().zip(&examined.in_windows).filter(|(line, _)| is_read(line));
        if !self.by_update() {
            let read = self.enough();
            let missing = read.saturating_sub(examined.all_rows);
            let detail = format!("the log has {read} records, the table {} rows", examined.all_rows);
            return if missing > 0 { vec![(None, missing, detail)] } else { Vec::new() };
        }
        let one = |(line, rows): (&&LogLine, &u64)| {
            let read = landed(line);
            let missing = read.saturating_sub(*rows).saturating_sub(line.metrics.records_unchanged);
            let detail = format!("the log has {read} records, the table {rows} rows");
            (missing > 0).then_some((Some(line.window), missing, detail))
        };
        lines.filter_map(one).collect()
    }
}

/// Returns the day in the middle of a span.
fn half(span: Window) -> Date {
    let middle: OffsetDateTime = span.start() + (span.end() - span.start()) / 2;
    middle.date()
}

/// Where rows are missing, how many, and the sentence for it.
type Missing = (Option<Window>, u64, String);

/// Returns the number of records of a window that must have become rows.
fn landed(line: &LogLine) -> u64 {
    line.metrics.records_read - line.metrics.records_quarantined
}

/// Returns the lines of a pipeline, without those that overlap another one: windows that were chosen one by one may overlap.
fn apart(pipeline: &PipelineReport) -> Vec<&LogLine> {
    let mut lines: Vec<&LogLine> = Vec::with_capacity(pipeline.windows.len());
    for line in &pipeline.windows {
        if lines.last().is_none_or(|last| last.window.end() <= line.window.start()) {
            lines.push(line);
        }
    }
    lines
}

/// The findings made so far.
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

    /// Adds all findings of a kind, or the first ones and how many more there are.
    fn push_all(&mut self, kind: FindingKind, all: Vec<(Option<Window>, u64, String)>) {
        let more = all.len().saturating_sub(MOST) as u64;
        for (span, amount, detail) in all.into_iter().take(MOST) {
            self.push(kind, span, amount, detail);
        }
        if more > 0 {
            self.push(kind, None, more, format!("and {more} more of this kind"));
        }
    }

    /// Adds the findings that the rows show by themselves.
    fn push_rows(&mut self, examined: &ValidationStats) {
        let said = [
            (FindingKind::KeyMissing, examined.without_key, "rows have no id"),
            (FindingKind::KeyRepeated, examined.repeated_keys, "rows have an id that another row has too"),
            (FindingKind::PayloadEmpty, examined.empty_payloads, "rows have an empty document"),
            (
                FindingKind::TimeDiffers,
                examined.other_times,
                "rows have another time than their document, converted to UTC",
            ),
            (
                FindingKind::OutsideWindow,
                examined.outside_window,
                "rows name a window that does not contain their time",
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

    /// Adds days that should not be empty, and outlier days, if the days are among those validated.
    fn push_volumes(&mut self, volumes: &Volumes, is_looked_over: impl Fn(Window) -> bool) {
        let (days, verb) = volumes.made.as_ref().unwrap_or(&volumes.read);
        let empty = empty_stretches(days, &volumes.sight, self.thresholds);
        let empty = empty.iter().map(|one| told_stretch(one, verb));
        self.push_all(
            FindingKind::EmptyDays,
            empty.filter(|one| is_looked_over(one.0)).map(placed).collect(),
        );
        let high = outliers(days, self.thresholds);
        let mut told: Vec<_> = high.iter().map(|one| told_outlier(one, verb)).collect();
        if volumes.made.is_some() {
            // Records that were changed together without having been created together.
            let (days, verb) = &volumes.read;
            let changed = outliers(days, self.thresholds);
            let changed = changed.iter().filter(|one| high.iter().all(|known| known.day != one.day));
            told.extend(changed.map(|one| told_outlier(one, verb)));
        }
        let told = told.into_iter().filter(|one| is_looked_over(one.0));
        self.push_all(FindingKind::Outlier, told.map(placed).collect());
    }
}

fn placed((span, amount, detail): (Window, u64, String)) -> (Option<Window>, u64, String) {
    (Some(span), amount, detail)
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

/// Records per day, and the verb for what happened to them that day.
type Series = (Vec<DayVolume>, &'static str);

/// What is known of the days of a pipeline.
#[derive(Debug)]
struct Volumes {
    /// Records by the time that the windows measure.
    read: Series,
    /// Records by the day on which they were created: it shows what people do, and later edits do not move it. `None` if it is
    /// known for less than nine tenths of the records, or if records that were edited since may not have been read.
    made: Option<Series>,
    /// What can still be seen of the last days.
    sight: Sight,
}

impl Volumes {
    fn of(look: &Look<'_>, examined: &ValidationStats) -> Self {
        let (pipeline, span) = (look.pipeline, look.run.span);
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
        } else if pipeline.axis == Axis::Updated && look.is_whole {
            volumes(&examined.by_update.iter().copied().collect())
        } else {
            Vec::new()
        };
        let made: u64 = examined.by_creation.iter().map(|(_, records)| records).sum();
        let is_known = made * 10 >= examined.rows * 9 && lines.iter().all(|line| is_read(line));
        let by_creation = || (volumes(&examined.by_creation.iter().copied().collect()), "made");
        let made = (pipeline.axis == Axis::Updated && look.is_whole && is_known).then(by_creation);
        // Records that were changed between the end of the range and the run are no longer in the range.
        let is_past = pipeline.axis == Axis::Updated && span.end() + Duration::DAY < look.run.started_at;
        let sight = if is_past { Sight::until(span.end().date(), &examined.lags) } else { Sight::default() };
        Self { read: (read, verb), made, sight }
    }

    /// Whether days are empty whose records may be stored, because they were changed after the range.
    fn may_be_seen_later(&self, thresholds: &Thresholds) -> bool {
        let is_empty = |(days, _): &Series| !empty_stretches(days, &Sight::default(), thresholds).is_empty();
        self.sight != Sight::default() && self.made.as_ref().is_some_and(is_empty)
    }

    /// Adds records that were created on days of the range, and read elsewhere.
    fn add_made(&mut self, later: Vec<(Date, u64)>) {
        let Some((days, _)) = &mut self.made else { return };
        for (day, records) in later {
            if let Ok(at) = days.binary_search_by_key(&day, |known| known.day) {
                days[at].records += records;
            }
        }
    }
}

/// Returns the days that lie completely in a window.
fn whole_days(window: Window) -> impl Iterator<Item = Date> {
    let first = window.start().date();
    let first = if window.start() > first.midnight().assume_utc() { first.next_day() } else { Some(first) };
    let ends_in = move |day: &Date| day.midnight().assume_utc() + Duration::DAY <= window.end();
    std::iter::successors(first, |day| day.next_day()).take_while(ends_in)
}
