#![doc = include_str!("../README.md")]

mod clock;
mod environment;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
#[cfg(feature = "mock")]
pub mod mock;
pub mod oauth;
mod realm;
mod regular_file;
mod secret;
pub mod token;
pub mod vault;

pub use clock::{Clock, ManualClock, SystemClock};
pub use environment::{Endpoints, Environment, InvalidEndpoint, InvalidEnvironment};
pub use error::{Advice, AuthError};
pub use http::PageTitle;
#[cfg(feature = "http")]
#[doc(hidden)]
pub use http::{BodyError, Inflating, insecure_reason};
#[cfg(feature = "http")]
pub use oauth::OauthEndpoint;
pub use oauth::{
    CONSENT_LIFETIME, ConsentError, ConsentRequest, InvalidRedirectUrl, RedirectUrl, Redirected, TokenAnswer,
    TokenEndpoint, TokenError, TokenErrorKind,
};
pub use realm::{InvalidRealmId, RealmId};
pub use regular_file::{FileError, Links, RegularFile};
pub use secret::{AccessToken, AuthorizationCode, ClientId, ClientSecret, RefreshToken};
pub use token::{
    FRESHNESS_MARGIN, LARGEST_JITTER, LAST_STORE, RefreshingProvider, SHUTDOWN_GRACE, StaticProvider,
    TokenProvider, adopt_bootstrap, adopt_consent,
};
#[cfg(feature = "test-util")]
pub use vault::contract;
pub use vault::{
    ConsentMark, InvalidSecretName, LOCK_DEADLINE, LockGuard, MemoryVault, RefreshIntent, SealedBytes,
    SealedVault, SecretInfo, SecretName, SecretVault, TokenSet, TokenVault, Unlock, VaultBytes, VaultError,
    VaultErrorKind, VaultLock,
};

// Types of other crates that the signatures above mention.
pub use async_trait::async_trait;
pub use secrecy::{ExposeSecret, SecretString};
