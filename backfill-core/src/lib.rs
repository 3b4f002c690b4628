#![doc = include_str!("../README.md")]

/// Marks a named point, where the crash tests stop the process. Without the feature `points` there are none.
macro_rules! point {
    ($name:literal) => {
        #[cfg(feature = "points")]
        raw_store::pass($name);
    };
}

mod axis;
mod by_id;
mod catalog;
mod entity;
mod entry;
mod chunk;
mod plan;
mod event;
mod scale;
mod sizing;
mod walk;
mod odd;
mod worker;
mod accounting;
mod availability;
mod clocks;
mod desk;
mod density;
mod share;
mod shared_budget;
mod scan;
mod rescue;
mod parts;
mod proof;
mod lease;
mod pipeline;
mod standing;
mod engine;
mod rehearsal;
mod verify;
mod outcome;
mod report;
mod finding_kind;
mod heads;
mod held;
mod thresholds;
pub mod volumetry;
mod validate;
mod errand;
mod error;

pub use axis::{Axis, UnknownAxis};
pub use catalog::{Catalog, CatalogError, UnknownPipeline};
pub use chunk::{ChunkSize, MOST_WINDOWS, TooManyWindows, UnknownChunk, tile};
pub use clocks::{CLOCKS_AGREE_WITHIN, ClockApart, ClockOf};
pub use engine::Engine;
pub use entity::{EntityKind, EntitySpec};
pub use error::{Failure, RunError};
pub use event::{EventSink, RunEvent, WindowReport};
pub use finding_kind::FindingKind;
pub use outcome::{RunOutcome, Totals};
pub use plan::{PipelinePlan, Plan, PlannedScan, Proof, RunRequest};
pub use report::{PipelineReport, Report, ReportError};
pub use shared_budget::SharedBudget;
pub use thresholds::{InvalidThreshold, Level, Thresholds};
pub use tokio_util::sync::CancellationToken;
pub use verify::{Difference, Disagreement, Verification, VerifiedPipeline};
pub use worker::{RunMaker, Until, Worker, WorkerEnd};
