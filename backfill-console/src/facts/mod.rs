//! What pages say about a company, computed from what the store shows, without any language.

mod month_bar;
mod number;
mod pipeline;
mod presence;
mod price;
mod progress;
mod trigger_due;
mod verdict;

pub(crate) use self::month_bar::month_bars;
pub(crate) use self::number::number_member;
pub(crate) use self::pipeline::{PipelineFacts, Standing, days, days_begun, pipelines};
pub(crate) use self::presence::is_present;
pub(crate) use self::price::least_calls;
pub(crate) use self::progress::{Progress, progress};
pub(crate) use self::trigger_due::{Due, due};
pub(crate) use self::verdict::{Blocked, Known, Missing, Verdict, verdict};
