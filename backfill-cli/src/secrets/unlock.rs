//! Opens the vault with the named key file, a passphrase if the vault needs one, a key that a container engine or systemd
//! has mounted, the key file beside the vault, or a key in the system's keyring.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qbo_auth::{SealedVault, SecretString, Unlock, VaultBytes, VaultError, VaultErrorKind};

use crate::config::file_system;
use crate::config::settings::Settings;
use crate::output::exit::{Exit, VAULT};
use crate::output::print::say;
use crate::secrets::Secrets;
use crate::secrets::keyring::{self, Account};
use crate::secrets::mounts::{is_mounted, mounted};
use crate::secrets::postgres;
use crate::secrets::prompt;

/// Name of a mounted key: a Docker secret or a systemd credential.
const MOUNTED_NAME: &str = "qbo-backfill-vault-key";

/// Minimum length of the passphrase for a new vault.
const SHORTEST: usize = 12;

/// An open vault, and what opened it. When the vault gets a new key, only this may be replaced.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) vault: SealedVault,
    pub(crate) by: Unlock,
    /// Account of this vault's key in the keyring, if the vault may have one.
    pub(crate) account: Account,
}

/// The place of the vault.
#[derive(Debug)]
enum Home {
    File(PathBuf),
    Shared(Arc<dyn VaultBytes>),
}

impl Home {
    /// The configured place, and the account of the vault's key in the keyring.
    async fn of(settings: &Settings, secrets: &Secrets) -> Result<(Self, Account), Exit> {
        if settings.vault.is_shared() {
            let options = postgres::options(settings, secrets).await?;
            let account = Account::shared(&options, &settings.schema);
            return Ok((Self::Shared(postgres::place(&options, settings)?), account));
        }
        let path = settings.vault.path.clone();
        let account = Account::file(&path);
        Ok((Self::File(path), account))
    }

    async fn open(&self, unlock: &Unlock) -> Result<SealedVault, VaultError> {
        match self {
            Self::File(path) => SealedVault::open(path, unlock.clone()),
            Self::Shared(place) => SealedVault::open_in(Arc::clone(place), unlock.clone()).await,
        }
    }

    async fn init(&self, unlock: Unlock) -> Result<SealedVault, VaultError> {
        match self {
            Self::File(path) => SealedVault::init(path, unlock),
            Self::Shared(place) => SealedVault::init_in(Arc::clone(place), unlock).await,
        }
    }

    /// Whether a passphrase opens the vault; [`VaultErrorKind::Missing`] if there is no vault yet.
    async fn wants_passphrase(&self) -> Result<bool, VaultError> {
        match self {
            Self::File(path) => SealedVault::wants_passphrase(path),
            Self::Shared(place) => SealedVault::wants_passphrase_in(&**place).await,
        }
    }

    /// Restores the state before the last change, if the present one is damaged.
    async fn restored(&self, unlock: &Unlock) -> Result<Option<SealedVault>, VaultError> {
        match self {
            Self::File(path) => SealedVault::restore(path, unlock.clone()).await,
            Self::Shared(_) => Ok(None),
        }
    }
}

/// Opens the vault, and reads the secrets from `--secrets`.
pub(crate) async fn open(settings: &Settings) -> Result<Opened, Exit> {
    let secrets = Secrets::handed_over(settings).await?;
    match open_beside(settings, &secrets).await? {
        Some(opened) => Ok(opened),
        None => Err(VaultError::new(VaultErrorKind::Missing).into()),
    }
}

/// Opens the vault, given the secrets from `--secrets`; `None` if the database has no vault yet.
pub(crate) async fn open_beside(settings: &Settings, secrets: &Secrets) -> Result<Option<Opened>, Exit> {
    let (home, account) = Home::of(settings, secrets).await?;
    if let Home::File(path) = &home
        && let Some(kind) = file_system::shared(path)
    {
        tracing::warn!(
            vault = %path.display(),
            kind,
            "the vault lies on a shared file system, whose locks may not exclude another host: run on one host only"
        );
    }
    let wants_passphrase = match (home.wants_passphrase().await, &home) {
        (Err(error), Home::Shared(_)) if error.kind() == VaultErrorKind::Missing => return Ok(None),
        (Err(error), Home::Shared(_)) => return Err(error.into()),
        // Opening the vault reports a file that cannot be read.
        (wants, _) => wants.unwrap_or(false),
    };
    let first = if wants_passphrase && !settings.vault_key.named {
        let known = remembered().get(&settings.vault.path).cloned();
        Unlock::Passphrase(match known {
            Some(known) => known,
            None => passphrase().await?,
        })
    } else {
        for_new(settings)
    };
    let refused = match home.open(&first).await {
        Ok(vault) => return Ok(Some(Opened { vault, by: first, account })),
        Err(error) => error,
    };
    match open_otherwise(settings, &home, &account, &first, &refused).await? {
        Some((vault, by)) => Ok(Some(Opened { vault, by, account })),
        None => Err(refused.into()),
    }
}

