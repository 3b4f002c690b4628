//! The exchange with Intuit's token service.
//!
//! [`TokenEndpoint`] is the trait: it takes a refresh token or the code of a consent, and returns tokens. `OauthEndpoint`
//! (feature `http`) is the endpoint over HTTPS, and [`ConsentRequest`] leads to the page on which a person gives the consent.

#[cfg(feature = "http")]
mod client;
mod consent;
mod endpoint;
#[cfg(feature = "http")]
pub(crate) mod response;

#[cfg(feature = "http")]
pub use client::OauthEndpoint;
pub use consent::{
    CONSENT_LIFETIME, ConsentError, ConsentRequest, InvalidRedirectUrl, RedirectUrl, Redirected,
};
#[cfg(feature = "mock")]
pub use endpoint::MockTokenEndpoint;
pub use endpoint::{TokenAnswer, TokenEndpoint, TokenError, TokenErrorKind};
