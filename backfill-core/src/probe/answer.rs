//! The answers of a probe.

use qbo_client::{Advice, BudgetError, EntityName, Error, ErrorKind};

use super::question::QuestionKind;
use super::shape::Shape;

/// How QuickBooks answered one question. It holds nothing of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// The entity.
    pub entity: EntityName,
    /// What was asked.
    pub question: QuestionKind,
    /// How it was answered.
    pub outcome: Outcome,
}

/// How a question was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a page of this shape.
    Page(Shape),
    /// With this number of deleted records.
    Deleted(u64),
    /// With the refusal of the query.
    Refused {
        /// Intuit's code, of digits only.
        code: Box<str>,
    },
    /// With the refusal of the entity.
    Unavailable {
        /// Intuit's code, of digits only.
        code: Box<str>,
    },
    /// With an answer that says nothing of the question: a page that cannot be delivered or read.
    Unclear,
    /// The question was not asked, because the calls were used up.
    NotAsked,
}

impl Outcome {
    /// What an error says about the question.
    ///
    /// # Errors
    ///
    /// The error, if it concerns all questions.
    pub(super) fn of(error: Error) -> Result<Self, Error> {
        match (&error.kind, error.advice()) {
            (ErrorKind::BadQuery { code }, _) => Ok(Self::Refused { code: digits(code) }),
            (ErrorKind::EntityUnavailable { code }, _) => Ok(Self::Unavailable { code: digits(code) }),
            (ErrorKind::Budget(BudgetError::Capped { .. }), _) => Ok(Self::NotAsked),
            (_, Advice::GiveUp | Advice::AskFewer) => Ok(Self::Unclear),
            _ => Err(error),
        }
    }

    /// Whether the question was understood and not refused.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Page(_) | Self::Deleted(_))
    }

    /// Whether the question was refused.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unavailable { .. })
    }
}

/// A code, unless it is something else in its place.
fn digits(code: &str) -> Box<str> {
    const LONGEST: usize = 6;
    let is_code = code.len() <= LONGEST && code.bytes().all(|byte| byte.is_ascii_digit());
    if is_code { code.into() } else { "other".into() }
}
