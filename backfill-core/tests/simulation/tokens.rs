//! The token service: it rotates refresh tokens, forgives or not, and sees who presents what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use qbo_auth::{
    AccessToken, AuthorizationCode, RedirectUrl, RefreshToken, SecretName, SecretVault as _, TokenAnswer,
    TokenEndpoint, TokenError, TokenErrorKind,
};

use crate::disk;
use crate::process::{HostClock, Process};
use crate::profile::{Fault, Grace};
use crate::world::World;

/// A token that lives longer than this needs no refresh: the margin and the largest jitter.
const FRESH: Duration = Duration::from_secs(185);

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(crate) struct TokenServer {
    /// The number of the newest refresh token.
    newest: u32,
    /// The first one of the present consent.
    first: u32,
    /// The one before, and until when it is still taken.
    before: Option<(u32, Duration)>,
    ended: bool,
    refused: BTreeSet<u32>,
    access: BTreeMap<u32, Access>,
    /// Living processes whose call is under way.
    under_way: Vec<u64>,
    /// Whether the last call is known to have ended, and what it brought lies in the vault.
    settled: bool,
    /// A token that was issued and does not lie in the vault yet, and whom it was sent to.
    outstanding: Option<(u32, u64)>,
    /// Whether one was lost in a way that nobody can help.
    pub(crate) excused: bool,
    /// Whether a person is about to put another one into the vault.
    consenting: bool,
}

#[derive(Clone, Copy, Debug)]
struct Access {
    expires: Duration,
    refresh: u32,
    rejected: bool,
}

impl TokenServer {
    pub(crate) fn new() -> Self {
        Self {
            newest: 1,
            first: 1,
            before: None,
            ended: false,
            refused: BTreeSet::new(),
            access: BTreeMap::new(),
            under_way: Vec::new(),
            settled: false,
            outstanding: None,
            excused: false,
            consenting: false,
        }
    }

    pub(crate) fn process_died(&mut self, process: u64) {
        self.under_way.retain(|other| *other != process);
        if self.outstanding.is_some_and(|(_, sent_to)| sent_to == process) {
            self.excused = true;
        }
    }

    /// Whether an access token is good now.
    pub(crate) fn accepts(&self, token: &AccessToken, now: Duration) -> bool {
        let known = number(token.expose()).and_then(|n| self.access.get(&n));
        known.is_some_and(|access| now < access.expires && !access.rejected)
    }

    pub(crate) fn reject(&mut self, token: &AccessToken) {
        if let Some(access) = number(token.expose()).and_then(|n| self.access.get_mut(&n)) {
            access.rejected = true;
        }
    }

    fn takes(&self, token: u32, now: Duration) -> bool {
        let before = self.before.is_some_and(|(before, until)| before == token && now < until);
        !self.ended && (token == self.newest || before)
    }

    /// Issues an access token, and with it another refresh token if it is time for one.
    fn present(
        &mut self,
        token: u32,
        now: Duration,
        life: u32,
        rotates: Option<Grace>,
    ) -> Option<(u32, u32)> {
        if !self.takes(token, now) {
            self.refused.insert(token);
            return None;
        }
        if let Some(grace) = rotates.filter(|_| token == self.newest) {
            let grace = match grace {
                Grace::None => Duration::ZERO,
                Grace::Seconds(seconds) => Duration::from_secs(seconds.into()),
            };
            self.before = Some((token, now + grace));
            self.newest += 1;
        }
        let n = u32::try_from(self.access.len()).unwrap() + 1;
        let expires = now + Duration::from_secs(life.into());
        self.access.insert(n, Access { expires, refresh: self.newest, rejected: false });
        Some((n, self.newest))
    }

    fn consent(&mut self) -> u32 {
        self.newest += 1;
        self.first = self.newest;
        (self.before, self.ended, self.excused, self.outstanding) = (None, false, false, None);
        self.newest
    }
}

fn number(token: &str) -> Option<u32> {
    token.rsplit('-').next()?.parse().ok()
}

fn refresh_token(n: u32) -> String {
    format!("RT1-false-{n}")
}

/// The first consent, put into the vault by a person.
pub(crate) async fn first_consent(world: &Arc<World>) {
    let place = disk::Place { world: Arc::clone(world), process: None };
    let vault = qbo_auth::SealedVault::init_in(Arc::new(place), disk::key()).await.unwrap();
    vault.set(SecretName::QboRefreshToken, refresh_token(1).into()).await.unwrap();
}

/// Looks at what lies in the vault now.
pub(crate) fn vault_changed(world: &Arc<World>) {
    let stored = disk::stored(world);
    let mut state = world.state();
    if let Some(stored) = &stored {
        let refresh = number(stored.refresh.expose()).unwrap_or(0);
        let tokens = &mut state.tokens;
        if tokens.outstanding.is_some_and(|(issued, _)| issued <= refresh) {
            tokens.outstanding = None;
        }
        let newest_access = tokens.access.keys().next_back().copied();
        let access = stored.access.as_ref().and_then(|token| number(token.expose()));
        tokens.settled = access.is_some() && access == newest_access && refresh == tokens.newest;
    }
    state.disk.tokens = stored;
}

/// An access token is used: what it came with must lie in the vault.
pub(crate) fn used(world: &World, token: &AccessToken) {
    let state = world.state();
    let came_with =
        number(token.expose()).and_then(|n| state.tokens.access.get(&n)).map(|access| access.refresh);
    let kept = state.disk.tokens.as_ref().and_then(|stored| number(stored.refresh.expose()));
    drop(state);
    if let (Some(came_with), Some(kept)) = (came_with, kept)
        && came_with > kept
    {
        world.breaks(
            "I3",
            format!("an access token is used, its refresh token {came_with} is not stored ({kept} is)"),
        );
    }
}

