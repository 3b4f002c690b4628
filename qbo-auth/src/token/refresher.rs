//! Performs one token refresh so that a rotated refresh token is never lost.
//!
//! It locks the vault, reads it again, records its intent there, calls the token endpoint, stores the result durably, and only
//! then lets callers use it. The caller runs this in a task of its own, never inside a future that may be dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use failpoint::point;

use crate::clock::Clock;
use crate::error::AuthError;
use crate::oauth::{TokenAnswer, TokenEndpoint, TokenError, TokenErrorKind};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::{TokenSet, TokenVault, VaultError, VaultErrorKind, VaultLock};

/// An access token with less time left than this is refreshed. Intuit ends a request after 120 seconds, so a token has to
/// outlive any request that is sent with it.
pub const FRESHNESS_MARGIN: Duration = Duration::from_secs(120);

/// Upper bound of the random time by which each process refreshes early, so that processes that share a token do not all
/// refresh at once. While a refresh is due only because of it, the current token stays in use.
pub const LARGEST_JITTER: Duration = Duration::from_secs(60);

/// Minimum remaining lifetime at which a token is still used if no newer one can be obtained; about the time of one page.
const LEAST_LIFE: Duration = Duration::from_secs(10);

/// Delays before each retry after an ambiguous failure. Every retry sends the same token under the same lock.
const RETRY_WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(9)];

/// Number of attempts to store a new token, one second apart: a full disk may be cleared in that time.
const STORE_TRIES: u32 = 60;

const STORE_WAIT: Duration = Duration::from_secs(1);

/// Whether an error proves that the presented token is of no use. A token that was accepted before is given up for
/// `invalid_grant` alone. A token that was supplied but never used with success, and that replaced another, is also given up on
/// `invalid_request`, so that a bad new token cannot cost the previous consent.
fn is_refused(presented: &TokenSet, error: &TokenError) -> bool {
    match error.kind() {
        TokenErrorKind::InvalidGrant => true,
        TokenErrorKind::InvalidRequest { .. } => presented.is_untried() && presented.previous.is_some(),
        _ => false,
    }
}

/// Refreshes the tokens of one vault, and decides when a refresh is due.
#[derive(Debug)]
pub(crate) struct Refresher {
    vault: Arc<dyn TokenVault>,
    endpoint: Arc<dyn TokenEndpoint>,
    clock: Arc<dyn Clock>,
    jitter: Duration,
    memory: Mutex<Memory>,
}

/// State kept in memory between refresh attempts.
#[derive(Debug, Default)]
struct Memory {
    /// A set that was received and is not stored yet.
    unsaved: Option<TokenSet>,
    /// The generation whose tokens were all refused, with the error: sending them again cannot help.
    refused: Option<(u64, TokenError)>,
}

/// One refresh in progress.
#[derive(Clone, Copy)]
struct Turn<'a> {
    lock: &'a VaultLock,
    /// The access token that the server refused last.
    rejected: Option<&'a AccessToken>,
}

impl Refresher {
    pub(crate) fn new(
        vault: Arc<dyn TokenVault>,
        endpoint: Arc<dyn TokenEndpoint>,
        clock: Arc<dyn Clock>,
        jitter: Duration,
    ) -> Self {
        Self { vault, endpoint, clock, jitter, memory: Mutex::default() }
    }

    /// Whether no refresh is due: the access token is not `rejected`, the one that the server refused last, and remains valid
    /// for more than `FRESHNESS_MARGIN` plus this process's jitter.
    pub(crate) fn is_fresh(&self, tokens: &TokenSet, rejected: Option<&AccessToken>) -> bool {
        self.outlives(tokens, rejected, FRESHNESS_MARGIN + self.jitter)
    }

    /// Whether the access token can be used for any request, even if a refresh is due: it is not `rejected`, and remains valid
    /// for more than `FRESHNESS_MARGIN`.
    pub(crate) fn is_usable(&self, tokens: &TokenSet, rejected: Option<&AccessToken>) -> bool {
        self.outlives(tokens, rejected, FRESHNESS_MARGIN)
    }

