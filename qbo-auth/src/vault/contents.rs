//! The contents of a vault, and how they are serialised.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{ConsentMark, RefreshIntent, SecretInfo, SecretName, TokenSet, VaultErrorKind};
use crate::secret::{AccessToken, ClientSecret, RefreshToken, ZeroizingString, fingerprint};

/// More than a vault ever needs: a buffer that never grows leaves no copies of secrets behind.
const BUFFER_BYTES: usize = 64 * 1024;

/// The longest secret that is accepted. Intuit's tokens have up to 4096 characters; ten secrets of this length and the tokens
/// stay far below the largest vault that is read.
const LONGEST_SECRET: usize = 16 * 1024;

/// Number of token lineages that are remembered: a consent is renewed a few times a year at most.
const LINES: usize = 64;

/// The plain contents of a vault. A field added here needs a new version of the sealed format: an older program would drop it
/// when it writes.
#[derive(Debug, Default)]
pub(super) struct Contents {
    secrets: BTreeMap<SecretName, Secret>,
    pub(super) tokens: Option<TokenSet>,
    /// The highest generation ever held, so that a new consent never repeats one.
    generation: u64,
    /// Fingerprints of the tokens that lineages began with, the newest last.
    lines: Vec<String>,
}

/// A stored secret, and when it was last changed.
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

    /// Sets or replaces a secret, unless it is longer than any secret is.
    pub(super) fn set(
        &mut self,
        name: SecretName,
        value: SecretString,
        now: OffsetDateTime,
    ) -> Result<(), VaultErrorKind> {
        if value.expose_secret().len() > LONGEST_SECRET {
            return Err(VaultErrorKind::TooLarge);
        }
        match name {
            SecretName::QboRefreshToken => {
                self.put(TokenSet::from_consent(RefreshToken::new(value), self.generation + 1, now));
            }
            _ => drop(self.secrets.insert(name, Secret { value, changed_at: now })),
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, name: SecretName) -> bool {
        match name {
            SecretName::QboRefreshToken => self.tokens.take().is_some(),
            _ => self.secrets.remove(&name).is_some(),
        }
    }

    pub(super) fn catch_up(&mut self, generation: u64) {
        if let Some(tokens) = &mut self.tokens {
            tokens.generation = tokens.generation.max(generation);
            self.generation = self.generation.max(generation);
        }
    }

    pub(super) fn forget_revoked(&mut self, revoked: &RefreshToken) -> bool {
        self.tokens.take_if(|tokens| tokens.refresh == *revoked).is_some()
    }

    /// Stores a set, unless the stored one is newer or has diverged.
    pub(super) fn store(&mut self, tokens: TokenSet) -> Result<(), VaultErrorKind> {
        let is_overtaken = self.tokens.as_ref().is_some_and(|stored| {
            stored.generation > tokens.generation
                || (stored.generation == tokens.generation && stored.refresh != tokens.refresh)
        });
        if is_overtaken {
            return Err(VaultErrorKind::Overtaken);
        }
        self.put(tokens);
        Ok(())
    }

    /// As [`Contents::store`], with the values that belong to the consent.
    pub(super) fn begin(
        &mut self,
        tokens: TokenSet,
        about: Vec<(SecretName, SecretString)>,
    ) -> Result<(), VaultErrorKind> {
        let changed_at = tokens.refreshed_at;
        self.store(tokens)?;
        for (name, value) in about {
            self.secrets.entry(name).or_insert(Secret { value, changed_at });
        }
        Ok(())
    }

    /// Whether a lineage that began with this token was ever stored here.
    pub(super) fn has_begun(&self, bootstrap: &str) -> bool {
        self.lines.iter().any(|line| line == bootstrap)
    }

    fn put(&mut self, tokens: TokenSet) {
        self.generation = self.generation.max(tokens.generation);
        self.tokens = Some(tokens);
        self.remember_line();
    }

    fn remember_line(&mut self) {
        let Some(line) = self.tokens.as_ref().and_then(|tokens| tokens.bootstrap.clone()) else { return };
        if !self.has_begun(&line) {
            self.lines.push(line);
            let surplus = self.lines.len().saturating_sub(LINES);
            self.lines.drain(..surplus);
        }
    }

    /// What another system may know about the consent.
    pub(super) fn mark(&self, key: &ClientSecret) -> Option<ConsentMark> {
        let tokens = self.tokens.as_ref()?;
        let lineage = tokens.bootstrap.as_deref().unwrap_or_default();
        Some(ConsentMark {
            lineage: keyed(key, "lineage", lineage),
            generation: tokens.generation,
            fingerprint: keyed(key, "token", tokens.refresh.expose()),
        })
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

    /// Serialises the contents as JSON.
    pub(super) fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let record = VaultRecord {
            secrets: self
                .secrets
                .iter()
                .map(|(name, secret)| (name.as_str().to_owned(), SecretRecord::from(secret)))
                .collect(),
            tokens: self.tokens.as_ref().map(TokenRecord::from),
            generation: self.generation,
            lines: self.lines.clone(),
            pepper: None,
        };
        let mut json = Zeroizing::new(Vec::with_capacity(BUFFER_BYTES));
        serde_json::to_writer(&mut *json, &record)?;
        Ok(json)
    }

    /// Reads what [`Contents::to_json`] wrote; `None` for anything else. The reason is dropped, because it could quote a
    /// secret.
    pub(super) fn from_json(json: &[u8]) -> Option<Self> {
        let record: VaultRecord = serde_json::from_slice(json).ok()?;
        let secrets = record
            .secrets
            .iter()
            .map(|(name, secret)| Some((name.parse().ok()?, Secret::from(secret))))
            .collect::<Option<_>>()?;
        let tokens = record.tokens.as_ref().map(TokenSet::from);
        let mut contents = Self { secrets, tokens, generation: record.generation, lines: record.lines };
        contents.remember_line();
        Some(contents)
    }
}

/// The values that belong to a consent, as secrets.
pub(super) fn owned(about: &[(SecretName, &str)]) -> Vec<(SecretName, SecretString)> {
    about.iter().map(|(name, value)| (*name, SecretString::from(*value))).collect()
}

/// The first half of a SHA-256 with the key in front: half a digest cannot be extended, and without the key no guess can be
/// checked.
fn keyed(key: &ClientSecret, what: &str, value: &str) -> String {
    let digest = Sha256::new()
        .chain_update(key.expose())
        .chain_update([0])
        .chain_update(what)
        .chain_update([0])
        .chain_update(value)
        .finalize();
    digest.iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VaultRecord {
    secrets: BTreeMap<String, SecretRecord>,
    tokens: Option<TokenRecord>,
    generation: u64,
    #[serde(default)]
    lines: Vec<String>,
    /// Written before the first version; no longer used.
    #[serde(default, skip_serializing)]
    #[expect(dead_code, reason = "read so that it is known, and dropped")]
    pepper: Option<ZeroizingString>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretRecord {
    value: ZeroizingString,
    #[serde(with = "time::serde::rfc3339")]
    changed_at: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRecord {
    refresh: ZeroizingString,
    previous: Option<ZeroizingString>,
    access: Option<ZeroizingString>,
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
        Self { value: ZeroizingString::new(secret.value.expose_secret()), changed_at: secret.changed_at }
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
            refresh: ZeroizingString::new(tokens.refresh.expose()),
            previous: tokens.previous.as_ref().map(|token| ZeroizingString::new(token.expose())),
            access: tokens.access.as_ref().map(|token| ZeroizingString::new(token.expose())),
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
