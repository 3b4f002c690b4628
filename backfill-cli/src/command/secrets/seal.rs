//! The commands `secrets init` and `secrets rekey`: choose what opens the vault.

use std::path::{Path, PathBuf};

use qbo_auth::{SealedVault, Unlock, VaultErrorKind};

use crate::config::settings::Settings;
use crate::output::exit::{Exit, VAULT};
use crate::output::print::say;
use crate::secrets::Secrets;
use crate::secrets::keyring::{self, Account, Refusal};
use crate::secrets::unlock::{self, Opened};

/// `secrets init`: creates the vault. Returns what opens it.
pub(super) async fn init(settings: &Settings, passphrase: bool, keyring: bool) -> Result<Unlock, Exit> {
    let vault = place(settings);
    let secrets = Secrets::handed_over(settings).await?;
    let by = if passphrase {
        // Report this before a person chooses a passphrase.
        unlock::nothing_yet(settings, &secrets).await?;
        let by = Unlock::Passphrase(unlock::new_passphrase().await?);
        unlock::init(settings, &secrets, by.clone()).await?;
        say(&format!("the vault is {vault}; it cannot be opened without the passphrase"));
        by
    } else if keyring {
        let by = init_by_keyring(settings, &secrets).await?;
        say(&format!(
            "the vault is {vault}, its key is in the keyring of this user on this machine, and nowhere else"
        ));
        by
    } else {
        let key = unlock::for_new(settings);
        unlock::init(settings, &secrets, key.clone()).await?;
        if let Unlock::Credential(key) = &key {
            say(&format!("the vault is {vault}, opened by {}", key.display()));
        } else {
            tell_key_file(settings, &vault);
        }
        key
    };
    say("next: qbo-backfill secrets set QBO_CLIENT_ID, then QBO_CLIENT_SECRET; then qbo-backfill auth login");
    Ok(by)
}

/// Says where the key file of a new vault is, and where it should not stay.
fn tell_key_file(settings: &Settings, vault: &str) {
    let key = &settings.vault_key.path;
    say(&format!("the vault is {vault}, its key {}; keep a copy of the key in another place", key.display()));
    if !settings.vault.is_shared() && key.parent() == settings.vault.path.parent() {
        say(
            "note: both lie in one folder, so leave the key out of copies of the folder, or choose another place \
             for it: qbo-backfill secrets rekey --new-key-file FILE",
        );
    }
}

/// Stores the key under its pending name until the vault is created with it. It replaces no existing key, which may be the
/// only key of a vault that cannot be reached now.
async fn init_by_keyring(settings: &Settings, secrets: &Secrets) -> Result<Unlock, Exit> {
    let account = unlock::nothing_yet(settings, secrets).await?;
    if keyring::find(&account)?.is_some() {
        return Err(Exit::new(
            VAULT,
            format!(
                "the keyring has a key for \"{account}\" already, which may open a vault; nothing was changed"
            ),
            "if that vault is gone for good, remove the entry with the keyring's own program; or leave --keyring out",
        ));
    }
    let pending = account.pending();
    let key = Unlock::generate_key_text()?;
    keyring::keep(&pending, &key).map_err(unkept)?;
    match unlock::init(settings, secrets, Unlock::KeyText(key.clone())).await {
        // Keep the key as long as the vault may be sealed with it.
        Err(exit) if unlock::nothing_yet(settings, secrets).await.is_ok() => {
            keyring::forget(&pending);
            return Err(exit);
        }
        Err(exit) => return Err(exit),
        Ok(_) => {}
    }
    promote(&account, &key)?;
    Ok(Unlock::KeyText(key))
}

/// `secrets rekey`: seals the vault with a new key or passphrase. It replaces only what opened the vault, because any other
/// key may open another vault. Returns what opens the vault from now on.
pub(super) async fn rekey(
    settings: &Settings,
    passphrase: bool,
    keyring: bool,
    new_key_file: Option<PathBuf>,
) -> Result<Unlock, Exit> {
    let Opened { vault, by, account } = unlock::open(settings).await?;
    let new = if passphrase {
        let new = Unlock::Passphrase(unlock::new_passphrase().await?);
        vault.rekey(new.clone()).await?;
        say("the vault is sealed with the new passphrase");
        new
    } else if let Some(file) = new_key_file {
        let new = Unlock::from(&file);
        reseal(vault, &new, &file.display()).await?;
        say(&format!("the vault is sealed with the key {}", file.display()));
        new
    } else if keyring || matches!(by, Unlock::KeyText(_)) {
        let new = rekey_by_keyring(&account, vault).await?;
        if let Unlock::KeyFile(key) = &by
            && !settings.vault_key.named
            && unlock::other_vault_of(settings, key, key).is_none()
        {
            // The vault would be opened with it first, and it no longer works.
            let _ = std::fs::remove_file(key);
        }
        spent(settings, &by);
        return Ok(new);
    } else {
        return match &by {
            Unlock::KeyFile(key) => replace_key(settings, vault, key).await.map(|()| by),
            Unlock::Credential(key) => Err(Exit::usage(
                format!("{} is mounted and cannot be replaced; nothing was changed", key.display()),
                "write the new key elsewhere with --new-key-file FILE, then put it into the mounted secret",
            )),
            _ => Err(Exit::usage(
                "a passphrase opens the vault, so there is no key to replace; nothing was changed",
                "choose what opens it: --passphrase for a new passphrase, --new-key-file FILE, or --keyring",
            )),
        };
    };
    if let Unlock::KeyText(_) = by {
        keyring::forget(&account);
    }
    spent(settings, &by);
    Ok(new)
}

