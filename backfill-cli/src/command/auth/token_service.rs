//! Builds the client of Intuit's token service, with the app's keys.

use qbo_auth::{AuthError, ClientId, ClientSecret, Endpoints, ExposeSecret as _, OauthEndpoint, SecretName};

use crate::config::settings::Settings;
use crate::output::exit::Exit;
use crate::secrets::Secrets;

/// The client of the token service, with the app's keys.
pub(super) async fn endpoint(
    settings: &Settings,
    secrets: &Secrets,
    endpoints: &Endpoints,
) -> Result<OauthEndpoint, Exit> {
    let (id, secret) = keys(settings, secrets).await?;
    Ok(OauthEndpoint::new(endpoints.clone(), id, secret).map_err(AuthError::from)?)
}

/// The id and the secret of the app.
pub(super) async fn keys(settings: &Settings, secrets: &Secrets) -> Result<(ClientId, ClientSecret), Exit> {
    let id = secrets.need(SecretName::QboClientId, settings).await?;
    let secret = secrets.need(SecretName::QboClientSecret, settings).await?;
    Ok((ClientId::new(id.expose_secret()), ClientSecret::new(secret)))
}