/// The passphrases of this process's vaults, by the path of the vault, for a process that opens them again and again and may not
/// ask a person each time.
fn remembered() -> MutexGuard<'static, BTreeMap<PathBuf, SecretString>> {
    static REMEMBERED: Mutex<BTreeMap<PathBuf, SecretString>> = Mutex::new(BTreeMap::new());
    REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for the passphrase of the vault, if it has one, and uses it whenever this process opens the vault. Does nothing for a
/// vault that does not exist.
pub(crate) async fn remember(settings: &Settings) -> Result<(), Exit> {
    let secrets = Secrets::handed_over(settings).await?;
    if settings.vault.path.symlink_metadata().is_err() && !settings.vault.is_shared() {
        return Ok(());
    }
    let (home, _) = Home::of(settings, &secrets).await?;
    let wants_passphrase = home.wants_passphrase().await.unwrap_or(false);
    if wants_passphrase
        && !settings.vault_key.named
        && let Some(Opened { by: Unlock::Passphrase(passphrase), .. }) =
            open_beside(settings, &secrets).await?
    {
        remembered().insert(settings.vault.path.clone(), passphrase);
    }
    Ok(())
}

/// Tries other keys than the first one, and the previous state of the vault.
async fn open_otherwise(
    settings: &Settings,
    home: &Home,
    account: &Account,
    first: &Unlock,
    refused: &VaultError,
) -> Result<Option<(SealedVault, Unlock)>, Exit> {
    let is_keyless = refused.kind() == VaultErrorKind::Missing
        && matches!(first, Unlock::KeyFile(key) if refused.path() == Some(key.as_path()));
    if !is_keyless && refused.kind() != VaultErrorKind::Undecipherable {
        return Ok(None);
    }
    if let Unlock::KeyFile(key) = first
        && let Some(opened) = finish_rekey(settings, home, key).await
    {
        return Ok(Some(opened));
    }
    if !settings.vault_key.named && !matches!(first, Unlock::Passphrase(_)) {
        match by_keyring(home, account).await {
            Ok(None) => {}
            Ok(opened) => return Ok(opened),
            Err(locked) if is_keyless => return Err(locked.into()),
            Err(_) => {}
        }
    }
    if let Some(vault) = home.restored(first).await? {
        say(
            "warning: the vault was damaged and was restored to the state before its last change; the damaged file is \
             beside it. If a token was lost with it: qbo-backfill auth login",
        );
        return Ok(Some((vault, first.clone())));
    }
    Ok(None)
}

/// Finishes a `rekey` that was killed after sealing the vault, whose key still has its pending name.
async fn finish_rekey(settings: &Settings, home: &Home, key: &Path) -> Option<(SealedVault, Unlock)> {
    let pending = pending(key);
    let by = Unlock::from(&pending);
    let vault = home.open(&by).await.ok()?;
    if other_vault_of(settings, key, key).is_none() && std::fs::rename(&pending, key).is_ok() {
        say("an interrupted `secrets rekey` has been finished");
        return Some((vault, Unlock::from(key)));
    }
    Some((vault, by))
}

async fn by_keyring(
    home: &Home,
    account: &Account,
) -> Result<Option<(SealedVault, Unlock)>, keyring::Locked> {
    for waits in [false, true] {
        let account_of_key = if waits { account.pending() } else { account.clone() };
        let Some(key) = keyring::find(&account_of_key)? else { continue };
        let by = Unlock::KeyText(key.clone());
        let Ok(vault) = home.open(&by).await else { continue };
        if waits && keyring::keep(account, &key).is_ok() {
            keyring::forget(&account_of_key);
            say("an interrupted `secrets rekey` has been finished");
        }
        return Ok(Some((vault, by)));
    }
    Ok(None)
}

