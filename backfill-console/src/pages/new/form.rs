//! The form as it is shown, with what was typed.

use backfill_core::{Axis, ChunkSize};
use raw_store::WindowSelection;

use crate::local_time::{as_field, is_day};
use crate::pages::choice::{Choice, entities};
use crate::pages::new::typed::Typed;
use crate::visit::CompanyVisit;

/// A field for a time: what it shows, and the kind of input that can show it.
#[derive(Debug)]
pub(super) struct TimeField {
    pub(super) value: String,
    pub(super) kind: &'static str,
}

/// The form as it is shown.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) groups: Vec<Choice>,
    pub(super) entities: Vec<Choice>,
    /// Whether the list of single pipelines is open: one is chosen, or no group is.
    pub(super) is_single: bool,
    pub(super) from: TimeField,
    pub(super) to: TimeField,
    pub(super) at: TimeField,
    pub(super) at_hint: String,
    /// The company's own zone; `None` if that is UTC.
    pub(super) place: Option<String>,
    pub(super) days: Vec<Choice>,
    pub(super) selections: Vec<Choice>,
    pub(super) whens: Vec<Choice>,
    pub(super) missed: Vec<Choice>,
    pub(super) every: Vec<Choice>,
    pub(super) axes: Vec<Choice>,
    pub(super) chunks: Vec<Choice>,
    pub(super) name: String,
    /// Whether something below "more" is not as usual, so that it is open.
    pub(super) is_more: bool,
}

impl Form {
    pub(super) fn new(visit: &CompanyVisit, typed: &Typed, is_below_more: bool) -> Self {
        let words = visit.visit.words();
        let w = &words.new;
        let place = Some(visit.when.place().to_owned()).filter(|place| place != "UTC");
        let chosen = |name: &str| typed.pipelines.iter().any(|word| word == name);
        let group = |value: &str, text: &str| Choice {
            value: value.to_owned(),
            text: text.to_owned(),
            is_chosen: chosen(value),
        };
        let mut entities = entities(visit, None);
        for choice in &mut entities {
            choice.is_chosen = chosen(&choice.value);
        }
        let selections = [WindowSelection::Open, WindowSelection::Failed, WindowSelection::Again];
        let axes = [Axis::Updated, Axis::Created, Axis::TxnDate];
        let choices = |chosen: &str, all: Vec<(&str, &str)>| -> Vec<Choice> {
            let choice = |(value, text): (&str, &str)| Choice {
                value: value.to_owned(),
                text: text.to_owned(),
                is_chosen: chosen == value,
            };
            all.into_iter().map(choice).collect()
        };
        let chunks = |word: fn(ChunkSize) -> &'static str| {
            ChunkSize::ALL.iter().map(|size| (size.as_str(), word(*size))).collect()
        };
        let is_usual = typed.every == "whole" && typed.by == "updated" && typed.chunk == "day";
        let groups =
            vec![group("all", w.all), group("transactions", w.transactions), group("lists", w.lists)];
        let is_chosen = |choice: &Choice| choice.is_chosen;
        Self {
            is_single: entities.iter().any(is_chosen) || !groups.iter().any(is_chosen),
            groups,
            entities,
            from: day_field(&typed.from),
            to: day_field(&typed.to),
            at: instant_field(&typed.at),
            at_hint: (w.at_hint)(&visit.company.zone),
            days: choices(&typed.days, vec![("utc", "UTC"), ("own", visit.when.place())]),
            place,
            selections: choices(
                &typed.what,
                selections.iter().map(|one| (one.as_str(), (w.selection)(*one))).collect(),
            ),
            whens: choices(&typed.when, vec![("now", w.now), ("at", w.at)]),
            missed: choices(&typed.if_missed, vec![("run", w.late), ("skip", w.skip)]),
            every: choices(&typed.every, chunks(w.every_word)),
            axes: choices(
                &typed.by,
                axes.iter().map(|one| (one.as_str(), (words.state.axis)(one.as_str()))).collect(),
            ),
            chunks: choices(&typed.chunk, chunks(w.chunk_word)),
            name: typed.name.clone(),
            is_more: is_below_more || !is_usual || !typed.name.is_empty(),
        }
    }
}

/// A browser's own field for a day, unless what was typed is something else: that would be lost in it.
fn day_field(typed: &str) -> TimeField {
    let usual = if typed.is_empty() || is_day(typed) { "date" } else { "text" };
    time_field(typed, usual)
}

/// A browser's own field for a day and a time, unless what was typed is something else.
fn instant_field(typed: &str) -> TimeField {
    time_field(typed, if typed.is_empty() { "datetime-local" } else { "text" })
}

fn time_field(typed: &str, usual: &'static str) -> TimeField {
    let field = as_field(typed);
    let kind = if field.is_some() { "datetime-local" } else { usual };
    TimeField { value: field.unwrap_or_else(|| typed.to_owned()), kind }
}
