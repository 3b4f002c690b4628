//! What this process says: results on stdout, everything else on stderr. Each has a thread and a bounded queue of its own,
//! so that nobody who does not read stops the work, a lease or a signal.
//!
//! A result waits for room; only the part of the work that has it waits with it. Notes, progress and logs are left out when
//! there is no room, and how many is said when there is again.

mod screen;
mod stream;

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use anstream::{AutoStream, ColorChoice};

pub(crate) use screen::Screen;
use stream::{End, Stream};

use crate::foreign::{self, Foreign};

static STDOUT: LazyLock<Stream> = LazyLock::new(|| Stream::new(End::Stdout));
static STDERR: LazyLock<Stream> = LazyLock::new(|| Stream::new(End::Stderr));

/// Whether the work is over, and only what was said of it still has to be read.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Whether stdout is read by programs alone (`--output json`).
static FOR_PROGRAMS: AtomicBool = AtomicBool::new(false);

/// What stands on stdout so far, where programs read it.
static TOLD: Mutex<Told> = Mutex::new(Told::Nothing);

/// What a program has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    /// The one value of a command.
    Value,
    /// An event, with the exit code if it names one.
    Event(Option<u64>),
}

/// Says that programs read stdout: JSON and nothing else.
pub(crate) fn speak_to_programs() {
    FOR_PROGRAMS.store(true, Ordering::Relaxed);
}

/// Whether programs read stdout.
pub(crate) fn is_for_programs() -> bool {
    FOR_PROGRAMS.load(Ordering::Relaxed)
}

/// Whether what stands on stdout leaves no room for an error with this code: it is the one value of a command, or it ends
/// with an event that names the code.
pub(crate) fn has_told(exit_code: u64) -> bool {
    match *told() {
        Told::Nothing => false,
        Told::Value => true,
        Told::Event(code) => code == Some(exit_code),
    }
}

fn told() -> std::sync::MutexGuard<'static, Told> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a result: text of one or several lines.
pub(crate) fn result(text: &str) {
    let text = foreign::shown(text);
    let text = without_colours(&text, AutoStream::choice(&io::stdout()));
    put(&text);
}

/// Writes a result in JSON.
pub(crate) fn json(text: &str) {
    *told() = Told::Value;
    put(&foreign::in_json(text));
}

/// Writes the bytes of a result as they are; a terminal shows them as text that it does not obey.
pub(crate) fn bytes(bytes: &[u8]) {
    if io::stdout().is_terminal() {
        put(&foreign::shown(&String::from_utf8_lossy(bytes)));
    } else {
        STDERR.settle();
        STDOUT.put(bytes);
    }
}

/// Writes one event, a line in JSON, with the exit code if it names one.
pub(crate) fn event(line: &str, exit_code: Option<u64>) {
    *told() = Told::Event(exit_code);
    STDOUT.put(format!("{}\n", foreign::in_json(line)).as_bytes());
}

/// Says something to the person at the terminal.
pub(crate) fn note(text: &str) {
    STDOUT.settle();
    let text = foreign::shown(text);
    let text = without_colours(&text, AutoStream::choice(&io::stderr()));
    STDERR.offer(format!("{text}\n").as_bytes());
}

/// Says why the command has not ended well. It is one line, for which there is room in any case.
pub(crate) fn last_word(line: &str) {
    STDOUT.settle();
    STDERR.insist(format!("{}\n", Foreign(line)).as_bytes());
}

/// Waits until what was said is written, as far as somebody reads: before a question, and before an end at once.
pub(crate) fn settle() {
    STDERR.settle();
    STDOUT.settle();
}

/// Whether the work is over.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::Relaxed)
}

/// Waits until every result is written, and says what became of those that could not be.
pub(crate) fn finish() -> Option<io::ErrorKind> {
    ENDING.store(true, Ordering::Relaxed);
    STDOUT.finish();
    STDERR.finish_if_read();
    STDOUT.failure().or(STDERR.failure())
}

/// Where log lines go.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) is_json: bool,
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = if self.is_json { foreign::in_json(&text) } else { foreign::shown(&text) };
        STDERR.offer(text.as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn put(text: &str) {
    // What was said before stands before it, where both go to one terminal.
    STDERR.settle();
    STDOUT.put(text.as_bytes());
    if !text.ends_with('\n') {
        STDOUT.put(b"\n");
    }
}

fn without_colours(text: &str, choice: ColorChoice) -> Cow<'_, str> {
    if choice == ColorChoice::Never && text.contains('\u{1b}') {
        Cow::Owned(anstream::adapter::strip_str(text).to_string())
    } else {
        Cow::Borrowed(text)
    }
}
