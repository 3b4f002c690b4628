//! Bugs that the simulation has to find: one at a time, in the thread that plants it. For tests only; without the feature
//! `planted` there are none.

#[cfg(feature = "planted")]
pub use self::here::{between_steps, plant};
#[cfg(feature = "planted")]
pub(crate) use self::here::{gap, is_planted};

/// Whether this bug is planted in this thread: never.
#[cfg(not(feature = "planted"))]
pub(crate) const fn is_planted(_bug: &str) -> bool {
    false
}

#[cfg(feature = "planted")]
mod here {
    use std::cell::{Cell, RefCell};
    use std::future::Future;
    use std::pin::Pin;

    type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;
    type Gap = Box<dyn Fn(u64) -> Pause>;

    thread_local! {
        static PLANTED: Cell<Option<&'static str>> = const { Cell::new(None) };
        static GAP: RefCell<Option<Gap>> = const { RefCell::new(None) };
    }

    /// Plants a bug in everything this thread runs from now on, or removes it.
    pub fn plant(bug: Option<&'static str>) {
        PLANTED.set(bug);
    }

    /// Sets what may happen to the process of this number between two steps that should have been one.
    pub fn between_steps(gap: Option<Gap>) {
        GAP.set(gap);
    }

    pub(crate) fn is_planted(bug: &str) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// The time between two steps that should have been one.
    pub(crate) async fn gap(session: u64) {
        let pause = GAP.with_borrow(|gap| gap.as_ref().map(|gap| gap(session)));
        if let Some(pause) = pause {
            pause.await;
        }
    }
}
