//! Reads one line from a prompt or from stdin, with a size limit. A signal ends the wait for it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write as _};

use rpassword::ConfigBuilder;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, SpecialCodes, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::interrupt::Question;
use crate::output::exit::Exit;
use crate::output::print;

/// Size limit of a line.
const LONGEST: u64 = 64 * 1024;

/// The code that disables a special key (`_POSIX_VDISABLE`).
const NO_KEY: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

/// Allows one prompt at a time, because there is one terminal, and each line of stdin has one reader.
static ASKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Reads a line at a prompt without echo. Earlier output is written before the prompt.
pub(crate) async fn hidden(
    prompt: &str,
    unread: impl Fn(io::Error) -> Exit,
) -> Result<Zeroizing<String>, Exit> {
    let _turn = ASKING.lock().await;
    print::settle();
    let question = Question::open()?;
    let terminal = Hushed::open(prompt).map_err(&unread)?;
    let input = terminal.file.try_clone().map_err(&unread)?;
    let read = move || {
        let config = ConfigBuilder::new().input_reader(input).output_discard().build();
        rpassword::read_password_with_config(config).map(Zeroizing::new)
    };
    // Restore the terminal before a signal that follows the answer can end the process.
    let read = async {
        let read = tokio::task::spawn_blocking(read).await;
        drop(terminal);
        read
    };
    told(question.answer(read).await?).map_err(unread)
}

/// Reads the next line of stdin, with its line end, and leaves the rest for other readers.
pub(crate) async fn line(unread: impl Fn(io::Error) -> Exit) -> Result<Zeroizing<String>, Exit> {
    let _turn = ASKING.lock().await;
    print::settle();
    elsewhere(Question::open()?, || line_of(io::stdin().lock())).await?.map_err(unread)
}

/// Reads a line at a prompt with echo.
pub(crate) async fn shown(
    question: &str,
    unread: impl Fn(io::Error) -> Exit,
) -> Result<Zeroizing<String>, Exit> {
    let _turn = ASKING.lock().await;
    let open = Question::open()?;
    print::say_lines(question);
    print::settle();
    let read = elsewhere(open, || line_of(io::stdin().lock())).await;
    if read.is_err() {
        // The terminal shows the key that ended the prompt, and the cursor is behind it.
        print::say_lines("");
    }
    read?.map_err(unread)
}

/// Reads on a separate thread, which is left running if a signal ends the wait.
async fn elsewhere(
    question: Question,
    read: impl FnOnce() -> io::Result<Zeroizing<String>> + Send + 'static,
) -> Result<io::Result<Zeroizing<String>>, Exit> {
    Ok(told(question.answer(tokio::task::spawn_blocking(read)).await?))
}

/// The line that a thread has read; a thread that panicked has read nothing.
fn told(
    read: Result<io::Result<Zeroizing<String>>, tokio::task::JoinError>,
) -> io::Result<Zeroizing<String>> {
    read.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

fn line_of(input: impl BufRead) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    input.take(LONGEST + 1).read_line(&mut line)?;
    if line.len() as u64 > LONGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(line) }
}

/// The terminal of this process, without echo while the value lives.
#[derive(Debug)]
struct Hushed {
    file: File,
    before: Termios,
}

impl Hushed {
    fn open(prompt: &str) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&file)?;
        let mut hushed = before.clone();
        // Read byte by byte, because a terminal in line mode truncates lines at 4096 bytes.
        hushed.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON;
        hushed.special_codes = without_stops(&before.special_codes);
        hushed.special_codes[SpecialCodeIndex::VMIN] = 1;
        hushed.special_codes[SpecialCodeIndex::VTIME] = 0;
        let terminal = Self { file: file.try_clone()?, before };
        tcsetattr(&file, OptionalActions::Now, &hushed)?;
        file.write_all(prompt.as_bytes())?;
        Ok(terminal)
    }
}

impl Drop for Hushed {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = tcsetattr(&self.file, OptionalActions::Now, &self.before);
        let _ = self.file.write_all(b"\n");
    }
}

/// Disables the keys that would stop or end the process and leave the terminal without echo. Ctrl-C ends the prompt.
fn without_stops(codes: &SpecialCodes) -> SpecialCodes {
    let mut codes = codes.clone();
    codes[SpecialCodeIndex::VSUSP] = NO_KEY;
    codes[SpecialCodeIndex::VQUIT] = NO_KEY;
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_an_end_or_is_not_taken() {
        let mut input = &b"one\ntwo"[..];
        assert_eq!(*line_of(&mut input).unwrap(), "one\n");
        assert_eq!(*line_of(&mut input).unwrap(), "two");
        assert_eq!(*line_of(&mut input).unwrap(), "");
        let endless = io::BufReader::new(io::repeat(b'x'));
        assert_eq!(line_of(endless).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