    /// Whether the access token may be used while no newer one can be obtained: it is not `rejected`, and remains valid for
    /// more than `LEAST_LIFE`.
    pub(crate) fn is_alive(&self, tokens: &TokenSet, rejected: Option<&AccessToken>) -> bool {
        self.outlives(tokens, rejected, LEAST_LIFE)
    }

    fn outlives(&self, tokens: &TokenSet, rejected: Option<&AccessToken>, margin: Duration) -> bool {
        tokens.is_fresh(self.clock.now_utc(), margin) && tokens.access.as_ref() != rejected
    }

    /// Whether a received token set is not stored yet; this process then holds its only copy.
    pub(crate) fn holds_unsaved(&self) -> bool {
        self.memory().unsaved.is_some()
    }

    /// Loads the stored set.
    pub(crate) async fn load(&self) -> Result<TokenSet, AuthError> {
        self.vault.load().await?.ok_or(AuthError::NoToken)
    }

    /// Returns a set that is durable: a fresh one, or, while a transient failure prevents a newer one, one that is still valid.
    pub(crate) async fn run(&self, rejected: Option<&AccessToken>) -> Result<TokenSet, AuthError> {
        let error = match self.refresh(rejected).await {
            Err(error) if error.may_pass() => error,
            ended => return ended,
        };
        match self.vault.load().await {
            Ok(Some(stored)) if self.is_alive(&stored, rejected) => {
                tracing::warn!(%error, "no newer access token yet; still using the current one");
                Ok(stored)
            }
            _ => Err(error),
        }
    }

