//! Folds lines that are wider than the screen: prose between its words, and commands so that they can still be pasted.

use std::borrow::Cow;

use crate::style::{END, Style};
use crate::width::{Width, columns, columns_of};

/// How much further to the right a command continues.
const CONTINUED: usize = 4;

/// The name of the program, with which the commands in its sentences begin.
const PROGRAM: &str = "qbo-backfill";

/// A piece of a line that is not broken, with the spaces before it.
#[derive(Debug)]
struct Word<'a> {
    line: &'a str,
    spaces: usize,
    start: usize,
    end: usize,
    /// Whether the word continues a command: the shell must not take a line break before it for the command's end.
    continues_command: bool,
}

impl<'a> Word<'a> {
    fn text(&self) -> &'a str {
        &self.line[self.start..self.end]
    }

    /// Whether a person would not break the line before the next word: it is the value of an option, or it goes on with a
    /// command of this program that a sentence names.
    fn holds(&self, next: &Self) -> bool {
        let (text, next_text) = (self.text(), next.text());
        if next.continues_command {
            return text.starts_with('-') && !text.contains(' ') && !next_text.starts_with('-');
        }
        let is_over = text.ends_with([',', ';', ':', '.', ')', '`']);
        text.trim_start_matches(['`', '(']).starts_with(PROGRAM) && !is_over
    }
}

/// Folds the lines that are wider than the screen. A folded line continues below its first word. A single word that is wider
/// than the screen, such as an address, stays whole, because half an address is of no use.
pub fn fold(text: &str, width: Width) -> Cow<'_, str> {
    let is_wide = |line: &str| !width.has_room_for(columns(line));
    if !text.lines().any(is_wide) {
        return Cow::Borrowed(text);
    }
    let mut folded = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let indent = line.len() - line.trim_start_matches(' ').len();
        folded.push_str(&hang(line, width, indent));
        folded.push_str(end);
    }
    Cow::Owned(folded)
}

/// Folds one line like [`fold`], and continues it `indent` columns from the left.
pub fn hang(line: &str, width: Width, indent: usize) -> Cow<'_, str> {
    let Some(limit) = width.limit().filter(|limit| columns(line) > *limit) else {
        return Cow::Borrowed(line);
    };
    // Text beside a wide margin would be narrower than its words.
    let indent = indent.min(limit / 2);
    let mut folded = String::with_capacity(line.len() + 64);
    let mut used = 0;
    let room = limit.saturating_sub(indent + CONTINUED + 2);
    for word in joined(words(line), room) {
        let own = columns(word.text());
        // A command needs room for the backslash at the end of its line.
        let reserve = if word.continues_command { 2 } else { 0 };
        let is_first = folded.trim_start_matches(' ').is_empty();
        if is_first || used + word.spaces + own + reserve <= limit {
            folded.extend(std::iter::repeat_n(' ', word.spaces));
            used += word.spaces + own;
        } else {
            let (end, start) =
                if word.continues_command { (" \\\n", indent + CONTINUED) } else { ("\n", indent) };
            folded.push_str(end);
            folded.extend(std::iter::repeat_n(' ', start));
            used = start + own;
        }
        folded.push_str(word.text());
    }
    Cow::Owned(folded)
}

/// Splits a line at its spaces; within a command, at the spaces outside of quotes.
fn words(line: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let (mut spaces, mut start) = (0, None);
    let (mut in_command, mut in_quotes, mut is_escaped) = (false, false, false);
    let (mut continues, mut may_continue) = (false, false);
    for (at, letter) in line.char_indices() {
        if letter == ' ' && !in_quotes {
            if let Some(start) = start.take() {
                words.push(Word { line, spaces, start, end: at, continues_command: continues });
                spaces = 0;
                may_continue = in_command;
            }
            spaces += 1;
            continue;
        }
        if start.is_none() {
            start = Some(at);
            continues = may_continue && in_command;
        }
        match letter {
            letter if letter == Style::Command.mark() => in_command = true,
            END => (in_command, in_quotes) = (false, false),
            '\'' if in_command && !is_escaped => in_quotes = !in_quotes,
            _ => {}
        }
        is_escaped = letter == '\\' && !in_quotes && !is_escaped;
    }
    if let Some(start) = start {
        words.push(Word { line, spaces, start, end: line.len(), continues_command: continues });
    }
    words
}

