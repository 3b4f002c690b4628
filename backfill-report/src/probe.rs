//! Renders the answers of a probe: the file that people may share, and a summary of it.

use std::fmt::Write as _;

use backfill_core::probe::{Assumption, Outcome, ProbeReport, Shape, Verdict};
use serde_json::{Value, json};

use crate::number::counted;

/// What the file says about itself.
const CONTAINS: &str = "shapes, codes, counts, and keys of Intuit's documentation; no record, name, id, time or amount of the company, \
                        and no name of a custom field";

/// Facts about the probe that are not in its answers.
#[derive(Clone, Copy, Debug)]
pub struct ProbeFacts<'a> {
    /// The program and its version.
    pub program: &'a str,
    /// The environment: `sandbox` or `production`.
    pub environment: &'a str,
    /// The minor version of the API.
    pub minor_version: &'a str,
    /// The day of the probe.
    pub day: time::Date,
    /// The calls that it has cost.
    pub calls: u64,
}

/// Builds the content of the file.
pub fn document(report: &ProbeReport, facts: ProbeFacts<'_>) -> Value {
    let assumptions: Vec<_> = report.assumptions().iter().map(assumption).collect();
    let answers = report.answers.iter().map(|one| {
        let mut answer = outcome(&one.outcome);
        answer["entity"] = one.entity.as_str().into();
        answer["question"] = one.question.to_string().into();
        answer
    });
    json!({"contains": CONTAINS, "program": facts.program, "environment": facts.environment,
           "minor_version": facts.minor_version, "day": facts.day.to_string(), "calls": facts.calls,
           "is_whole": !report.is_stopped && report.not_asked() == 0,
           "not_tried": ["reports", "an earlier refresh token"],
           "assumptions": assumptions, "answers": answers.collect::<Vec<_>>()})
}

/// Renders the summary for a terminal: how many assumptions hold, and what contradicts the others.
pub fn summary(report: &ProbeReport, calls: u64) -> String {
    let assumptions = report.assumptions();
    let number = |verdict| assumptions.iter().filter(|one| one.verdict == verdict).count();
    let mut text = format!(
        "assumptions of the catalogue: {} hold, {} fail, {} unknown\n",
        number(Verdict::Holds),
        number(Verdict::Fails),
        number(Verdict::Unknown)
    );
    for one in assumptions.iter().filter(|one| one.verdict == Verdict::Fails) {
        let shown = if one.shown.is_empty() { String::new() } else { format!(": {}", one.shown) };
        let _ = writeln!(text, "  {}: {} – not so{shown}", one.entity, one.claim);
    }
    let not_asked = report.not_asked() as u64;
    if not_asked > 0 {
        let _ = writeln!(
            text,
            "not asked, because the calls were used up: {}",
            counted(not_asked, "question", "questions")
        );
    }
    let _ = write!(text, "{}", counted(calls, "API call", "API calls"));
    text
}

fn assumption(one: &Assumption) -> Value {
    let shown = (one.verdict != Verdict::Holds).then_some(&*one.shown).filter(|shown| !shown.is_empty());
    json!({"entity": &*one.entity, "claim": one.claim, "verdict": one.verdict.as_str(), "shown": shown})
}

fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Page(shape) => page(shape),
        Outcome::Deleted(number) => json!({"outcome": "accepted", "deleted": number}),
        Outcome::Refused { code } => json!({"outcome": "refused", "code": &**code}),
        Outcome::Unavailable { code } => json!({"outcome": "unavailable", "code": &**code}),
        Outcome::Unclear => json!({"outcome": "unclear"}),
        Outcome::NotAsked => json!({"outcome": "not asked"}),
    }
}

fn page(shape: &Shape) -> Value {
    json!({"outcome": "accepted", "records": shape.records, "keys": shape.keys, "other_keys": shape.other_keys,
           "unreadable": shape.unreadable, "numeric_ids": shape.numeric_ids, "other_ids": shape.other_ids,
           "timed_to_the_second": shape.timed, "timed_to_the_day": shape.dated, "with_create_time": shape.created,
           "custom_fields": shape.custom_fields, "inactive": shape.inactive,
           "in_order_of_time": shape.in_order_of_time, "in_order_of_number": shape.in_order_of_number,
           "in_order_of_text": shape.in_order_of_text})
}
