//! The refreshing provider: one call, stored before use, nothing lost.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use qbo_auth::{
    AccessToken, Advice, AuthError, Clock, LAST_STORE, LockGuard, ManualClock, MemoryVault, RefreshIntent,
    RefreshToken, RefreshingProvider, SHUTDOWN_GRACE, SealedVault, SecretName, SecretVault, TokenErrorKind,
    TokenProvider, TokenSet, TokenVault, VaultError, VaultLock, adopt_bootstrap, async_trait,
};

use crate::fake::{GatedVault, NOW, Reply, ScriptedEndpoint, clock, expired};

struct Story {
    vault: Arc<MemoryVault>,
    endpoint: Arc<ScriptedEndpoint>,
    clock: Arc<ManualClock>,
    provider: Arc<RefreshingProvider>,
}

impl Story {
    /// A company whose access token has ended, and an endpoint that will answer by `script`.
    async fn of(script: impl IntoIterator<Item = Reply>) -> Self {
        Self::with(ScriptedEndpoint::new(script)).await
    }

    async fn with(endpoint: Arc<ScriptedEndpoint>) -> Self {
        let clock = clock();
        let vault = Arc::new(MemoryVault::new(clock.clone()));
        vault.store(&expired()).await.unwrap();
        let provider = provider(vault.clone(), endpoint.clone(), clock.clone());
        Self { vault, endpoint, clock, provider }
    }

    async fn token(&self) -> Result<String, AuthError> {
        self.provider.access_token().await.map(|token| token.expose().to_owned())
    }

    async fn stored(&self) -> TokenSet {
        self.vault.load().await.unwrap().unwrap()
    }
}

fn provider(
    vault: Arc<dyn TokenVault>,
    endpoint: Arc<ScriptedEndpoint>,
    clock: Arc<ManualClock>,
) -> Arc<RefreshingProvider> {
    Arc::new(RefreshingProvider::with_jitter(vault, endpoint, clock, Duration::ZERO))
}

fn fails(kind: TokenErrorKind) -> Reply {
    Reply::Fails(kind)
}

fn unavailable() -> Reply {
    fails(TokenErrorKind::Unavailable { status: 503 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_with_an_expired_token_make_one_call() {
    let story = Story::with(ScriptedEndpoint::gated([Reply::Tokens(2)])).await;
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let provider = story.provider.clone();
            tokio::spawn(async move { provider.access_token().await.unwrap().expose().to_owned() })
        })
        .collect();
    story.endpoint.entered.acquire().await.unwrap().forget();
    story.endpoint.gate.add_permits(1000);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "false-access-2");
    }
    assert_eq!(story.endpoint.presented(), ["false-refresh-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_with_one_vault_file_make_one_call() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("vault"), folder.path().join("key"));
    SealedVault::init(&path, &key).unwrap().store(&expired()).await.unwrap();
    let endpoint = ScriptedEndpoint::new([Reply::Tokens(2)]);
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let vault = Arc::new(SealedVault::open(&path, &key).unwrap());
            let provider = provider(vault, endpoint.clone(), clock());
            tokio::spawn(async move { provider.access_token().await.unwrap().expose().to_owned() })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "false-access-2");
    }
    assert_eq!(endpoint.presented(), ["false-refresh-1"]);
}

#[tokio::test]
async fn the_new_refresh_token_is_stored_before_anybody_gets_the_access_token() {
    let clock = clock();
    let inner = Arc::new(MemoryVault::new(clock.clone()));
    inner.store(&expired()).await.unwrap();
    let vault = GatedVault::new(inner.clone());
    let endpoint = ScriptedEndpoint::new([Reply::Tokens(2)]);
    let provider = provider(vault.clone(), endpoint, clock);

    let callers: Vec<_> = (0..5)
        .map(|_| {
            let (provider, vault) = (provider.clone(), inner.clone());
            tokio::spawn(async move {
                provider.access_token().await.unwrap();
                vault.load().await.unwrap().unwrap().refresh
            })
        })
        .collect();
    // The first store is the note that a refresh begins, the second the new token.
    vault.store_gate.add_permits(1);
    vault.store_entered.acquire_many(2).await.unwrap().forget();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(callers.iter().all(|caller| !caller.is_finished()));
    assert_eq!(inner.load().await.unwrap().unwrap().refresh, expired().refresh);

    vault.store_gate.add_permits(1);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), RefreshToken::new("false-refresh-2"));
    }
}

