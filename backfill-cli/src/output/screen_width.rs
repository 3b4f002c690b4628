//! Finds out how wide the text of a stream may be.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use backfill_report::width::Width;

/// The width of a terminal that does not state its size.
pub(super) const USUAL: u16 = 80;

/// The width of stdout.
pub(crate) fn of_stdout() -> Width {
    of(&io::stdout())
}

/// The width of stderr.
pub(crate) fn of_stderr() -> Width {
    of(&io::stderr())
}

/// The width of a terminal. A file or a pipe has no limit, so that what a program reads never depends on a screen: a table has
/// all its columns, and a sentence is one line.
fn of(stream: &(impl AsFd + IsTerminal)) -> Width {
    if !stream.is_terminal() {
        return Width::UNLIMITED;
    }
    Width::of_screen(columns_of(stream).into())
}

/// The columns of a terminal: `COLUMNS`, if it is set, or else what the terminal states.
pub(super) fn columns_of(terminal: &impl AsFd) -> u16 {
    #[expect(
        clippy::disallowed_methods,
        reason = "as other programs do; the width of a screen is no setting"
    )]
    let wanted = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let stated = || rustix::termios::tcgetwinsize(terminal).map(|size| size.ws_col).ok();
    // A terminal without a known size reports 0.
    let is_known = |columns: &u16| *columns > 0;
    wanted.filter(is_known).or_else(|| stated().filter(is_known)).unwrap_or(USUAL)
}
