//! Named points in the store at which the crash tests stop the process. Without the feature `points` there are none.

use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;

static REACHED: OnceLock<fn(&str)> = OnceLock::new();

/// Calls `reached` with the name of every point that is passed from now on. For tests only.
pub fn at_every_point(reached: fn(&str)) {
    let _ = REACHED.set(reached);
}

/// Passes a point.
pub fn pass(name: &str) {
    if let Some(reached) = REACHED.get() {
        reached(name);
    }
}

/// Passes a point while a future is in progress: it has begun, and is not known to have ended.
pub(crate) async fn pass_during<F: Future>(name: &str, future: F) -> F::Output {
    let mut future = pin!(future);
    match futures_util::poll!(&mut future) {
        Poll::Ready(output) => output,
        Poll::Pending => {
            pass(name);
            future.await
        }
    }
}