#[tokio::test]
async fn a_cancelled_caller_loses_nothing_and_shutdown_waits_for_the_store() {
    let story = Story::with(ScriptedEndpoint::gated([Reply::Tokens(2)])).await;
    let caller = tokio::spawn({
        let provider = story.provider.clone();
        async move { provider.access_token().await }
    });
    story.endpoint.entered.acquire().await.unwrap().forget();
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());

    let shutdown = tokio::spawn({
        let provider = story.provider.clone();
        async move { provider.shutdown().await }
    });
    tokio::task::yield_now().await;
    assert!(!shutdown.is_finished());
    story.endpoint.gate.add_permits(1);
    shutdown.await.unwrap();
    assert_eq!(story.stored().await.refresh, RefreshToken::new("false-refresh-2"));
    assert_eq!(story.token().await.unwrap(), "false-access-2");
}

#[tokio::test]
async fn a_failed_refresh_leaves_the_tokens_as_they_were_and_a_note_if_its_end_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("vault"), folder.path().join("key"));
    let clock = clock();
    let vault = Arc::new(SealedVault::init(&path, &key).unwrap().with_clock(clock.clone()));
    for (kind, end_is_known) in [
        (TokenErrorKind::InvalidGrant, true),
        (TokenErrorKind::InvalidClient, true),
        (TokenErrorKind::InvalidRequest { code: "invalid_request" }, false),
        (TokenErrorKind::Throttled { retry_after: None }, true),
        (TokenErrorKind::Unavailable { status: 500 }, false),
        (TokenErrorKind::Transport, false),
        (TokenErrorKind::Html { status: 200 }, false),
        (TokenErrorKind::Protocol("no access token"), false),
    ] {
        vault.store(&expired()).await.unwrap();
        let endpoint = ScriptedEndpoint::new((0..4).map(|_| fails(kind.clone())));
        provider(vault.clone(), endpoint, clock.clone()).access_token().await.unwrap_err();
        let left = vault.load().await.unwrap().unwrap();
        assert_eq!(left.intent.is_none(), end_is_known, "{kind}");
        assert_eq!(TokenSet { intent: None, ..left }, expired(), "{kind}");
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 5, "vault, key, lock, spare and the state before");
    }
}

/// A set that is fresh, with the note of a refresh that never ended.
fn fresh_with_intent() -> TokenSet {
    let answer = qbo_auth::TokenAnswer::new(AccessToken::new("false-access-9"), Duration::from_secs(3600));
    let stored = expired();
    let intent = Some(RefreshIntent { started_at: NOW, process: 1 });
    TokenSet { intent, ..stored.rotated(&stored.refresh, &answer, NOW) }
}

#[tokio::test]
async fn the_note_of_a_dead_process_makes_the_next_one_refresh_at_once() {
    let story = Story::of([Reply::Tokens(10)]).await;
    story.vault.store(&fresh_with_intent()).await.unwrap();
    assert_eq!(story.token().await.unwrap(), "false-access-10");
    assert_eq!(story.stored().await.intent, None);
}

#[tokio::test]
async fn the_note_of_a_living_process_holds_nobody_up() {
    let story = Story::of([]).await;
    story.vault.store(&fresh_with_intent()).await.unwrap();
    let _refreshing = story.vault.lock().await.unwrap();
    assert_eq!(story.token().await.unwrap(), "false-access-9");
    assert!(story.clock.sleeps().is_empty());
}

#[tokio::test]
async fn the_note_is_durable_before_the_call() {
    let story = Story::with(ScriptedEndpoint::gated([Reply::Tokens(2)])).await;
    let caller = tokio::spawn({
        let provider = story.provider.clone();
        async move { provider.access_token().await }
    });
    story.endpoint.entered.acquire().await.unwrap().forget();
    let noted = story.stored().await.intent.unwrap();
    assert_eq!((noted.started_at, noted.process), (NOW, std::process::id()));
    story.endpoint.gate.add_permits(1);
    caller.await.unwrap().unwrap();
    assert_eq!(story.stored().await.intent, None);
}

/// A token that ends in a minute: refreshing is due, and it can still be used.
fn ending() -> TokenSet {
    let answer = qbo_auth::TokenAnswer::new(AccessToken::new("false-access-9"), Duration::from_secs(60));
    let stored = expired();
    stored.rotated(&stored.refresh, &answer, NOW)
}

