//! The terminal behind stderr, to which the progress bar draws whole frames.

use std::io;
use std::sync::{Mutex, PoisonError};

use indicatif::TermLike;

use super::screen_width::columns_of;
use super::stream::STDERR;

/// Collects a frame and offers it to stderr. If the terminal does not read, the frame is dropped, because the next one
/// replaces it.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    frame: Mutex<String>,
}

impl Screen {
    fn add(&self, text: &str) {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
    }

    /// Moves the cursor by a sequence of ECMA-48.
    fn move_by(&self, count: usize, direction: char) {
        if count > 0 {
            self.add(&format!("\u{1b}[{count}{direction}"));
        }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        columns_of(&io::stderr())
    }

    fn height(&self) -> u16 {
        const USUAL: u16 = 24;
        let size = rustix::termios::tcgetwinsize(io::stderr()).map(|size| size.ws_row);
        size.ok().filter(|rows| *rows > 0).unwrap_or(USUAL)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_by(n, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_by(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_by(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_by(n, 'D');
        Ok(())
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.add(s);
        self.add("\n");
        Ok(())
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.add(s);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\u{1b}[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let frame = std::mem::take(&mut *self.frame.lock().unwrap_or_else(PoisonError::into_inner));
        STDERR.offer_frame(frame.as_bytes());
        Ok(())
    }
}
