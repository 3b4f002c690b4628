//! Errors of a run.

use raw_store::{StoreError, Window};

use crate::chunk::TooManyWindows;

/// Why a run, or one of its pipelines, could not go on.
#[derive(Debug, thiserror::Error)]
#[error("{}{failure}", Place { pipeline: pipeline.as_deref(), window: *window })]
pub struct RunError {
    /// The name of the pipeline that failed, if one was being read.
    pub pipeline: Option<String>,
    /// The window that was being read, if any.
    pub window: Option<Window>,
    /// What failed.
    pub failure: Failure,
}

/// The cause of a [`RunError`]. Failures of single windows do not stop a run and are in the log instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A request to QuickBooks failed.
    #[error(transparent)]
    Read(qbo_client::Error),
    /// The store could not be read or written.
    #[error(transparent)]
    Land(#[from] StoreError),
    /// The request has more windows than allowed; nothing was read or written.
    #[error(transparent)]
    TooManyWindows(#[from] TooManyWindows),
    /// The run was asked to stop.
    #[error("stopped on request")]
    Stopped,
    /// An invariant of this program was violated: a bug.
    #[error("broken invariant: {0}")]
    Broken(Box<str>),
}

impl Failure {
    /// Returns the part of the work that failed: `auth`, `extract`, `load` or `run`.
    pub fn phase(&self) -> &'static str {
        match self {
            Self::Read(error) if error.kind.code().starts_with("auth.") => "auth",
            Self::Read(_) => "extract",
            Self::Land(_) => "load",
            Self::TooManyWindows(_) | Self::Stopped | Self::Broken(_) => "run",
        }
    }

    /// Returns a word that programs can sort logs by. It does not change from version to version.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read(error) => error.kind.code(),
            Self::Land(error) => error.code(),
            Self::TooManyWindows(_) => "run.too_many_windows",
            Self::Stopped => "run.stopped",
            Self::Broken(_) => "run.broken",
        }
    }

    /// Returns Intuit's id of the failed response (`intuit_tid`), which Intuit's support asks for.
    pub fn intuit_tid(&self) -> Option<&str> {
        match self {
            Self::Read(error) => error.intuit_tid.as_deref(),
            _ => None,
        }
    }
}

impl RunError {
    /// Creates an error that belongs to no pipeline.
    pub(crate) fn general(failure: impl Into<Failure>) -> Self {
        Self { pipeline: None, window: None, failure: failure.into() }
    }
}

/// The pipeline and the window as the prefix of an error message.
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

/// A violated invariant, described in our own words: a panic message may quote anything.
pub(crate) fn broken(what: &str) -> Failure {
    Failure::Broken(what.into())
}
