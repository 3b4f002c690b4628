//! What is inside a vault, and how it is written down.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{ConsentMark, SecretInfo, SecretName};
use crate::secret::{AccessToken, RefreshToken, Wiped, fingerprint};
use crate::token::{RefreshIntent, TokenSet};

/// More than a vault ever needs: a buffer that never grows leaves no copies of secrets behind.
const BUFFER_BYTES: usize = 64 * 1024;

/// The plain contents of a vault. A field added here needs a new version of the sealed format: an older
/// program would drop it when it writes.
#[derive(Debug, Default)]
pub(super) struct Contents {
    secrets: BTreeMap<SecretName, Secret>,
    pub(super) tokens: Option<TokenSet>,
    /// The highest generation ever held, so that a new consent never repeats one.
    generation: u64,
    /// Keys the hashes that leave the vault. Outlives a change of the vault's own key.
    pepper: Pepper,
}

/// Random bytes that only copies of one vault share.
#[derive(Debug)]
struct Pepper(SecretString);

impl Default for Pepper {
    fn default() -> Self {
        // Without randomness a mark is comparable within this process, and nothing could be sealed either.
        let mut bytes = Zeroizing::new([0; 32]);
        let _ = getrandom::fill(bytes.as_mut());
        Self(STANDARD.encode(bytes.as_slice()).into())
    }
}

#[derive(Debug)]
struct Secret {
    value: SecretString,
    changed_at: OffsetDateTime,
}

impl Contents {
    pub(super) fn get(&self, name: SecretName) -> Option<SecretString> {
        match name {
            SecretName::QboRefreshToken => {
                self.tokens.as_ref().map(|t| SecretString::from(t.refresh.expose()))
            }
            _ => self.secrets.get(&name).map(|secret| secret.value.clone()),
        }
    }

    pub(super) fn set(&mut self, name: SecretName, value: SecretString, now: OffsetDateTime) {
        match name {
            SecretName::QboRefreshToken => {
                self.store(TokenSet::from_consent(RefreshToken::new(value), self.generation + 1, now));
            }
            _ => drop(self.secrets.insert(name, Secret { value, changed_at: now })),
        }
    }

    pub(super) fn remove(&mut self, name: SecretName) -> bool {
        match name {
            SecretName::QboRefreshToken => self.tokens.take().is_some(),
            _ => self.secrets.remove(&name).is_some(),
        }
    }

    pub(super) fn store(&mut self, tokens: TokenSet) {
        self.generation = self.generation.max(tokens.generation);
        self.tokens = Some(tokens);
    }

    /// What another place may know of the consent.
    pub(super) fn mark(&self) -> Option<ConsentMark> {
        let tokens = self.tokens.as_ref()?;
        let lineage = tokens.bootstrap.as_deref().unwrap_or_default();
        Some(ConsentMark {
            lineage: self.keyed("lineage", lineage),
            generation: tokens.generation,
            fingerprint: self.keyed("token", tokens.refresh.expose()),
        })
    }

    /// The first half of a SHA-256 with the pepper in front: half a digest cannot be extended, and without the pepper
    /// no guess can be checked.
    fn keyed(&self, what: &str, value: &str) -> String {
        let digest = Sha256::new()
            .chain_update(self.pepper.0.expose_secret())
            .chain_update([0])
            .chain_update(what)
            .chain_update([0])
            .chain_update(value)
            .finalize();
        digest.iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    pub(super) fn list(&self) -> Vec<SecretInfo> {
        SecretName::ALL.into_iter().filter_map(|name| self.info(name)).collect()
    }

    fn info(&self, name: SecretName) -> Option<SecretInfo> {
        let value = self.get(name)?;
        let changed_at = match name {
            SecretName::QboRefreshToken => self.tokens.as_ref()?.refreshed_at,
            _ => self.secrets.get(&name)?.changed_at,
        };
        let fingerprint =
            (name != SecretName::PgPassword).then(|| fingerprint(name.as_str(), value.expose_secret()));
        Some(SecretInfo { name, changed_at, fingerprint })
    }

    /// Writes the contents as JSON.
    pub(super) fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let record = VaultRecord {
            secrets: self
                .secrets
                .iter()
                .map(|(name, secret)| (name.as_str().to_owned(), SecretRecord::from(secret)))
                .collect(),
            tokens: self.tokens.as_ref().map(TokenRecord::from),
            generation: self.generation,
            pepper: Some(Wiped::new(self.pepper.0.expose_secret())),
        };
        let mut json = Zeroizing::new(Vec::with_capacity(BUFFER_BYTES));
        serde_json::to_writer(&mut *json, &record)?;
        Ok(json)
    }

