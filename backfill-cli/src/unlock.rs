//! What opens the vault: the key file that was named, a passphrase if the vault wants one, a key that a container
//! engine or systemd mounted, otherwise the key file beside the vault, or the system's keyring where there is no file.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use qbo_auth::{SealedVault, SecretString, Unlock, VaultError, VaultErrorKind};

use crate::exit::{Exit, VAULT};
use crate::file_system;
use crate::keyring::{self, Account};
use crate::render::say;
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::shared_vault;

/// The name of a mounted key: a Docker secret or a systemd credential.
const MOUNTED_NAME: &str = "qbo-backfill-vault-key";

/// Where container engines mount secrets.
const CONTAINER_SECRETS: &str = "/run/secrets";

/// The shortest passphrase that is taken for a new vault.
const SHORTEST: usize = 12;

/// Opens the vault, reading what `--secrets` hands over.
pub(crate) async fn open(settings: &Settings) -> Result<SealedVault, Exit> {
    let secrets = Secrets::handed_over(settings)?;
    match open_beside(settings, &secrets).await? {
        Some(vault) => Ok(vault),
        None => Err(VaultError::new(VaultErrorKind::Missing).into()),
    }
}

/// Opens the vault beside the secrets that were handed over; `None` if the database has none yet.
pub(crate) async fn open_beside(settings: &Settings, secrets: &Secrets) -> Result<Option<SealedVault>, Exit> {
    if settings.vault.is_shared() {
        return open_shared(settings, secrets).await;
    }
    let path = &settings.vault.path;
    if let Some(kind) = file_system::shared(path) {
        tracing::warn!(
            vault = %path.display(),
            kind,
            "the vault lies on a shared file system, whose locks may not exclude another host: run on one host only"
        );
    }
    // A vault that cannot be read is reported by the opening.
    let unlock = for_existing(settings, SealedVault::wants_passphrase(path).unwrap_or(false))?;
    match SealedVault::open(path, unlock.clone()) {
        Err(error) if error.kind() == VaultErrorKind::Undecipherable => {
            finish_rekey(settings, &unlock).map(Some).ok_or_else(|| error.into())
        }
        opened => Ok(Some(opened?)),
    }
}

async fn open_shared(settings: &Settings, secrets: &Secrets) -> Result<Option<SealedVault>, Exit> {
    let place = shared_vault::place(settings, secrets).await?;
    let wants_passphrase = match SealedVault::wants_passphrase_in(&*place).await {
        Err(error) if error.kind() == VaultErrorKind::Missing => return Ok(None),
        wants => wants?,
    };
    Ok(Some(SealedVault::open_in(place, for_existing(settings, wants_passphrase)?).await?))
}

/// Creates the vault.
pub(crate) async fn init(
    settings: &Settings,
    secrets: &Secrets,
    unlock: Unlock,
) -> Result<SealedVault, Exit> {
    if settings.vault.is_shared() {
        let place = shared_vault::place(settings, secrets).await?;
        // Another host brings the key along; only the first one makes it.
        let unlock = match unlock {
            Unlock::KeyFile(key) if key.exists() => Unlock::Credential(key),
            other => other,
        };
        return Ok(SealedVault::init_in(place, unlock).await?);
    }
    Ok(SealedVault::init(&settings.vault.path, unlock)?)
}

/// A `rekey` that was killed after the vault was sealed anew has its key still under the pending name.
fn finish_rekey(settings: &Settings, unlock: &Unlock) -> Option<SealedVault> {
    let vault = &settings.vault.path;
    let by_file = |key: &Path| {
        let pending = pending(key);
        let opened = SealedVault::open(vault, &pending).ok()?;
        std::fs::rename(&pending, key).ok()?;
        Some(opened)
    };
    let by_keyring = || {
        let account = Account::of(settings);
        let opens = |key: &SecretString| SealedVault::open(vault, Unlock::KeyText(key.clone())).ok();
        if let Some(opened) = keyring::find(&account).as_ref().and_then(opens) {
            return Some(opened);
        }
        let key = keyring::find(&account.pending())?;
        let opened = opens(&key)?;
        keyring::keep(&account, &key).ok()?;
        keyring::forget(&account.pending());
        Some(opened)
    };
    let opened = match unlock {
        Unlock::KeyFile(key) if settings.vault_key.named => by_file(key),
        Unlock::KeyFile(key) => by_file(key).or_else(by_keyring),
        Unlock::KeyText(_) => by_keyring(),
        _ => None,
    };
    opened.inspect(|_| say("an interrupted `secrets rekey` has been finished"))
}

/// Where a new key waits until the vault is sealed with it.
pub(crate) fn pending(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn for_existing(settings: &Settings, wants_passphrase: bool) -> Result<Unlock, Exit> {
    if wants_passphrase && !settings.vault_key.named {
        return Ok(Unlock::Passphrase(passphrase()?));
    }
    Ok(in_use(settings))
}

/// The key that opens the vault, if no passphrase does.
pub(crate) fn in_use(settings: &Settings) -> Unlock {
    let unlock = for_new(settings);
    let missing = matches!(&unlock, Unlock::KeyFile(key) if !settings.vault_key.named && !key.exists());
    let kept = if missing { keyring::find(&Account::of(settings)) } else { None };
    kept.map_or(unlock, Unlock::KeyText)
}

/// What is to open a vault that does not exist yet, if nobody says otherwise.
pub(crate) fn for_new(settings: &Settings) -> Unlock {
    let key = &settings.vault_key;
    let mounts = [settings.credentials.as_deref(), Some(Path::new(CONTAINER_SECRETS))];
    let mut mounts = mounts.into_iter().flatten();
    if key.named {
        let is_mounted = mounts.any(|mount| key.path.starts_with(mount));
        return if is_mounted { Unlock::Credential(key.path.clone()) } else { Unlock::from(&key.path) };
    }
    let mounted = mounts.map(|mount| mount.join(MOUNTED_NAME)).find(|file| file.exists());
    mounted.map_or_else(|| Unlock::from(&key.path), Unlock::Credential)
}

fn passphrase() -> Result<SecretString, Exit> {
    let passphrase = ask("passphrase of the vault (not shown): ")?;
    if passphrase.is_empty() {
        return Err(Exit::new(
            VAULT,
            "the vault is sealed with a passphrase, and none was given",
            "type it at the prompt, or send it as a line to stdin",
        ));
    }
    Ok(passphrase.into())
}

/// Asks for a passphrase to seal with, twice where somebody types it.
pub(crate) fn new_passphrase() -> Result<SecretString, Exit> {
    let chosen = ask("new passphrase (not shown): ")?;
    if chosen.chars().count() < SHORTEST {
        return Err(Exit::usage(
            format!("a passphrase has at least {SHORTEST} characters; nothing was changed"),
            "choose a longer one: some unrelated words are easy to remember",
        ));
    }
    if std::io::stdin().is_terminal() && ask("once more: ")? != chosen {
        return Err(Exit::usage(
            "the two passphrases differ; nothing was changed",
            "run the same command again",
        ));
    }
    Ok(chosen.into())
}

fn ask(prompt: &str) -> Result<String, Exit> {
    let unread =
        |_| Exit::new(VAULT, "the passphrase could not be read", "type it, or send it as a line to stdin");
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password(prompt).map_err(unread);
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(unread)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
