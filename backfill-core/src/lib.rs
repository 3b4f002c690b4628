#![doc = include_str!("../README.md")]

mod answer;
mod call_budget;
pub mod catalog;
pub mod chunk;
mod clock_check;
pub mod engine;
mod error;
mod event;
mod id_hash;
mod lease_guard;
mod mismatch;
mod store_parts;
mod did_you_mean;
pub mod plan;
pub mod probe;
pub mod reconcile;
pub mod report;
mod scan;
mod toml_problem;
pub mod validate;
pub mod verify;
pub mod worker;

// The crates whose types the signatures of this one mention, so that an embedder depends on this crate alone.
pub use {qbo_auth, qbo_client, raw_store};

pub use call_budget::SharedBudget;
pub use catalog::{
    Axis, Catalog, CatalogError, EntityKind, EntitySpec, RequestPart, UnknownAxis, UnknownPipeline,
};
pub use chunk::{ChunkSize, MOST_WINDOWS, TooManyWindows, UnknownChunk, tile};
pub use clock_check::{CLOCKS_AGREE_WITHIN, ClockApart, ClockOf};
pub use did_you_mean::{did_you_mean, nearest};
pub use engine::{Engine, RunOutcome, Totals};
pub use error::{Failure, RunError};
pub use event::{EventSink, RunEvent, RunEventKind, WindowReport};
pub use mismatch::{Mismatch, MismatchKind};
pub use plan::{PipelinePlan, Plan, PlannedScan, Proof, RunRequest, Settle, Settling};
pub use reconcile::{
    BalanceCheck, BalanceDifference, Discrepancy, DiscrepancyKind, LabelTotals, ReconcilePlan,
    ReconcileRequest, ReconciledPipeline, Reconciliation,
};
pub use report::{
    Certificate, CertifiedPipeline, CustomFields, FindingKind, PipelineReport, Report, ReportError,
};
pub use tokio_util::sync::CancellationToken;
pub use toml_problem::TomlProblem;
pub use validate::{InvalidThreshold, Level, Thresholds};
pub use verify::{Verification, VerifiedPipeline, VerifyMethod, VerifyRequest};
pub use worker::{RunFactory, Until, Worker, WorkerEnd, WorkerPresence};
