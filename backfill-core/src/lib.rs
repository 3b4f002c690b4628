#![doc = include_str!("../README.md")]

/// Marks a named point, where the crash tests stop the process. Without the feature `points` there are none.
macro_rules! point {
    ($name:literal) => {
        #[cfg(feature = "points")]
        raw_store::pass($name);
    };
}

#[path = "catalog/time_axis.rs"]
mod axis;
#[path = "scan/id_order.rs"]
mod by_id;
mod catalog;
#[path = "catalog/entity.rs"]
mod entity;
#[path = "catalog/entry.rs"]
mod entry;
#[path = "plan/chunk.rs"]
mod chunk;
mod plan;
mod event;
#[path = "catalog/scan_key.rs"]
mod scale;
#[path = "scan/page_sizing.rs"]
mod sizing;
#[path = "scan/keyset.rs"]
mod walk;
#[path = "scan/odd_time.rs"]
mod odd;
mod worker;
#[path = "scan/window_progress.rs"]
mod accounting;
#[path = "scan/availability.rs"]
mod availability;
mod clocks;
#[path = "scan/context.rs"]
mod desk;
#[path = "scan/density.rs"]
mod density;
#[path = "scan/work_split.rs"]
mod share;
#[path = "call_budget.rs"]
mod shared_budget;
mod scan;
#[path = "scan/bad_record.rs"]
mod rescue;
#[path = "scan/unordered.rs"]
mod parts;
#[path = "engine/count_check.rs"]
mod proof;
#[path = "engine/lease.rs"]
mod lease;
#[path = "engine/pipeline.rs"]
mod pipeline;
#[path = "engine/log_snapshot.rs"]
mod standing;
mod engine;
#[path = "verify/comparing_store.rs"]
mod rehearsal;
mod verify;
#[path = "engine/outcome.rs"]
mod outcome;
mod report;
#[path = "report/finding_kind.rs"]
mod finding_kind;
#[path = "scan/heads.rs"]
mod heads;
#[path = "lease_guard.rs"]
mod held;
#[path = "validate/thresholds.rs"]
mod thresholds;
#[path = "validate/volume.rs"]
pub mod volumetry;
mod validate;
#[path = "worker/trigger_run.rs"]
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