    /// Returns a fresh set, and calls the endpoint only if no other process has done so.
    async fn refresh(&self, rejected: Option<&AccessToken>) -> Result<TokenSet, AuthError> {
        // Vault writes are atomic, so reading needs no lock. Others can therefore use a valid token while one process hangs in
        // a refresh.
        let stored = self.load().await?;
        let lock = if self.is_fresh(&stored, rejected) && !self.holds_unsaved() {
            // An intent is recorded: another process is refreshing, or died during a refresh.
            match stored.intent.is_some().then_some(self.vault.try_lock()) {
                None => None,
                Some(attempt) => attempt.await?,
            }
        } else {
            point!("refresh.lock");
            Some(self.vault.lock().await?)
        };
        let Some(lock) = lock else { return Ok(stored) };
        let turn = Turn { lock: &lock, rejected };
        point!("refresh.locked");

        let stored = self.load_newest(turn).await?;
        match stored.intent {
            None if self.is_fresh(&stored, rejected) => return Ok(stored),
            None => {}
            Some(intent) => tracing::warn!(
                began = %intent.started_at,
                process = intent.process,
                "an earlier refresh has no known end; refreshing at once"
            ),
        }
        if let Some((generation, error)) = self.memory().refused.clone()
            && generation == stored.generation
        {
            return Err(AuthError::NeedsConsent(error));
        }
        // If the intent cannot be stored now, the result of the call could not be stored either.
        let noted = stored.intending(self.clock.now_utc());
        self.vault.store(&noted).await?;
        point!("refresh.intended");
        let ended = match self.present(turn, &stored.refresh).await {
            Ok(answer) => {
                return self
                    .store(turn, stored.rotated(&stored.refresh, &answer, self.clock.now_utc()))
                    .await;
            }
            Err(AuthError::Endpoint(error)) if is_refused(&stored, &error) => {
                self.after_refusal(turn, &stored, error).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &ended
            && error.is_certain()
        {
            self.forget_intent(&noted).await;
        }
        ended
    }

    /// Clears the intent: the server said that nothing was rotated. If that fails, the leftover intent merely makes the next
    /// process refresh early.
    async fn forget_intent(&self, noted: &TokenSet) {
        // The intent of another process is not ours to clear.
        if let Ok(Some(stored)) = self.vault.load().await
            && (stored.generation, stored.intent) == (noted.generation, noted.intent)
            && self.vault.store(&TokenSet { intent: None, ..stored }).await.is_err()
        {
            tracing::warn!("could not clear the intent of the ended refresh; it stays in the vault");
        }
    }

    /// After the current token was refused: tries a newer token in the vault, or else the token before it; otherwise a user
    /// must authorize again.
    async fn after_refusal(
        &self,
        turn: Turn<'_>,
        refused: &TokenSet,
        error: TokenError,
    ) -> Result<TokenSet, AuthError> {
        let stored = self.load().await?;
        let candidate = if stored.generation > refused.generation {
            if self.is_fresh(&stored, turn.rejected) {
                return Ok(stored);
            }
            Some(stored.refresh.clone())
        } else {
            stored.previous.clone()
        };
        let Some(candidate) = candidate else {
            return Err(self.needs_consent(stored.generation, error));
        };
        tracing::warn!(
            generation = stored.generation,
            "the refresh token was refused; trying the newer or the previous one"
        );
        match self.present(turn, &candidate).await {
            Ok(answer) => self.store(turn, stored.rotated(&candidate, &answer, self.clock.now_utc())).await,
            Err(AuthError::Endpoint(error)) if *error.kind() == TokenErrorKind::InvalidGrant => {
                Err(self.needs_consent(stored.generation, error))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the stored set, after storing a newer one that an earlier attempt could not store.
    async fn load_newest(&self, turn: Turn<'_>) -> Result<TokenSet, AuthError> {
        let stored = self.load().await?;
        let unsaved = self.memory().unsaved.take();
        match unsaved {
            Some(unsaved) if unsaved.generation > stored.generation => self.store(turn, unsaved).await,
            _ => Ok(stored),
        }
    }

    /// Sends a refresh token, and retries while it is unknown whether the server has acted. Checks before each request that the
    /// lock is still held.
    async fn present(&self, turn: Turn<'_>, token: &RefreshToken) -> Result<TokenAnswer, AuthError> {
        if !token.is_presentable() {
            return Err(TokenError::new(TokenErrorKind::InvalidGrant).into());
        }
        let mut waits = RETRY_WAITS.into_iter();
        loop {
            if !turn.lock.is_held().await {
                return Err(VaultError::new(VaultErrorKind::LockLost).into());
            }
            point!("refresh.call");
            let error = match self.endpoint.refresh(token).await {
                Err(error) if error.is_ambiguous() => error,
                answered => return Ok(answered?),
            };
            let Some(wait) = waits.next() else { return Err(error.into()) };
            tracing::warn!(%error, wait_seconds = wait.as_secs(), "refresh unanswered, trying again");
            self.clock.sleep(wait).await;
        }
    }

    /// Makes a new set durable. From the moment the response arrives, this process may hold the only copy of the token.
    async fn store(&self, turn: Turn<'_>, tokens: TokenSet) -> Result<TokenSet, AuthError> {
        self.memory().unsaved = Some(tokens.clone());
        point!("refresh.answered");
        // The set is stored even if the lock was lost: the vault never overwrites a newer set, and not storing it could lose the
        // only valid token.
        let _again = if turn.lock.is_held().await {
            None
        } else {
            tracing::warn!("the vault's lock was lost during the refresh");
            self.vault.try_lock().await.ok().flatten()
        };
        let mut tries = 1;
        while let Err(error) = self.vault.store(&tokens).await {
            if error.kind() == VaultErrorKind::Overtaken
                && let Some(newer) = self.newer_than(&tokens).await
            {
                self.memory().unsaved = None;
                tracing::warn!(generation = newer.generation, "another process has stored a newer consent");
                return if self.is_fresh(&newer, turn.rejected) { Ok(newer) } else { Err(error.into()) };
            }
            if tries == STORE_TRIES {
                return Err(error.into());
            }
            tracing::error!(%error, tries, "the new refresh token is not stored yet, do not stop this process");
            tries += 1;
            self.clock.sleep(STORE_WAIT).await;
        }
        self.memory().unsaved = None;
        point!("refresh.stored");
        tracing::info!(generation = tokens.generation, "access token refreshed");
        Ok(tokens)
    }

    /// The stored set, if it conflicts with storing `tokens`: a newer one, or another one of the same generation.
    async fn newer_than(&self, tokens: &TokenSet) -> Option<TokenSet> {
        let stored = self.vault.load().await.ok().flatten()?;
        (stored.generation >= tokens.generation && stored.refresh != tokens.refresh).then_some(stored)
    }

    fn needs_consent(&self, generation: u64, error: TokenError) -> AuthError {
        self.memory().refused = Some((generation, error.clone()));
        AuthError::NeedsConsent(error)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
