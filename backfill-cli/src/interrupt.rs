//! Signals that ask the process to end, and their effect on a prompt that waits for an answer.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::output::exit::{Exit, INTERRUPTED, TERMINATED, tell};
use crate::output::print;

/// The state of the process's questions: [`CLOSED`], [`OPEN`], or for good the exit code of the signal that ended one.
static STATE: AtomicU8 = AtomicU8::new(CLOSED);

const CLOSED: u8 = 0;
const OPEN: u8 = 1;

/// Whether the command handles signals itself, to end cleanly.
static IS_HEARD: AtomicBool = AtomicBool::new(false);

/// SIGINT, SIGTERM and SIGHUP, as they arrive.
#[derive(Debug)]
pub(crate) struct Interrupts(Vec<(Signal, u8)>);

impl Interrupts {
    /// Starts listening. From then on, these signals no longer end the process by default.
    pub(crate) fn listen() -> Result<Self, Exit> {
        // SIGHUP ends the process when its terminal closes, unless it was started to outlive the terminal (nohup).
        let hangup = Some((SignalKind::hangup(), TERMINATED)).filter(|(kind, _)| !is_ignored(*kind));
        let kinds = [(SignalKind::interrupt(), INTERRUPTED), (SignalKind::terminate(), TERMINATED)];
        let kinds = kinds.into_iter().chain(hangup);
        let arrivals: io::Result<_> = kinds.map(|(kind, code)| Ok((signal(kind)?, code))).collect();
        arrivals
            .map(Self)
            .map_err(|_| Exit::usage("this process cannot listen for signals", "check the system's limits"))
    }

    /// Waits for the next signal, and returns its exit code.
    pub(crate) async fn next(&mut self) -> u8 {
        std::future::poll_fn(|context| {
            let has_arrived =
                |(arrivals, code): &mut (Signal, u8)| arrivals.poll_recv(context).is_ready().then_some(*code);
            self.0.iter_mut().find_map(has_arrived).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Declares that the command handles signals itself from now on.
pub(crate) fn mark_heard() {
    IS_HEARD.store(true, Ordering::Relaxed);
}

/// Whether a prompt is open. A signal then ends the prompt, and does not request a stop of the work.
pub(crate) fn is_asking() -> bool {
    STATE.load(Ordering::Relaxed) == OPEN
}

/// Whether a signal has ended a prompt, and the command with it.
pub(crate) fn has_ended_a_question() -> bool {
    STATE.load(Ordering::Relaxed) > OPEN
}

/// An open prompt. It is open before its text is shown, so that a signal can end it as soon as the text is visible.
#[derive(Debug)]
pub(crate) struct Question {
    interrupts: Interrupts,
    open: Open,
}

/// The state of a prompt that has received neither an answer nor a signal.
#[derive(Debug)]
struct Open;

impl Drop for Open {
    /// Also closes a prompt whose text could not be shown, or whose answer is no longer awaited.
    fn drop(&mut self) {
        let _ = STATE.compare_exchange(OPEN, CLOSED, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Question {
    /// Opens a question. Fails where a signal has ended an earlier one: the process is ending and asks nothing more.
    pub(crate) fn open() -> Result<Self, Exit> {
        let interrupts = Interrupts::listen()?;
        match STATE.compare_exchange(CLOSED, OPEN, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) | Err(OPEN) => Ok(Self { interrupts, open: Open }),
            Err(code) => Err(stopped(code)),
        }
    }

    /// Waits for the answer. A signal is an error with its exit code.
    pub(crate) async fn answer<T>(mut self, answer: impl Future<Output = T>) -> Result<T, Exit> {
        tokio::select! {
            code = self.interrupts.next() => {
                STATE.store(code, Ordering::Relaxed);
                Err(stopped(code))
            }
            answer = answer => {
                let Self { interrupts, open } = self;
                drop(open);
                tokio::spawn(end(interrupts));
                Ok(answer)
            }
        }
    }
}

fn stopped(code: u8) -> Exit {
    Exit::new(code, "stopped at a prompt; nothing was changed", "run the same command again")
}

/// Ends the process as the signal would by default, unless the command handles signals itself.
async fn end(mut interrupts: Interrupts) {
    loop {
        let code = interrupts.next().await;
        if !IS_HEARD.load(Ordering::Relaxed) && STATE.load(Ordering::Relaxed) == CLOSED {
            tell(&Exit::new(code, "stopped", "run the same command again"));
            print::settle();
            std::process::exit(code.into());
        }
    }
}

/// Whether the parent process had the signal ignored. Only Linux reports this without changing the handler.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    ignored >> (kind.as_raw_value() - 1) & 1 == 1
}
