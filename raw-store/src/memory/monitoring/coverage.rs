//! Shows which time the log in memory covers.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use time::{Month, OffsetDateTime};

use crate::memory::MemoryStore;
use crate::memory::state::State;
use crate::{
    AsOf, CoverageMonth, CoverageReader, CoverageStretch, InsertedRows, LineFilter, LineKey, LogLine,
    StoreError, StoreErrorKind, Window, WindowState,
};

/// A window up to this length counts in one month.
const LONGEST_IN_ONE: time::Duration = time::Duration::days(31);

#[async_trait]
impl CoverageReader for MemoryStore {
    async fn months(&self, zone: &str) -> Result<AsOf<Vec<CoverageMonth>>, StoreError> {
        if !matches!(zone, "UTC" | "Etc/UTC") {
            let kind = StoreErrorKind::Configuration(format!("the store knows no time zone {zone}").into());
            return Err(StoreError::new("reading the months of the log", kind));
        }
        let state = self.state();
        Ok(AsOf { now: state.now(), value: months(&state) })
    }

    async fn stretches(&self) -> Result<AsOf<Vec<CoverageStretch>>, StoreError> {
        let state = self.state();
        let mut found: Vec<CoverageStretch> = Vec::new();
        for (entity_name, time_axis, window) in state.lines.keys() {
            let last = found.last_mut().filter(|last| {
                last.entity_name == *entity_name
                    && last.time_axis == *time_axis
                    && window.start() <= last.span.end()
            });
            match last {
                Some(last) => {
                    let end = last.span.end().max(window.end());
                    last.span = Window::new(last.span.start(), end).unwrap_or(last.span);
                }
                None => found.push(CoverageStretch {
                    entity_name: entity_name.clone(),
                    time_axis: time_axis.clone(),
                    span: *window,
                }),
            }
        }
        Ok(AsOf { now: state.now(), value: found })
    }

    async fn inserted_rows(&self) -> Result<AsOf<Vec<InsertedRows>>, StoreError> {
        let state = self.state();
        let mut rows: BTreeMap<&str, u64> = BTreeMap::new();
        for part in state.runs.iter().flat_map(|run| &run.pipelines) {
            *rows.entry(&part.entity_name).or_default() += part.counts.inserted;
        }
        let shown = rows.into_iter().map(|(name, rows)| InsertedRows { entity_name: name.into(), rows });
        Ok(AsOf { now: state.now(), value: shown.collect() })
    }

    async fn page_of_lines<'a>(
        &self,
        filter: &LineFilter,
        after: Option<&'a LineKey>,
        limit: u32,
    ) -> Result<AsOf<Vec<LogLine>>, StoreError> {
        let state = self.state();
        let lines = state.lines.values().map(|line| &line.shown);
        let lines = lines.filter(|line| after.is_none_or(|after| LineKey::from(*line) > *after));
        let lines = lines.filter(|line| matches(filter, line)).take(limit as usize).cloned();
        Ok(AsOf { now: state.now(), value: lines.collect() })
    }
}

/// Whether a line matches every field that is set.
fn matches(filter: &LineFilter, line: &LogLine) -> bool {
    let LineFilter { entity_name, time_axis, state, unconfirmed, run, span } = filter;
    entity_name.as_ref().is_none_or(|name| line.entity_name == *name)
        && time_axis.as_ref().is_none_or(|axis| line.time_axis == *axis)
        && state.is_none_or(|state| line.state == state)
        && (!unconfirmed || (line.state == WindowState::Completed && line.counted_at.is_none()))
        && run.as_ref().is_none_or(|run| line.run.as_ref() == Some(run))
        && span.is_none_or(|span| line.window.overlaps(span))
}

fn months(state: &State) -> Vec<CoverageMonth> {
    let mut months: BTreeMap<(&str, &str, i32, u8, &str, bool), CoverageMonth> = BTreeMap::new();
    for line in state.lines.values().map(|line| &line.shown) {
        for (at, place) in parts(line.window).into_iter().zip(0_u32..) {
            let (year, month, covered) = at;
            let counted = line.counted_at.is_some();
            let key =
                (&*line.entity_name, &*line.time_axis, year, u8::from(month), line.state.as_str(), counted);
            let sum = months.entry(key).or_insert_with(|| CoverageMonth {
                entity_name: line.entity_name.clone(),
                time_axis: line.time_axis.clone(),
                year,
                month,
                state: line.state,
                counted,
                windows: 0,
                covered: Duration::ZERO,
                records_read: 0,
                records_inserted: 0,
            });
            sum.windows += 1;
            sum.covered += covered;
            if place == 0 {
                sum.records_read += line.metrics.records_read;
                sum.records_inserted += line.metrics.records_inserted;
            }
        }
    }
    months.into_values().collect()
}

/// The months in which a window counts, each with the time that it covers there.
fn parts(window: Window) -> Vec<(i32, Month, Duration)> {
    let (start, end) = (window.start(), window.end());
    let length = end - start;
    if length <= LONGEST_IN_ONE {
        let middle: OffsetDateTime = start + length / 2;
        return vec![(middle.year(), middle.month(), length.unsigned_abs())];
    }
    let mut parts = Vec::new();
    let mut at = start;
    while at < end {
        let next = next_month(at).min(end);
        parts.push((at.year(), at.month(), (next - at).unsigned_abs()));
        at = next;
    }
    parts
}

/// The first instant of the month after an instant.
fn next_month(at: OffsetDateTime) -> OffsetDateTime {
    let month = at.month();
    let days = i64::from(month.length(at.year())) - i64::from(at.day()) + 1;
    at.replace_time(time::Time::MIDNIGHT) + time::Duration::days(days)
}
