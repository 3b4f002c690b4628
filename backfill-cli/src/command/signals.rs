use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use backfill_core::CancellationToken;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Exit, INTERRUPTED, TERMINATED};
use crate::render::say;

/// Turns SIGINT and SIGTERM into a request to stop. The first one ends cleanly, the second one at once.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    pub(crate) token: CancellationToken,
    code: Arc<AtomicU8>,
}

impl Stop {
    /// Starts listening.
    pub(crate) fn listen() -> Result<Self, Exit> {
        Self::saying("stopping: the page in hand is committed first (again to stop at once)")
    }

    /// Starts listening, for a command that only waits.
    pub(crate) fn waiting() -> Result<Self, Exit> {
        Self::saying("stopping")
    }

    fn saying(word: &'static str) -> Result<Self, Exit> {
        let stop = Self { token: CancellationToken::new(), code: Arc::new(AtomicU8::new(0)) };
        for (kind, code) in [(SignalKind::interrupt(), INTERRUPTED), (SignalKind::terminate(), TERMINATED)] {
            let mut arrivals = signal(kind).map_err(|_| {
                Exit::new(crate::exit::BUG, "signals cannot be heard", "check the system's limits")
            })?;
            let heard = stop.clone();
            tokio::spawn(async move {
                while arrivals.recv().await.is_some() {
                    if heard.code.swap(code, Ordering::Relaxed) != 0 {
                        std::process::exit(code.into());
                    }
                    say(word);
                    heard.token.cancel();
                }
            });
        }
        Ok(stop)
    }

    /// The exit code of the signal that arrived, if one did.
    pub(crate) fn code(&self) -> Option<u8> {
        Some(self.code.load(Ordering::Relaxed)).filter(|code| *code != 0)
    }
}
