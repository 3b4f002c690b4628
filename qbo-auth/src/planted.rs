//! Bugs that the simulation has to find: one at a time, in the thread that plants it. For tests only; without the feature
//! `planted` there are none.

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in everything this thread runs from now on, or removes it.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<&'static str>) {
    PLANTED.set(bug);
}

/// Whether this bug is planted in this thread.
#[cfg(feature = "planted")]
pub fn is_planted(bug: &str) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether this bug is planted in this thread: never.
#[cfg(not(feature = "planted"))]
#[inline]
pub const fn is_planted(_bug: &str) -> bool {
    false
}