#[tokio::test]
async fn a_living_token_is_used_while_no_newer_can_be_had() {
    let story = Story::of((0..4).map(|_| unavailable())).await;
    story.vault.store(&ending()).await.unwrap();
    assert_eq!(story.token().await.unwrap(), "false-access-9");
    // The tries took 13 seconds; for the next 30 the endpoint is left alone.
    story.clock.advance(Duration::from_secs(20));
    assert_eq!(story.token().await.unwrap(), "false-access-9");
    assert_eq!(story.endpoint.presented().len(), 4);

    let story = Story::of([]).await;
    story
        .vault
        .store(&TokenSet { access_expires_at: Some(NOW + qbo_auth::LOCK_DEADLINE * 2), ..ending() })
        .await
        .unwrap();
    let provider = provider(story.vault.clone(), story.endpoint.clone(), story.clock.clone());
    story.clock.advance(Duration::from_secs(65));
    let _frozen = story.vault.lock().await.unwrap();
    assert_eq!(provider.access_token().await.unwrap().expose(), "false-access-9");
}

#[tokio::test]
async fn a_token_that_was_refused_is_not_used_on() {
    let story =
        Story::of([Reply::Tokens(2), unavailable(), unavailable(), unavailable(), unavailable()]).await;
    let token = story.provider.access_token().await.unwrap();
    story.provider.invalidate(&token).await;
    assert!(story.token().await.is_err());
}

#[tokio::test]
async fn a_refresh_that_is_only_due_holds_nobody_up() {
    let endpoint = ScriptedEndpoint::gated([Reply::Tokens(2), Reply::Tokens(3)]);
    let (clock, vault) = (clock(), Arc::new(MemoryVault::new(clock())));
    vault.store(&expired()).await.unwrap();
    let jitter = Duration::from_secs(30);
    let provider = RefreshingProvider::with_jitter(vault, endpoint.clone(), clock.clone(), jitter);
    endpoint.gate.add_permits(1);
    assert_eq!(provider.access_token().await.unwrap().expose(), "false-access-2");
    clock.advance(Duration::from_secs(3600 - 140));
    assert_eq!(provider.access_token().await.unwrap().expose(), "false-access-2");
    assert_eq!(provider.access_token().await.unwrap().expose(), "false-access-2");
    endpoint.gate.add_permits(1);
    provider.shutdown().await;
    assert_eq!(provider.access_token().await.unwrap().expose(), "false-access-3");
    assert_eq!(endpoint.presented().len(), 2);
}

#[tokio::test]
async fn a_fresh_token_in_the_vault_is_used_without_a_call_or_a_lock() {
    let story = Story::of([]).await;
    let answer = qbo_auth::TokenAnswer::new(AccessToken::new("false-access-9"), Duration::from_secs(3600));
    let stored = expired();
    story.vault.store(&stored.rotated(&stored.refresh, &answer, NOW)).await.unwrap();
    let _frozen = story.vault.lock().await.unwrap();
    assert_eq!(story.token().await.unwrap(), "false-access-9");
}

#[tokio::test]
async fn a_refresh_gives_up_when_another_process_keeps_the_vault() {
    let story = Story::of([]).await;
    let _frozen = story.vault.lock().await.unwrap();
    assert_eq!(story.token().await.unwrap_err().advice(), Advice::VaultBusy);
    assert!(story.clock.elapsed() >= qbo_auth::LOCK_DEADLINE);
}

#[tokio::test]
async fn a_token_is_refreshed_a_margin_before_it_ends() {
    let story = Story::of([Reply::Tokens(2), Reply::AccessOnly(3)]).await;
    assert_eq!(story.token().await.unwrap(), "false-access-2");
    story.clock.advance(Duration::from_secs(3479));
    assert_eq!(story.token().await.unwrap(), "false-access-2");
    story.clock.advance(Duration::from_secs(1));
    assert_eq!(story.token().await.unwrap(), "false-access-3");
    // The second answer had no refresh token, so the one before stays.
    assert_eq!(story.stored().await.refresh, RefreshToken::new("false-refresh-2"));
    assert_eq!(story.stored().await.previous, Some(RefreshToken::new("false-refresh-1")));
    assert_eq!(story.endpoint.presented(), ["false-refresh-1", "false-refresh-2"]);
}

