//! Named points in the refresh at which the crash tests stop the process. Without the feature `points` there are none.

use std::sync::OnceLock;

static REACHED: OnceLock<fn(&str)> = OnceLock::new();

/// Calls `reached` with the name of every point that is passed from now on. For tests only.
pub fn at_every_point(reached: fn(&str)) {
    let _ = REACHED.set(reached);
}

pub(crate) fn pass(name: &str) {
    if let Some(reached) = REACHED.get() {
        reached(name);
    }
}
