//! One refresh: the protocol that never loses a rotated token.
//!
//! It locks the vault, reads it again, notes the intent, calls, stores durably, and only then lets callers use the result. The
//! caller runs this in a task of its own, never inside a future that may be dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use failpoint::point;

use crate::clock::Clock;
use crate::error::AuthError;
use crate::oauth::{TokenAnswer, TokenEndpoint, TokenError, TokenErrorKind};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::{TokenSet, TokenVault, VaultError, VaultErrorKind, VaultLock};

/// A token that expires sooner than this is refreshed: longer than the longest time for which Intuit lets a request wait for
/// its answer (it cuts at 120 seconds).
pub const FRESHNESS_MARGIN: Duration = Duration::from_secs(120);

/// The most by which a refresh begins earlier, at random, so that processes that share a token do not all refresh at once. A
/// token that outlives [`FRESHNESS_MARGIN`] is used meanwhile.
pub const LARGEST_JITTER: Duration = Duration::from_secs(60);

/// The least remaining life with which a token is still used when no newer one can be obtained: one page's time.
const LEAST_LIFE: Duration = Duration::from_secs(10);

/// The waits before each repeat after an ambiguous failure, all with the same token under one lock.
const RETRY_WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(9)];

/// How often storing a new token is tried, a second apart: a full disk may be noticed and cleared meanwhile.
const STORE_TRIES: u32 = 60;

const STORE_WAIT: Duration = Duration::from_secs(1);

/// Whether an error proves that the presented token is of no use. A token that was accepted before is given up for
/// `invalid_grant` alone. One that was only supplied, and has displaced another, is also given up for a request that the server
/// refuses with it: whatever the cause, the consent before it must not be lost because of it.
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

/// What one attempt keeps for the next.
#[derive(Debug, Default)]
struct Memory {
    /// A set that was received and is not stored yet.
    unsaved: Option<TokenSet>,
    /// The generation whose tokens were all refused: sending them again cannot help.
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

    /// Whether a set was received and is not stored yet: then this process has the only copy of a token.
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
                tracing::warn!(%error, "no newer access token yet, the present one is used on");
                Ok(stored)
            }
            _ => Err(error),
        }
    }

    /// Returns a fresh set, and calls the endpoint only if no other process has done so.
    async fn refresh(&self, rejected: Option<&AccessToken>) -> Result<TokenSet, AuthError> {
        // A vault is replaced whole, so reading needs no lock: a process frozen in its own refresh must not stop the others
        // from using a valid token.
        let stored = self.load().await?;
        let lock = if self.is_fresh(&stored, rejected) && !self.holds_unsaved() {
            // A note of a refresh: another process is refreshing, or died while it did.
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
        // If the note cannot be stored now, the result of the call could not be stored either.
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

    /// Removes the note: the server said that nothing was rotated. If that fails, the note only costs the next process an early
    /// refresh.
    async fn forget_intent(&self, noted: &TokenSet) {
        // A note of another process is not ours to remove.
        if let Ok(Some(stored)) = self.vault.load().await
            && (stored.generation, stored.intent) == (noted.generation, noted.intent)
            && self.vault.store(&TokenSet { intent: None, ..stored }).await.is_err()
        {
            tracing::warn!("the note of the ended refresh stays in the vault");
        }
    }

    /// After the current token was refused: tries a newer token in the vault, or else the token before it; otherwise a person
    /// must consent.
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
        tracing::warn!(generation = stored.generation, "the refresh token was refused, trying the other one");
        match self.present(turn, &candidate).await {
            Ok(answer) => self.store(turn, stored.rotated(&candidate, &answer, self.clock.now_utc())).await,
            Err(AuthError::Endpoint(error)) if *error.kind() == TokenErrorKind::InvalidGrant => {
                Err(self.needs_consent(stored.generation, error))
            }
            Err(error) => Err(error),
        }
    }

    /// The stored set, or the one that could not be stored before, now stored.
    async fn load_newest(&self, turn: Turn<'_>) -> Result<TokenSet, AuthError> {
        let stored = self.load().await?;
        let unsaved = self.memory().unsaved.take();
        match unsaved {
            Some(unsaved) if unsaved.generation > stored.generation => self.store(turn, unsaved).await,
            _ => Ok(stored),
        }
    }

    /// Sends a token, and repeats it while it is unknown whether the server has acted; each time only while no other process
    /// can be sending it.
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

    /// Makes a new set durable. From the answer on, this process may hold the only copy of the token.
    async fn store(&self, turn: Turn<'_>, tokens: TokenSet) -> Result<TokenSet, AuthError> {
        self.memory().unsaved = Some(tokens.clone());
        point!("refresh.answered");
        // Without the lock it is stored all the same: the vault stores no set over a newer one, and not storing it could lose
        // the only valid token.
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

    /// The stored set, if it prevents storing `tokens`.
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
