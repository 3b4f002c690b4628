//! The trait that records the newest token of each consent, so that an outdated copy of a vault is noticed.

use async_trait::async_trait;

use crate::StoreError;

/// What one vault holds of a consent, without anything that could be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFingerprint {
    /// Identifies the lineage of tokens; equal in every vault that began with the same token.
    pub lineage: Box<str>,
    /// Grows with every refresh.
    pub generation: u64,
    /// Tells two tokens apart: a hash under a key that the holder of the token has, and this store does not.
    pub fingerprint: Box<str>,
    /// Where the vault is, for people.
    pub host: Box<str>,
}

/// How a vault's token compares with the newest one recorded for its lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineageCheck {
    /// It is the newest token, and has been recorded.
    Newest,
    /// It is the newest token, but after fewer refreshes than were recorded: a backup from before a refresh that returned the
    /// same token again. The vault has to continue at the recorded generation, or its next token would look like an old one.
    Lagging(TokenFingerprint),
    /// A newer token is recorded: this vault is an old copy.
    Behind(TokenFingerprint),
    /// Another token of the same generation is recorded: two copies of a vault have diverged.
    Apart(TokenFingerprint),
}

/// Records the newest token of each lineage, so that a second copy of a vault is found before it does harm.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TokenLineage: std::fmt::Debug + Send + Sync {
    /// Compares a token with the recorded one, and records it if it is newer, in one step.
    async fn testify(&self, seen: &TokenFingerprint) -> Result<LineageCheck, StoreError>;
}

const _: fn(&dyn TokenLineage) = |_| ();

impl LineageCheck {
    /// Compares `seen` with what is recorded after `seen` was offered.
    pub(crate) fn of(seen: &TokenFingerprint, noted: TokenFingerprint) -> Self {
        if noted.fingerprint == seen.fingerprint {
            if noted.generation > seen.generation { Self::Lagging(noted) } else { Self::Newest }
        } else if noted.generation > seen.generation {
            Self::Behind(noted)
        } else {
            Self::Apart(noted)
        }
    }
}
