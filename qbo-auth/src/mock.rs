//! Mocks of the crate's traits, made by [`mockall`], for the tests of services that embed it.
//!
//! ```
//! use qbo_auth::mock::MockTokenProvider;
//! use qbo_auth::{AccessToken, TokenProvider};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let mut tokens = MockTokenProvider::new();
//! tokens.expect_access_token().times(1).returning(|| Ok(AccessToken::new("false-access")));
//! assert_eq!(tokens.access_token().await?.expose(), "false-access");
//! # Ok::<(), qbo_auth::AuthError>(())
//! # }).unwrap();
//! ```
//!
//! A [`MemoryVault`](crate::MemoryVault) or a [`ManualClock`](crate::ManualClock) often says more than a mock: they keep the
//! whole contract.

pub use crate::oauth::MockTokenEndpoint;
pub use crate::token::MockTokenProvider;
pub use crate::vault::{MockSecretVault, MockTokenVault};
