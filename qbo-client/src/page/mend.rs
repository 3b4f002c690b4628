//! Repairs texts that are nearly JSON, so that the positions of their records can still be found.

/// Replaces what JSON does not allow in a text, byte for byte: control characters and unknown escapes within strings, and words
/// that are no values, such as `NaN`. Positions in the result are positions in the original; a text that is not JSON for
/// another reason stays invalid.
pub(crate) fn mended(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b'"' => mend_text(&mut bytes, at + 1),
            _ if is_of_word(byte) => mend_word(&mut bytes, at),
            _ => {
                if byte.is_ascii_control() && !byte.is_ascii_whitespace() {
                    bytes[at] = b' ';
                }
                at + 1
            }
        };
    }
    // Only ASCII was replaced, by ASCII.
    String::from_utf8(bytes).unwrap_or_default()
}

/// Reads from after a string's opening quote to after its closing one.
fn mend_text(bytes: &mut [u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => match escape(&bytes[at + 1..]) {
                Some(length) => at += length,
                None => bytes[at] = b'?',
            },
            0..0x20 => bytes[at] = b'?',
            _ => {}
        }
        at += 1;
    }
    at
}

/// The length of an escape, given what follows its backslash.
fn escape(rest: &[u8]) -> Option<usize> {
    match rest.first()? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(1),
        b'u' => rest.get(1..5).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit)).map(|_| 5),
        _ => None,
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_')
}

/// Reads a word from its beginning to its end. A word that is no value is replaced by a number of the same length.
fn mend_word(bytes: &mut [u8], start: usize) -> usize {
    let length = bytes[start..].iter().take_while(|byte| is_of_word(**byte)).count();
    let word = &mut bytes[start..start + length];
    if serde_json::from_slice::<serde::de::IgnoredAny>(word).is_err() {
        word.fill(b' ');
        word[0] = b'0';
    }
    start + length
}

#[cfg(test)]
mod tests {
    use super::mended;

    #[test]
    fn what_json_does_not_allow_is_replaced_and_every_place_stays() {
        let check = |text: &str, expected: &str| {
            assert_eq!(mended(text), expected);
            assert_eq!(text.len(), expected.len());
        };
        check(
            r#"{"a":"x\n\u00e9\"é","b":[1.50,true,null,-2e3]}"#,
            r#"{"a":"x\n\u00e9\"é","b":[1.50,true,null,-2e3]}"#,
        );
        check("{\"a\":\"x\u{1}y\nz\",\n\t\"b\":1}", "{\"a\":\"x?y?z\",\n\t\"b\":1}");
        check(r#"{"a":"\x \u12G4 \' \\"}"#, r#"{"a":"?x ?u12G4 ?' \\"}"#);
        check(r#"{"a":NaN,"b":-Infinity,"c":.5,"d":01}"#, r#"{"a":0  ,"b":0        ,"c":0 ,"d":0 }"#);
        check("{\"a\":\u{1}1}", "{\"a\": 1}");
        check(r#"{"a":"cut off \"#, r#"{"a":"cut off ?"#);
        check("", "");
    }
}
