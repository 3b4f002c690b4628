//! Formats commands that people paste into their shell, whichever shell it is and in whatever folder.

/// Quotes a word for sh, bash, zsh and fish, if it needs quotes.
pub(crate) fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The path of this program, valid in any folder.
#[cfg(feature = "embedded")]
pub(crate) fn program() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| "qbo-backfill".into());
    word(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_read_it() {
        assert_eq!(word("/srv/a-b_c.d"), "/srv/a-b_c.d");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("it's $(x)"), r"'it'\''s $(x)'");
        assert_eq!(word(""), "''");
        assert_eq!(word("~/x"), "'~/x'");
    }
}
