//! Finds the database that settings or secrets name.

use qbo_auth::{ExposeSecret as _, SecretName};
use raw_store::DatabaseOptions;

use super::lookup::Secrets;
use crate::config::settings::Settings;
use crate::database::pgpass;
use crate::output::exit::Exit;

/// The options of the database that settings or secrets name, with its password; `None` if none is named.
pub(crate) async fn database_options(
    settings: &Settings,
    secrets: &Secrets,
) -> Result<Option<DatabaseOptions>, Exit> {
    let options = match &settings.database {
        Some(url) => Some(url.parse::<DatabaseOptions>()?),
        None => from_secrets(secrets).await?,
    };
    let Some(options) = options else { return Ok(None) };
    let password = match secrets.find(SecretName::PgPassword).await? {
        Some(password) => Some(password),
        None => settings.passfile.as_deref().and_then(|file| pgpass::find(file, &options)),
    };
    Ok(Some(match password {
        Some(password) => options.with_password(password.expose_secret()),
        None => options,
    }))
}

/// The database that the secrets describe, if any.
async fn from_secrets(secrets: &Secrets) -> Result<Option<DatabaseOptions>, Exit> {
    let mut parts = Vec::new();
    for name in [SecretName::PgHost, SecretName::PgPort, SecretName::PgDatabase, SecretName::PgUser] {
        parts.push(secrets.find(name).await?.map(|value| value.expose_secret().trim().to_owned()));
    }
    let [host, port, database, user] = parts.as_slice() else {
        return Ok(None);
    };
    let Some(host) = host else { return Ok(None) };
    let port = port
        .as_deref()
        .unwrap_or("5432")
        .parse()
        .map_err(|_| Exit::usage("PG_PORT is not a port", "qbo-backfill secrets set PG_PORT"))?;
    let (Some(database), Some(user)) = (database, user) else {
        return Err(Exit::usage(
            "PG_HOST is set, but PG_DATABASE or PG_USER is missing",
            "qbo-backfill secrets set PG_DATABASE and PG_USER",
        ));
    };
    Ok(Some(DatabaseOptions::new(host, port, database, user)))
}
