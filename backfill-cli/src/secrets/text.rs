//! Extracts a secret from the text that a file, stdin or prompt provides, and refuses text that cannot be the secret.

use std::fmt;

use qbo_auth::{Environment, RealmId, SecretName};

/// Size limit of a secret. Intuit's tokens have up to 4096 characters.
pub(crate) const LONGEST: usize = 16 * 1024;

/// Why a text cannot be the secret. It names the problem, and never repeats the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoSecret(String);

impl fmt::Display for NoSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secret in a text; `None` if the text is blank, as from an unset variable.
///
/// Files, editors and shells add characters around a value: a byte-order mark, line ends, and, except around a password,
/// blanks and quotes. The rest must be a possible value of the secret. A value with other characters was damaged on its
/// way, and is never sent.
pub(crate) fn value(name: SecretName, text: &str) -> Result<Option<&str>, NoSecret> {
    let refused = |why: &str| Err(NoSecret(why.to_owned()));
    let value = match name {
        // Blanks and quotes may be part of a password.
        SecretName::PgPassword => text.trim_matches(|c| is_invisible(c) || matches!(c, '\r' | '\n')),
        _ => unquoted(bare(text)),
    };
    if bare(value).is_empty() {
        return Ok(None);
    }
    if value.len() > LONGEST {
        return refused("it is longer than 16 KiB");
    }
    if value.chars().any(char::is_control) {
        return refused("it holds a control character, such as a line break or a tab");
    }
    let is_token =
        matches!(name, SecretName::QboClientId | SecretName::QboClientSecret | SecretName::QboRefreshToken);
    // RFC 6749, appendix A.
    if is_token && !value.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        return refused("it holds a character that no key or token has (only printable ASCII is allowed)");
    }
    if is_token && value.contains(['"', '\'']) {
        return refused("it holds a quotation mark, which no key or token has");
    }
    let problem = match name {
        SecretName::QboRealmId => value.parse::<RealmId>().err().map(|error| error.to_string()),
        SecretName::QboEnvironment => value.parse::<Environment>().err().map(|error| error.to_string()),
        SecretName::PgPort => match value.parse::<u16>() {
            Ok(1..) => None,
            _ => Some("a port is a number from 1 to 65535".to_owned()),
        },
        _ => None,
    };
    problem.map_or(Ok(Some(value)), |problem| Err(NoSecret(problem)))
}

/// Removes invisible characters around a text.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// Removes one pair of quotes around a text.
fn unquoted(text: &str) -> &str {
    let pair = |quote| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    pair('"').or_else(|| pair('\'')).map_or(text, bare)
}

/// Whether a character is a byte-order mark, or another zero-width character.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{0}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: SecretName = SecretName::QboRefreshToken;

    #[test]
    fn a_blank_text_gives_nothing_whatever_it_is_blank_of() {
        for blank in [
            "",
            " ",
            "\n",
            "\r\n",
            "\t \n",
            "\u{feff}",
            "\u{feff}\r\n",
            "\u{a0}",
            "\"\"",
            "''\n",
            "\" \"",
            "\0",
        ] {
            for name in SecretName::ALL.into_iter().filter(|name| *name != SecretName::PgPassword) {
                assert_eq!(value(name, blank), Ok(None), "{name} {blank:?}");
            }
        }
        for blank in ["", "  ", "\r\n", "\u{feff}", "\u{feff}\n", " \t\n"] {
            assert_eq!(value(SecretName::PgPassword, blank), Ok(None), "{blank:?}");
        }
    }

    #[test]
    fn what_surrounds_a_value_is_no_part_of_it() {
        for text in [
            "false-token",
            "false-token\n",
            "false-token\r\n",
            "\u{feff}false-token",
            "\u{feff} false-token \n",
            "\"false-token\"",
            "'false-token'\n",
            "\u{feff}\"false-token\"\r\n",
            "\"false-token\n\"",
            "\u{200b}false-token\u{a0}",
            "\tfalse-token",
        ] {
            assert_eq!(value(TOKEN, text), Ok(Some("false-token")), "{text:?}");
        }
        assert_eq!(value(SecretName::QboRealmId, " \"4242\"\r\n"), Ok(Some("4242")));
        assert_eq!(value(SecretName::PgHost, "'db.example'\n"), Ok(Some("db.example")));
    }

    #[test]
    fn a_password_keeps_its_blanks_and_quotes() {
        for (text, password) in [
            (" false \r\n", " false "),
            ("\u{feff}\"false\"\n", "\"false\""),
            ("é p\"w", "é p\"w"),
            ("'\n", "'"),
        ] {
            assert_eq!(value(SecretName::PgPassword, text), Ok(Some(password)), "{text:?}");
        }
    }

    #[test]
    fn a_damaged_value_is_refused_and_not_repeated() {
        for (name, text) in [
            (TOKEN, "canary\ncanary"),
            (TOKEN, "canary\u{7f}"),
            (TOKEN, "\"canary"),
            (TOKEN, "canary\u{a0}canary"),
            (TOKEN, "canary\u{feff}canary"),
            (SecretName::QboClientSecret, "canary\tcanary"),
            (SecretName::QboClientId, "canäry"),
            (SecretName::PgPassword, "canary\rcanary"),
            (SecretName::PgHost, "canary\0canary"),
            (SecretName::QboRealmId, "canary"),
            (SecretName::QboEnvironment, "canary"),
            (SecretName::PgPort, "0"),
            (SecretName::PgPort, "70000"),
        ] {
            let refused = value(name, text).unwrap_err().to_string();
            assert!(!refused.contains("canary") && !refused.contains('\n'), "{name} {text:?}: {refused}");
        }
        assert!(value(TOKEN, &"x".repeat(LONGEST + 1)).is_err());
        assert!(value(TOKEN, &"x".repeat(LONGEST)).is_ok());
    }
}
