//! With what the vault is sealed: at first, and from now on.

use std::path::{Path, PathBuf};

use qbo_auth::{SealedVault, Unlock, VaultError, VaultErrorKind};

use super::place;
use crate::exit::{Exit, VAULT};
use crate::keyring::{self, Account};
use crate::render::say;
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::unlock;

/// `secrets init`.
pub(super) async fn init(settings: &Settings, passphrase: bool, keyring: bool) -> Result<(), Exit> {
    let vault = place(settings);
    let secrets = Secrets::handed_over(settings)?;
    // Said before somebody thinks of a passphrase, and before a key in the keyring is replaced.
    if (passphrase || keyring) && settings.vault.path.symlink_metadata().is_ok() {
        return Err(VaultError::new(VaultErrorKind::AlreadyExists).at(&settings.vault.path).into());
    }
    if passphrase {
        unlock::init(settings, &secrets, Unlock::Passphrase(unlock::new_passphrase()?)).await?;
        say(&format!("the vault is {vault}; without the passphrase nobody can open it"));
    } else if keyring {
        init_by_keyring(settings, &secrets).await?;
        say(&format!(
            "the vault is {vault}, its key is in the keyring of this user on this machine, and nowhere else"
        ));
    } else {
        let key = unlock::for_new(settings);
        unlock::init(settings, &secrets, key.clone()).await?;
        match key {
            Unlock::Credential(key) => say(&format!("the vault is {vault}, opened by {}", key.display())),
            _ => say(&format!(
                "the vault is {vault}, its key {}; keep a copy of the key in another place",
                settings.vault_key.path.display()
            )),
        }
    }
    say("next: qbo-backfill secrets set QBO_CLIENT_ID, then QBO_CLIENT_SECRET; then qbo-backfill auth login");
    Ok(())
}

/// The key is kept before the vault is made: a vault without its key would be lost.
async fn init_by_keyring(settings: &Settings, secrets: &Secrets) -> Result<(), Exit> {
    let account = Account::of(settings);
    let key = Unlock::generate_key_text()?;
    keyring::keep(&account, &key)?;
    let made = unlock::init(settings, secrets, Unlock::KeyText(key)).await;
    if made.is_err() {
        keyring::forget(&account);
    }
    made.map(drop)
}

/// `secrets rekey`.
pub(super) async fn rekey(
    settings: &Settings,
    passphrase: bool,
    keyring: bool,
    new_key_file: Option<PathBuf>,
) -> Result<(), Exit> {
    let vault = unlock::open(settings).await?;
    let old = unlock::in_use(settings);
    if passphrase {
        vault.rekey(Unlock::Passphrase(unlock::new_passphrase()?)).await?;
        say("the vault is sealed with the new passphrase");
    } else if let Some(file) = new_key_file {
        vault.rekey(&file).await?;
        say(&format!("the vault is sealed with the key {}", file.display()));
    } else if keyring || matches!(old, Unlock::KeyText(_)) {
        rekey_by_keyring(settings, vault).await?;
        if let Unlock::KeyFile(key) = &old
            && !settings.vault_key.named
        {
            // It would be looked for first, and opens nothing any more.
            let _ = std::fs::remove_file(key);
        }
        spent(&old);
        return Ok(());
    } else if let Unlock::Credential(key) = &old {
        return Err(Exit::usage(
            format!("{} is mounted and cannot be replaced; nothing was changed", key.display()),
            "write the new key elsewhere with --new-key-file FILE, then put it into the mounted secret",
        ));
    } else {
        return replace_key(settings, vault).await;
    }
    keyring::forget(&Account::of(settings));
    spent(&old);
    Ok(())
}

/// Says what became useless.
fn spent(old: &Unlock) {
    match old {
        Unlock::KeyFile(key) | Unlock::Credential(key) if key.exists() => {
            say(&format!("{} opens nothing any more: destroy it and its copies", key.display()));
        }
        _ => {}
    }
}

/// The new key takes the old one's place last: whatever kills this in between, one of the two files opens the
/// vault, and the next command finds out which.
async fn replace_key(settings: &Settings, vault: SealedVault) -> Result<(), Exit> {
    let key: &Path = &settings.vault_key.path;
    let pending = unlock::pending(key);
    // Left by a rekey that ended before it sealed anything, for the vault has just been opened by the other key.
    let _ = std::fs::remove_file(&pending);
    vault.rekey(&pending).await?;
    std::fs::rename(&pending, key).map_err(|error| {
        Exit::new(
            VAULT,
            format!(
                "the vault is sealed with the key {}, which could not be renamed: {error}",
                pending.display()
            ),
            format!("rename it to {}", key.display()),
        )
    })?;
    say(&format!(
        "the vault is sealed with a new key, in {}; copies of the old one open nothing",
        key.display()
    ));
    Ok(())
}

/// The same order with two entries of the keyring.
async fn rekey_by_keyring(settings: &Settings, vault: SealedVault) -> Result<(), Exit> {
    let account = Account::of(settings);
    let key = Unlock::generate_key_text()?;
    keyring::keep(&account.pending(), &key)?;
    vault.rekey(Unlock::KeyText(key.clone())).await?;
    keyring::keep(&account, &key)?;
    keyring::forget(&account.pending());
    say("the vault is sealed with a new key, in the keyring");
    Ok(())
}
