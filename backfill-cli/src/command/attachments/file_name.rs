//! The name of a file in the folder of a download.

use std::ffi::OsStr;
use std::path::{Component, Path};

use backfill_report::hex;
use backfill_report::untrusted::is_obeyed;
use sha2::{Digest as _, Sha256};

/// The longest part of a name that comes from QuickBooks, in bytes. Most file systems allow 255 for the whole name.
const LONGEST: usize = 120;

/// The longest ending that is kept of a name that is too long, in bytes with its dot.
const LONGEST_ENDING: usize = 16;

/// The longest id that begins a name as it is. The longest seen has 21 digits.
const LONGEST_ID: usize = 40;

/// What stands in place of a name of which nothing is left.
const NAMELESS: &str = "file";

/// Characters with a meaning in paths, of any operating system.
const OF_PATHS: &str = "/\\:*?\"<>|";

/// Returns the name for the file of a record: its id, which makes the name unique, and what is left of the name that a user gave
/// the file. It cannot leave the folder, is not hidden, and no terminal obeys it.
pub(super) fn file_name(id: &str, name: &str) -> String {
    format!("{}-{}", prefix(id), shortened(&cleaned(name)))
}

/// Whether a name that was recorded names something directly in a folder.
pub(super) fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == OsStr::new(name))
}

/// The id, if it is a number, as all known ids are. Any other id is named by its hash, with a character that no number has, so that
/// no two ids have the same prefix, whatever their case.
fn prefix(id: &str) -> String {
    if (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit()) {
        return id.to_owned();
    }
    format!("id{}", hex(&Sha256::digest(id.as_bytes())[..16]))
}

/// Dots and blanks at either end are removed: the first hide a file, the last are lost on Windows.
fn cleaned(name: &str) -> String {
    let safe = |letter: char| if is_obeyed(letter) || OF_PATHS.contains(letter) { '_' } else { letter };
    let name: String = name.chars().map(safe).collect();
    let name = name.trim_matches(|letter: char| letter == '.' || letter.is_whitespace());
    if name.is_empty() { NAMELESS.to_owned() } else { name.to_owned() }
}

/// Cuts a name that is too long, and keeps its ending.
fn shortened(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let ending = name.rfind('.').map_or("", |dot| &name[dot..]);
    let ending = if ending.len() > LONGEST_ENDING { "" } else { ending };
    let stem = &name[..name.floor_char_boundary(LONGEST - ending.len())];
    format!("{}{ending}", stem.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that try to leave the folder, to hide, or to be more than a name.
    const HOSTILE: [&str; 18] = [
        "",
        ".",
        "..",
        "...",
        " ",
        "../../etc/passwd",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "C:\\x",
        "x\0y",
        "x\ny",
        "\u{202e}fdp.exe",
        ".hidden",
        "a\u{1b}[2J",
        "con",
        "name. . .",
        "\u{2028}",
    ];

    #[test]
    fn no_name_leaves_the_folder_or_hides() {
        for name in HOSTILE {
            for id in ["17", "../17", ".", "", "a/b"] {
                let named = file_name(id, name);
                assert!(is_plain(&named) && !named.starts_with('.'), "{id:?} {name:?}: {named:?}");
                assert!(
                    !named.chars().any(|letter| is_obeyed(letter) || OF_PATHS.contains(letter)),
                    "{named:?}"
                );
                assert!(!named.ends_with(['.', ' ']), "{named:?}");
            }
        }
        assert_eq!(file_name("17", "../../etc/passwd"), "17-_.._etc_passwd");
        assert_eq!(file_name("17", "Café receipt 3.pdf"), "17-Café receipt 3.pdf");
        assert_eq!(file_name("17", ".."), "17-file");
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_keeps_its_ending() {
        let named = file_name("17", &format!("{}.pdf", "é".repeat(300)));
        assert!(named.len() <= 255 && named.ends_with("é.pdf"), "{named}");
        let named = file_name(&"9".repeat(40), &"x".repeat(9000));
        assert!(named.len() <= 200, "{named}");
    }

    #[test]
    fn ids_that_are_no_numbers_have_names_of_their_own() {
        let prefixes: std::collections::BTreeSet<_> =
            ["1", "01", "a", "A", "a/", "../a", "idca978112ca1bbdcafac231b39a23dc4"].map(prefix).into();
        assert_eq!(prefixes.len(), 7);
    }

    #[test]
    fn a_recorded_name_with_a_path_is_not_used() {
        for name in ["", ".", "..", "a/b", "/a", "a/", "./a"] {
            assert!(!is_plain(name), "{name}");
        }
        assert!(is_plain("17-receipt.pdf"));
    }
}
