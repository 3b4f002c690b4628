//! A token for one company: from the refresh token of a consent to the header of a request.
//!
//! `cargo run -p qbo-auth --example access_token`
//!
//! Everything here is real but Intuit, which is emulated on loopback: leave out `with_oauth` to call Intuit itself.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::sync::Arc;

use fixtures::{Company, Sandbox, SandboxOptions, Shape};
use qbo_auth::{
    Advice, ClientId, ClientSecret, Endpoints, Environment, OauthEndpoint, RefreshingProvider, SealedVault,
    SecretName, SecretVault as _, SystemClock, TokenProvider as _,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let intuit = Sandbox::start(Company::generate(1, &Shape::default()), SandboxOptions::default()).await?;
    let credentials = intuit.credentials();

    // Once: a vault with its key, better not in one folder, and the refresh token of a consent.
    let folder = tempfile::tempdir()?;
    let (path, key) = (folder.path().join("company.vault"), folder.path().join("company.key"));
    let vault = SealedVault::init(&path, &key)?;
    vault.set(SecretName::QboRefreshToken, credentials.refresh_token.into()).await?;
    drop(vault);

    // At every start: the vault as the last process left it, and where tokens are exchanged.
    let vault = Arc::new(SealedVault::open(&path, &key)?);
    let endpoints = Endpoints::of(Environment::Sandbox).with_oauth(&intuit.url())?;
    let (id, secret) = (ClientId::new(credentials.client_id), ClientSecret::new(credentials.client_secret));
    let endpoint = Arc::new(OauthEndpoint::new(endpoints, id, secret)?);
    let tokens = RefreshingProvider::new(vault, endpoint, Arc::new(SystemClock::new()));

    // Before every request, from as many tasks as you like. The first call refreshes; the second one has the same token.
    let token = tokens.access_token().await?;
    assert!(token == tokens.access_token().await?);
    println!("a token of {} characters for the header `Authorization: Bearer`", token.expose().len());

    // When a request was answered with 401. An error says what a program can do about it.
    tokens.invalidate(&token).await;
    match tokens.access_token().await {
        Ok(next) => println!("another token: {}", next != token),
        Err(error) => match error.advice() {
            Advice::RetryAfter(time) => println!("{error}; once more in {} s", time.as_secs()),
            Advice::Reauthorise => println!("{error}; a person must consent again"),
            _ => return Err(error.into()),
        },
    }

    // Before the runtime ends: a refresh in progress is stored first.
    tokens.shutdown().await;
    Ok(())
}

#[test]
fn the_example_runs() {
    main().expect("it ends well");
}