#[tokio::test]
async fn fifty_late_reports_about_one_token_cause_one_refresh() {
    let story = Story::of([Reply::Tokens(2), Reply::Tokens(3)]).await;
    let refused = story.provider.access_token().await.unwrap();
    story.provider.invalidate(&AccessToken::new("false-access-1")).await;
    assert_eq!(story.token().await.unwrap(), "false-access-2");
    for _ in 0..50 {
        story.provider.invalidate(&refused).await;
        assert_eq!(story.token().await.unwrap(), "false-access-3");
    }
    assert_eq!(story.endpoint.presented().len(), 2);
}

#[tokio::test]
async fn an_unanswered_refresh_is_repeated_with_the_same_token_at_one_three_and_nine_seconds() {
    let story =
        Story::of([unavailable(), fails(TokenErrorKind::Transport), unavailable(), Reply::Tokens(2)]).await;
    assert_eq!(story.token().await.unwrap(), "false-access-2");
    assert_eq!(story.endpoint.presented(), ["false-refresh-1"; 4]);
    assert_eq!(story.clock.sleeps(), [1, 3, 9].map(Duration::from_secs));

    let story = Story::of((0..4).map(|_| unavailable())).await;
    assert!(matches!(story.token().await.unwrap_err().advice(), Advice::RetryAfter(_)));
    assert_eq!(story.endpoint.presented().len(), 4);
}

#[tokio::test]
async fn a_throttled_request_and_refused_keys_are_not_repeated() {
    let wait = Some(Duration::from_secs(7));
    for (kind, advice) in [
        (TokenErrorKind::Throttled { retry_after: wait }, Advice::RetryAfter(Duration::from_secs(7))),
        (TokenErrorKind::InvalidClient, Advice::FixConfiguration),
    ] {
        let story = Story::of([fails(kind)]).await;
        assert_eq!(story.token().await.unwrap_err().advice(), advice);
        assert_eq!(story.endpoint.presented().len(), 1);
    }
}

#[tokio::test]
async fn whatever_a_token_service_in_trouble_says_is_asked_again_within_bounds() {
    for kind in [
        TokenErrorKind::InvalidRequest { code: "invalid_request" },
        TokenErrorKind::InvalidRequest { code: "unknown code" },
        TokenErrorKind::Unavailable { status: 400 },
        TokenErrorKind::Html { status: 403 },
        TokenErrorKind::Protocol("not the expected JSON"),
    ] {
        let story = Story::of([fails(kind.clone()), fails(kind.clone()), Reply::Tokens(2)]).await;
        assert_eq!(story.token().await.unwrap(), "false-access-2", "{kind}");
        let story = Story::of((0..4).map(|_| fails(kind.clone()))).await;
        let error = story.token().await.unwrap_err();
        assert!(matches!(error.advice(), Advice::RetryAfter(_)), "{kind}");
        assert_eq!(
            story.endpoint.presented(),
            ["false-refresh-1"; 4],
            "{kind}: the one before is not touched"
        );
    }
}

/// Whatever is handed over, the consent that worked is there afterwards.
#[tokio::test]
async fn a_handed_over_token_that_does_not_work_never_costs_the_consent_before_it() {
    let invalid = || fails(TokenErrorKind::InvalidRequest { code: "invalid_request" });
    for refusal in
        [vec![fails(TokenErrorKind::InvalidGrant)], vec![invalid(), invalid(), invalid(), invalid()]]
    {
        let calls = refusal.len();
        let story = Story::of(refusal.into_iter().chain([Reply::Tokens(2)])).await;
        let supplied = RefreshToken::new("false-refresh-handed-over");
        adopt_bootstrap(&*story.vault, supplied, &[], NOW).await.unwrap();
        assert_eq!(story.token().await.unwrap(), "false-access-2");
        let presented = story.endpoint.presented();
        assert_eq!(presented[..calls], vec!["false-refresh-handed-over"; calls]);
        assert_eq!(presented[calls..], ["false-refresh-1"]);
        assert_eq!(story.stored().await.refresh, RefreshToken::new("false-refresh-2"));
    }

    // During an outage one after the other is handed over: the last one that worked is still the one to go back to.
    let story = Story::of((0..8).map(|_| unavailable())).await;
    for supplied in ["false-refresh-wrong", "false-refresh-wrong-too"] {
        adopt_bootstrap(&*story.vault, RefreshToken::new(supplied), &[], NOW).await.unwrap();
        assert!(matches!(story.token().await.unwrap_err().advice(), Advice::RetryAfter(_)));
    }
    let endpoint = ScriptedEndpoint::new([fails(TokenErrorKind::InvalidGrant), Reply::Tokens(3)]);
    let later = provider(story.vault.clone(), endpoint.clone(), clock());
    assert_eq!(later.access_token().await.unwrap().expose(), "false-access-3");
    assert_eq!(endpoint.presented(), ["false-refresh-wrong-too", "false-refresh-1"]);
}

