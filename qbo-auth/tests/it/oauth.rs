//! The token endpoint over HTTP, and that nothing secret gets out of this crate.
#![cfg(feature = "http")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use qbo_auth::{
    AccessToken, AuthError, ClientId, ClientSecret, Endpoints, Environment, InvalidEndpoint, ManualClock,
    MemoryVault, OauthEndpoint, RefreshToken, RefreshingProvider, SealedVault, SecretName, SecretVault,
    StaticProvider, TokenEndpoint, TokenError, TokenErrorKind, TokenProvider, TokenVault,
};
use wiremock::matchers::{body_string, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const ACCESS: &str = "ey00FALSE00QwErTyUiOp00FALSE00";
const REFRESH: &str = "RT1-11FALSE11AsDfGhJk11FALSE11";
const ROTATED: &str = "RT1-22FALSE22ZxCvBnMl22FALSE22";
const SECRET: &str = "33FALSE33PoIuYtRe33FALSE33";

fn endpoint(base: &str) -> OauthEndpoint {
    let endpoints = Endpoints::of(Environment::Sandbox).with_oauth(base).unwrap();
    OauthEndpoint::new(endpoints, ClientId::new("false-client"), ClientSecret::new(SECRET)).unwrap()
}

async fn serving(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

async fn refreshed(answer: ResponseTemplate) -> Result<qbo_auth::TokenAnswer, TokenError> {
    let server = serving(answer).await;
    let outcome = endpoint(&server.uri()).refresh(&RefreshToken::new(REFRESH)).await;
    assert_eq!(server.received_requests().await.unwrap().len(), 1, "one call, one request");
    outcome
}

fn json(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.to_owned(), "application/json")
}

fn tokens() -> String {
    format!(
        r#"{{"token_type":"bearer","access_token":"{ACCESS}","expires_in":3600,"refresh_token":"{ROTATED}",
            "x_refresh_token_expires_in":8726400,"x_refresh_token_hard_expires_in":157680000,"id_token":"x"}}"#
    )
}

#[tokio::test]
async fn a_refresh_is_a_form_with_basic_authentication_to_intuits_path() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/oauth2/v1/tokens/bearer"))
        .and(header("authorization", "Basic ZmFsc2UtY2xpZW50OjMzRkFMU0UzM1BvSXVZdFJlMzNGQUxTRTMz"))
        .and(header("accept", "application/json"))
        .and(header("x-include-refresh-token-hard-expires-in", "true"))
        .and(body_string(format!("grant_type=refresh_token&refresh_token={REFRESH}")))
        .respond_with(json(200, &tokens()).insert_header("intuit_tid", "1-false-tid"))
        .expect(1)
        .mount(&server)
        .await;
    let answer = endpoint(&server.uri()).refresh(&RefreshToken::new(REFRESH)).await.unwrap();
    assert_eq!(answer.access, AccessToken::new(ACCESS));
    assert_eq!(answer.expires_in, Duration::from_secs(3600));
    assert_eq!(answer.refresh, Some(RefreshToken::new(ROTATED)));
    assert_eq!(answer.refresh_expires_in, Some(Duration::from_secs(8_726_400)));
    assert_eq!(answer.refresh_hard_expires_in, Some(Duration::from_secs(157_680_000)));
    assert_eq!(answer.intuit_tid.as_deref(), Some("1-false-tid"));
}

