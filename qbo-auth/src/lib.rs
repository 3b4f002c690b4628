#![doc = include_str!("../README.md")]

/// Marks a named point, see the module `point`.
macro_rules! point {
    ($name:literal) => {
        #[cfg(feature = "points")]
        crate::point::pass($name);
    };
}

#[path = "token/bootstrap.rs"]
mod adopt;
mod clock;
#[path = "oauth/consent.rs"]
mod consent;
#[path = "oauth/endpoint.rs"]
mod endpoint;
mod environment;
mod error;
#[path = "http/page_title.rs"]
mod page_title;
#[doc(hidden)]
pub mod planted;
#[cfg(feature = "points")]
#[path = "failpoint.rs"]
mod point;
#[path = "token/mod.rs"]
mod provider;
mod realm;
#[path = "token/refresher.rs"]
mod refresh;
#[path = "token/provider.rs"]
mod refreshing;
mod regular_file;
mod secret;
#[path = "vault/token_set.rs"]
mod token;
mod vault;

#[cfg(feature = "http")]
#[path = "oauth/response.rs"]
mod answer;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "http")]
#[path = "http/inflate.rs"]
mod inflate;
#[cfg(feature = "http")]
#[path = "http/tls_error.rs"]
mod insecure;
#[cfg(feature = "http")]
#[path = "oauth/client.rs"]
mod oauth;

pub use adopt::{adopt_bootstrap, adopt_consent};
pub use clock::{Clock, ManualClock, SystemClock};
pub use consent::{
    CONSENT_LIFETIME, ConsentError, ConsentRequest, InvalidRedirectUrl, RedirectUrl, Redirected,
};
pub use endpoint::{TokenAnswer, TokenEndpoint, TokenError, TokenErrorKind};
pub use environment::{Endpoints, Environment, InvalidEndpoint, InvalidEnvironment};
pub use error::{Advice, AuthError};
#[cfg(feature = "http")]
#[doc(hidden)]
pub use inflate::{BodyError, Inflating};
#[cfg(feature = "http")]
#[doc(hidden)]
pub use insecure::insecure_reason;
#[cfg(feature = "http")]
pub use oauth::OauthEndpoint;
pub use page_title::PageTitle;
#[cfg(feature = "points")]
#[doc(hidden)]
pub use point::at_every_point;
pub use provider::{StaticProvider, TokenProvider};
pub use realm::{InvalidRealmId, RealmId};
pub use refresh::{FRESHNESS_MARGIN, LARGEST_JITTER};
pub use refreshing::{LAST_CALL, LAST_STORE, RefreshingProvider};
pub use regular_file::{FileError, Links, RegularFile};
pub use secret::{AccessToken, AuthorizationCode, ClientId, ClientSecret, RefreshToken};
pub use token::{RefreshIntent, TokenSet};
pub use vault::contract;
pub use vault::{
    ConsentMark, InvalidSecretName, LOCK_DEADLINE, LockGuard, MemoryVault, SealedBytes, SealedVault,
    SecretInfo, SecretName, SecretVault, TokenVault, Unlock, VaultBytes, VaultError, VaultErrorKind,
    VaultLock,
};

// Types of other crates that the signatures above mention.
pub use async_trait::async_trait;
pub use secrecy::{ExposeSecret, SecretString};
