//! The present tokens of one consent.

use std::time::Duration;

use time::OffsetDateTime;

use crate::oauth::TokenAnswer;
use crate::secret::{AccessToken, RefreshToken};

/// Both tokens of one consent, with all that is needed to decide when and how to refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSet {
    /// The current refresh token.
    pub refresh: RefreshToken,
    /// The refresh token before the last rotation, a last resort if an answer was lost. In a set that has not been accepted
    /// yet, the token that it displaced.
    pub previous: Option<RefreshToken>,
    /// The current access token; absent right after a new consent.
    pub access: Option<AccessToken>,
    /// When the access token expires, by this machine's wall clock.
    pub access_expires_at: Option<OffsetDateTime>,
    /// When the refresh token expires unless it is used before (100 days, sliding), if Intuit gave a time.
    pub refresh_expires_at: Option<OffsetDateTime>,
    /// When the consent ends for good (five years), if Intuit gave a time.
    pub refresh_hard_expires_at: Option<OffsetDateTime>,
    /// Grows by one with every stored change; the newer of two sets has the higher number.
    pub generation: u64,
    /// When the refresh token was issued or last accepted.
    pub refreshed_at: OffsetDateTime,
    /// Fingerprint of the refresh token that this lineage began with; see [`crate::adopt_bootstrap`].
    pub bootstrap: Option<String>,
    /// A refresh that began with this set and whose end is not known.
    pub intent: Option<RefreshIntent>,
}

/// A note that is written before a token call, and removed with the set that the call returns. A process that holds the vault's
/// lock and finds a note knows that another process died, or got no answer, when Intuit may have rotated the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshIntent {
    /// When the call began.
    pub started_at: OffsetDateTime,
    /// Id of the process that made the call.
    pub process: u32,
}

impl TokenSet {
    /// Builds the first set of a consent: a refresh token and nothing else yet.
    pub fn from_consent(refresh: RefreshToken, generation: u64, now: OffsetDateTime) -> Self {
        Self {
            bootstrap: Some(refresh.fingerprint()),
            refresh,
            previous: None,
            access: None,
            access_expires_at: None,
            refresh_expires_at: None,
            refresh_hard_expires_at: None,
            generation,
            refreshed_at: now,
            intent: None,
        }
    }

    /// The same set with a note that a refresh begins.
    #[must_use]
    pub(crate) fn intending(&self, now: OffsetDateTime) -> Self {
        Self { intent: Some(RefreshIntent { started_at: now, process: std::process::id() }), ..self.clone() }
    }

    /// Builds the set that follows after `presented` was accepted.
    ///
    /// Intuit changes the refresh token about once a day and sends the same value otherwise; an answer without one keeps the
    /// one that was sent.
    #[must_use]
    pub fn rotated(&self, presented: &RefreshToken, answer: &TokenAnswer, now: OffsetDateTime) -> Self {
        let refresh = answer.refresh.clone().unwrap_or_else(|| presented.clone());
        let is_new = refresh != *presented;
        let after = |lifetime: Option<Duration>| lifetime.and_then(|l| now.checked_add(l.try_into().ok()?));
        Self {
            previous: if is_new { Some(presented) } else { self.previous.as_ref() }
                .filter(|previous| **previous != refresh)
                .cloned(),
            refresh,
            access: Some(answer.access.clone()),
            access_expires_at: after(Some(answer.expires_in)),
            refresh_expires_at: after(answer.refresh_expires_in)
                .or(self.refresh_expires_at.filter(|_| !is_new)),
            refresh_hard_expires_at: after(answer.refresh_hard_expires_in).or(self.refresh_hard_expires_at),
            generation: self.generation + 1,
            refreshed_at: now,
            bootstrap: self.bootstrap.clone(),
            intent: None,
        }
    }

    /// Whether Intuit has never accepted the refresh token, as far as is known.
    pub(crate) fn is_untried(&self) -> bool {
        self.access.is_none()
    }

    /// Whether the access token stays valid for longer than `margin`.
    pub fn is_fresh(&self, now: OffsetDateTime, margin: Duration) -> bool {
        self.access.is_some() && self.access_expires_at.is_some_and(|end| end - now > margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-01 00:00 UTC);

    fn answer(refresh: Option<&str>) -> TokenAnswer {
        TokenAnswer {
            refresh: refresh.map(RefreshToken::new),
            ..TokenAnswer::new(AccessToken::new("false-access"), Duration::from_secs(3_600))
        }
    }

    #[test]
    fn a_new_refresh_token_makes_the_presented_one_the_previous() {
        let first = TokenSet::from_consent(RefreshToken::new("false-one"), 1, NOW);
        let second = first.rotated(&first.refresh, &answer(Some("false-two")), NOW);
        assert_eq!(second.refresh, RefreshToken::new("false-two"));
        assert_eq!(second.previous, Some(first.refresh.clone()));
        assert_eq!((second.generation, &second.bootstrap), (2, &first.bootstrap));
    }

    #[test]
    fn an_unchanged_or_missing_refresh_token_keeps_what_was_there() {
        let first = TokenSet::from_consent(RefreshToken::new("false-one"), 1, NOW);
        let second = first.rotated(&first.refresh, &answer(Some("false-two")), NOW);
        for unchanged in [None, Some("false-two")] {
            let third = second.rotated(&second.refresh, &answer(unchanged), NOW);
            assert_eq!(third.refresh, second.refresh);
            assert_eq!(third.previous, second.previous);
        }
    }

    #[test]
    fn freshness_ends_a_margin_before_expiry() {
        let first = TokenSet::from_consent(RefreshToken::new("false-one"), 1, NOW);
        let margin = Duration::from_secs(120);
        assert!(!first.is_fresh(NOW, margin));
        let second = first.rotated(&first.refresh, &answer(None), NOW);
        assert!(second.is_fresh(NOW + Duration::from_secs(3479), margin));
        assert!(!second.is_fresh(NOW + Duration::from_secs(3480), margin));
    }
}
