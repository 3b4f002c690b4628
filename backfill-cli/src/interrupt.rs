//! The signals that ask a process to end, and what they do to one that waits for an answer.

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

/// Whether the command listens itself, to end cleanly.
static IS_HEARD: AtomicBool = AtomicBool::new(false);

/// SIGINT, SIGTERM and SIGHUP, as they arrive.
#[derive(Debug)]
pub(crate) struct Interrupts(Vec<(Signal, u8)>);

impl Interrupts {
    /// Starts listening. From here on these signals end the process no longer by themselves.
    pub(crate) fn listen() -> Result<Self, Exit> {
        // Whoever closes the terminal wants it to end, unless it was started to outlive the terminal (nohup).
        let hangup = Some((SignalKind::hangup(), TERMINATED)).filter(|(kind, _)| !is_ignored(*kind));
        let kinds = [(SignalKind::interrupt(), INTERRUPTED), (SignalKind::terminate(), TERMINATED)];
        let kinds = kinds.into_iter().chain(hangup);
        let arrivals: io::Result<_> = kinds.map(|(kind, code)| Ok((signal(kind)?, code))).collect();
        arrivals.map(Self).map_err(|_| Exit::usage("signals cannot be heard", "check the system's limits"))
    }

    /// Waits for the next one. Returns the exit code that it asks for.
    pub(crate) async fn next(&mut self) -> u8 {
        std::future::poll_fn(|context| {
            let has_arrived =
                |(arrivals, code): &mut (Signal, u8)| arrivals.poll_recv(context).is_ready().then_some(*code);
            self.0.iter_mut().find_map(has_arrived).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Says that the command itself listens from now on.
pub(crate) fn mark_heard() {
    IS_HEARD.store(true, Ordering::Relaxed);
}

/// Whether somebody is being asked something. A signal ends the question then, and is no request to stop any work.
pub(crate) fn is_asking() -> bool {
    STATE.load(Ordering::Relaxed) == OPEN
}

/// Whether a signal has ended a question, and the command with it.
pub(crate) fn has_ended_a_question() -> bool {
    STATE.load(Ordering::Relaxed) > OPEN
}

/// Something that somebody is asked. It is open before its words are shown: whoever sees them may end it.
#[derive(Debug)]
pub(crate) struct Question {
    interrupts: Interrupts,
    open: Open,
}

/// The state of a question that has neither an answer nor a signal yet.
#[derive(Debug)]
struct Open;

impl Drop for Open {
    /// Also where the words of the question could not be shown, or nobody waits for its answer any more.
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

    /// Waits for an answer, or for a signal: that is an error with its exit code.
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
    Exit::new(code, "stopped at a question; nothing was changed", "run the same command again")
}

/// Ends the process as a signal would have done before anybody listened, unless the command listens itself.
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

/// Whether whoever started this process had the signal ignored. Only Linux tells without a handler being changed.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    ignored >> (kind.as_raw_value() - 1) & 1 == 1
}
