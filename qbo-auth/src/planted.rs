//! Bugs that the simulation has to find: one of them at a time, in the thread that asks for it. For tests only; without the
//! feature `planted` there are none.

use std::cell::Cell;

thread_local! {
    static PLANTED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Plants a bug in what this thread runs from now on, or takes it away.
pub fn plant(bug: Option<&'static str>) {
    PLANTED.set(bug);
}

/// Whether this bug is planted here.
pub fn is_planted(bug: &str) -> bool {
    PLANTED.get() == Some(bug)
}
