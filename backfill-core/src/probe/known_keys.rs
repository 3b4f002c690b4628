//! The keys of records that may be shown: those of Intuit's documentation. Any other key may be the name of a custom field, which
//! is the user's.

use std::collections::HashSet;
use std::sync::LazyLock;

/// One key per line.
const LIST: &str = include_str!("known_keys.txt");

static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| LIST.lines().collect());

/// Returns the key as the documentation spells it; `None` if it is not known.
pub(super) fn known(key: &str) -> Option<&'static str> {
    KNOWN.get(key).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_a_word_and_stands_once() {
        let lines: Vec<_> = LIST.lines().collect();
        assert!(lines.is_sorted() && lines.len() == KNOWN.len());
        assert!(lines.iter().all(|key| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric())));
        assert_eq!((known("SyncToken"), known("Our secret field")), (Some("SyncToken"), None));
    }
}
