//! Decides whether a JSON text can be stored as `jsonb`.

/// The largest document: 16 MiB.
///
/// A record of the source has a few kilobytes; a larger one would only cost memory on both sides.
pub(crate) const LARGEST: usize = 16 * 1024 * 1024;

/// The deepest nesting of arrays and objects.
///
/// PostgreSQL's parser recurses and fails with SQLSTATE 54001 between 10,000 and 20,000 levels, earlier with
/// a small stack; `serde_json` stops reading at 128. Records of the source use fewer than ten.
pub(crate) const DEEPEST: usize = 100;

/// The largest exponent, in either direction.
///
/// `jsonb` keeps numbers as decimals: the eight bytes of `1e131071` become 131 kB of text, and `1e131072` is
/// refused with SQLSTATE 22003.
pub(crate) const LARGEST_EXPONENT: u32 = 400;

/// Why a JSON text cannot become a `jsonb` value, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unstorable {
    /// Not UTF-8, the only encoding of JSON (RFC 8259, 8.1).
    #[error("the document is not valid UTF-8")]
    InvalidUtf8,
    /// A text holds `\u0000`, which PostgreSQL's `text` cannot (SQLSTATE 22P05).
    #[error("a text of the document holds the NUL character (\\u0000)")]
    NulEscape,
    /// A text holds one half of a UTF-16 pair, which is no character (SQLSTATE 22P02).
    #[error("a text of the document holds half of a surrogate pair")]
    LoneSurrogate,
    /// A number whose exponent is beyond 400 in either direction: stored, it would grow without bound.
    #[error("a number of the document has an exponent beyond {LARGEST_EXPONENT}")]
    HugeExponent,
    /// Arrays and objects nested more than 100 deep.
    #[error("the document is nested more than {DEEPEST} deep")]
    TooDeep,
    /// More than 16 MiB.
    #[error("the document is larger than {LARGEST} bytes")]
    TooLarge,
}

/// Checks in one pass whether a JSON text can be stored as `jsonb`.
///
/// The text must be valid JSON; for other bytes the only guarantee is that nothing panics.
///
/// # Errors
///
/// The first reason found why `PostgreSQL` would refuse the text, or expand it beyond bounds.
pub fn check_storable(json: &[u8]) -> Result<(), Unstorable> {
    if json.len() > LARGEST {
        return Err(Unstorable::TooLarge);
    }
    std::str::from_utf8(json).map_err(|_| Unstorable::InvalidUtf8)?;
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => at = end_of_text(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(Unstorable::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            // `true` and `false` hold the letter too, but never after a digit.
            b'e' | b'E' if at >= 2 && json[at - 2].is_ascii_digit() => check_exponent(&json[at..])?,
            _ => {}
        }
    }
    Ok(())
}

/// The bytes that have a meaning inside a string: its end, and an escape.
const SPECIAL_IN_TEXT: [bool; 256] = {
    let mut special = [false; 256];
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special
};

/// Reads a string from after its opening quote; returns the position after its closing one.
fn end_of_text(json: &[u8], mut at: usize) -> Result<usize, Unstorable> {
    while let Some(run) = json[at..].iter().position(|&byte| SPECIAL_IN_TEXT[usize::from(byte)]) {
        at += run;
        if json[at] == b'"' {
            return Ok(at + 1);
        }
        at = end_of_escape(json, at)?;
    }
    Ok(json.len())
}

/// Reads an escape from its backslash; returns the position after it, which is never beyond the end.
fn end_of_escape(json: &[u8], at: usize) -> Result<usize, Unstorable> {
    match code_unit(json, at) {
        None => Ok(json.len().min(at + 2)),
        Some(0) => Err(Unstorable::NulEscape),
        Some(0xD800..=0xDBFF) => match code_unit(json, at + 6) {
            Some(0xDC00..=0xDFFF) => Ok(at + 12),
            _ => Err(Unstorable::LoneSurrogate),
        },
        Some(0xDC00..=0xDFFF) => Err(Unstorable::LoneSurrogate),
        Some(_) => Ok(at + 6),
    }
}

/// The value of `\uXXXX` at a position, if there is one.
fn code_unit(json: &[u8], at: usize) -> Option<u32> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?))
}

/// Checks the exponent of a number, given what follows its `e`.
fn check_exponent(rest: &[u8]) -> Result<(), Unstorable> {
    let digits = rest.strip_prefix(b"+").or_else(|| rest.strip_prefix(b"-")).unwrap_or(rest);
    let mut exponent = 0_u32;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        exponent = exponent * 10 + u32::from(digit - b'0');
        if exponent > LARGEST_EXPONENT {
            return Err(Unstorable::HugeExponent);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LARGEST, Unstorable, check_storable};

    #[track_caller]
    fn check(json: &str, expected: Result<(), Unstorable>) {
        assert_eq!(check_storable(json.as_bytes()), expected, "{json:.80}");
    }

    #[test]
    fn ordinary_documents_pass() {
        check(r#"{"Id":"1","Note":"true\n\"false\" 1e999 \\u0000","Active":true,"Void":false}"#, Ok(()));
        check(r#"{"emoji":"\ud83d\ude00 😀","tab":"\t","snow":"\u2603"}"#, Ok(()));
        check("[1e400,1E-400,-1.5e+0400,12345678901234567890.123]", Ok(()));
        check("null", Ok(()));
        check("", Ok(()));
    }

    #[test]
    fn what_jsonb_refuses_or_blows_up_is_found() {
        check(r#"{"a":"x\u0000y"}"#, Err(Unstorable::NulEscape));
        check(r#"{"\u0000":1}"#, Err(Unstorable::NulEscape));
        check(r#"["\\\u0000"]"#, Err(Unstorable::NulEscape));
        for lone in
            [r#"["\ud800"]"#, r#"["\udc00"]"#, r#"["\ud800\ud800"]"#, r#"["\ud800x"]"#, r#"["\uD83D\u0041"]"#]
        {
            check(lone, Err(Unstorable::LoneSurrogate));
        }
        for huge in ["1e401", "[1E+401]", "-2.5e-00401", "1e99999999999999999999"] {
            check(huge, Err(Unstorable::HugeExponent));
        }
        assert_eq!(check_storable(b"[\"\xff\"]"), Err(Unstorable::InvalidUtf8));
    }

    #[test]
    fn depth_and_size_have_a_limit_that_is_itself_allowed() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        check(&nested(100), Ok(()));
        check(&nested(101), Err(Unstorable::TooDeep));
        check(&format!("[{}[]]", "[],".repeat(1000)), Ok(()));
        let text = |len: usize| format!("\"{}\"", "x".repeat(len - 2));
        check(&text(LARGEST), Ok(()));
        check(&text(LARGEST + 1), Err(Unstorable::TooLarge));
    }

    #[test]
    fn a_reason_carries_no_text_of_the_document() {
        assert_eq!(
            check_storable(br#"["Jane Example \u0000"]"#).unwrap_err().to_string(),
            "a text of the document holds the NUL character (\\u0000)",
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop::sample::select(
            b"\"\\ud8dc0e1E+-{}[],:tz\xff\xc3\xa9".to_vec()), 0..64)) {
            let _verdict = check_storable(&bytes);
        }
    }
}
