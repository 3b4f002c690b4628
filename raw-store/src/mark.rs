/// The position of the first quote or backslash from a position on, or the end: where the text of a JSON string has to be
/// looked at. Eight bytes at a time, for nearly all bytes of a document are neither.
#[inline]
pub(crate) fn next_mark(json: &[u8], mut at: usize) -> usize {
    while let Some(word) = json.get(at..).and_then(|ahead| ahead.first_chunk()) {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = json.get(at..).unwrap_or_default();
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).map_or(json.len(), |run| at + run)
}

/// Marks, in the highest bit of its byte, the first quote or backslash of a word. Bytes behind the first may be marked
/// wrongly: a borrow runs upwards.
fn marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
    (zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64))) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::next_mark;

    proptest! {
        #[test]
        fn the_first_quote_or_backslash_is_found_wherever_it_stands(
            bytes in prop::collection::vec(prop::sample::select(b"\"\\!#[]\x00\x80\xa2\xdc\xffa".to_vec()), 0..40), at in 0..50_usize,
        ) {
            let from = bytes.get(at..).unwrap_or_default();
            let expected = from.iter().position(|byte| matches!(byte, b'"' | b'\\')).map_or(bytes.len(), |run| at + run);
            prop_assert_eq!(next_mark(&bytes, at), expected);
        }
    }
}
