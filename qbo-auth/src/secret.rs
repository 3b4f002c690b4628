//! Secrets as types: redacted in output, wiped on drop, and read through one accessor with a conspicuous name.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The public half of an app's key pair. It is not a secret, but it is only useful with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientId(Box<str>);

impl ClientId {
    /// Wraps the text of Intuit's developer page.
    pub fn new(value: impl Into<Box<str>>) -> Self {
        Self(value.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Wraps a value and takes ownership of it.
            pub fn new(value: impl Into<SecretString>) -> Self {
                Self(value.into())
            }

            /// The value itself. Use it only to send and to seal, never for text that a person reads.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }

            /// Eight hexadecimal digits that tell two values apart and reveal neither.
            pub fn fingerprint(&self) -> String {
                fingerprint($kind, self.expose())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }

        /// Not in constant time: both sides are always values that this process already holds.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.expose() == other.expose()
            }
        }

        impl Eq for $name {}
    };
}

secret! {
    /// The secret half of an app's key pair.
    ClientSecret, "QBO_CLIENT_SECRET"
}
secret! {
    /// A bearer token: its holder may read and write the company for about an hour.
    ///
    /// Like every secret here, it cannot be printed, nor serialised by serde:
    ///
    /// ```compile_fail,E0277
    /// format!("{}", qbo_auth::AccessToken::new("false-access"));
    /// ```
    ///
    /// ```compile_fail,E0277
    /// serde_json::to_string(&qbo_auth::AccessToken::new("false-access"));
    /// ```
    AccessToken, "access token"
}
secret! {
    /// The code that the consent page sends back, valid for one exchange within minutes.
    AuthorizationCode, "authorization code"
}
secret! {
    /// The consent itself: its holder can make access tokens until it is rotated or revoked.
    RefreshToken, "QBO_REFRESH_TOKEN"
}

impl RefreshToken {
    /// Whether the text can be a token at all (RFC 6749, appendix A.17). One that cannot is never sent.
    pub(crate) fn is_presentable(&self) -> bool {
        let token = self.expose();
        !token.trim().is_empty() && token.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
    }
}

/// The first 32 bits of a domain-separated SHA-256: enough to compare, too few to search for a value of
/// a token's length.
pub(crate) fn fingerprint(kind: &str, value: &str) -> String {
    let digest = Sha256::new()
        .chain_update("qbo-auth fingerprint\0")
        .chain_update(kind)
        .chain_update("\0")
        .chain_update(value);
    let bytes: [u8; 32] = digest.finalize().into();
    format!("{:08x}", u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// A secret on its way through serde: a string that is wiped on drop.
pub(crate) struct ZeroizingString(Zeroizing<String>);

impl ZeroizingString {
    pub(crate) fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for ZeroizingString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ZeroizingString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;
    use time::OffsetDateTime;

    use super::*;
    use crate::{
        ConsentRequest, Endpoints, Environment, ManualClock, MemoryVault, RedirectUrl, Redirected,
        StaticProvider, TokenAnswer, TokenSet, Unlock,
    };

    /// Every public value that contains secrets, as `Debug` shows it.
    fn shown(secret: &str) -> Vec<String> {
        let now = OffsetDateTime::UNIX_EPOCH;
        let (access, refresh) = (AccessToken::new(secret), RefreshToken::new(secret));
        let tokens = TokenSet {
            previous: Some(refresh.clone()),
            access: Some(access.clone()),
            ..TokenSet::from_consent(refresh.clone(), 1, now)
        };
        let answer = TokenAnswer {
            refresh: Some(refresh.clone()),
            ..TokenAnswer::new(access.clone(), Duration::from_secs(1))
        };
        let code = AuthorizationCode::new(secret);
        let given = Redirected { code: code.clone(), realm: "1".parse().unwrap() };
        let vault = MemoryVault::new(Arc::new(ManualClock::new(now)));
        let mut shown = vec![
            format!("{access:?} {refresh:?} {code:?} {:?}", ClientSecret::new(secret)),
            format!("{tokens:?} {answer:?} {given:?} {vault:?}"),
            format!("{:?}", StaticProvider::new(access)),
            format!("{:?} {:?}", Unlock::KeyText(secret.into()), Unlock::Passphrase(secret.into())),
        ];
        #[cfg(feature = "http")]
        {
            let endpoints = Endpoints::of(Environment::Sandbox);
            let endpoint =
                crate::OauthEndpoint::new(endpoints, ClientId::new("false-id"), ClientSecret::new(secret));
            shown.push(format!("{endpoint:?}"));
        }
        shown
    }

    proptest! {
        #[test]
        fn no_eight_characters_of_a_secret_are_shown(secret in "[A-Za-z0-9_.-]{12,80}") {
            for text in shown(&secret) {
                for run in secret.as_bytes().windows(8) {
                    let run = str::from_utf8(run).unwrap();
                    prop_assert!(!text.contains(run), "{} is in {}", run, text);
                }
            }
        }
    }

    #[test]
    fn the_state_of_a_consent_is_shown_by_its_address_alone() {
        let endpoints = Endpoints::of(Environment::Sandbox);
        let (id, redirect) = (ClientId::new("false-id"), RedirectUrl::loopback(8484));
        let request = ConsentRequest::new(&endpoints, &id, redirect, OffsetDateTime::UNIX_EPOCH).unwrap();
        let (_, state) = request.url().rsplit_once("state=").unwrap();
        assert!(!format!("{request:?}").contains(state));
    }

    #[test]
    fn a_fingerprint_tells_values_and_kinds_apart() {
        let one = RefreshToken::new("RT1-false-value-one");
        assert_eq!(one.fingerprint(), RefreshToken::new("RT1-false-value-one").fingerprint());
        assert_ne!(one.fingerprint(), RefreshToken::new("RT1-false-value-two").fingerprint());
        assert_ne!(one.fingerprint(), AccessToken::new("RT1-false-value-one").fingerprint());
        assert_eq!(one.fingerprint().len(), 8);
    }

    #[test]
    fn debug_names_the_type_and_nothing_else() {
        assert_eq!(format!("{:?}", ClientSecret::new("false-secret")), "ClientSecret(redacted)");
    }
}
