//! Which assumptions of the catalogue hold, by the answers of a probe.

use super::answer::{Outcome, ProbeAnswer};
use super::question::QuestionKind;
use super::shape::Shape;
use crate::catalog::RequestPart;

/// The most records of a page.
const PAGE: u64 = 1000;

/// Whether an assumption holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The answers agree with it.
    Holds,
    /// An answer contradicts it.
    Fails,
    /// The answers say nothing about it, for example because the company has no such records.
    Unknown,
}

impl Verdict {
    /// Returns the verdict as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Unknown => "unknown",
        }
    }

    fn of(holds: Option<bool>) -> Self {
        holds.map_or(Self::Unknown, |holds| if holds { Self::Holds } else { Self::Fails })
    }
}

/// One assumption about one entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumption {
    /// The entity.
    pub entity: Box<str>,
    /// What is assumed.
    pub claim: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What the answers have shown, if it does not hold.
    pub shown: String,
}

/// What the answers say about every assumption.
pub(super) fn assumptions(answers: &[ProbeAnswer]) -> Vec<Assumption> {
    answers.iter().flat_map(|answer| about(answer, answers)).collect()
}

fn about(answer: &ProbeAnswer, all: &[ProbeAnswer]) -> Vec<Assumption> {
    let claim = |claim, verdict, shown: String| Assumption {
        entity: answer.entity.as_str().into(),
        claim,
        verdict,
        shown,
    };
    match (answer.question, &answer.outcome) {
        (QuestionKind::AsRun, outcome) => {
            let mut found = vec![as_run(answer, all)];
            if let Outcome::Page(shape) = outcome {
                found.extend(of_records(answer, shape));
            }
            found
        }
        (QuestionKind::OverLimit, _) => {
            let (verdict, shown) = over_limit(answer, all);
            vec![claim("a page holds at most 1000 records", verdict, shown)]
        }
        (QuestionKind::ById, outcome) => {
            let sorted = match outcome {
                Outcome::Page(shape) => match (shape.in_order_of_number, shape.in_order_of_text) {
                    (None, None) => None,
                    (number, text) => Some(number == Some(true) || text == Some(true)),
                },
                other => told(other),
            };
            let shown = match outcome {
                Outcome::Page(_) => "they came in another order".into(),
                other => refusal(other),
            };
            vec![claim("records can be sorted by id", Verdict::of(sorted), shown)]
        }
        (QuestionKind::Changes, outcome) => {
            let claimed = "change data capture tells deleted records";
            // An answer without deleted records shows nothing: perhaps none was deleted.
            let told = told(outcome).filter(|_| *outcome != Outcome::Deleted(0));
            vec![claim(claimed, Verdict::of(told), refusal(outcome))]
        }
        (QuestionKind::With(RequestPart::CustomFields), Outcome::Page(with)) => {
            let holds = bare(answer, all).and_then(|outcome| match outcome {
                // As many as without: perhaps there are no others.
                Outcome::Page(without) if with.custom_fields == without.custom_fields => None,
                Outcome::Page(without) => Some(with.custom_fields > without.custom_fields),
                _ => None,
            });
            let shown = "fewer custom fields came when all were asked for".into();
            vec![claim("all custom fields come if they are asked for", Verdict::of(holds), shown)]
        }
        _ => Vec::new(),
    }
}

/// How the entity of an answer was answered without any part that may be refused.
fn bare<'a>(answer: &ProbeAnswer, all: &'a [ProbeAnswer]) -> Option<&'a Outcome> {
    let is_bare = |one: &&ProbeAnswer| one.question == QuestionKind::Bare && one.entity == answer.entity;
    all.iter().find(is_bare).map(|one| &one.outcome)
}

