//! What comes by stdin or is typed: one line, and not a longer one than anybody types.

use std::io::{self, BufRead};

use zeroize::Zeroizing;

use crate::output;

/// The longest line that is taken.
const LONGEST: u64 = 64 * 1024;

/// What somebody types at a prompt without echo; what was said before stands before it.
pub(crate) fn hidden(prompt: &str) -> io::Result<Zeroizing<String>> {
    output::settle();
    rpassword::prompt_password(prompt).map(Zeroizing::new)
}

/// The next line of stdin, with its end. Whatever follows is left to whom it is for.
pub(crate) fn line() -> io::Result<Zeroizing<String>> {
    output::settle();
    line_of(io::stdin().lock())
}

fn line_of(input: impl BufRead) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    input.take(LONGEST + 1).read_line(&mut line)?;
    if line.len() as u64 > LONGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(line) }
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
