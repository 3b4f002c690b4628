//! One consent, from the app's keys to the stored tokens: what `auth login` and the console have in common.

use std::sync::Arc;

use qbo_auth::{
    AccessToken, AuthError, ClientId, Clock, ConsentError, ConsentRequest, Endpoints, Environment,
    OauthEndpoint, RealmId, RedirectUrl, SealedVault, SecretName, StaticProvider, SystemClock,
    TokenEndpoint as _, TokenErrorKind, TokenSet, TokenVault as _, adopt_consent,
};
use qbo_client::{HttpQboClient, QboClient as _};

use super::super::company_info::company_info;
use super::token_service::{endpoint, keys};
use crate::app::let_it_age;
use crate::config::settings::Settings;
use crate::output::exit::{self, Exit, REAUTHORISE, REFUSED};
use crate::output::next_step::after_consent;
use crate::secrets::Secrets;

/// Everything that a consent needs, before a person is asked.
pub(in crate::command) struct ConsentFlow {
    settings: Settings,
    endpoints: Endpoints,
    endpoint: OauthEndpoint,
    client_id: ClientId,
    /// The company that must consent, if it is known.
    realm: Option<RealmId>,
    environment: Environment,
    vault: Arc<SealedVault>,
    clock: Arc<SystemClock>,
}

impl ConsentFlow {
    /// Finds keys and vault, and checks that the vault can be written, without calling anything.
    pub(in crate::command) async fn open(settings: &Settings, secrets: &mut Secrets) -> Result<Self, Exit> {
        let (client_id, _) = keys(settings, secrets).await?;
        let environment = secrets.environment(settings).await?;
        let realm = secrets.known_realm(settings).await?;
        let endpoints = settings.endpoints.over(environment)?;
        let endpoint = endpoint(settings, secrets, &endpoints).await?;
        // Find out before asking a person whether the vault can be written; taking the lock tries to write, too.
        let vault = secrets.vault_for_consent(settings).await?;
        drop(vault.lock().await?);
        let settings = settings.clone();
        let clock = Arc::new(SystemClock::new());
        Ok(Self { settings, endpoints, endpoint, client_id, realm, environment, vault, clock })
    }

    /// Whether Intuit refuses an address of `http://localhost` for the keys in use.
    pub(in crate::command) fn needs_https(&self) -> bool {
        self.environment == Environment::Production && self.settings.endpoints.oauth.is_none()
    }

    /// Prepares the request for a person; the answer comes to `redirect`.
    pub(in crate::command) fn request(&self, redirect: RedirectUrl) -> Result<ConsentRequest, Exit> {
        let request = ConsentRequest::new(&self.endpoints, &self.client_id, redirect, self.clock.now_utc());
        request.map_err(|error| consent_refused(&error))
    }

    /// Exchanges the code, stores the tokens, and checks that the company answers.
    pub(in crate::command) async fn finish(
        &self,
        request: ConsentRequest,
        answer: &str,
    ) -> Result<TokenSet, Exit> {
        let redirect = request.redirect().clone();
        let given = request.accept(answer, self.clock.now_utc()).map_err(|error| consent_refused(&error))?;
        if let Some(expected) = self.realm.as_ref().filter(|expected| **expected != given.realm) {
            return Err(Exit::new(
                REFUSED,
                format!(
                    "company {} was connected, but this vault is for company {expected}; nothing was stored",
                    given.realm
                ),
                "choose the right company on the page, or use a vault of its own (--vault FILE)",
            ));
        }
        let answer = self.endpoint.exchange(&given.code, &redirect).await.map_err(|error| {
            let what = match error.kind() {
                TokenErrorKind::InvalidGrant => {
                    "the code is no longer valid (used before, or too old)".into()
                }
                _ => exit::chain(&error),
            };
            let mut exit = Exit::from(AuthError::from(error));
            exit.what =
                format!("the consent could not be exchanged for tokens, and nothing was stored: {what}");
            if matches!(exit.code, exit::SOURCE | REAUTHORISE) && !exit.next.contains("secrets set") {
                exit.next = "run the same command again, because a code works only once".into();
            }
            exit
        })?;
        // The person has chosen the company, and the code works only once. So the consent is kept even if QuickBooks is down
        // or refuses the company today.
        let unchecked = self.check(&given.realm, answer.access.clone()).await.err();
        let environment = self.environment.to_string();
        let about =
            [(SecretName::QboRealmId, given.realm.as_str()), (SecretName::QboEnvironment, &environment)];
        let tokens = adopt_consent(&*self.vault, &answer, &about, self.clock.now_utc()).await?;
        match unchecked {
            None => Ok(tokens),
            Some(exit) if exit.code == exit::SOURCE => Err(Exit::new(
                exit.code,
                format!(
                    "the consent of company {} is stored, but QuickBooks could not confirm it yet: {}",
                    given.realm, exit.what
                ),
                "check it later: qbo-backfill doctor",
            )),
            Some(exit) => Err(Exit::new(
                exit.code,
                format!(
                    "the consent of company {} is stored, but QuickBooks refuses it: {}",
                    given.realm, exit.what
                ),
                format!("{}; then qbo-backfill doctor", exit.next),
            )),
        }
    }

    /// Checks with one call that QuickBooks accepts the new token.
    async fn check(&self, realm: &RealmId, access: AccessToken) -> Result<(), Exit> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let provider = Arc::new(StaticProvider::new(access));
        let client = HttpQboClient::builder(realm.clone(), self.endpoints.clone(), provider, clock)
            .rate_policy(self.settings.rate_policy)
            .build()
            .map_err(|error| {
                Exit::new(REFUSED, exit::chain(&error), "check the system's root certificates")
            })?;
        let answer = client.fetch_page(&company_info()).await;
        let_it_age(&*self.clock).await;
        answer?;
        Ok(())
    }
}

fn consent_refused(error: &ConsentError) -> Exit {
    refused(error.to_string(), after_consent(error))
}

pub(super) fn refused(what: impl std::fmt::Display, next: &str) -> Exit {
    Exit::new(REAUTHORISE, format!("{what}; nothing was stored"), next)
}