/// Whether a page holds no more records than assumed, by the answer to a request for one more, and what it has shown.
fn over_limit(answer: &ProbeAnswer, all: &[ProbeAnswer]) -> (Verdict, String) {
    match &answer.outcome {
        Outcome::Page(shape) if shape.records > PAGE => {
            (Verdict::Fails, format!("{} records came", shape.records))
        }
        Outcome::Page(shape) if shape.records == PAGE => (Verdict::Holds, String::new()),
        // The number is refused only if the same request with a smaller one is not.
        Outcome::Refused { .. } if bare(answer, all).is_some_and(Outcome::is_accepted) => {
            (Verdict::Holds, String::new())
        }
        _ => (Verdict::Unknown, String::new()),
    }
}

/// Whether the entity is accepted as a run requests it, and otherwise which part is refused.
fn as_run(answer: &ProbeAnswer, all: &[ProbeAnswer]) -> Assumption {
    let refused = refused_parts(all, answer.entity.as_str());
    let shown = match (&answer.outcome, &*refused) {
        (Outcome::Refused { .. } | Outcome::Unavailable { .. }, [_, ..]) => {
            let parts: Vec<_> = refused.iter().map(|part| part.as_str()).collect();
            let found_anyway = match &*refused {
                [RequestPart::Order] => "; runs find this out by themselves, and leave it out",
                _ => "",
            };
            format!("{}; refused alone: {}{found_anyway}", refusal(&answer.outcome), parts.join(", "))
        }
        (outcome, _) => refusal(outcome),
    };
    Assumption {
        entity: answer.entity.as_str().into(),
        claim: "a run's requests are accepted",
        verdict: Verdict::of(told(&answer.outcome)),
        shown,
    }
}

/// What is assumed of the records themselves.
fn of_records(answer: &ProbeAnswer, shape: &Shape) -> Vec<Assumption> {
    let any = |number: u64| (shape.records > 0).then_some(number == shape.records);
    let claims = [
        (
            "every record has an id",
            any(shape.numeric_ids + shape.other_ids),
            shape.numeric_ids + shape.other_ids,
        ),
        ("every record states its last update to the second", any(shape.timed), shape.timed),
    ];
    let mut found: Vec<_> = claims
        .into_iter()
        .map(|(claim, holds, number)| Assumption {
            entity: answer.entity.as_str().into(),
            claim,
            verdict: Verdict::of(holds),
            shown: format!("{number} of {} records", shape.records),
        })
        .collect();
    if shape.in_order_of_time == Some(false) {
        found.push(Assumption {
            entity: answer.entity.as_str().into(),
            claim: "the records come in the order of their last update",
            verdict: Verdict::Fails,
            shown: "they do not".into(),
        });
    }
    found
}

/// The parts that an entity's requests cannot have, by questions with one part each.
pub(super) fn refused_parts(answers: &[ProbeAnswer], entity: &str) -> Vec<RequestPart> {
    let own = || answers.iter().filter(|one| one.entity.as_str() == entity);
    // If nothing is accepted, the parts are not the cause.
    if !own().any(|one| one.question == QuestionKind::Bare && one.outcome.is_accepted()) {
        return Vec::new();
    }
    let part = |one: &ProbeAnswer| match one.question {
        QuestionKind::With(part) if one.outcome.is_refused() => Some(part),
        _ => None,
    };
    let mut parts: Vec<_> = own().filter_map(part).collect();
    // The order is asked for together with the range.
    if parts.contains(&RequestPart::Time) {
        parts.retain(|part| *part != RequestPart::Order);
    }
    parts
}

/// Whether a question was accepted; `None` if the answer does not say.
fn told(outcome: &Outcome) -> Option<bool> {
    match outcome {
        Outcome::Unclear | Outcome::NotAsked => None,
        other => Some(other.is_accepted()),
    }
}

fn refusal(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Refused { code } => format!("refused with code {code}"),
        Outcome::Unavailable { code } => format!("the company does not have it (code {code})"),
        Outcome::Unclear => "the answer could not be read".into(),
        Outcome::NotAsked => "not asked: the calls were used up".into(),
        Outcome::Page(_) | Outcome::Deleted(_) => String::new(),
    }
}