/// Creates the vault.
pub(crate) async fn init(
    settings: &Settings,
    secrets: &Secrets,
    unlock: Unlock,
) -> Result<SealedVault, Exit> {
    let (home, _) = Home::of(settings, secrets).await?;
    let is_taken = match &home {
        Home::File(path) => path.symlink_metadata().is_ok(),
        Home::Shared(_) => false,
    };
    let unlock = match unlock {
        // An existing key at the default path may open another vault. A user who names an existing key means it.
        Unlock::KeyFile(key) if key.exists() && !settings.vault_key.named && !is_taken => {
            return Err(Exit::new(
                VAULT,
                format!("{} exists already, and may open another vault; nothing was changed", key.display()),
                "name another key file, here and wherever this vault is opened: --vault-key-file FILE",
            ));
        }
        Unlock::KeyFile(key) if key.exists() && settings.vault.is_shared() => Unlock::Credential(key),
        unlock => unlock,
    };
    Ok(home.init(unlock).await?)
}

/// Checks that there is no vault yet, and returns the account for its key in the keyring.
pub(crate) async fn nothing_yet(settings: &Settings, secrets: &Secrets) -> Result<Account, Exit> {
    let (home, account) = Home::of(settings, secrets).await?;
    let exists = match &home {
        Home::File(path) => path.symlink_metadata().is_ok(),
        Home::Shared(place) => match place.read().await {
            Ok(_) => true,
            Err(error) if error.kind() == VaultErrorKind::Missing => false,
            Err(error) => return Err(error.into()),
        },
    };
    match home {
        _ if !exists => Ok(account),
        Home::File(path) => Err(VaultError::new(VaultErrorKind::AlreadyExists).at(&path).into()),
        Home::Shared(_) => Err(VaultError::new(VaultErrorKind::AlreadyExists).into()),
    }
}

/// The path of a new key until the vault is sealed with it.
pub(crate) fn pending(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// The vault file beside a key file, with its name, if it is not the configured vault and `opener` opens it.
pub(crate) fn other_vault_of(settings: &Settings, key: &Path, opener: &Path) -> Option<PathBuf> {
    let beside = key.with_extension("");
    let is_other = beside != settings.vault.path && beside != *key;
    (is_other && SealedVault::open(&beside, opener).is_ok()).then_some(beside)
}

/// What opens a vault that does not exist yet, by default.
pub(crate) fn for_new(settings: &Settings) -> Unlock {
    let key = &settings.vault_key;
    if key.named {
        let is_mounted = is_mounted(settings, &key.path);
        return if is_mounted { Unlock::Credential(key.path.clone()) } else { Unlock::from(&key.path) };
    }
    mounted(settings, MOUNTED_NAME).map_or_else(|| Unlock::from(&key.path), Unlock::Credential)
}

async fn passphrase() -> Result<SecretString, Exit> {
    let passphrase = ask("passphrase of the vault (not shown): ").await?;
    if passphrase.is_empty() {
        return Err(Exit::new(
            VAULT,
            "the vault is sealed with a passphrase, and none was given",
            "type it at the prompt, or send it as a line to stdin",
        ));
    }
    Ok(passphrase.into())
}

/// Asks for a new passphrase, twice if it is typed at a terminal.
pub(crate) async fn new_passphrase() -> Result<SecretString, Exit> {
    let chosen = ask("new passphrase (not shown): ").await?;
    if chosen.chars().count() < SHORTEST {
        return Err(Exit::usage(
            format!("a passphrase has at least {SHORTEST} characters; nothing was changed"),
            "choose a longer one: some unrelated words are easy to remember",
        ));
    }
    if std::io::stdin().is_terminal() && ask("once more: ").await? != chosen {
        return Err(Exit::usage(
            "the two passphrases differ; nothing was changed",
            "run the same command again",
        ));
    }
    Ok(chosen.into())
}

async fn ask(prompt: &str) -> Result<String, Exit> {
    let unread =
        |_| Exit::new(VAULT, "the passphrase could not be read", "type it, or send it as a line to stdin");
    if std::io::stdin().is_terminal() {
        return prompt::hidden(prompt, unread).await.map(|typed| typed.to_string());
    }
    let line = prompt::line(unread).await?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
