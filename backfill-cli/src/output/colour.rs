//! Decides whether a stream shows colours, by option, environment and terminal.

use std::io;

use anstream::{AutoStream, ColorChoice};
use backfill_report::style::Colours;

pub(crate) fn of_stdout() -> Colours {
    of(AutoStream::choice(&io::stdout()))
}

pub(crate) fn of_stderr() -> Colours {
    of(AutoStream::choice(&io::stderr()))
}

fn of(choice: ColorChoice) -> Colours {
    if choice == ColorChoice::Never { Colours::Dropped } else { Colours::Shown }
}