/// Joins words that belong together, as long as they have room in one line.
fn joined(words: Vec<Word<'_>>, room: usize) -> Vec<Word<'_>> {
    let mut joined: Vec<Word<'_>> = Vec::with_capacity(words.len());
    for word in words {
        match joined.last_mut() {
            Some(last) if last.holds(&word) && columns(&last.line[last.start..word.end]) <= room => {
                last.end = word.end;
            }
            _ => joined.push(word),
        }
    }
    joined
}

/// Breaks a text into lines of at most `limit` columns, and breaks words that are wider. For the cells of a table.
pub(crate) fn lines(text: &str, limit: usize) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let own = columns(word);
        if used > 0 && used + 1 + own > limit {
            lines.push(std::mem::take(&mut line));
            used = 0;
        } else if used > 0 {
            line.push(' ');
            used += 1;
        }
        for letter in word.chars() {
            let one = columns_of(letter);
            if used > 0 && used + one > limit {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(letter);
            used += one;
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::{Colours, paint};

    fn shown(text: &str, limit: usize) -> String {
        Colours::Dropped.apply(&fold(text, Width::of_screen(limit))).into_owned()
    }

    #[test]
    fn prose_is_folded_between_words_and_below_its_beginning() {
        let text = "  one two three four five six\nshort\n";
        assert_eq!(shown(text, 20), "  one two three four\n  five six\nshort\n");
        assert!(matches!(fold(text, Width::UNLIMITED), Cow::Borrowed(_)));
        assert!(matches!(fold(text, Width::of_screen(29)), Cow::Borrowed(_)));
    }

    #[test]
    fn an_address_stays_whole() {
        let address = format!("https://books.example/{}", "x".repeat(30));
        assert_eq!(shown(&format!("open {address} now"), 20), format!("open\n{address}\nnow"));
    }

    #[test]
    fn a_command_is_continued_so_that_a_shell_reads_one_line() {
        let command = r"qbo db psql --private '/home/it'\''s data/x' -d demo -c 'SELECT * FROM raw.a'";
        let text = format!("  {}", paint(Style::Command, command));
        let folded = shown(&text, 36);
        assert!(folded.lines().all(|line| columns(line) <= 36), "{folded}");
        assert!(folded.lines().count() > 2, "{folded}");
        let lines: Vec<_> = folded.lines().map(str::trim).collect();
        let (last, before) = lines.split_last().unwrap();
        let before: Vec<_> = before.iter().map(|line| line.strip_suffix(" \\").unwrap()).collect();
        assert_eq!(format!("{} {last}", before.join(" ")), command);
    }

    #[test]
    fn words_before_a_command_are_folded_as_prose() {
        let text = format!("look at the data: {}", paint(Style::Command, "psql 'postgres://a@b/c' -c 'x y'"));
        let folded = "look at the data: psql \\\n    'postgres://a@b/c' \\\n    -c 'x y'";
        assert_eq!(shown(&text, 30), folded);
    }

    #[test]
    fn a_command_within_a_sentence_stays_in_one_line() {
        let text = "error: no key. Next: qbo-backfill secrets init, then qbo-backfill auth login, and so on";
        let folded =
            "error: no key. Next:\nqbo-backfill secrets init, then\nqbo-backfill auth login, and so on";
        assert_eq!(shown(text, 36), folded);
        let long = "see qbo-backfill report one two three four five six seven";
        assert_eq!(shown(long, 30), "see qbo-backfill report one\ntwo three four five six seven");
    }

    #[test]
    fn a_cell_is_broken_even_within_a_word() {
        assert_eq!(lines("one twothreefour five", 6), ["one", "twothr", "eefour", "five"]);
        assert_eq!(lines("中文字", 4), ["中文", "字"]);
        assert_eq!(lines("", 4), [""]);
    }
}
