//! The seam for the health and the metrics of a process.

use std::fmt;

use async_trait::async_trait;

/// The health of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether the process can work. A company that waits for a person does not make the process unhealthy.
    pub is_well: bool,
    /// A line for each company.
    pub lines: Vec<String>,
}

/// Reports the health and the metrics of a process, such as of the worker that runs beside the console.
#[async_trait]
pub trait ServiceStatus: fmt::Debug + Send + Sync {
    /// Returns the health, for `/healthz`.
    async fn health(&self) -> Health;

    /// Returns the metrics in the `OpenMetrics` text format, for `/metrics`.
    async fn metrics(&self) -> String;
}

// Used behind `Arc<dyn _>`: a change that breaks this fails the build, not a user.
const _: fn(&dyn ServiceStatus) = |_| ();
