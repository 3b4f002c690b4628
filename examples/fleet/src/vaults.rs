//! Secrets by company: a vault for each, with a key of its own, and one for what all have in common.

use anyhow::{Context as _, anyhow};
use qbo_auth::{RealmId, SealedVault, SecretName, SecretString, SecretVault as _, Unlock};

use crate::roster::Roster;

/// The vault of what all companies have in common: the app's keys, the database's password.
const COMMON: &str = "fleet";

/// The vault of one company. Every worker on this host opens the same file; its lock keeps their refreshes apart.
pub(crate) fn of_company(roster: &Roster, realm: &RealmId) -> anyhow::Result<SealedVault> {
    open(roster, realm.as_str())
}

/// A secret that a company may have of its own, or share with all.
pub(crate) async fn need(
    roster: &Roster,
    own: Option<&SealedVault>,
    name: SecretName,
) -> anyhow::Result<SecretString> {
    let found = find(roster, own, name).await?;
    found.ok_or_else(|| anyhow!("{} is in neither vault", name.as_str()))
}

/// The same, where it may be missing.
pub(crate) async fn find(
    roster: &Roster,
    own: Option<&SealedVault>,
    name: SecretName,
) -> anyhow::Result<Option<SecretString>> {
    if let Some(vault) = own
        && let Some(value) = vault.get(name).await?
    {
        return Ok(Some(value));
    }
    if roster.vaults.join(COMMON).exists() { Ok(open(roster, COMMON)?.get(name).await?) } else { Ok(None) }
}

fn open(roster: &Roster, name: &str) -> anyhow::Result<SealedVault> {
    let (vault, key) = (roster.vaults.join(name), roster.keys.join(name));
    SealedVault::open(&vault, Unlock::KeyFile(key)).with_context(|| format!("the vault {name}"))
}
