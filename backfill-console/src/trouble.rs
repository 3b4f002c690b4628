//! Why a view cannot be built.

use raw_store::{Advice, StoreError};

use crate::problem::Problem;

/// Why a view cannot be built. It is shown in the language of the person who looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The company cannot be opened.
    Closed(Problem),
    /// The store failed.
    Store {
        /// What happened, in the store's own words.
        what: String,
        advice: Advice,
    },
    /// The store did not answer in time.
    Slow,
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Closed(problem)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store { what: error.to_string(), advice: error.advice() }
    }
}
