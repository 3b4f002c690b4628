//! Whether this vault is the living copy of its consent: compared with what the database has seen.

use qbo_auth::SealedVault;
use raw_store::{ConsentLog, Testimony, Witness};

use crate::exit::{Exit, VAULT};

/// Compares, and notes what is newer. A second copy of a vault is refused before it can spend a token.
pub(crate) async fn compare(log: &dyn ConsentLog, vault: &SealedVault) -> Result<(), Exit> {
    match testify(log, vault).await? {
        Testimony::Newest => return Ok(()),
        // Another process of this vault may have refreshed between the two readings; its store came first.
        Testimony::Behind(_) | Testimony::Apart(_) => {}
    }
    let (what, newer) = match testify(log, vault).await? {
        Testimony::Newest => return Ok(()),
        Testimony::Behind(newer) => ("an older copy of a vault", newer),
        Testimony::Apart(newer) => ("one of two copies of a vault", newer),
    };
    Err(Exit::new(
        VAULT,
        format!(
            "this is {what}: {} has used the same consent since (generation {}); nothing was called, both files are unchanged",
            newer.host, newer.generation
        ),
        "work with the vault over there, or give this one a consent of its own: qbo-backfill auth login; for several hosts: --vault postgres",
    ))
}

async fn testify(log: &dyn ConsentLog, vault: &SealedVault) -> Result<Testimony, Exit> {
    let Some(mark) = vault.consent_mark().await? else {
        return Ok(Testimony::Newest);
    };
    let seen = Witness {
        lineage: mark.lineage.into(),
        generation: mark.generation,
        fingerprint: mark.fingerprint.into(),
        host: host().into(),
    };
    Ok(log.testify(&seen).await?)
}

/// This host's name, for people.
pub(crate) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "this host".into() } else { name.trim().to_owned() }
}
