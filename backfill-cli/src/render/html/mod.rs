//! What the page is made of: escaped text, numbers, tables, a calendar, bars.

mod bars;
mod calendar;
mod table;

pub(crate) use bars::{Bar, bars};
pub(crate) use calendar::calendar;
pub(crate) use table::push_table;

use std::fmt::{self, Write as _};

use crate::output::foreign::is_obeyed;

/// The page's looks. No file, font or picture from anywhere else.
pub(crate) const STYLE: &str = include_str!("report.css");

/// Text that stands for itself in an element or in a quoted attribute, whatever it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                letter if is_obeyed(letter) => f.write_char(' ')?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// `12 345`, with a narrow space that does not break.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_stands_for_itself() {
        let text = "<script>alert('&\"')</script>\u{7}\u{202e}x";
        let escaped = Escaped(text).to_string();
        assert_eq!(escaped, "&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;  x");
    }

    #[test]
    fn numbers_are_grouped_by_three_digits() {
        let all = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
    }
}
