//! Examines rows for validation in the store in memory, and keeps findings.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, UtcOffset};

use super::MemoryStore;
use super::state::{State, StoredRow};
use crate::{
    Finding, Pipeline, RunId, RunRecord, Severity, StoreError, TableSurvey, Validation, ValidationQuery,
    ValidationResult, ValidationStats, Window,
};

#[async_trait]
impl Validation for MemoryStore {
    async fn examine<'a>(&self, inquiry: &ValidationQuery<'a>) -> Result<ValidationStats, StoreError> {
        let state = self.state();
        let mut examined =
            ValidationStats { in_windows: vec![0; inquiry.windows.len()], ..ValidationStats::default() };
        let Some(table) = state.tables.get(&inquiry.pipeline.table) else { return Ok(examined) };
        examined.all_rows = inquiry.enough.min(table.len() as u64);
        let (mut updates, mut creations, mut lags) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (start, end) = (inquiry.span.start(), inquiry.span.end());
        let half: OffsetDateTime = start + (end - start) / 2;
        let mut numbers: BTreeMap<String, u64> = BTreeMap::new();
        for row in table.values() {
            // A row without a time of its own counts at the start of its window.
            let stands = row.updated_at.unwrap_or(row.window.start());
            let place = inquiry.windows.iter().position(|window| window.contains(stands));
            place.map(|place| examined.in_windows[place] += 1).unwrap_or_default();
            if let Some(at) = row.updated_at.filter(|at| inquiry.span.contains(*at)) {
                *updates.entry(at.to_offset(UtcOffset::UTC).date()).or_default() += 1;
            }
            if row.window.start() >= inquiry.span.end() || row.window.end() <= inquiry.span.start() {
                continue;
            }
            let document: Value = serde_json::from_slice(&row.payload).unwrap_or_default();
            examined.rows += 1;
            examined.without_key += u64::from(row.id.is_empty());
            examined.empty_payloads += u64::from(says_nothing(&document));
            let said = instant(&document, inquiry.updated);
            let differs =
                |(said, at): (OffsetDateTime, OffsetDateTime)| said.unix_timestamp() != at.unix_timestamp();
            examined.other_times += u64::from(said.zip(row.updated_at).is_some_and(differs));
            let measured = inquiry.by_update && inquiry.windows.contains(&row.window);
            let is_outside = measured && is_outside(row) && !has_twin(&state, inquiry.pipeline, row.window);
            examined.outside_window += u64::from(is_outside);
            if let Some(made) = instant(&document, inquiry.created).filter(|at| inquiry.span.contains(*at)) {
                *creations.entry(made.date()).or_default() += 1;
                if let Some(changed) = row.updated_at.filter(|_| made.date() < half.date()) {
                    let days = (changed.to_offset(UtcOffset::UTC).date() - made.date()).whole_days();
                    *lags.entry(u32::try_from(days).unwrap_or(0)).or_default() += 1;
                }
            }
            let number = if inquiry.number.is_empty() { None } else { member(&document, inquiry.number) };
            if let Some(number) = number.filter(|number| !number.is_empty()) {
                *numbers.entry(number.to_owned()).or_default() += 1;
            }
        }
        examined.by_update = updates.into_iter().collect();
        examined.by_creation = creations.into_iter().collect::<Vec<(Date, u64)>>();
        examined.lags = lags.into_iter().collect();
        examined.repeated_numbers = numbers.values().filter(|times| **times > 1).count() as u64;
        Ok(examined)
    }

    async fn survey(
        &self,
        pipeline: &Pipeline,
        windows: &[Window],
        enough: u64,
    ) -> Result<TableSurvey, StoreError> {
        let state = self.state();
        let mut surveyed = TableSurvey { in_windows: vec![0; windows.len()], ..TableSurvey::default() };
        let Some(table) = state.tables.get(&pipeline.table) else { return Ok(surveyed) };
        surveyed.all_rows = enough.min(table.len() as u64);
        for row in table.values() {
            let stands = row.updated_at.unwrap_or(row.window.start());
            let place = windows.iter().position(|window| window.contains(stands));
            let Some(place) = place else { continue };
            surveyed.in_windows[place] += 1;
            surveyed.without_key += u64::from(row.id.is_empty());
            let document = serde_json::from_slice(&row.payload).unwrap_or_default();
            surveyed.empty_payloads += u64::from(says_nothing(&document));
            let is_outside =
                is_outside(row) && windows.contains(&row.window) && !has_twin(&state, pipeline, row.window);
            surveyed.outside_window += u64::from(is_outside);
        }
        Ok(surveyed)
    }

    async fn made_by_day<'a>(
        &self,
        pipeline: &Pipeline,
        window: Window,
        created: &[&'a str],
    ) -> Result<Vec<(Date, u64)>, StoreError> {
        let state = self.state();
        let mut days: BTreeMap<Date, u64> = BTreeMap::new();
        for row in state.tables.get(&pipeline.table).into_iter().flat_map(BTreeMap::values) {
            let document: Value = serde_json::from_slice(&row.payload).unwrap_or_default();
            let made =
                instant(&document, created).filter(|_| row.updated_at.is_some_and(|at| window.contains(at)));
            made.map(|made| *days.entry(made.date()).or_default() += 1).unwrap_or_default();
        }
        Ok(days.into_iter().collect())
    }

    async fn replaced(&self, entity_name: &str) -> Result<u64, StoreError> {
        let state = self.state();
        let totals = state.runs.iter().flat_map(|run| &run.pipelines);
        Ok(totals.filter(|one| &*one.entity_name == entity_name).map(|one| one.counts.updated).sum())
    }

    async fn looked_over(
        &self,
        entity_name: &str,
        runs: &[RunId],
        kind: &str,
    ) -> Result<Vec<RunId>, StoreError> {
        let state = self.state();
        let is_sound =
            |run: &&RunId| state.newest_look(run, entity_name).is_some_and(|look| is_sound(look, kind));
        Ok(runs.iter().filter(is_sound).cloned().collect())
    }

    async fn sound_ranges(
        &self,
        pipeline: &Pipeline,
        span: Window,
        since: OffsetDateTime,
        kind: &str,
    ) -> Result<Vec<(Window, OffsetDateTime)>, StoreError> {
        let state = self.state();
        let looked = |run: &RunRecord| {
            let look = state.newest_look(&run.id, &pipeline.entity_name)?;
            let counts = look.time_axis == pipeline.time_axis && look.at >= since && is_sound(look, kind);
            (counts && run.span.overlaps(span)).then_some((run.span, look.at))
        };
        Ok(state.runs.iter().filter_map(looked).collect())
    }

    async fn keep_validated(&self, run: &RunId, validated: &[ValidationResult]) -> Result<(), StoreError> {
        let mut state = self.state();
        state.validated.extend(validated.iter().map(|one| (run.clone(), one.clone())));
        Ok(())
    }

    async fn validated(&self, run: &RunId) -> Result<Vec<ValidationResult>, StoreError> {
        let state = self.state();
        let mut newest: BTreeMap<&str, &ValidationResult> = BTreeMap::new();
        for (_, one) in state.validated.iter().filter(|(of, _)| of == run) {
            let known = newest.entry(&one.entity_name).or_insert(one);
            if known.at < one.at {
                *known = one;
            }
        }
        Ok(newest.into_values().cloned().collect())
    }
}