    /// Reads what [`Contents::to_json`] wrote; `None` for anything else. The reason is not kept, it could
    /// quote a secret.
    pub(super) fn from_json(json: &[u8]) -> Option<Self> {
        let record: VaultRecord = serde_json::from_slice(json).ok()?;
        let secrets = record
            .secrets
            .iter()
            .map(|(name, secret)| Some((name.parse().ok()?, Secret::from(secret))))
            .collect::<Option<_>>()?;
        Some(Self {
            secrets,
            tokens: record.tokens.as_ref().map(TokenSet::from),
            generation: record.generation,
            pepper: record.pepper.map_or_else(Pepper::default, |pepper| Pepper(pepper.as_str().into())),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VaultRecord {
    secrets: BTreeMap<String, SecretRecord>,
    tokens: Option<TokenRecord>,
    generation: u64,
    #[serde(default)]
    pepper: Option<Wiped>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretRecord {
    value: Wiped,
    #[serde(with = "time::serde::rfc3339")]
    changed_at: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRecord {
    refresh: Wiped,
    previous: Option<Wiped>,
    access: Option<Wiped>,
    #[serde(with = "time::serde::rfc3339::option")]
    access_expires_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    refresh_expires_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    refresh_hard_expires_at: Option<OffsetDateTime>,
    generation: u64,
    #[serde(with = "time::serde::rfc3339")]
    refreshed_at: OffsetDateTime,
    bootstrap: Option<String>,
    #[serde(default)]
    intent: Option<IntentRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IntentRecord {
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    process: u32,
}

impl From<&Secret> for SecretRecord {
    fn from(secret: &Secret) -> Self {
        Self { value: Wiped::new(secret.value.expose_secret()), changed_at: secret.changed_at }
    }
}

impl From<&SecretRecord> for Secret {
    fn from(record: &SecretRecord) -> Self {
        Self { value: record.value.as_str().into(), changed_at: record.changed_at }
    }
}

impl From<&TokenSet> for TokenRecord {
    fn from(tokens: &TokenSet) -> Self {
        Self {
            refresh: Wiped::new(tokens.refresh.expose()),
            previous: tokens.previous.as_ref().map(|token| Wiped::new(token.expose())),
            access: tokens.access.as_ref().map(|token| Wiped::new(token.expose())),
            access_expires_at: tokens.access_expires_at,
            refresh_expires_at: tokens.refresh_expires_at,
            refresh_hard_expires_at: tokens.refresh_hard_expires_at,
            generation: tokens.generation,
            refreshed_at: tokens.refreshed_at,
            bootstrap: tokens.bootstrap.clone(),
            intent: tokens
                .intent
                .map(|intent| IntentRecord { started_at: intent.started_at, process: intent.process }),
        }
    }
}

impl From<&TokenRecord> for TokenSet {
    fn from(record: &TokenRecord) -> Self {
        Self {
            refresh: RefreshToken::new(record.refresh.as_str()),
            previous: record.previous.as_ref().map(|token| RefreshToken::new(token.as_str())),
            access: record.access.as_ref().map(|token| AccessToken::new(token.as_str())),
            access_expires_at: record.access_expires_at,
            refresh_expires_at: record.refresh_expires_at,
            refresh_hard_expires_at: record.refresh_hard_expires_at,
            generation: record.generation,
            refreshed_at: record.refreshed_at,
            bootstrap: record.bootstrap.clone(),
            intent: record
                .intent
                .as_ref()
                .map(|intent| RefreshIntent { started_at: intent.started_at, process: intent.process }),
        }
    }
}