#[tokio::test]
async fn an_answer_is_understood_without_type_lifetime_rotation_or_content_type() {
    let body = format!(r#"{{"access_token":"{ACCESS}","expires_in":"3600"}}"#);
    let answer = refreshed(ResponseTemplate::new(200).set_body_raw(body, "text/plain")).await.unwrap();
    assert_eq!((answer.access.expose(), answer.refresh), (ACCESS, None));
}

#[tokio::test]
async fn refusals_and_failures_keep_status_wait_and_transaction_id() {
    let check = async |answer: ResponseTemplate, expected: TokenErrorKind| {
        let error = refreshed(answer.insert_header("intuit_tid", "1-false-tid")).await.unwrap_err();
        assert_eq!(*error.kind(), expected);
        assert_eq!(error.intuit_tid(), Some("1-false-tid"));
    };
    check(json(400, r#"{"error":"invalid_grant"}"#), TokenErrorKind::InvalidGrant).await;
    check(json(401, r#"{"error":"invalid_client"}"#), TokenErrorKind::InvalidClient).await;
    let throttled = TokenErrorKind::Throttled { retry_after: Some(Duration::from_secs(17)) };
    check(ResponseTemplate::new(429).insert_header("retry-after", "17"), throttled).await;
    check(ResponseTemplate::new(503), TokenErrorKind::Unavailable { status: 503 }).await;
    check(json(200, "<html>log in</html>"), TokenErrorKind::Html { status: 200 }).await;
    let error = TokenErrorKind::Protocol("an error under a status of success");
    check(json(200, r#"{"error":"invalid_grant"}"#), error).await;
    check(json(200, r#"{"access_token":""}"#), TokenErrorKind::Protocol("no access token")).await;
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let target = serving(json(200, &tokens())).await;
    for status in [301, 302, 307, 308] {
        for body in ["", "<!DOCTYPE html><html><body>moved</body></html>"] {
            let redirect = ResponseTemplate::new(status).insert_header("location", target.uri().as_str());
            let error = refreshed(redirect.set_body_raw(body, "text/html")).await.unwrap_err();
            assert_eq!(*error.kind(), TokenErrorKind::Redirect);
            assert!(!error.is_ambiguous(), "it is not presented again");
        }
    }
    assert!(target.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_body_longer_than_the_cap_is_refused() {
    let long = format!(r#"{{"padding":"{}","access_token":"{ACCESS}"}}"#, "x".repeat(64 * 1024));
    let error = refreshed(json(200, &long)).await.unwrap_err();
    assert_eq!(*error.kind(), TokenErrorKind::Protocol("longer than a token answer can be"));
}

#[tokio::test]
async fn nobody_listening_is_a_lost_answer_and_names_no_address() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error =
        endpoint(&format!("http://{address}")).refresh(&RefreshToken::new(REFRESH)).await.unwrap_err();
    assert_eq!(*error.kind(), TokenErrorKind::Transport);
    assert!(error.is_ambiguous());
}

#[tokio::test]
async fn a_revocation_sends_the_token_as_json() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v2/oauth2/tokens/revoke"))
        .and(header("content-type", "application/json"))
        .and(body_string(format!(r#"{{"token":"{REFRESH}"}}"#)))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&server)
        .await;
    endpoint(&server.uri()).revoke(&RefreshToken::new(REFRESH)).await.unwrap();
    let refused = serving(json(400, r#"{"error":"invalid_request"}"#)).await;
    assert!(endpoint(&refused.uri()).revoke(&RefreshToken::new(REFRESH)).await.is_err());
}

#[tokio::test]
async fn a_rotation_over_http_ends_in_the_vault() {
    let server = serving(json(200, &tokens())).await;
    let (provider, vault) = provider(&server).await;
    assert_eq!(provider.access_token().await.unwrap(), AccessToken::new(ACCESS));
    let stored = vault.load().await.unwrap().unwrap();
    assert_eq!(stored.refresh, RefreshToken::new(ROTATED));
    assert_eq!(stored.previous, Some(RefreshToken::new(REFRESH)));
    assert_eq!(stored.refresh_expires_at.map(|end| (end - stored.refreshed_at).whole_days()), Some(101));
}

async fn provider(server: &MockServer) -> (RefreshingProvider, Arc<MemoryVault>) {
    let clock = Arc::new(ManualClock::auto(time::macros::datetime!(2026-01-01 00:00 UTC)));
    let vault = Arc::new(MemoryVault::new(clock.clone()));
    vault.set(SecretName::QboRefreshToken, REFRESH.into()).await.unwrap();
    vault.set(SecretName::QboClientSecret, SECRET.into()).await.unwrap();
    (RefreshingProvider::new(vault.clone(), Arc::new(endpoint(&server.uri())), clock), vault)
}

/// Everything that can be printed of an error and its causes.
fn printed(error: &(dyn Error + 'static)) -> String {
    let mut text = format!("{error:?} {error:#?}");
    let mut next = Some(error);
    while let Some(error) = next {
        text = format!("{text} {error}");
        next = error.source();
    }
    text
}

fn assert_no_secret_in(text: &str) {
    let text = text.to_lowercase();
    for secret in [ACCESS, REFRESH, ROTATED, SECRET].map(str::to_lowercase) {
        for run in secret.as_bytes().windows(8) {
            let run = std::str::from_utf8(run).unwrap();
            assert!(!text.contains(run), "{run} of a secret is in: {text}");
        }
    }
}

#[tokio::test]
async fn no_run_of_eight_characters_of_a_secret_is_in_any_printed_value() {
    let server = serving(json(200, &tokens())).await;
    let (provider, vault) = provider(&server).await;
    let bearer = provider.access_token().await.unwrap();
    let set = vault.load().await.unwrap().unwrap();
    let oauth = endpoint(&server.uri());
    let answer = oauth.refresh(&set.refresh).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = SealedVault::init(&folder.path().join("vault"), &folder.path().join("key")).unwrap();
    file.store(&set).await.unwrap();
    let listed = vault.list().await.unwrap();
    let fixed = StaticProvider::new(bearer.clone());
    let value = vault.get(SecretName::QboClientSecret).await.unwrap();
    let secret = ClientSecret::new(SECRET);
    assert_no_secret_in(&format!("{provider:?} {vault:?} {bearer:?} {set:#?} {oauth:?} {answer:?} {file:?}"));
    assert_no_secret_in(&format!("{listed:?} {fixed:?} {value:?} {secret:?} {}", set.refresh.fingerprint()));
    assert_no_secret_in(&format!("{:?}", vault.lock().await.unwrap()));
}

#[tokio::test]
async fn no_error_repeats_what_was_sent_or_what_came_back() {
    let echo = format!("{ACCESS} {REFRESH} {ROTATED} {SECRET}");
    for (status, body) in [
        (200, format!("{echo} not json")),
        (200, format!(r#"{{"access_token":["{echo}"]}}"#)),
        (200, format!(r#"{{"error":"{echo}","access_token":"{ACCESS}"}}"#)),
        (400, format!(r#"{{"error":"{}","error_description":"{echo}"}}"#, REFRESH.to_uppercase())),
        (400, format!(r#"{{"error":"invalid_grant","error_description":"{echo}"}}"#)),
        (401, echo.clone()),
        (403, format!("<html>{echo}</html>")),
        (503, echo.clone()),
    ] {
        let server = serving(json(status, &body)).await;
        let (provider, _) = provider(&server).await;
        let error: AuthError = provider.access_token().await.unwrap_err();
        assert_no_secret_in(&printed(&error));
    }
}

#[test]
fn a_key_pair_cannot_be_sent_in_clear_to_another_machine() {
    let elsewhere = Endpoints::of(Environment::Production).with_oauth("http://example.com");
    assert_eq!(elsewhere, Err(InvalidEndpoint::NotLoopback));
}
