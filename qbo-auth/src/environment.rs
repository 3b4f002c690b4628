//! The environment of a company, with its base URLs as one value, so that an emulator differs only in its URLs.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

const AUTHORIZE_PATH: &str = "/connect/oauth2";
const TOKEN_PATH: &str = "/oauth2/v1/tokens/bearer";
const REVOKE_PATH: &str = "/v2/oauth2/tokens/revoke";

/// One of Intuit's two environments. The key pair of the app decides which one a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    /// Test companies, used with development keys.
    Sandbox,
    /// Real companies, used with production keys.
    Production,
}

/// A text that names neither environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an environment is `sandbox` or `production`")]
pub struct InvalidEnvironment;

impl Environment {
    /// Both environments.
    pub const ALL: [Self; 2] = [Self::Sandbox, Self::Production];

    /// The word for it: `sandbox` or `production`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Production => "production",
        }
    }
}

impl FromStr for Environment {
    type Err = InvalidEnvironment;

    fn from_str(text: &str) -> Result<Self, InvalidEnvironment> {
        Self::ALL.into_iter().find(|environment| environment.as_str() == text).ok_or(InvalidEnvironment)
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The addresses through which a company is reached.
///
/// Invariant: each is one of Intuit's own HTTPS addresses, or an address on this machine. A token can therefore never be sent
/// to a third host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    api: String,
    authorize: String,
    token: String,
    revoke: String,
}

/// Why a test address was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// It is not `http://host[:port][/path]` or its `https` twin, or it has user information, a query or a fragment.
    #[error("not a plain http or https address")]
    NotAUrl,
    /// The host is not this machine (127.0.0.0/8, `::1`, `localhost`).
    #[error("a test address must be on this machine (127.0.0.1, [::1] or localhost)")]
    NotLoopback,
}

impl Endpoints {
    /// Intuit's addresses for an environment. The token and revocation hosts are the same for both environments; the key pair
    /// tells them apart.
    pub fn of(environment: Environment) -> Self {
        let api = match environment {
            Environment::Sandbox => "https://sandbox-quickbooks.api.intuit.com",
            Environment::Production => "https://quickbooks.api.intuit.com",
        };
        Self {
            api: api.to_owned(),
            authorize: format!("https://appcenter.intuit.com{AUTHORIZE_PATH}"),
            token: format!("https://oauth.platform.intuit.com{TOKEN_PATH}"),
            revoke: format!("https://developer.api.intuit.com{REVOKE_PATH}"),
        }
    }

    /// Replaces the accounting API with a test server on this machine.
    pub fn with_api(self, base: &str) -> Result<Self, InvalidEndpoint> {
        check_loopback(base)?;
        Ok(Self { api: base.trim_end_matches('/').to_owned(), ..self })
    }

    /// Replaces the token endpoint with a test server on this machine.
    ///
    /// `base` is a bare address (`http://127.0.0.1:9`), to which Intuit's own paths are added, or the full address of the token
    /// endpoint, ending in `/tokens/bearer`.
    pub fn with_oauth(self, base: &str) -> Result<Self, InvalidEndpoint> {
        let origin = check_loopback(base)?;
        let base = base.trim_end_matches('/');
        let (token, root) = if base.ends_with("/tokens/bearer") {
            (base.to_owned(), base.strip_suffix(TOKEN_PATH).unwrap_or(origin))
        } else {
            (format!("{base}{TOKEN_PATH}"), base)
        };
        let (authorize, revoke) = (format!("{root}{AUTHORIZE_PATH}"), format!("{root}{REVOKE_PATH}"));
        Ok(Self { authorize, token, revoke, ..self })
    }

    /// Base URL of the accounting API, without a trailing slash.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// Full URL of the page where a person consents.
    pub fn authorize(&self) -> &str {
        &self.authorize
    }

    /// Full URL of the token endpoint.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Full URL of the revocation endpoint.
    pub fn revoke(&self) -> &str {
        &self.revoke
    }
}

