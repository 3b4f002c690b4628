//! What this process says: results on stdout, everything else on stderr. Each has a thread and a bounded queue of its own,
//! so that nobody who does not read stops the work, a lease or a signal.
//!
//! A result waits for room; only the part of the work that has it waits with it. Notes, progress and logs are left out when
//! there is no room, and how many is said when there is again.

pub(crate) mod event;
pub(crate) mod event_log;
pub(crate) mod exit;
pub(crate) mod foreign;
pub(crate) mod next_step;
pub(crate) mod logging;
pub(crate) mod paint;
pub(crate) mod progress;

mod screen;
mod stream;

use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use clap::builder::StyledStr;

pub(crate) use screen::Screen;
use stream::{End, Stream};

use self::foreign::Foreign;
use self::paint::{Paint, Style, paint};

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
    put(&Paint::of_stdout().apply(&foreign::shown(text)));
}

/// Writes a text that is a document of its own, without any style.
pub(crate) fn document(text: &str) {
    put(&foreign::shown(&Paint::Nothing.apply(text)));
}

/// Writes the help that clap has made, in its styles. Nothing of it is foreign.
pub(crate) fn help(help: &StyledStr) {
    put(&painted_by_clap(help, Paint::of_stdout()));
}

/// Says how a command is used, where it was not.
pub(crate) fn usage(help: &StyledStr) {
    STDOUT.settle();
    STDERR.offer(format!("{}\n", painted_by_clap(help, Paint::of_stderr()).trim_end()).as_bytes());
}

fn painted_by_clap(help: &StyledStr, paint: Paint) -> String {
    match paint {
        Paint::Colours => help.ansi().to_string(),
        Paint::Nothing => help.to_string(),
    }
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
    STDERR.offer(format!("{}\n", Paint::of_stderr().apply(&text)).as_bytes());
}

/// Says why the command has not ended well. It is one line, for which there is room in any case.
pub(crate) fn last_word(line: &str) {
    STDOUT.settle();
    let line = Foreign(line).to_string();
    STDERR.insist(format!("{}\n", Paint::of_stderr().apply(&paint::line(&line))).as_bytes());
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
        if self.is_json {
            STDERR.offer(foreign::in_json(&text).as_bytes());
        } else {
            // Of what stands in a line nothing is ours but its beginning.
            let tame = foreign::shown(&text).replace(paint::is_mark, "?");
            STDERR.offer(Paint::of_stderr().apply(&log_line(&tame)).as_bytes());
        }
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

/// A line of a log: its time aside, its level in the style of what it means.
fn log_line(line: &str) -> String {
    let Some((time, rest)) = line.split_once(' ') else { return line.to_owned() };
    let rest = rest.trim_start();
    let (level, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let style = match level {
        "ERROR" => Style::Bad,
        "WARN" => Style::Doubtful,
        _ => Style::Aside,
    };
    format!("{} {} {rest}", paint(Style::Aside, time), paint(style, format!("{level:>5}")))
}
