#![doc = include_str!("../README.md")]

mod axis;
mod catalog;
mod entity;
mod entry;
mod chunk;
mod plan;
mod event;
mod scale;
mod sizing;
mod walk;
mod accounting;
mod availability;
mod desk;
mod share;
mod scan;
mod rescue;
mod proof;
mod lease;
mod pipeline;
mod engine;
mod outcome;
mod report;
mod error;

pub use axis::{Axis, UnknownAxis};
pub use catalog::{Catalog, CatalogError, UnknownPipeline};
pub use chunk::{ChunkSize, UnknownChunk, tile};
pub use engine::Engine;
pub use entity::{EntityKind, EntitySpec};
pub use error::{Failure, RunError};
pub use event::{EventSink, RunEvent, WindowReport};
pub use outcome::{RunOutcome, Totals};
pub use plan::{PipelinePlan, Plan, PlannedScan, Proof, RunRequest};
pub use report::{PipelineReport, Report, ReportError};
pub use tokio_util::sync::CancellationToken;
