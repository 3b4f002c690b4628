//! The seam through which a person connects a company to QuickBooks.

use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::problem::Problem;

/// The consent of one company, as far as it is known without asking Intuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentStatus {
    /// No consent has been given yet, or it was revoked.
    Missing,
    /// A consent has been given.
    Given {
        /// When Intuit last accepted or renewed the token.
        refreshed_at: OffsetDateTime,
        /// When the consent ends unless it is used before.
        ends_unused_at: Option<OffsetDateTime>,
        /// When the consent ends however often it is used; `None` if that is not known.
        ends_at: Option<OffsetDateTime>,
    },
}

/// A consent that was started and waits for Intuit's answer.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentAttempt {
    /// Address of Intuit's page, where the person agrees.
    pub address: String,
    /// Name of the person who started it.
    pub started_by: Box<str>,
    /// When it was started.
    pub started_at: OffsetDateTime,
    /// When it is given up.
    pub expires_at: OffsetDateTime,
}

/// Omits the address, which carries the state with which an answer could be forged.
impl fmt::Debug for ConsentAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsentAttempt").field("started_at", &self.started_at).finish_non_exhaustive()
    }
}

/// How far the newest attempt has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsentProgress {
    /// No consent was started since the process began.
    Idle,
    /// A consent waits for Intuit's answer.
    Waiting(ConsentAttempt),
    /// The company was connected.
    Connected {
        /// When it was connected.
        at: OffsetDateTime,
    },
    /// The attempt failed.
    Failed(Problem),
}

/// Connects one company.
///
/// # Contract
///
/// - At most one attempt is open at a time. An attempt that nobody finishes ends by itself.
/// - Where Intuit sends the browser is the implementor's own: a port of its own on this machine, or the console's
///   `/callback`, which hands the answer to [`receive`](Self::receive).
#[async_trait]
pub trait Consents: fmt::Debug + Send + Sync {
    /// Returns what is known about the consent. Calls nothing outside of this machine and its database.
    async fn status(&self) -> Result<ConsentStatus, Problem>;

    /// Starts a consent for the person of this name, or returns the attempt that is already open.
    async fn start(&self, person: &str) -> Result<ConsentAttempt, Problem>;

    /// Returns how far the newest attempt has come.
    async fn progress(&self) -> ConsentProgress;

    /// Receives the query of the address to which Intuit sent the browser. It contains a secret and must not be recorded.
    /// Returns whether the answer belongs to the open attempt of this company; [`progress`](Self::progress) then tells the
    /// result.
    async fn receive(&self, query: &str) -> bool;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn Consents) = |_| ();
