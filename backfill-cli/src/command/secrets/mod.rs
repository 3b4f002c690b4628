//! The command `secrets`: writes, lists and removes the secrets of the vault, and never prints their values.

mod seal;

use std::io::{ErrorKind, IsTerminal as _};

use backfill_report::instant::utc;
use backfill_report::table::Table;
use qbo_auth::{
    Clock as _, ExposeSecret as _, SecretName, SecretString, SecretVault as _, SystemClock, TokenVault as _,
    Unlock,
};
use serde_json::json;

use crate::args::{Output, Secrets};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit};
use crate::output::print::{out, out_json, say};
use crate::output::screen_width;
use crate::secrets::prompt;
use crate::secrets::text;
use crate::secrets::unlock;

/// `secrets`: manages the vault. Values come from a prompt or stdin, and are never printed.
pub(crate) async fn secrets(settings: &Settings, command: Secrets) -> Result<u8, Exit> {
    match command {
        Secrets::Init { passphrase, keyring } => {
            let by = seal::init(settings, passphrase, keyring).await?;
            tell_sealed(settings, &by);
        }
        Secrets::Set { name } => set(settings, name).await?,
        Secrets::List => list(settings).await?,
        Secrets::Rm { name } => {
            if !unlock::open(settings).await?.vault.remove(name).await? {
                return Err(Exit::usage(
                    format!("the vault holds no {name}"),
                    "see: qbo-backfill secrets list",
                ));
            }
            match settings.output {
                Output::Json => out_json(&json!({"name": name.as_str(), "removed": true})),
                Output::Text => say(&format!("{name} is removed")),
            }
        }
        Secrets::Rekey { passphrase, keyring, new_key_file } => {
            let by = seal::rekey(settings, passphrase, keyring, new_key_file).await?;
            tell_sealed(settings, &by);
        }
        Secrets::ExportPublicInfo => export_public_info(settings).await?,
    }
    Ok(DONE)
}

/// Writes for programs where the vault is and what opens it. People have read it in a note.
fn tell_sealed(settings: &Settings, by: &Unlock) {
    let (opened_by, key_file) = match by {
        Unlock::KeyFile(file) => ("key file", Some(file)),
        Unlock::Credential(file) => ("mounted key", Some(file)),
        Unlock::KeyText(_) => ("keyring", None),
        Unlock::Passphrase(_) => ("passphrase", None),
    };
    let key_file = key_file.map(|file| file.display().to_string());
    if settings.output == Output::Json {
        out_json(&json!({"vault": seal::place(settings), "opened_by": opened_by, "key_file": key_file}));
    }
}

/// Prints what support may ask for, without anything that could be misused.
async fn export_public_info(settings: &Settings) -> Result<(), Exit> {
    let vault = unlock::open(settings).await?.vault;
    let word = async |name| -> Result<Option<String>, Exit> {
        Ok(vault.get(name).await?.map(|value| value.expose_secret().trim().to_owned()))
    };
    let listed = vault.list().await?;
    let secrets = listed.iter().map(|secret| {
        json!({"name": secret.name.as_str(), "changed_at_utc": utc(secret.changed_at),
               "fingerprint": secret.fingerprint})
    });
    let now = SystemClock::new().now_utc();
    let consent = vault.load().await?.map(|tokens| super::auth::consent_json(&tokens, now));
    out_json(&json!({
        "realm": word(SecretName::QboRealmId).await?,
        "environment": word(SecretName::QboEnvironment).await?,
        "vault": seal::place(settings),
        "secrets": secrets.collect::<Vec<_>>(),
        "consent": consent,
    }));
    Ok(())
}

async fn set(settings: &Settings, name: SecretName) -> Result<(), Exit> {
    // Report an unusable vault before a person types a secret.
    let vault = unlock::open(settings).await?.vault;
    vault.set(name, value(name).await?).await?;
    match settings.output {
        Output::Json => out_json(&json!({"name": name.as_str(), "stored": true})),
        Output::Text => say(&format!("{name} is stored")),
    }
    Ok(())
}

async fn value(name: SecretName) -> Result<SecretString, Exit> {
    let unread = |error: std::io::Error| {
        let what = match error.kind() {
            ErrorKind::FileTooLarge => format!("{name} was not stored: it is longer than 16 KiB"),
            _ => format!("{name} could not be read"),
        };
        Exit::usage(what, format!("pipe it into: qbo-backfill secrets set {name}"))
    };
    let text = if std::io::stdin().is_terminal() {
        prompt::hidden(&format!("{name} (not shown): "), unread).await?
    } else {
        prompt::line(unread).await?
    };
    let value = text::value(name, &text).map_err(|problem| {
        Exit::usage(format!("{name} was not stored: {problem}"), format!("qbo-backfill secrets set {name}"))
    })?;
    let value = value.ok_or_else(|| {
        Exit::usage(format!("no value was given for {name}"), "type the value, or send it to stdin")
    })?;
    Ok(SecretString::from(value))
}

async fn list(settings: &Settings) -> Result<(), Exit> {
    let secrets = unlock::open(settings).await?.vault.list().await?;
    let now = SystemClock::new().now_utc();
    if settings.output == Output::Json {
        out_json(
            &secrets
                .iter()
                .map(|secret| {
                    json!({"name": secret.name.as_str(), "changed_at_utc": utc(secret.changed_at),
                           "fingerprint": secret.fingerprint})
                })
                .collect(),
        );
        return Ok(());
    }
    let mut table = Table::new(&["secret", "changed (UTC)", "age", "fingerprint"]);
    for secret in &secrets {
        let age = now - secret.changed_at;
        let age = if age.whole_days() > 0 {
            format!("{} days", age.whole_days())
        } else {
            format!("{} h", age.whole_hours())
        };
        let fingerprint = secret.fingerprint.clone().unwrap_or_default();
        table.row([secret.name.to_string(), utc(secret.changed_at), age, fingerprint]);
    }
    out(&table.fitted(screen_width::of_stdout()));
    let missing: Vec<_> = SecretName::ALL
        .iter()
        .filter(|name| !secrets.iter().any(|secret| secret.name == **name))
        .map(|name| name.as_str())
        .collect();
    if !missing.is_empty() {
        say(&format!("not set: {}", missing.join(", ")));
    }
    Ok(())
}
