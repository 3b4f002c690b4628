//! Reads the secrets of `--secrets` for one process: from the first line of stdin, or from a folder of files (container
//! secrets).

use std::collections::BTreeMap;
use std::path::Path;

use qbo_auth::{SecretName, SecretString};

use tokio::sync::OnceCell;

use super::{prompt, text};
use crate::config::trusted;
use crate::output::exit::Exit;

/// Secrets by name.
pub(crate) type ProvidedSecrets = BTreeMap<SecretName, SecretString>;

/// Reads the secrets that `--secrets` names.
pub(crate) async fn read(source: &Path) -> Result<ProvidedSecrets, Exit> {
    if source == Path::new("stdin") { from_stdin().await } else { from_folder(source) }
}

/// Keeps the line of stdin, because a command may read its secrets more than once.
async fn from_stdin() -> Result<ProvidedSecrets, Exit> {
    static GIVEN: OnceCell<ProvidedSecrets> = OnceCell::const_new();
    GIVEN.get_or_try_init(first_line).await.cloned()
}

async fn first_line() -> Result<ProvidedSecrets, Exit> {
    let wrong = |what: &str| {
        Exit::usage(
            format!("--secrets stdin: {what}"),
            r#"write one JSON object on the first line, such as {"QBO_CLIENT_ID":"…"}"#,
        )
    };
    // Read only the first line: stdin may stay open to show that the parent is alive.
    let line = prompt::line(|_| wrong("its first line is too long, or is not text")).await?;
    // The parser's message could quote a secret, so it is not shown.
    let values: BTreeMap<String, Option<String>> = serde_json::from_str(line.trim_start_matches('\u{feff}'))
        .map_err(|_| wrong("the first line is not a JSON object of strings"))?;
    let mut given = ProvidedSecrets::new();
    for (name, text) in values {
        let name = name
            .parse::<SecretName>()
            .map_err(|_| wrong(&format!("it has an unknown key; the known ones are {}", known())))?;
        take(&mut given, name, &text.unwrap_or_default())?;
    }
    Ok(given)
}

fn from_folder(folder: &Path) -> Result<ProvidedSecrets, Exit> {
    let wrong = |what: String| {
        Exit::usage(
            format!("--secrets {}: {what}", folder.display()),
            "name a folder with one file per secret, each named like its secret, such as QBO_CLIENT_ID",
        )
    };
    if !folder.is_dir() {
        return Err(wrong("it is not a folder".into()));
    }
    let (mut given, mut holds_any) = (ProvidedSecrets::new(), false);
    let distrusted = |path: &Path, error: &trusted::Distrusted| {
        Exit::usage(format!("--secrets {}: {error}", path.display()), error.remedy(path))
    };
    trusted::check_secret_folder(folder).map_err(|error| distrusted(folder, &error))?;
    for name in SecretName::ALL {
        let names = [name.as_str().to_owned(), name.as_str().to_ascii_lowercase()];
        let Some(file) = names.iter().map(|file| folder.join(file)).find(|file| file.exists()) else {
            continue;
        };
        let text = trusted::read_secret(&file).map_err(|error| distrusted(&file, &error))?;
        holds_any = true;
        take(&mut given, name, &text)?;
    }
    if !holds_any {
        return Err(wrong(format!("it holds none of {}", known())));
    }
    Ok(given)
}

/// Adds one secret. A blank one counts as missing, because a variable that was never set expands to it.
fn take(given: &mut ProvidedSecrets, name: SecretName, text: &str) -> Result<(), Exit> {
    let value = text::value(name, text).map_err(|problem| {
        Exit::usage(
            format!("the secret {name} from --secrets cannot be used: {problem}; no call was made"),
            format!("correct {name} at its source, or leave it out"),
        )
    })?;
    if let Some(value) = value {
        given.insert(name, value.into());
    }
    Ok(())
}

fn known() -> String {
    SecretName::ALL.map(SecretName::as_str).join(", ")
}
