//! The crate `mutation` of the mutated copy: which mutation is on, one at a time, in the thread that switches it on.

use std::cell::Cell;

thread_local! {
    static ON: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Switches a mutation on in everything that this thread runs from now on, or the present one off.
pub fn switch(mutation: Option<&'static str>) {
    ON.set(mutation);
}

/// Whether this mutation is on in this thread.
pub fn is_on(mutation: &str) -> bool {
    ON.get() == Some(mutation)
}
