use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, UtcOffset};

use super::{MemoryStore, StoredRow};
use crate::{Examined, Inquiry, RunId, StoreError, Validated, Validation, Window};

#[async_trait]
impl Validation for MemoryStore {
    async fn examine(&self, inquiry: &Inquiry<'_>) -> Result<Examined, StoreError> {
        let state = self.state();
        let entity_name = &inquiry.pipeline.entity_name;
        let mut examined = Examined { in_windows: vec![0; inquiry.windows.len()], ..Examined::default() };
        let Some(table) = state.tables.get(&inquiry.pipeline.table) else { return Ok(examined) };
        let totals = state.runs.iter().flat_map(|run| &run.pipelines);
        examined.replaced =
            totals.filter(|one| one.entity_name == *entity_name).map(|one| one.counts.updated).sum();
        examined.all_rows = table.len() as u64;
        let has_twin = |window: Window| {
            state.lines.keys().any(|(name, axis, other)| {
                name == entity_name && *axis != inquiry.pipeline.time_axis && *other == window
            })
        };
        let (mut updates, mut creations) = (BTreeMap::new(), BTreeMap::new());
        let mut numbers: BTreeMap<String, u64> = BTreeMap::new();
        for row in table.values() {
            if let Some(at) = row.updated_at {
                let place = inquiry.windows.iter().position(|window| window.contains(at));
                place.map(|place| examined.in_windows[place] += 1).unwrap_or_default();
                if inquiry.span.contains(at) {
                    *updates.entry(at.to_offset(UtcOffset::UTC).date()).or_default() += 1;
                }
            }
            if row.window.start() >= inquiry.span.end() || row.window.end() <= inquiry.span.start() {
                continue;
            }
            let document: Value = serde_json::from_slice(&row.payload).unwrap_or_default();
            examined.rows += 1;
            examined.without_key += u64::from(row.id.is_empty());
            examined.empty_payloads += u64::from(says_nothing(&document));
            let said = instant(&document, inquiry.updated);
            examined.other_times += u64::from(said.zip(row.updated_at).is_some_and(|(said, at)| said != at));
            let measured =
                inquiry.by_update && inquiry.windows.contains(&row.window) && !has_twin(row.window);
            examined.outside_window += u64::from(measured && is_outside(row));
            if let Some(made) = instant(&document, inquiry.created).filter(|at| inquiry.span.contains(*at)) {
                *creations.entry(made.date()).or_default() += 1;
            }
            let number = if inquiry.number.is_empty() { None } else { member(&document, inquiry.number) };
            if let Some(number) = number.filter(|number| !number.is_empty()) {
                *numbers.entry(number.to_owned()).or_default() += 1;
            }
        }
        examined.by_update = updates.into_iter().collect();
        examined.by_creation = creations.into_iter().collect::<Vec<(Date, u64)>>();
        examined.repeated_numbers = numbers.values().filter(|times| **times > 1).count() as u64;
        Ok(examined)
    }

    async fn keep_validated(&self, run: &RunId, validated: &[Validated]) -> Result<(), StoreError> {
        let mut state = self.state();
        state.validated.extend(validated.iter().map(|one| (run.clone(), one.clone())));
        Ok(())
    }

    async fn validated(&self, run: &RunId) -> Result<Vec<Validated>, StoreError> {
        let state = self.state();
        let mut newest: BTreeMap<&str, &Validated> = BTreeMap::new();
        for (_, one) in state.validated.iter().filter(|(of, _)| of == run) {
            let known = newest.entry(&one.entity_name).or_insert(one);
            if known.at < one.at {
                *known = one;
            }
        }
        Ok(newest.into_values().cloned().collect())
    }
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

fn instant(document: &Value, path: &[&str]) -> Option<OffsetDateTime> {
    let at = OffsetDateTime::parse(member(document, path)?, &Rfc3339).ok()?;
    Some(at.to_offset(UtcOffset::UTC))
}
