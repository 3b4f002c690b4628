//! Lays out a JSON text on lines, without changing a value.

/// Breaks a JSON text into lines and indents them. Numbers, strings and the order of members stay as they are stored, which
/// reading and writing the values again would not promise.
pub(super) fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut letters = json.trim().chars().peekable();
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        // Deeper levels would only push the text out of sight.
        text.extend(std::iter::repeat_n(' ', depth.min(40) * 2));
    };
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                text.push(letter);
                string(&mut text, &mut letters);
            }
            '{' | '[' => {
                text.push(letter);
                while letters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(letter);
            }
            ',' => {
                text.push(letter);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            letter if letter.is_ascii_whitespace() => {}
            letter => text.push(letter),
        }
    }
    text
}

/// Copies a string up to its closing quote.
fn string(text: &mut String, letters: &mut impl Iterator<Item = char>) {
    while let Some(letter) = letters.next() {
        text.push(letter);
        match letter {
            '"' => return,
            '\\' => text.extend(letters.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_laid_out_and_keeps_every_value() {
        let json =
            r#" {"Id":"1", "Note": "a, {b}: \"c\" \\", "Total":1.00,"Empty":[ ],"Lines":[{"n":1e2},{}]}"#;
        let expected = "{\n  \"Id\": \"1\",\n  \"Note\": \"a, {b}: \\\"c\\\" \\\\\",\n  \"Total\": 1.00,\n  \"Empty\": [],\n  \
                        \"Lines\": [\n    {\n      \"n\": 1e2\n    },\n    {}\n  ]\n}";
        assert_eq!(indented(json), expected);
    }

    #[test]
    fn a_text_that_is_no_json_does_no_harm() {
        for text in ["", "]]]}", "{\"", "\"\\", "{[,:"] {
            indented(text);
        }
        let deep = "[".repeat(10_000);
        assert!(indented(&deep).len() < 1_000_000);
    }
}
