//! Detects objects with a duplicate key, of which `jsonb` keeps only the last value.

/// Returns whether any object in a JSON text has a duplicate key. `jsonb` keeps only the last value of such a key, so the row
/// does not hold what was sent.
///
/// The text must be valid JSON; for other bytes the only guarantee is that nothing panics. Keys are compared as they are
/// spelled: a key that is written with escapes does not equal the same key without them.
pub(crate) fn repeats_a_key(json: &[u8]) -> bool {
    let mut keys: Vec<&[u8]> = Vec::with_capacity(64);
    // Index of the first key of each open object.
    let mut objects: Vec<usize> = Vec::with_capacity(8);
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let start = at;
                at = end_of_text(json, at);
                if json[at..].trim_ascii_start().first() == Some(&b':') && !objects.is_empty() {
                    keys.push(&json[start..at - 1]);
                }
            }
            b'{' => objects.push(keys.len()),
            b'}' => {
                let first = objects.pop().unwrap_or_default();
                // Sorted, so that an object of a million keys does not need a million times a million comparisons.
                keys[first..].sort_unstable();
                if keys[first..].windows(2).any(|pair| pair[0] == pair[1]) {
                    return true;
                }
                keys.truncate(first);
            }
            _ => {}
        }
    }
    false
}

/// The position after the closing quote of a string, or the end.
fn end_of_text(json: &[u8], mut at: usize) -> usize {
    while let Some(run) = json[at..].iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        at += run;
        if json[at] == b'"' {
            return at + 1;
        }
        at = json.len().min(at + 2);
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::repeats_a_key;

    #[test]
    fn a_key_may_stand_once_in_each_object() {
        let check = |json: &str, expected| assert_eq!(repeats_a_key(json.as_bytes()), expected, "{json}");
        check(r#"{"Id":"1","Line":[{"Id":"1"},{"Id":"2"}],"Ref":{"Id":"Id"},"a\"":1,"a":2}"#, false);
        check(r#"{"Id":"1","Line":{"x":[{"y":1}]},"Id" : "2"}"#, true);
        check(r#"{"Line":[{"a":1,"b":{},"a":1}]}"#, true);
        check(r#"["a:","a:",{"a":"a"}]"#, false);
        check("", false);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop::sample::select(b"\"\\a:{}[], ".to_vec()), 0..64)) {
            let _answer = repeats_a_key(&bytes);
        }
    }
}