#[tokio::test]
async fn a_text_that_can_be_no_token_is_never_adopted_and_never_sent() {
    for text in ["", " ", "\n", "false\ntoken", "\u{feff}false-token", "false\u{a0}token"] {
        let story = Story::of([Reply::Tokens(2)]).await;
        let adopted = adopt_bootstrap(&*story.vault, RefreshToken::new(text), &[], NOW).await.unwrap();
        assert_eq!(adopted, expired(), "{text:?}");
        let empty = MemoryVault::new(clock());
        let refused = adopt_bootstrap(&empty, RefreshToken::new(text), &[], NOW).await.unwrap_err();
        assert!(matches!(refused, AuthError::NoToken), "{text:?}");

        // As an earlier version left the vault.
        let damaged = TokenSet {
            previous: Some(expired().refresh),
            ..TokenSet::from_consent(RefreshToken::new(text), 3, NOW)
        };
        story.vault.store(&damaged).await.unwrap();
        assert_eq!(story.token().await.unwrap(), "false-access-2", "{text:?}");
        assert_eq!(story.endpoint.presented(), ["false-refresh-1"], "{text:?}");
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_by_a_newer_one_from_the_vault() {
    let story = Story::of([]).await;
    let answer = qbo_auth::TokenAnswer::new(AccessToken::new("false-access-8"), Duration::from_secs(3600));
    let newer = expired().rotated(&RefreshToken::new("false-refresh-8"), &answer, NOW);
    let vault = story.vault.clone();
    let endpoint = ScriptedEndpoint::new([Reply::RefusesAfter(vault.clone(), newer)]);
    let token = provider(vault, endpoint.clone(), clock()).access_token().await.unwrap();
    assert_eq!(token.expose(), "false-access-8");
    assert_eq!(endpoint.presented().len(), 1);

    let consented = TokenSet::from_consent(RefreshToken::new("false-refresh-9"), 9, NOW);
    let endpoint =
        ScriptedEndpoint::new([Reply::RefusesAfter(story.vault.clone(), consented), Reply::Tokens(10)]);
    story.vault.remove(SecretName::QboRefreshToken).await.unwrap();
    story.vault.store(&expired()).await.unwrap();
    let token = provider(story.vault.clone(), endpoint.clone(), clock()).access_token().await.unwrap();
    assert_eq!(token.expose(), "false-access-10");
    assert_eq!(endpoint.presented(), ["false-refresh-1", "false-refresh-9"]);
    assert_eq!(story.stored().await.generation, 10);
}

/// A set that is fresh, of the generation that a refresh of [`expired`] brings, from another process.
fn rotated_elsewhere() -> TokenSet {
    let mut answer =
        qbo_auth::TokenAnswer::new(AccessToken::new("false-access-8"), Duration::from_secs(3600));
    answer.refresh = Some(RefreshToken::new("false-refresh-8"));
    expired().rotated(&expired().refresh, &answer, NOW)
}

#[tokio::test]
async fn what_another_process_stored_while_the_call_was_on_its_way_is_not_overwritten() {
    for newer in [rotated_elsewhere(), TokenSet { generation: 9, ..rotated_elsewhere() }] {
        let story = Story::with(ScriptedEndpoint::gated([Reply::Tokens(2)])).await;
        let caller = tokio::spawn({
            let provider = story.provider.clone();
            async move { provider.access_token().await }
        });
        story.endpoint.entered.acquire().await.unwrap().forget();
        story.vault.store(&newer).await.unwrap();
        story.endpoint.gate.add_permits(1);
        assert_eq!(caller.await.unwrap().unwrap().expose(), "false-access-8");
        assert_eq!(story.stored().await, newer);
        assert_eq!(story.endpoint.presented(), ["false-refresh-1"]);
        assert!(story.clock.sleeps().is_empty(), "nothing is stored again and again");
    }
}

/// A vault whose lock is lost as soon as `left` looks at it have been taken.
#[derive(Debug)]
struct Slipping {
    inner: Arc<MemoryVault>,
    left: AtomicU32,
}

struct Slipped(Arc<Slipping>, VaultLock);

#[async_trait]
impl LockGuard for Slipped {
    async fn is_held(&self) -> bool {
        let left = |left: u32| left.checked_sub(1);
        self.1.is_held().await && self.0.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok()
    }
}

/// The vault of a [`Slipping`], whose guard must own it.
#[derive(Debug)]
struct Slippery(Arc<Slipping>);

#[async_trait]
impl TokenVault for Slippery {
    async fn lock(&self) -> Result<VaultLock, VaultError> {
        Ok(VaultLock::guarded(Slipped(self.0.clone(), self.0.inner.lock().await?)))
    }

    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        self.0.inner.try_lock().await
    }

    async fn load(&self) -> Result<Option<TokenSet>, VaultError> {
        self.0.inner.load().await
    }

    async fn store(&self, tokens: &TokenSet) -> Result<(), VaultError> {
        self.0.inner.store(tokens).await
    }

    async fn begin<'a>(&self, tokens: &TokenSet, about: &[(SecretName, &'a str)]) -> Result<(), VaultError> {
        self.0.inner.begin(tokens, about).await
    }

    async fn has_begun(&self, bootstrap: &str) -> Result<bool, VaultError> {
        self.0.inner.has_begun(bootstrap).await
    }
}

