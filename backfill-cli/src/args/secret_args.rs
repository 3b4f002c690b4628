//! Refuses secrets in arguments and environment variables, where other users can read them, and names the safe way.

use std::error::Error as _;

use clap::error::ErrorKind;
use qbo_auth::SecretName;

use crate::output::exit::Exit;

/// Flags that people may try. None of them exists, because other users can read arguments in the process list.
const FLAGS: [(&str, SecretName); 9] = [
    ("--client-id", SecretName::QboClientId),
    ("--client-secret", SecretName::QboClientSecret),
    ("--refresh-token", SecretName::QboRefreshToken),
    ("--qbo-client-id", SecretName::QboClientId),
    ("--qbo-client-secret", SecretName::QboClientSecret),
    ("--qbo-refresh-token", SecretName::QboRefreshToken),
    ("--pg-password", SecretName::PgPassword),
    ("--password", SecretName::PgPassword),
    ("--db-password", SecretName::PgPassword),
];

/// Refuses a secret given as a flag.
pub(crate) fn flags(arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<(), Exit> {
    for argument in arguments {
        let argument = argument.to_string_lossy();
        // psql's own arguments follow; its `--password` asks for a password and takes no value.
        if argument == "psql" {
            return Ok(());
        }
        let name = argument.split('=').next().unwrap_or_default();
        if let Some((flag, secret)) = FLAGS.iter().find(|(flag, _)| *flag == name) {
            return Err(refusal(&format!("{flag} would put a secret into the process list"), *secret));
        }
    }
    Ok(())
}

/// Replaces clap's message if it would repeat a word that may be a secret. `None` if clap's message is safe.
pub(crate) fn unquoted(
    mut words: impl Iterator<Item = std::ffi::OsString>,
    error: &clap::Error,
) -> Option<Exit> {
    let quotes = matches!(
        error.kind(),
        ErrorKind::UnknownArgument
            | ErrorKind::InvalidValue
            | ErrorKind::ValueValidation
            | ErrorKind::InvalidSubcommand
            | ErrorKind::TooManyValues
            | ErrorKind::WrongNumberOfValues
            | ErrorKind::ArgumentConflict
    );
    let command = words.find(|word| word == "secrets" || word == "auth").filter(|_| quotes)?;
    if command == "auth" {
        // The reason is one of our own texts, and quotes nothing.
        let why = error.source().map_or_else(String::new, |reason| format!(" ({reason})"));
        return Some(Exit::usage(
            format!(
                "auth does not take this argument{why}; it is not repeated here, because it may be a secret"
            ),
            "see: qbo-backfill auth --help",
        ));
    }
    let names: Vec<_> = SecretName::ALL.iter().map(|name| name.as_str()).collect();
    Some(Exit::usage(
        "secrets does not take this argument; it is not repeated here, because it may be a secret (if it is, this \
         shell's history has it now)",
        format!(
            "run qbo-backfill secrets set NAME, then type the value at the prompt or send it to stdin; names: {}",
            names.join(", ")
        ),
    ))
}

/// Refuses a secret given as an environment variable. It only asks whether the variable exists, and never reads it.
pub(crate) fn environment(is_set: impl Fn(&str) -> bool) -> Result<(), Exit> {
    let found = SecretName::ALL.iter().find(|name| is_set(name.as_str()));
    found.map_or(Ok(()), |name| {
        let what = format!("{name} is set as an environment variable, which other programs can read");
        Err(refusal(&what, *name))
    })
}

fn refusal(what: &str, secret: SecretName) -> Exit {
    Exit::usage(
        what,
        format!("remove it and use the vault: qbo-backfill secrets set {secret} (or --secrets stdin|DIR)"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_flag_or_variable_is_refused_without_repeating_it() {
        let given = ["run", "--client-secret=not-a-real-secret"].map(Into::into);
        let exit = flags(given.into_iter()).unwrap_err();
        assert!(exit.next.contains("secrets set QBO_CLIENT_SECRET"));
        assert!(!format!("{exit:?}").contains("not-a-real-secret"));
        assert!(flags(["run", "--from", "2026-01-01"].map(Into::into).into_iter()).is_ok());

        assert!(environment(|name| name == "PG_PASSWORD").is_err());
        assert!(environment(|_| false).is_ok());
    }
}