/// Reports which keys no longer open the vault.
fn spent(settings: &Settings, old: &Unlock) {
    match old {
        Unlock::KeyFile(key) | Unlock::Credential(key) if key.exists() => {
            match unlock::other_vault_of(settings, key, key) {
                None => {
                    say(&format!("{} no longer opens anything: destroy it and its copies", key.display()));
                }
                Some(other) => {
                    say(&format!(
                        "{} still opens {}, but no longer this vault",
                        key.display(),
                        other.display()
                    ));
                }
            }
        }
        _ => {}
    }
}

/// Seals the vault with a new key. If it is unknown whether that succeeded, the error says where the new key is.
async fn reseal(
    vault: SealedVault,
    new: &Unlock,
    place: &dyn std::fmt::Display,
) -> Result<SealedVault, Exit> {
    vault.rekey(new.clone()).await.map_err(|error| {
        let in_doubt = error.kind() == VaultErrorKind::KeyInDoubt;
        let mut exit = Exit::from(error);
        if in_doubt {
            exit.what = format!("{}; the new key is {place}", exit.what);
        }
        exit
    })
}

/// Replaces the old key file last. If the process is killed in between, one of the two files opens the vault, and the next
/// command finds out which.
async fn replace_key(settings: &Settings, vault: SealedVault, key: &Path) -> Result<(), Exit> {
    let pending = unlock::pending(key);
    for needed in [key, &pending] {
        if let Some(other) = unlock::other_vault_of(settings, key, needed) {
            return Err(Exit::usage(
                format!("{} also opens {}; nothing was changed", needed.display(), other.display()),
                "give this vault a key of its own: --new-key-file FILE",
            ));
        }
    }
    // A rekey left this file behind before it sealed anything, because the other key has just opened the vault.
    let _ = std::fs::remove_file(&pending);
    reseal(vault, &Unlock::from(&pending), &pending.display()).await?;
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
        "the vault is sealed with a new key, in {}; copies of the old key no longer open it",
        key.display()
    ));
    Ok(())
}

/// Replaces the key in the same order, with two entries of the keyring.
async fn rekey_by_keyring(account: &Account, vault: SealedVault) -> Result<Unlock, Exit> {
    let key = Unlock::generate_key_text()?;
    let pending = account.pending();
    keyring::keep(&pending, &key).map_err(unkept)?;
    reseal(vault, &Unlock::KeyText(key.clone()), &format!("in the keyring, \"{pending}\"")).await?;
    promote(account, &key)?;
    say("the vault is sealed with a new key, in the keyring");
    Ok(Unlock::KeyText(key))
}

/// Gives the pending key its final name, after the vault was sealed with it.
fn promote(account: &Account, key: &qbo_auth::SecretString) -> Result<(), Exit> {
    keyring::keep(account, key).map_err(|why| {
        Exit::new(
            VAULT,
            format!(
                "the vault is sealed with a new key, which is in the keyring as \"{}\" and could not be renamed ({})",
                account.pending(),
                why.word()
            ),
            "keep that entry; every command finds the key there, and tries again to rename it",
        )
    })?;
    keyring::forget(&account.pending());
    Ok(())
}

fn unkept(why: Refusal) -> Exit {
    Exit::new(
        VAULT,
        format!("the key cannot be kept in the keyring ({}); nothing was changed", why.word()),
        "use a key file (leave --keyring out) or a passphrase (--passphrase)",
    )
}

/// Where the vault lies, in words.
/// Describes the place of the vault for people.
pub(super) fn place(settings: &Settings) -> String {
    if settings.vault.is_shared() {
        "in the database".into()
    } else {
        settings.vault.path.display().to_string()
    }
}
