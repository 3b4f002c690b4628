//! Turns SIGINT, SIGTERM and SIGHUP into a cooperative stop, and stores a token refresh in flight before the process
//! exits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use backfill_core::CancellationToken;
use qbo_auth::{RefreshingProvider, SHUTDOWN_GRACE};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::args::Lifeline;
use crate::config::settings::Settings;
use crate::interrupt::{self, Interrupts};
use crate::output::exit::{Exit, INTERRUPTED, tell};
use crate::output::print;
use crate::output::print::say;

/// Turns SIGINT, SIGTERM and SIGHUP into a request to stop. The first signal stops cleanly, the second one at once. A
/// token refresh in progress is stored in both cases, because Intuit does not issue its token twice.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    pub(crate) token: CancellationToken,
    code: Arc<AtomicU8>,
    /// The tokens of each company, which must not be lost.
    tokens: Arc<std::sync::Mutex<Vec<Arc<RefreshingProvider>>>>,
    /// Held while a consent is exchanged for tokens.
    exchange: Arc<Mutex<()>>,
}

impl Stop {
    /// Starts listening.
    pub(crate) fn listen() -> Result<Self, Exit> {
        Self::saying("stopping after the current page (signal again to stop at once)")
    }

    /// Starts listening, for a command without pages to commit.
    pub(crate) fn waiting() -> Result<Self, Exit> {
        Self::saying("stopping")
    }

    fn saying(word: &'static str) -> Result<Self, Exit> {
        let stop = Self {
            token: CancellationToken::new(),
            code: Arc::default(),
            tokens: Arc::default(),
            exchange: Arc::default(),
        };
        let mut interrupts = Interrupts::listen()?;
        interrupt::mark_heard();
        let heard = stop.clone();
        tokio::spawn(async move {
            loop {
                let code = interrupts.next().await;
                let is_first = heard.code.swap(code, Ordering::Relaxed) == 0;
                // A prompt ends by itself, and restores the terminal.
                if !interrupt::is_asking() {
                    if !is_first || print::is_ending() {
                        heard.end(code).await;
                    }
                    if !interrupt::has_ended_a_question() {
                        say(word);
                    }
                }
                heard.token.cancel();
            }
        });
        Ok(stop)
    }

    /// Also stops when stdin ends, if `--lifeline stdin` ties this process to its parent. Call it after everything that comes
    /// by stdin has been read. The first signal after that still lets the current page be committed.
    pub(crate) fn follow(&self, settings: &Settings) -> Result<(), Exit> {
        let Some(Lifeline::Stdin) = settings.lifeline else { return Ok(()) };
        let token = self.token.clone();
        let wait = move || {
            // The content does not matter. An input that cannot be read counts as ended.
            drop(std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
            say("stdin has ended: stopping after the current page");
            token.cancel();
        };
        // Use a separate thread, because the runtime waits for its own threads before it ends.
        let started = std::thread::Builder::new().name("lifeline".into()).spawn(wait);
        started.map(drop).map_err(|_| Exit::usage("no thread can be started", "check the system's limits"))
    }

    /// Registers tokens that must not be lost.
    pub(crate) fn keep(&self, tokens: &Arc<RefreshingProvider>) {
        self.kept().push(Arc::clone(tokens));
    }

    /// Declares that a consent is being exchanged while the guard lives. Its code works only once.
    pub(crate) async fn exchanging(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.exchange).lock_owned().await
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Arc<RefreshingProvider>>> {
        self.tokens.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn end(&self, code: u8) {
        say("stopping at once: waiting only for a token refresh, so that the token is not lost");
        let kept = self.kept().clone();
        let mut ending: tokio::task::JoinSet<()> = tokio::task::JoinSet::new();
        for tokens in kept {
            ending.spawn(async move { tokens.shutdown_soon().await });
        }
        drop(ending.join_all().await);
        drop(tokio::time::timeout(SHUTDOWN_GRACE, self.exchange.lock()).await);
        tell(&Exit::new(code, "stopped at once", "run the same command again"));
        print::settle();
        std::process::exit(code.into());
    }

    /// Runs `work` until it is done or a signal arrives. In both cases it waits for a token refresh in progress.
    pub(crate) async fn or_done<T>(&self, work: impl Future<Output = Result<T, Exit>>) -> Result<T, Exit> {
        tokio::select! {
            done = work => done,
            () = self.token.cancelled() => {
                let kept = self.kept().clone();
                for tokens in kept {
                    tokens.shutdown().await;
                }
                let code = self.code().unwrap_or(INTERRUPTED);
                Err(Exit::new(code, "stopped; a token that was being refreshed is in the vault", "run the same command again"))
            }
        }
    }

    /// Replaces the exit code of an end that a signal requested.
    pub(crate) fn signed(&self, exit: Exit) -> Exit {
        let code = if exit.code == INTERRUPTED { self.code().unwrap_or(INTERRUPTED) } else { exit.code };
        Exit { code, ..exit }
    }

    /// The exit code of the signal that arrived, if any.
    pub(crate) fn code(&self) -> Option<u8> {
        Some(self.code.load(Ordering::Relaxed)).filter(|code| *code != 0)
    }
}
