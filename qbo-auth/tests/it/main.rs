//! All tests of tokens and vaults in one program, except for those that start it again to kill it (`crash`).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod disk;
mod fake;
mod mark;
mod oauth;
mod provider;
mod shared_vault;
mod vault;