/// Returns scheme and authority of an address on this machine.
///
/// Only characters that every URL parser reads alike are accepted: with a backslash or an `@`, two parsers can be made to see
/// different hosts.
fn check_loopback(url: &str) -> Result<&str, InvalidEndpoint> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/[]".contains(&b);
    if !url.bytes().all(plain) {
        return Err(InvalidEndpoint::NotAUrl);
    }
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .ok_or(InvalidEndpoint::NotAUrl)?;
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').ok_or(InvalidEndpoint::NotAUrl)?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_is_valid = port.is_empty() || port.strip_prefix(':').is_some_and(|p| p.parse::<u16>().is_ok());
    if host.is_empty() || !port_is_valid {
        return Err(InvalidEndpoint::NotAUrl);
    }
    let is_loopback = if authority.starts_with('[') {
        host.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
    } else {
        host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
    };
    if !is_loopback {
        return Err(InvalidEndpoint::NotLoopback);
    }
    Ok(&url[..url.len() - rest.len() + authority.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_read_back_from_its_own_text() {
        for environment in [Environment::Sandbox, Environment::Production] {
            assert_eq!(environment.to_string().parse(), Ok(environment));
        }
        assert_eq!("prod".parse::<Environment>(), Err(InvalidEnvironment));
    }

    #[test]
    fn test_addresses_are_on_this_machine_or_refused() {
        let check = |url: &str, expected: Result<(), InvalidEndpoint>| {
            let endpoints = Endpoints::of(Environment::Sandbox);
            assert_eq!(endpoints.clone().with_api(url).map(drop), expected, "{url}");
            assert_eq!(endpoints.with_oauth(url).map(drop), expected, "{url}");
        };
        check("http://127.0.0.1:8080", Ok(()));
        check("http://127.9.9.9", Ok(()));
        check("https://localhost:1/base/", Ok(()));
        check("http://[::1]:7", Ok(()));
        check("http://example.com", Err(InvalidEndpoint::NotLoopback));
        check("http://127.0.0.1.example.com", Err(InvalidEndpoint::NotLoopback));
        check("http://localhost.example.com", Err(InvalidEndpoint::NotLoopback));
        check("http://0.0.0.0", Err(InvalidEndpoint::NotLoopback));
        check("http://2130706433", Err(InvalidEndpoint::NotLoopback));
        check("http://[::2]", Err(InvalidEndpoint::NotLoopback));
        check("http://127.0.0.1@example.com", Err(InvalidEndpoint::NotAUrl));
        check("http://example.com\\@127.0.0.1", Err(InvalidEndpoint::NotAUrl));
        check("http://127.0.0.1:99999", Err(InvalidEndpoint::NotAUrl));
        check("http://127.0.0.1/?a=b", Err(InvalidEndpoint::NotAUrl));
        check("http://", Err(InvalidEndpoint::NotAUrl));
        check("file:///etc", Err(InvalidEndpoint::NotAUrl));
        check("127.0.0.1", Err(InvalidEndpoint::NotAUrl));
    }

    #[test]
    fn a_bare_address_and_a_full_one_give_the_same_endpoints() {
        let of = |url| Endpoints::of(Environment::Sandbox).with_oauth(url).expect("loopback");
        let bare = of("http://127.0.0.1:9/");
        assert_eq!(bare.token(), "http://127.0.0.1:9/oauth2/v1/tokens/bearer");
        assert_eq!(bare.authorize(), "http://127.0.0.1:9/connect/oauth2");
        assert_eq!(bare.revoke(), "http://127.0.0.1:9/v2/oauth2/tokens/revoke");
        assert_eq!(of("http://127.0.0.1:9/oauth2/v1/tokens/bearer"), bare);
        assert_eq!(of("http://127.0.0.1:9/x/tokens/bearer").revoke(), bare.revoke());
        assert_eq!(bare.api(), "https://sandbox-quickbooks.api.intuit.com");
    }
}