#[tokio::test]
async fn no_token_is_presented_without_the_lock_and_one_that_came_is_stored_all_the_same() {
    for (left, calls) in [(0, 0), (1, 1), (2, 2), (3, 2)] {
        let clock = clock();
        let inner = Arc::new(MemoryVault::new(clock.clone()));
        inner.store(&expired()).await.unwrap();
        let vault = Slippery(Arc::new(Slipping { inner: inner.clone(), left: AtomicU32::new(left) }));
        let endpoint = ScriptedEndpoint::new([unavailable(), Reply::Tokens(2)]);
        let ended = provider(Arc::new(vault), endpoint.clone(), clock).access_token().await;
        assert_eq!(endpoint.presented().len(), calls, "{left}");
        let stored = inner.load().await.unwrap().unwrap();
        match ended {
            Ok(token) => assert_eq!((token.expose(), stored.generation), ("false-access-2", 3)),
            Err(error) => {
                assert!(calls < 2, "{error}");
                assert_eq!((error.advice(), stored.refresh), (Advice::VaultBusy, expired().refresh));
            }
        }
    }
}

#[tokio::test]
async fn the_previous_token_is_tried_once_and_only_after_the_current_was_refused() {
    let story = Story::of([fails(TokenErrorKind::InvalidGrant), Reply::Tokens(2)]).await;
    assert_eq!(story.token().await.unwrap(), "false-access-2");
    assert_eq!(story.endpoint.presented(), ["false-refresh-1", "false-refresh-0"]);
    assert_eq!(story.stored().await.refresh, RefreshToken::new("false-refresh-2"));
}

#[tokio::test]
async fn a_dead_consent_costs_two_calls_and_no_more_until_a_new_one_is_stored() {
    let dead = || fails(TokenErrorKind::InvalidGrant);
    let story = Story::of([dead(), dead(), Reply::Tokens(4)]).await;
    for _ in 0..3 {
        let error = story.token().await.unwrap_err();
        assert!(matches!(error, AuthError::NeedsConsent(_)));
        assert_eq!(error.advice(), Advice::Reauthorise);
    }
    assert_eq!(story.endpoint.presented(), ["false-refresh-1", "false-refresh-0"]);
    assert_eq!(story.stored().await, expired());

    story.vault.set(SecretName::QboRefreshToken, "false-refresh-3".into()).await.unwrap();
    assert_eq!(story.token().await.unwrap(), "false-access-4");
    assert_eq!(story.endpoint.presented().len(), 3);
}

