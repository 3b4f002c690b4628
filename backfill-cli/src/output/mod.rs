//! What this process writes: results on stdout, everything else on stderr.

pub(crate) mod print;
pub(crate) mod exit;
pub(crate) mod next_step;
pub(crate) mod event;
pub(crate) mod human_duration;
pub(crate) mod colour;
pub(crate) mod screen;
pub(crate) mod screen_width;

mod stream;