/// Whether another axis has the same window.
fn has_twin(state: &State, pipeline: &Pipeline, window: Window) -> bool {
    state.lines.keys().any(|(name, axis, other)| {
        *name == pipeline.entity_name && *axis != pipeline.time_axis && *other == window
    })
}

fn is_outside(row: &StoredRow) -> bool {
    row.updated_at.is_some_and(|at| !row.window.contains(at))
}

fn says_nothing(document: &Value) -> bool {
    match document {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn member<'a>(document: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(document, |value, name| value.get(name))?.as_str()
}

/// Reads a time in one of the spellings that the PostgreSQL store reads.
fn instant(document: &Value, path: &[&str]) -> Option<OffsetDateTime> {
    let text = member(document, path)?.trim();
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (time, rest) = (rest.get(..8)?, rest.get(8..)?);
    let rest = rest
        .strip_prefix(['.', ','])
        .map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let zone = rest.strip_prefix(' ').unwrap_or(rest);
    let zone = match (zone.len(), zone.get(..3), zone.get(3..)) {
        (1, ..) => zone.to_uppercase(),
        (3, ..) => format!("{zone}:00"),
        (5, Some(hours), Some(minutes)) => format!("{hours}:{minutes}"),
        _ => zone.to_owned(),
    };
    let at = OffsetDateTime::parse(&format!("{date}T{time}{zone}"), &Rfc3339).ok()?;
    Some(at.to_offset(UtcOffset::UTC))
}

impl State {
    /// The newest validation of a pipeline after a run.
    fn newest_look(&self, run: &RunId, entity_name: &str) -> Option<&ValidationResult> {
        let own = self.validated.iter().filter(|(of, one)| of == run && &*one.entity_name == entity_name);
        own.map(|(_, one)| one).max_by_key(|one| one.at)
    }
}

fn is_sound(look: &ValidationResult, kind: &str) -> bool {
    let is_wrong = |finding: &Finding| finding.severity == Severity::Error && *finding.kind == *kind;
    !look.findings.iter().any(is_wrong)
}
