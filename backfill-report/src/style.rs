//! The styles of text. Within text they are marks, which untrusted text cannot contain, because
//! [`Untrusted`](crate::untrusted::Untrusted) removes them. The stream that shows the text turns marks into colours or
//! drops them.
//!
//! Marks have no width, so tables and padding are the same with and without them.

use std::borrow::Cow;
use std::fmt::{self, Display};

use anstyle::AnsiColor;

/// The meaning of a piece of text, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A heading.
    Heading,
    /// A good state.
    Good,
    /// A passing state, or one that a person should look at.
    Doubtful,
    /// A bad state.
    Bad,
    /// Secondary text.
    Aside,
    /// A command to paste into a shell. A line break within it is written so that the shell continues the command.
    Command,
}

/// Each style with the mark that begins it. The marks are zero-width format characters (Unicode invisible operators).
const MARKS: [(Style, char); 6] = [
    (Style::Heading, '\u{2061}'),
    (Style::Good, '\u{2062}'),
    (Style::Doubtful, '\u{2063}'),
    (Style::Bad, '\u{2064}'),
    (Style::Aside, '\u{206a}'),
    (Style::Command, '\u{206c}'),
];

/// The mark that ends every style.
pub(crate) const END: char = '\u{206b}';

impl Style {
    fn ansi(self) -> anstyle::Style {
        let plain = anstyle::Style::new();
        match self {
            Self::Heading => plain.bold(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Doubtful => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Aside => plain.dimmed(),
            Self::Command => AnsiColor::Cyan.on_default(),
        }
    }

    pub(crate) fn mark(self) -> char {
        MARKS.iter().find(|(style, _)| *style == self).map_or(END, |(_, mark)| *mark)
    }

    /// The style of a word for a state, of a window, run, trigger, record or finding.
    pub fn of_state(word: &str) -> Option<Self> {
        Some(match word {
            "completed" | "done" | "ok" | "resolved" | "accepted" => Self::Good,
            "provisional" | "running" | "unavailable" | "stopped" | "open" | "warning" | "gone" => {
                Self::Doubtful
            }
            "failed" | "incomplete" | "error" | "missing" | "changed" => Self::Bad,
            "cancelled" | "expired" | "info" => Self::Aside,
            _ => return None,
        })
    }

    /// The style of a line's first word, if it names the kind of the line.
    fn of_line(line: &str) -> Option<(Self, &str)> {
        [("error:", Self::Bad), ("warning:", Self::Doubtful), ("note:", Self::Aside)]
            .into_iter()
            .find_map(|(word, style)| line.starts_with(word).then_some((style, &line[..word.len()])))
    }
}

/// Puts a text into a style.
pub fn paint(style: Style, text: impl Display) -> Painted<impl Display> {
    Painted { style: Some(style), text }
}

/// Puts a word for a state into its style.
pub fn state(word: &str) -> Painted<&str> {
    Painted { style: Style::of_state(word.trim()), text: word }
}

/// A text with its style; made by [`paint`] and [`state`].
#[derive(Clone, Copy, Debug)]
pub struct Painted<T> {
    style: Option<Style>,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.style {
            Some(style) => write!(f, "{}{}{END}", style.mark(), self.text),
            None => self.text.fmt(f),
        }
    }
}

/// Puts the first word of a line (`error:`, `warning:`, `note:`) into its style.
pub fn line(text: &str) -> Cow<'_, str> {
    match Style::of_line(text) {
        Some((style, word)) => Cow::Owned(format!("{}{}", paint(style, word), &text[word.len()..])),
        None => Cow::Borrowed(text),
    }
}

/// Whether a character is a style mark.
pub fn is_mark(letter: char) -> bool {
    letter == END || MARKS.iter().any(|(_, mark)| *mark == letter)
}

/// What a stream shows in place of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// ANSI escape sequences.
    Shown,
    /// No styles.
    Dropped,
}

impl Colours {
    /// Replaces the marks in a text.
    #[must_use]
    pub fn apply(self, text: &str) -> Cow<'_, str> {
        if !text.contains(is_mark) {
            return Cow::Borrowed(text);
        }
        let mut shown = String::with_capacity(text.len());
        let mut open = None;
        for letter in text.chars() {
            match (MARKS.iter().find(|(_, mark)| *mark == letter), self) {
                (None, _) if letter != END => shown.push(letter),
                (_, Self::Dropped) => {}
                (Some((style, _)), Self::Shown) => {
                    open = Some(style.ansi());
                    shown.push_str(&style.ansi().render().to_string());
                }
                (None, Self::Shown) => {
                    shown.extend(open.take().map(|style: anstyle::Style| style.render_reset().to_string()));
                }
            }
        }
        Cow::Owned(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::untrusted::{Untrusted, is_obeyed};

    #[test]
    fn marks_are_colours_or_nothing() {
        let text = format!("{} beside {}", paint(Style::Bad, "failed"), state("armed"));
        assert_eq!(Colours::Dropped.apply(&text), "failed beside armed");
        assert_eq!(Colours::Shown.apply(&text), "\u{1b}[1m\u{1b}[31mfailed\u{1b}[0m beside armed");
    }

    #[test]
    fn no_foreign_text_can_hold_a_mark() {
        for (style, mark) in MARKS {
            assert_eq!(style.mark(), mark);
            assert!(is_mark(mark) && is_obeyed(mark));
            assert_eq!(Untrusted(&paint(style, "x").to_string()).to_string(), "?x?");
        }
    }
}
