//! The command `auth login`: obtains a company's consent through Intuit's page and stores the tokens in the vault.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use qbo_auth::{
    AccessToken, AuthError, ClientId, Clock, ConsentError, ConsentRequest, Endpoints, Environment,
    OauthEndpoint, RealmId, RedirectUrl, SealedVault, SecretName, StaticProvider, SystemClock,
    TokenEndpoint as _, TokenErrorKind, TokenSet, TokenVault as _, adopt_consent,
};
use qbo_client::{HttpQboClient, QboClient as _};
use zeroize::Zeroizing;

use super::super::company_info::company_info;
use super::status;
use super::token_service::{endpoint, keys};
use crate::app::let_it_age;
use crate::args::LoginArgs;
use crate::config::settings::Settings;
use crate::oauth_callback::{Callback, Page};
use crate::output::exit::{self, DONE, Exit, INTERRUPTED, REAUTHORISE, REFUSED};
use crate::output::next_step::after_consent;
use crate::output::print::say;
use crate::secrets::Secrets;
use crate::secrets::prompt;
use crate::shutdown::Stop;

/// `auth login`: asks for consent on Intuit's page, and stores its tokens in the vault. If anything fails before the code
/// is exchanged, nothing is stored; the tokens of the exchange are stored in any case.
pub(super) async fn login(settings: &Settings, arguments: &LoginArgs) -> Result<u8, Exit> {
    let mut secrets = Secrets::open(settings).await?;
    let (client_id, _) = keys(settings, &secrets).await?;
    let environment = secrets.environment(settings).await?;
    let realm = secrets.known_realm(settings).await?;
    let endpoints = settings.endpoints.over(environment)?;
    let endpoint = endpoint(settings, &secrets, &endpoints).await?;
    // Find out before asking a person whether the vault can be written; taking the lock tries to write, too.
    let vault = secrets.vault_for_consent(settings).await?;
    drop(vault.lock().await?);

    let login = Login {
        settings,
        endpoints,
        endpoint,
        client_id,
        realm,
        environment,
        vault,
        clock: Arc::new(SystemClock::new()),
    };
    let tokens = match &arguments.redirect_url {
        Some(redirect) => login.paste(arguments, redirect.clone()).await?,
        None => login.listen(arguments).await?,
    };
    status::show(settings, &secrets, &tokens).await?;
    Ok(DONE)
}

/// One login.
struct Login<'a> {
    settings: &'a Settings,
    endpoints: Endpoints,
    endpoint: OauthEndpoint,
    client_id: ClientId,
    /// The company that must consent, if it is known.
    realm: Option<RealmId>,
    environment: Environment,
    vault: Arc<SealedVault>,
    clock: Arc<SystemClock>,
}

impl Login<'_> {
    /// Waits until the browser is redirected to this machine.
    async fn listen(&self, arguments: &LoginArgs) -> Result<TokenSet, Exit> {
        let callback = Callback::bind(arguments.port).await.map_err(|error| {
            Exit::usage(
                format!("cannot listen on port {} of 127.0.0.1 and [::1] ({})", arguments.port, error.kind()),
                "choose another one with --port, and register http://localhost:PORT/callback with the app",
            )
        })?;
        let request = self.request(callback.redirect().clone())?;
        if self.environment == Environment::Production && self.settings.endpoints.oauth.is_none() {
            say(
                "note: Intuit refuses http://localhost for production keys; use --redirect-url https://… with them",
            );
        }
        show(&request, arguments);
        say(&format!("waiting for the answer at {}", request.redirect()));
        let stop = Stop::waiting()?;
        let patience = Duration::from_secs(arguments.timeout);
        let visit = tokio::select! {
            visit = callback.visit(patience, |answer| request.recognises(answer)) => visit.ok_or_else(|| {
                refused(format!("no consent came within {} s", arguments.timeout), "run the same command again, and use the page it opens")
            })?,
            () = stop.token.cancelled() => {
                return Err(Exit::new(stop.code().unwrap_or(INTERRUPTED), "stopped; nothing was stored", "run the same command again"));
            }
        };
        let exchanging = stop.exchanging().await;
        let ended = self.finish(request, &visit.answer).await;
        drop(exchanging);
        visit.conclude(if ended.is_ok() { Page::Connected } else { Page::Failed }).await;
        ended
    }

    /// Asks the person to paste the address where the browser ended.
    async fn paste(&self, arguments: &LoginArgs, redirect: RedirectUrl) -> Result<TokenSet, Exit> {
        let request = self.request(redirect)?;
        show(&request, arguments);
        say(
            "consent there, then copy the whole address of the page where the browser ends, and paste it here",
        );
        let answer = pasted().await?;
        let stop = Stop::waiting()?;
        let _exchanging = stop.exchanging().await;
        self.finish(request, &answer).await
    }

    fn request(&self, redirect: RedirectUrl) -> Result<ConsentRequest, Exit> {
        let request = ConsentRequest::new(&self.endpoints, &self.client_id, redirect, self.clock.now_utc());
        request.map_err(|error| consent_refused(&error))
    }

    /// Exchanges the code, stores the tokens, and checks that the company answers.
    async fn finish(&self, request: ConsentRequest, answer: &str) -> Result<TokenSet, Exit> {
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

/// Opens the page in a browser if there is one, and prints its address in any case.
fn show(request: &ConsentRequest, arguments: &LoginArgs) {
    say("connect the company on this page:");
    say(request.url());
    let opens = !arguments.no_browser && std::io::stderr().is_terminal();
    if opens && open::that_detached(request.url()).is_err() {
        say("no browser could be started; open the page yourself");
    }
}

/// Reads the pasted address without echo, because it contains the code.
async fn pasted() -> Result<Zeroizing<String>, Exit> {
    let none = || refused("no address was pasted", "run the same command again");
    let answer = if std::io::stdin().is_terminal() {
        prompt::hidden("address (not shown): ", |_| none()).await?
    } else {
        prompt::line(|_| none()).await?
    };
    if answer.trim().is_empty() { Err(none()) } else { Ok(answer) }
}

fn consent_refused(error: &ConsentError) -> Exit {
    refused(error.to_string(), after_consent(error))
}

fn refused(what: impl std::fmt::Display, next: &str) -> Exit {
    Exit::new(REAUTHORISE, format!("{what}; nothing was stored"), next)
}