/// A process says that a person has to consent again. Whether that is true, and nobody's fault; then a person does.
pub(crate) async fn consent_again(world: &Arc<World>) {
    let kept = disk::stored(world).and_then(|stored| number(stored.refresh.expose())).unwrap_or(0);
    let (is_good, is_excused) = {
        let state = world.state();
        let is_good = state.tokens.takes(kept, world.elapsed()) || state.tokens.consenting;
        (is_good, state.tokens.excused)
    };
    if is_good {
        // Somebody else has put it right meanwhile, or is about to.
        return;
    }
    if !is_excused {
        world.breaks("I3", format!("the consent is lost: token {kept} lies in the vault and is not taken"));
        return;
    }
    world.note(0, "a person consents", "again");
    let n = {
        let tokens = &mut world.state().tokens;
        tokens.consenting = true;
        tokens.consent()
    };
    let vault =
        disk::observer(world).with_clock(Arc::new(HostClock { world: Arc::clone(world), process: None }));
    let kept = vault.set(SecretName::QboRefreshToken, refresh_token(n).into()).await;
    {
        let tokens = &mut world.state().tokens;
        (tokens.consenting, tokens.excused) = (false, kept.is_err());
    }
    if kept.is_ok() {
        vault_changed(world);
    }
}

/// The way to the token service from one process.
pub(crate) struct Endpoint(pub(crate) Arc<Process>);

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Endpoint")
    }
}

impl Endpoint {
    fn check(&self, presented: u32) {
        let world = &self.0.world;
        let now = world.elapsed();
        let state = world.state();
        let stored = state.disk.tokens.clone();
        let kept = stored.as_ref().and_then(|stored| number(stored.refresh.expose())).unwrap_or(0);
        let tokens = &state.tokens;
        let mut wrong = Vec::new();
        if presented < kept && !tokens.refused.contains(&kept) {
            wrong.push((
                "I3",
                format!("token {presented} is presented, {kept} lies in the vault and was not refused"),
            ));
        }
        if let Some(other) = tokens.under_way.first() {
            wrong.push(("I3", format!("two refreshes are under way, by {other} and {}", self.0.id)));
        }
        let access = stored.and_then(|stored| stored.access).and_then(|token| number(token.expose()));
        if let Some(access) = access.and_then(|n| tokens.access.get(&n))
            && tokens.settled
            && !access.rejected
            && access.expires > now + FRESH
        {
            wrong.push(("I11", "a refresh although a fresh token lies in the vault".to_owned()));
        }
        drop(state);
        for (invariant, how) in wrong {
            world.breaks(invariant, how);
        }
    }
}

#[async_trait]
impl TokenEndpoint for Endpoint {
    async fn refresh(&self, token: &RefreshToken) -> Result<TokenAnswer, TokenError> {
        let (process, world) = (&self.0, &self.0.world);
        let transport = || TokenError::new(TokenErrorKind::Transport);
        let fate = process.enter("token call").await.map_err(|_| transport())?;
        let presented = number(token.expose()).unwrap_or(0);
        world.note(process.id, "presents token", &presented.to_string());
        self.check(presented);
        {
            let mut state = world.state();
            state.tokens.settled = false;
            state.tokens.under_way.push(process.id);
        }
        let fails = world.meets(Fault::TokenFails).then(|| world.random(0..3));
        let time = Duration::from_millis(world.random(20..1500));
        tokio::time::sleep(time).await;
        let issued = {
            let now = world.elapsed();
            let mut state = world.state();
            let profile = &world.profile;
            let rotates = state.rng.u32(0..100) < profile.rotates;
            let life = profile.token_life;
            let tokens = &mut state.tokens;
            tokens.under_way.retain(|other| *other != process.id);
            if matches!(fails, Some(0 | 1)) {
                None
            } else {
                let newest = tokens.newest;
                let issued = tokens.present(presented, now, life, rotates.then_some(profile.grace));
                // A token of an earlier consent says nothing about this one.
                if issued.is_none() && presented >= tokens.first && profile.ends_family {
                    tokens.ended = true;
                }
                if tokens.newest > newest {
                    tokens.outstanding = Some((tokens.newest, process.id));
                    if fails.is_some() || !process.is_alive() {
                        tokens.excused = true;
                    }
                }
                Some(issued)
            }
        };
        if process.leave(fate).await.is_err() {
            let mut state = world.state();
            state.tokens.excused |= state.tokens.outstanding.is_some();
            return Err(transport());
        }
        match (fails, issued) {
            (Some(0), _) => Err(TokenError::new(TokenErrorKind::Throttled { retry_after: None })),
            (Some(_), _) => Err(TokenError::new(TokenErrorKind::Unavailable { status: 503 })),
            (None, Some(Some((access, refresh)))) => {
                let token = AccessToken::new(format!("false-access-{access}"));
                let life = Duration::from_secs(world.profile.token_life.into());
                let mut answer = TokenAnswer::new(token, life);
                answer.refresh = Some(RefreshToken::new(refresh_token(refresh)));
                Ok(answer)
            }
            (None, _) => Err(TokenError::new(TokenErrorKind::InvalidGrant)),
        }
    }

    async fn exchange(&self, _: &AuthorizationCode, _: &RedirectUrl) -> Result<TokenAnswer, TokenError> {
        Err(TokenError::new(TokenErrorKind::Setup))
    }

    async fn revoke(&self, _: &RefreshToken) -> Result<(), TokenError> {
        Err(TokenError::new(TokenErrorKind::Setup))
    }
}
