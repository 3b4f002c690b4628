//! Reads libpq's password file, which has one line `host:port:database:user:password` per password.

use std::path::Path;

use qbo_auth::SecretString;
use raw_store::DatabaseOptions;

use crate::config::trusted::{self, Distrusted};

/// Finds the password for a connection. Like libpq, it ignores a file that other users can read; it also ignores one that
/// belongs to another user.
pub(crate) fn find(file: &Path, wanted: &DatabaseOptions) -> Option<SecretString> {
    let text = match trusted::read_passfile(file) {
        Ok(text) => text,
        Err(Distrusted::Unread(qbo_auth::FileError::Io(_))) => return None,
        Err(why) => {
            let (file, why) = (file.display(), why.to_string());
            tracing::warn!(%file, why, "the password file is ignored: it must belong to this user and be closed to all others");
            return None;
        }
    };
    let port = wanted.port().to_string();
    let host = wanted.host();
    let parts = [host.as_str(), &port, wanted.database(), wanted.user()];
    text.lines().find_map(|line| password(line, parts)).map(SecretString::from)
}

fn password(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let fields = fields(line);
    let [host, port, database, user, password] = fields.as_slice() else {
        return None;
    };
    let fits =
        [host, port, database, user].iter().zip(wanted).all(|(field, part)| *field == "*" || *field == part);
    fits.then(|| password.clone())
}

/// Splits at colons; a backslash takes the next character as it is.
fn fields(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => field.extend(characters.next()),
            ':' if fields.len() < 4 => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_wins() {
        let wanted = ["db.example", "5432", "books", "loader"];
        assert_eq!(password("*:*:*:loader:not-real", wanted).as_deref(), Some("not-real"));
        assert_eq!(password(r"db.example:5432:books:loader:a\:b\\c", wanted).as_deref(), Some(r"a:b\c"));
        assert_eq!(password("db.example:5433:*:*:x", wanted), None);
        assert_eq!(password("# *:*:*:*:x", wanted), None);
        assert_eq!(password("too:few", wanted), None);
    }
}