#[tokio::test]
async fn a_new_consent_that_is_refused_has_no_previous_token_to_try() {
    let story = Story::of([fails(TokenErrorKind::InvalidGrant)]).await;
    story.vault.set(SecretName::QboRefreshToken, "false-refresh-3".into()).await.unwrap();
    assert!(matches!(story.token().await, Err(AuthError::NeedsConsent(_))));
    assert_eq!(story.endpoint.presented(), ["false-refresh-3"]);
}

#[tokio::test]
async fn an_empty_vault_asks_for_a_consent() {
    let clock = clock();
    let vault = Arc::new(MemoryVault::new(clock.clone()));
    let error = provider(vault, ScriptedEndpoint::new([]), clock).access_token().await.unwrap_err();
    assert!(matches!(error, AuthError::NoToken));
    assert_eq!(error.advice(), Advice::Reauthorise);
}

#[tokio::test]
async fn a_store_that_fails_is_repeated_and_the_token_call_is_not() {
    let clock = clock();
    let inner = Arc::new(MemoryVault::new(clock.clone()));
    inner.store(&expired()).await.unwrap();
    let endpoint = ScriptedEndpoint::new([Reply::Tokens(2)]);
    let vault = GatedVault::failing_after(inner.clone(), 1, 3);
    let token = provider(vault, endpoint.clone(), clock.clone()).access_token().await.unwrap();
    assert_eq!(token.expose(), "false-access-2");
    assert_eq!(clock.sleeps(), [Duration::from_secs(1); 3]);
    assert_eq!(inner.load().await.unwrap().unwrap().refresh, RefreshToken::new("false-refresh-2"));
}

#[tokio::test]
async fn a_token_that_could_not_be_stored_is_kept_and_stored_by_the_next_attempt() {
    let clock = clock();
    let inner = Arc::new(MemoryVault::new(clock.clone()));
    inner.store(&expired()).await.unwrap();
    let endpoint = ScriptedEndpoint::new([Reply::Tokens(2)]);
    let provider = provider(GatedVault::failing_after(inner.clone(), 1, 60), endpoint.clone(), clock);
    let error = provider.access_token().await.unwrap_err();
    assert_eq!(error.advice(), Advice::VaultUnusable);
    assert_eq!(inner.load().await.unwrap().map(|tokens| tokens.generation), Some(expired().generation));

    assert_eq!(provider.access_token().await.unwrap().expose(), "false-access-2");
    assert_eq!(inner.load().await.unwrap().unwrap().refresh, RefreshToken::new("false-refresh-2"));
    assert_eq!(endpoint.presented(), ["false-refresh-1"]);
}

#[tokio::test]
async fn a_refresh_that_dies_is_reported_and_the_next_caller_starts_another() {
    let story = Story::of([Reply::Panics, Reply::Tokens(2)]).await;
    assert!(matches!(story.token().await, Err(AuthError::Interrupted)));
    assert_eq!(story.token().await.unwrap(), "false-access-2");
}

#[tokio::test]
async fn a_hasty_end_waits_a_little_for_an_answer_and_longer_for_one_that_is_not_stored() {
    let story = Story::with(ScriptedEndpoint::gated([Reply::Tokens(2)])).await;
    let caller = tokio::spawn({
        let provider = story.provider.clone();
        async move { provider.access_token().await }
    });
    story.endpoint.entered.acquire().await.unwrap().forget();
    let began = story.clock.elapsed();
    story.provider.shutdown_soon().await;
    assert_eq!(story.clock.elapsed(), began + SHUTDOWN_GRACE);
    story.endpoint.gate.add_permits(1);
    caller.await.unwrap().unwrap();
    story.provider.shutdown_soon().await;
    assert_eq!(story.clock.elapsed(), began + SHUTDOWN_GRACE, "nothing is on its way any more");

    let clock = clock();
    let inner = Arc::new(MemoryVault::new(clock.clone()));
    inner.store(&expired()).await.unwrap();
    let vault = GatedVault::new(inner);
    vault.store_gate.add_permits(1);
    let provider = provider(vault.clone(), ScriptedEndpoint::new([Reply::Tokens(2)]), clock.clone());
    let caller = tokio::spawn({
        let provider = provider.clone();
        async move { provider.access_token().await }
    });
    vault.store_entered.acquire_many(2).await.unwrap().forget();
    let began = clock.elapsed();
    provider.shutdown_soon().await;
    assert_eq!(clock.elapsed(), began + LAST_STORE);
    caller.abort();
}
