//! The fixed list of secrets.

use std::fmt;
use std::str::FromStr;

/// A secret that the vault may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretName {
    /// `QBO_CLIENT_ID`: the app's id.
    QboClientId,
    /// `QBO_CLIENT_SECRET`: the app's secret.
    QboClientSecret,
    /// `QBO_REALM_ID`: the company.
    QboRealmId,
    /// `QBO_REFRESH_TOKEN`: the consent, as last rotated.
    QboRefreshToken,
    /// `QBO_ENVIRONMENT`: `sandbox` or `production`.
    QboEnvironment,
    /// `PG_HOST`: host of the database.
    PgHost,
    /// `PG_PORT`: port of the database.
    PgPort,
    /// `PG_DATABASE`: name of the database.
    PgDatabase,
    /// `PG_USER`: role in the database.
    PgUser,
    /// `PG_PASSWORD`: password of that role.
    PgPassword,
}

/// A text that is not the name of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a secret")]
pub struct InvalidSecretName;

impl SecretName {
    /// Every name, in the order in which they are listed.
    pub const ALL: [Self; 10] = [
        Self::QboClientId,
        Self::QboClientSecret,
        Self::QboRealmId,
        Self::QboRefreshToken,
        Self::QboEnvironment,
        Self::PgHost,
        Self::PgPort,
        Self::PgDatabase,
        Self::PgUser,
        Self::PgPassword,
    ];

    /// The name as users write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QboClientId => "QBO_CLIENT_ID",
            Self::QboClientSecret => "QBO_CLIENT_SECRET",
            Self::QboRealmId => "QBO_REALM_ID",
            Self::QboRefreshToken => "QBO_REFRESH_TOKEN",
            Self::QboEnvironment => "QBO_ENVIRONMENT",
            Self::PgHost => "PG_HOST",
            Self::PgPort => "PG_PORT",
            Self::PgDatabase => "PG_DATABASE",
            Self::PgUser => "PG_USER",
            Self::PgPassword => "PG_PASSWORD",
        }
    }
}

impl FromStr for SecretName {
    type Err = InvalidSecretName;

    fn from_str(text: &str) -> Result<Self, InvalidSecretName> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or(InvalidSecretName)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_from_its_own_text() {
        for name in SecretName::ALL {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        assert_eq!("qbo_client_id".parse::<SecretName>(), Err(InvalidSecretName));
    }
}
