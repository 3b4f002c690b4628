//! Where JSON values begin and end in a text: one strict pass (RFC 8259), no tree, no copy.
//!
//! `serde_json` finds the same places, and takes several times as long: it is made to hand values over, one by one, and a
//! page is split for a few of them among hundreds. The tests hold the two to each other.

use std::borrow::Cow;

/// A place in a text, ahead of which values are read. Whatever finds something that is not JSON says `None`.
#[derive(Debug)]
pub(crate) struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// The brackets that are open around the value that is being passed.
    open: Vec<u8>,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0, open: Vec::new() }
    }

    /// How far it has read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The next byte that means something, which stays ahead.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Reads the members of an object: calls `member` with each name, in its quotes, and the reader ahead of its value,
    /// which it reads.
    pub(crate) fn object(&mut self, mut member: impl FnMut(&mut Self, &'t str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            return self.take(b'}');
        }
        loop {
            let name = self.name()?;
            member(self, name)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reads the elements of an array: calls `element` with the reader ahead of each one, which it reads.
    pub(crate) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            return self.take(b']');
        }
        loop {
            self.peek()?;
            element(self)?;
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reads a value of any kind, however deep it goes.
    pub(crate) fn value(&mut self) -> Option<&'t str> {
        self.peek()?;
        let start = self.at;
        self.open.clear();
        loop {
            match self.peek()? {
                b'{' => {
                    self.at += 1;
                    if self.peek()? == b'}' {
                        self.at += 1;
                    } else {
                        self.open.push(b'}');
                        self.name()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    if self.peek()? == b']' {
                        self.at += 1;
                    } else {
                        self.open.push(b']');
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            if !self.close()? {
                return self.text.get(start..self.at);
            }
        }
    }

    /// Behind a value: leaves what ends there. Whether another value is ahead.
    fn close(&mut self) -> Option<bool> {
        while let Some(&bracket) = self.open.last() {
            match self.next()? {
                b',' => {
                    if bracket == b'}' {
                        self.name()?;
                    }
                    return Some(true);
                }
                byte if byte == bracket => drop(self.open.pop()),
                _ => return None,
            }
        }
        Some(false)
    }

    /// A name in its quotes, and the colon behind it.
    fn name(&mut self) -> Option<&'t str> {
        self.peek()?;
        let start = self.at;
        self.string()?;
        let name = self.text.get(start..self.at);
        self.take(b':')?;
        name
    }

    fn scalar(&mut self) -> Option<()> {
        match self.text.as_bytes().get(self.at)? {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.at += word.len();
        (self.text.as_bytes().get(self.at - word.len()..self.at)? == word.as_bytes()).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.byte() == Some(b'-'));
        if self.byte()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn string(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        if self.byte()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            while let Some(word) = bytes.get(self.at..).and_then(|ahead| ahead.first_chunk()) {
                let special = special(u64::from_le_bytes(*word));
                if special != 0 {
                    self.at += special.trailing_zeros() as usize / 8;
                    break;
                }
                self.at += 8;
            }
            // Either a special byte, or one of the last seven of the text.
            let byte = self.byte()?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                ..0x20 => return None,
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let kind = self.byte()?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, expected: u8) -> Option<()> {
        (self.next()? == expected).then_some(())
    }
}

/// Marks, in the highest bit of its byte, the first byte of a word that means something in a text: a quote, a backslash or a
/// control character. Bytes behind the first may be marked wrongly: a borrow runs upwards.
fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
    let quote = zero(word ^ (ONES * b'"' as u64));
    let backslash = zero(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & (ONES * 0x80)
}

/// The text of a JSON string; `None` for any other value.
pub(crate) fn text(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str::<String>(value).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// The value of a text, if it is one and nothing else.
    fn whole(text: &str) -> Option<&str> {
        let mut reader = Reader::new(text);
        let value = reader.value()?;
        reader.peek().is_none().then_some(value)
    }

    #[track_caller]
    fn check(text: &str) {
        let expected = serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get);
        assert_eq!(whole(text), expected, "{text:.200}");
    }

    #[test]
    fn what_is_json_and_where_it_ends_is_what_serde_json_says() {
        let texts = [
            "",
            " ",
            "null",
            " true ",
            "false x",
            "nul",
            "tru",
            "0",
            "-0",
            "01",
            "-",
            "1.",
            "1.5e",
            "1e+5",
            "1E-05",
            ".5",
            "+1",
            "12345678901234567890.123",
            "[]",
            "[ ]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[[],[1,[2]]]",
            "]",
            "[",
            "{}",
            "{ }",
            r#"{"a":1}"#,
            r#"{"a":1,}"#,
            r#"{"a" : [ {"b":{}} , "c" ] }"#,
            r#"{"a"}"#,
            r#"{a:1}"#,
            r#"{"a":}"#,
            r#"{"a":1]"#,
            r#"{"a":1,"a":2}"#,
            r#"{1:2}"#,
            r#""""#,
            r#"""#,
            r#""a\"b\\""#,
            r#""\u00e9\ud800""#,
            r#""\u00g0""#,
            r#""\u00e"#,
            r#""\x""#,
            "\"a\nb\"",
            "\"\u{7f}é😀\"",
            "\"seven77\u{1}\"",
            "\"0123456789abcdef\\\"0123456789\"",
            "\"\t\"",
        ];
        texts.into_iter().for_each(check);
        check(&format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)));
    }

    fn json() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            "null|true|false|-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?",
            any::<String>().prop_map(|text| serde_json::json!(text).to_string()),
            "[ !#-\\[\\]-~]{0,40}".prop_map(|text| format!("\"{text}\"")),
        ];
        scalar.prop_recursive(4, 40, 6, |inner| {
            let space = "[ \n\t\r]{0,2}";
            let name = any::<String>().prop_map(|text| serde_json::json!(text).to_string());
            prop_oneof![
                prop::collection::vec((space, inner.clone()), 0..6).prop_map(|values| {
                    let values: Vec<_> =
                        values.iter().map(|(space, value)| format!("{space}{value}")).collect();
                    format!("[{}]", values.join(","))
                }),
                prop::collection::vec((name, space, inner), 0..6).prop_map(|members| {
                    let members: Vec<_> =
                        members.iter().map(|(name, space, value)| format!("{name}{space}:{value}")).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_found_to_be_json(text in json()) {
            prop_assert_eq!(whole(&text), Some(&*text));
        }

        #[test]
        fn a_spoilt_text_is_json_or_not_as_serde_json_says(
            text in json(), at in any::<prop::sample::Index>(), byte in prop::sample::select(b"\"\\{}[],:01e-.tnul \x01".to_vec()),
            insert in any::<bool>(),
        ) {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
            let text = String::from_utf8_lossy(&bytes);
            let expected = serde_json::from_str::<&RawValue>(&text).ok().map(RawValue::get);
            prop_assert_eq!(whole(&text), expected);
        }
    }
}
