//! Why a run did not do what it was asked to.

use raw_store::{StoreError, Window};

use crate::chunk::TooManyWindows;

/// A run, or one of its pipelines, could not go on.
#[derive(Debug, thiserror::Error)]
#[error("{}{failure}", Place { pipeline: pipeline.as_deref(), window: *window })]
pub struct RunError {
    /// The pipeline's name, where one was at work.
    pub pipeline: Option<String>,
    /// The window it stood in.
    pub window: Option<Window>,
    /// Why.
    pub failure: Failure,
}

/// Why a run could not go on. What failed for single windows only is in the log instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Reading from QBO.
    #[error(transparent)]
    Read(qbo_client::Error),
    /// Landing in the database, or asking it.
    #[error(transparent)]
    Land(#[from] StoreError),
    /// The request has more windows than one may have: nothing was touched.
    #[error(transparent)]
    TooManyWindows(#[from] TooManyWindows),
    /// Somebody asked it to stop.
    #[error("stopped on request")]
    Stopped,
    /// A promise of this program was broken: a bug.
    #[error("broken invariant: {0}")]
    Broken(Box<str>),
}

impl Failure {
    /// The part of the work in which it happened: `auth`, `extract`, `load` or `run`.
    pub fn phase(&self) -> &'static str {
        match self {
            Self::Read(error) if error.kind.code().starts_with("auth.") => "auth",
            Self::Read(_) => "extract",
            Self::Land(_) => "load",
            Self::TooManyWindows(_) | Self::Stopped | Self::Broken(_) => "run",
        }
    }

    /// A word for programs that sort logs. It stays as it is from version to version.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read(error) => error.kind.code(),
            Self::Land(error) => error.code(),
            Self::TooManyWindows(_) => "run.too_many_windows",
            Self::Stopped => "run.stopped",
            Self::Broken(_) => "run.broken",
        }
    }

    /// Intuit's id of the answer that it was, which their support asks for.
    pub fn intuit_tid(&self) -> Option<&str> {
        match self {
            Self::Read(error) => error.intuit_tid.as_deref(),
            _ => None,
        }
    }
}

impl RunError {
    /// An error outside of any pipeline.
    pub(crate) fn general(failure: impl Into<Failure>) -> Self {
        Self { pipeline: None, window: None, failure: failure.into() }
    }
}

struct Place<'a> {
    pipeline: Option<&'a str>,
    window: Option<Window>,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.pipeline, self.window) {
            (Some(pipeline), Some(window)) => write!(f, "{pipeline}, window {window}: "),
            (Some(pipeline), None) => write!(f, "{pipeline}: "),
            (None, _) => Ok(()),
        }
    }
}

/// A promise of this program that was broken, in our own words: what a panic says may quote anything.
pub(crate) fn broken(what: &str) -> Failure {
    Failure::Broken(what.into())
}
