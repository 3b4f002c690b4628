//! The only writer to stdout (results) and stderr (everything else). Each stream has its own thread and bounded queue, so
//! that a reader that stops reading cannot stop the work, a lease or a signal.
//!
//! A result waits for room in the queue, and only the task that writes it waits. Notes, progress and logs are dropped when
//! there is no room; a later line says how many.

use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use backfill_report::fold::fold;
use backfill_report::style::{self, Colours, Style, paint};
use backfill_report::untrusted::{self, Untrusted};
use clap::builder::StyledStr;

use super::colour;
use super::screen_width;
use super::stream::{STDERR, STDOUT};

/// Whether the work is over, and only output still waits to be written.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Whether only programs read stdout (`--output json`).
static FOR_PROGRAMS: AtomicBool = AtomicBool::new(false);

/// What a program that reads stdout has received so far.
static TOLD: Mutex<Told> = Mutex::new(Told::Nothing);

/// What was written to stdout for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    /// The single value of a command.
    Value,
    /// An event, with the exit code if it names one.
    Event(Option<u64>),
}

/// Declares that programs read stdout, so that it gets only JSON.
pub(crate) fn speak_to_programs() {
    FOR_PROGRAMS.store(true, Ordering::Relaxed);
}

/// Whether programs read stdout.
pub(crate) fn is_for_programs() -> bool {
    FOR_PROGRAMS.load(Ordering::Relaxed)
}

/// Whether stdout already states this exit code: it has the command's single value, or its last event names the code.
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

/// Writes a result to stdout: text of one or several lines, folded where the terminal is too narrow for it.
pub(crate) fn out(text: &str) {
    let text = untrusted::printable(text);
    put(&colour::of_stdout().apply(&fold(&text, screen_width::of_stdout())));
}

/// Writes a document, such as a report in Markdown or a script, to stdout without styles, and never folded.
pub(crate) fn out_document(text: &str) {
    put(&untrusted::printable(&Colours::Dropped.apply(text)));
}

/// Writes clap's help in clap's styles. It contains no untrusted text.
pub(crate) fn help(help: &StyledStr) {
    put(&painted_by_clap(help, colour::of_stdout()));
}

/// Writes the usage of a command to stderr, when no subcommand was given.
pub(crate) fn usage(help: &StyledStr) {
    STDOUT.settle();
    STDERR.offer(format!("{}\n", painted_by_clap(help, colour::of_stderr()).trim_end()).as_bytes());
}

fn painted_by_clap(help: &StyledStr, colours: Colours) -> String {
    match colours {
        Colours::Shown => help.ansi().to_string(),
        Colours::Dropped => help.to_string(),
    }
}

/// Writes a result to stdout as indented JSON.
pub(crate) fn out_json(value: &serde_json::Value) {
    *told() = Told::Value;
    put(&untrusted::in_json(&format!("{value:#}")));
}

/// Writes the bytes of a result unchanged. On a terminal it writes them as cleaned text instead.
pub(crate) fn bytes(bytes: &[u8]) {
    if io::stdout().is_terminal() {
        put(&untrusted::printable(&String::from_utf8_lossy(bytes)));
    } else {
        STDERR.settle();
        STDOUT.put(bytes);
    }
}

/// Writes one event as a line of JSON. `exit_code` is the code that the event names, if any.
pub(crate) fn event(line: &str, exit_code: Option<u64>) {
    *told() = Told::Event(exit_code);
    STDOUT.put(format!("{}\n", untrusted::in_json(line)).as_bytes());
}

/// Writes one line to stderr for the person at the terminal. Untrusted text in it stays within the line.
pub(crate) fn say(text: &str) {
    say_lines(&style::line(&Untrusted(text).to_string()));
}

/// Writes a note like [`say`], in a style.
pub(crate) fn say_as(style: Option<Style>, text: &str) {
    match style {
        Some(style) => say_lines(&paint(style, Untrusted(text)).to_string()),
        None => say(text),
    }
}

/// Writes several lines to stderr for the person at the terminal. They must not contain untrusted text.
pub(crate) fn say_lines(text: &str) {
    STDOUT.settle();
    let text = untrusted::printable(text);
    let text = fold(&text, screen_width::of_stderr());
    STDERR.offer(format!("{}\n", colour::of_stderr().apply(&text)).as_bytes());
}

/// Writes the error line of a command. It is never dropped.
pub(crate) fn last_word(line: &str) {
    STDOUT.settle();
    let line = Untrusted(line).to_string();
    let line = style::line(&line);
    let line = fold(&line, screen_width::of_stderr());
    STDERR.insist(format!("{}\n", colour::of_stderr().apply(&line)).as_bytes());
}

/// Waits until all output is written, unless its reader has stopped reading. Used before a prompt and before an abrupt end.
pub(crate) fn settle() {
    STDERR.settle();
    STDOUT.settle();
}

/// Whether the work is over.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::Relaxed)
}

/// Waits until all results are written, and returns the error if some could not be.
pub(crate) fn finish() -> Option<io::ErrorKind> {
    ENDING.store(true, Ordering::Relaxed);
    STDOUT.finish();
    STDERR.finish_if_read();
    STDOUT.failure().or(STDERR.failure())
}

/// The writer of log lines.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) is_json: bool,
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        if self.is_json {
            STDERR.offer(untrusted::in_json(&text).as_bytes());
        } else {
            // Only the beginning of a line is our own; the rest may be untrusted text.
            let tame = untrusted::printable(&text).replace(style::is_mark, "?");
            STDERR.offer(colour::of_stderr().apply(&log_line(&tame)).as_bytes());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn put(text: &str) {
    // On a terminal, earlier notes have to appear before the result.
    STDERR.settle();
    STDOUT.put(text.as_bytes());
    if !text.ends_with('\n') {
        STDOUT.put(b"\n");
    }
}

/// Styles a log line: its time is dimmed, its level has the style of its meaning.
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
