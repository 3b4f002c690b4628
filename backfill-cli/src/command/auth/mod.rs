//! The command `auth`: manages the company's consent.

mod consent_flow;
mod login;
mod status;
mod token_service;

use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::sync::Arc;

use qbo_auth::{AuthError, RealmId, TokenEndpoint as _, TokenErrorKind, TokenVault as _};
use raw_store::StoreErrorKind;
use serde_json::json;

pub(super) use consent_flow::ConsentFlow;
pub(super) use status::{SOON, consent_json, warn_if_ending};

use self::status::no_consent;
use self::token_service::endpoint;
use crate::app::{company, open_database};
use crate::args::{Auth, Output};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit, HELD, chain};
use crate::output::print::{out_json, say};
use crate::secrets::Secrets;
use crate::secrets::database::database_options;
use crate::secrets::lineage::CheckedVault;
use crate::secrets::prompt;
use crate::shutdown::Stop;

/// `auth`: gets, shows, refreshes or ends a consent.
pub(crate) async fn auth(settings: &Settings, command: Auth) -> Result<u8, Exit> {
    match command {
        Auth::Login(arguments) => login::login(settings, &arguments).await,
        Auth::Status => status::status(settings).await,
        Auth::Refresh => refresh(settings).await,
        Auth::Revoke => revoke(settings).await,
    }
}

/// Refreshes the token, even if the present one is still valid.
async fn refresh(settings: &Settings) -> Result<u8, Exit> {
    let stop = Stop::waiting()?;
    let mut secrets = Secrets::open(settings).await?;
    let company = company(settings, &mut secrets, 0).await?;
    stop.keep(&company.tokens);
    let vault = Arc::clone(&company.vault);
    stop.or_done(compare(settings, &secrets, &vault)).await?;
    let tokens = stop.or_done(async { Ok(company.tokens.refresh().await) }).await?;
    company.tokens.shutdown().await;
    let tokens = tokens?;
    // The token is safe in the vault; the next run records it in the database.
    if let Err(exit) = compare(settings, &secrets, &vault).await {
        tracing::warn!(what = exit.what, "the newest consent could not be recorded in the database");
    }
    status::show(settings, &secrets, &tokens).await?;
    Ok(DONE)
}

/// Compares the vault with the token lineage in the database, if a database is named and has one.
async fn compare(settings: &Settings, secrets: &Secrets, vault: &CheckedVault) -> Result<(), Exit> {
    if database_options(settings, secrets).await?.is_none() {
        return Ok(());
    }
    let database = open_database(settings, secrets, NonZeroUsize::MIN).await?;
    let compared = match database.store.schema_status().await {
        Ok(status) if status.found.is_none() => Ok(()),
        Ok(_) => vault.compare(&*database.store).await,
        Err(error) if matches!(error.kind, StoreErrorKind::NotSetUp(_)) => Ok(()),
        Err(error) => Err(error.into()),
    };
    database.close().await?;
    compared
}

/// Ends the consent at Intuit first: a token that was only removed here would still open the company to anyone with a copy.
async fn revoke(settings: &Settings) -> Result<u8, Exit> {
    let secrets = Secrets::open(settings).await?;
    let vault = Arc::clone(secrets.vault().ok_or_else(no_consent)?);
    if vault.load().await?.is_none() {
        return Err(no_consent());
    }
    let realm = secrets.known_realm(settings).await?;
    let realm = realm.as_ref().map(RealmId::as_str);
    let company = realm.map_or_else(|| "the company".into(), |realm| format!("company {realm}"));
    confirm(settings, &company).await?;
    let environment = secrets.environment(settings).await?;
    let endpoint = endpoint(settings, &secrets, &settings.endpoints.over(environment)?).await?;
    let lock = vault.lock().await?;
    let tokens = vault.load().await?.ok_or_else(no_consent)?;
    match endpoint.revoke(&tokens.refresh).await {
        Ok(()) => {}
        // The endpoint answers this for an unknown token. After any other error the consent may not have ended.
        Err(error)
            if matches!(
                error.kind(),
                TokenErrorKind::InvalidGrant | TokenErrorKind::InvalidRequest { code: "invalid_request" }
            ) =>
        {
            say("Intuit no longer knows this token; the consent had ended before");
        }
        Err(error) => {
            let what = format!("the consent was not ended, and the vault is unchanged: {}", chain(&error));
            let mut exit = Exit::from(AuthError::from(error));
            exit.what = what;
            return Err(exit);
        }
    }
    let is_gone = vault.forget_revoked(&tokens.refresh).await?;
    drop(lock);
    if !is_gone {
        return Err(Exit::new(
            HELD,
            format!(
                "the consent of {company} has ended at Intuit, but another process stored a newer one meanwhile"
            ),
            "see: qbo-backfill auth status; to end that one, too, run the same command again",
        ));
    }
    match settings.output {
        Output::Json => out_json(&json!({"realm": realm, "revoked": true})),
        Output::Text => {
            say(&format!("the consent of {company} has ended, here and at Intuit; loaded records stay"));
        }
    }
    Ok(DONE)
}

async fn confirm(settings: &Settings, company: &str) -> Result<(), Exit> {
    if !settings.ask {
        return Ok(());
    }
    let unasked = || Exit::usage("ending a consent needs a confirmation; nothing was changed", "add --yes");
    if !std::io::stdin().is_terminal() {
        return Err(unasked());
    }
    let question =
        format!("End the consent of {company}? Its data cannot be read until a person consents again. [y/N]");
    let answer = prompt::shown(&question, |_| unasked()).await?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Exit::usage("nothing was changed", "run the same command again, and answer y"))
}
