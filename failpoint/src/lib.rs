//! Named points at which tests break a process: [`point!`] marks one, and `at_every_point` says what happens there.
//!
//! Without the feature `points`, a point expands to nothing. The crate `fail` has no action that aborts or stops the process, and
//! brings a random number generator along; this one knows names alone, and its caller acts.

/// Marks a named point, or one that is passed while a future is in progress.
#[cfg(feature = "points")]
#[macro_export]
macro_rules! point {
    ($name:literal) => {
        $crate::pass($name)
    };
    ($name:literal, $future:expr) => {
        $crate::pass_during($name, $future)
    };
}

/// Marks a named point, or one that is passed while a future is in progress: without the feature `points`, nothing.
#[cfg(not(feature = "points"))]
#[macro_export]
macro_rules! point {
    ($name:literal) => {};
    ($name:literal, $future:expr) => {
        $future
    };
}

#[cfg(feature = "points")]
pub use self::points::{at_every_point, pass, pass_during};

#[cfg(feature = "points")]
mod points {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::OnceLock;

    static REACHED: OnceLock<fn(&str)> = OnceLock::new();

    /// Calls `reached` with the name of every point that is passed from now on. Only the first call has an effect.
    pub fn at_every_point(reached: fn(&str)) {
        let _ = REACHED.set(reached);
    }

    /// Passes a point; [`point!`](crate::point) calls it.
    pub fn pass(name: &str) {
        if let Some(reached) = REACHED.get() {
            reached(name);
        }
    }

    /// Passes a point while a future is in progress: it has begun, and is not known to have ended.
    pub async fn pass_during<F: Future>(name: &str, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut is_passed = false;
        poll_fn(|context| {
            let polled = future.as_mut().poll(context);
            if polled.is_pending() && !std::mem::replace(&mut is_passed, true) {
                pass(name);
            }
            polled
        })
        .await
    }
}
