//! Untrusted text: names in files and in the database, reasons, messages of a driver. It must not move the cursor, forge a
//! line, or change the direction of the text beside it.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use crate::style::is_mark;

/// Shows untrusted text as one line, without characters that a terminal obeys.
#[derive(Clone, Copy, Debug)]
pub struct Untrusted<'a>(pub &'a str);

impl fmt::Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                    f.write_char(' ')?;
                }
                letter if is_obeyed(letter) => f.write_char('?')?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// Whether a terminal or a browser obeys a character instead of showing it: controls (C0, DEL, C1), marks that change the
/// direction of text, line separators, and tags, which hide text.
pub fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Cleans text of several lines. Only line breaks and this program's own style marks may stay; any other character that a
/// terminal obeys came with untrusted text.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_own = |letter: char| letter == '\n' || is_mark(letter) || !is_obeyed(letter);
    if text.chars().all(is_own) {
        return Cow::Borrowed(text);
    }
    let tame = |letter: char| match letter {
        '\t' | '\r' => ' ',
        letter if is_own(letter) => letter,
        _ => '?',
    };
    Cow::Owned(text.chars().map(tame).collect())
}

/// Escapes the characters in a JSON text that a terminal would obey, so that a JSON parser still reads the exact value. Such
/// characters occur only inside strings.
pub fn in_json(json: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| letter == '\n' || !is_obeyed(letter);
    if json.chars().all(is_plain) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for letter in json.chars() {
        if is_plain(letter) {
            escaped.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing into a text cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[31mb\u{1b}]0;title\u{7}\u{9b}2J\nforged\r\u{202e}c\u{2066}\u{85}\u{7f}\u{feff}\u{e0041}é中\u{300}";

    #[test]
    fn nothing_foreign_is_obeyed() {
        let one = Untrusted(HOSTILE).to_string();
        assert_eq!(one, "a?[31mb?]0;title??2J forged ?c? ????é中\u{300}".replacen("????", "???", 1));
        assert!(!one.chars().any(is_obeyed));
    }

    #[test]
    fn of_what_is_shown_only_lines_are_left() {
        let text = printable(HOSTILE).into_owned();
        assert!(text.starts_with("a?[31mb?]0;title??2J\nforged ?c?"), "{text:?}");
        assert!(!text.replace('\n', "").chars().any(is_obeyed), "{text:?}");
        assert!(matches!(printable("plain ✓\nlines"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_has_the_exact_value_and_nothing_that_is_obeyed() {
        let value = serde_json::json!({ HOSTILE: [HOSTILE, 1] });
        let pretty = format!("{value:#}");
        let text = in_json(&pretty);
        assert!(!text.replace('\n', "").chars().any(is_obeyed), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
