use async_trait::async_trait;

use crate::StoreError;

/// What one vault holds of a consent, without anything that could be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFingerprint {
    /// Names the line of tokens; the same in every vault that began with the same token.
    pub lineage: Box<str>,
    /// Grows with every refresh.
    pub generation: u64,
    /// Tells two tokens apart; a hash under a key that whoever holds the token has, and nobody here.
    pub fingerprint: Box<str>,
    /// Where the vault is, for people.
    pub host: Box<str>,
}

/// How a vault compares with what was seen before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineageCheck {
    /// It is the newest token there is, and has been noted.
    Newest,
    /// It is the newest token, after fewer refreshes than have been seen: a backup from before one that brought the same
    /// token again. It has to be counted on from there, or its next token would look like an old one.
    Lagging(TokenFingerprint),
    /// A newer token has been seen: this vault is an old copy.
    Behind(TokenFingerprint),
    /// Another token of the same generation has been seen: two copies went different ways.
    Apart(TokenFingerprint),
}

/// Remembers the newest token of each line, so that a second copy of a vault is found before it does harm.
#[async_trait]
pub trait TokenLineage: std::fmt::Debug + Send + Sync {
    /// Compares with what was seen before, and notes what is newer, in one step.
    async fn testify(&self, seen: &TokenFingerprint) -> Result<LineageCheck, StoreError>;
}

const _: fn(&dyn TokenLineage) = |_| ();

impl LineageCheck {
    /// Judges by what is noted once `seen` has been offered.
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
