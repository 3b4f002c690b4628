//! Intuit's token endpoint over HTTPS.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use failpoint::point;
use http::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use oauth2::basic::BasicClient;
use oauth2::{
    AsyncHttpClient, AuthType, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, RequestTokenError,
    TokenUrl,
};
use zeroize::Zeroizing;

use super::response::RawAnswer;
use super::{RedirectUrl, TokenAnswer, TokenEndpoint, TokenError, TokenErrorKind};
use crate::environment::Endpoints;
use crate::http::{BodyError, Inflating, insecure_reason};
use crate::secret::{AuthorizationCode, ClientId, ClientSecret, RefreshToken};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit from connecting to the last byte. A token answer takes well under a second.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);

/// A token answer is about two kilobytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Asks Intuit for the time at which the consent ends for good (their SDKs of 2025 and later send this header).
const ASK_FOR_HARD_EXPIRY: HeaderName = HeaderName::from_static("x-include-refresh-token-hard-expires-in");

/// Calls the token endpoint with one app's key pair.
///
/// Every request uses a fresh connection and is sent once: nothing below repeats a request or follows a redirect. A proxy that
/// the environment names (`HTTPS_PROXY`) is used, as for the accounting API: it learns the host that is called, and nothing of
/// what is sent inside TLS.
pub struct OauthEndpoint {
    wire: Wire,
    endpoints: Endpoints,
    token_url: TokenUrl,
    client_id: ClientId,
    client_secret: ClientSecret,
}

impl OauthEndpoint {
    /// Sets up the endpoint. Sends nothing.
    pub fn new(
        endpoints: Endpoints,
        client_id: ClientId,
        client_secret: ClientSecret,
    ) -> Result<Self, TokenError> {
        let setup = || TokenError::new(TokenErrorKind::Setup);
        // `Endpoints` accepts plain http for this machine only.
        let is_local_test = endpoints.token().starts_with("http://");
        let builder = reqwest::Client::builder()
            .https_only(!is_local_test)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT);
        // A loopback address is never behind a proxy; Intuit may be. Plain HTTP needs none of the host's hundreds of root
        // certificates, which take longer to read than a refresh on this machine takes.
        let builder = if is_local_test { builder.no_proxy().tls_certs_only([]) } else { builder };
        let http = builder.build().map_err(|error| setup().because(error))?;
        let token_url =
            TokenUrl::new(endpoints.token().to_owned()).map_err(|error| setup().because(error))?;
        Ok(Self { wire: Wire(http), endpoints, token_url, client_id, client_secret })
    }
}

impl OauthEndpoint {
    fn client(&self) -> Client {
        BasicClient::new(oauth2::ClientId::new(self.client_id.as_str().to_owned()))
            .set_client_secret(oauth2::ClientSecret::new(self.client_secret.expose().to_owned()))
            .set_auth_type(AuthType::BasicAuth)
            .set_token_uri(self.token_url.clone())
    }
}

/// A client of the `oauth2` crate that knows its token address and no other.
type Client = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// The HTTP client, in the form that the `oauth2` crate takes.
struct Wire(reqwest::Client);

impl Wire {
    /// Sends one request and reads one complete answer.
    async fn send(&self, request: reqwest::Request) -> Result<RawAnswer, TokenError> {
        // Only before the request is sent: after it, it is unknown what the server has done.
        let insecure = |error: &reqwest::Error| insecure_reason(error).filter(|_| error.is_connect());
        let transport = |error: reqwest::Error| match insecure(&error) {
            Some(reason) => TokenError::new(TokenErrorKind::Insecure(reason)),
            None => TokenError::new(TokenErrorKind::Transport).because(error.without_url()),
        };
        let mut response = self.0.execute(request).await.map_err(transport)?;
        // The server has acted, and its answer has not been read.
        point!("refresh.sent");
        let unreadable = |error| {
            TokenError::new(TokenErrorKind::Protocol(match error {
                BodyError::TooLarge => "longer than a token answer can be",
                BodyError::Damaged => "its compression is damaged",
            }))
        };
        // With room for the whole body: a buffer that never grows leaves no copies of secrets behind.
        let mut body = Inflating::new(MAX_BODY_BYTES, MAX_BODY_BYTES);
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            body.push(&chunk).map_err(unreadable)?;
        }
        let body = Zeroizing::new(body.finish().map_err(unreadable)?);
        let header = |name: HeaderName| text(response.headers(), name);
        Ok(RawAnswer {
            status: response.status().as_u16(),
            retry_after: header(RETRY_AFTER),
            date: header(DATE),
            intuit_tid: header(HeaderName::from_static("intuit_tid")),
            body,
        })
    }

    async fn exchange(&self, request: HttpRequest) -> Result<RawAnswer, TokenError> {
        let mut request = reqwest::Request::try_from(request)
            .map_err(|error| TokenError::new(TokenErrorKind::Setup).because(error.without_url()))?;
        request.headers_mut().insert(ASK_FOR_HARD_EXPIRY, HeaderValue::from_static("true"));
        self.send(request).await
    }
}

impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = Exchange;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Exchange>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move { Err(Exchange(self.exchange(request).await)) })
    }
}

/// How one exchange ended, passed around the reader of the `oauth2` crate.
///
/// That crate writes the request (HTTP Basic, form encoding). Its reader drops status and headers, refuses answers that Intuit
/// is known to send, and keeps the raw body, tokens included, in its parse error.
struct Exchange(Result<RawAnswer, TokenError>);

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the exchange has ended")
    }
}

impl Error for Exchange {}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

impl fmt::Debug for OauthEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthEndpoint")
            .field("endpoints", &self.endpoints)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenEndpoint for OauthEndpoint {
    async fn refresh(&self, token: &RefreshToken) -> Result<TokenAnswer, TokenError> {
        let client = self.client();
        let token = oauth2::RefreshToken::new(token.expose().to_owned());
        match client.exchange_refresh_token(&token).request_async(&self.wire).await {
            Err(RequestTokenError::Request(Exchange(ended))) => ended?.into_tokens(),
            // Only reachable if the request itself could not be written.
            _ => Err(TokenError::new(TokenErrorKind::Setup)),
        }
    }

    async fn exchange(
        &self,
        code: &AuthorizationCode,
        redirect: &RedirectUrl,
    ) -> Result<TokenAnswer, TokenError> {
        let setup = || TokenError::new(TokenErrorKind::Setup);
        let redirect = oauth2::RedirectUrl::new(redirect.as_str().to_owned()).map_err(|_| setup())?;
        let client = self.client();
        let code = oauth2::AuthorizationCode::new(code.expose().to_owned());
        let request = client.exchange_code(code).set_redirect_uri(Cow::Owned(redirect));
        match request.request_async(&self.wire).await {
            Err(RequestTokenError::Request(Exchange(ended))) => ended?.into_tokens(),
            _ => Err(setup()),
        }
    }

    async fn revoke(&self, token: &RefreshToken) -> Result<(), TokenError> {
        let body = Zeroizing::new(serde_json::json!({ "token": token.expose() }).to_string());
        let request = self
            .wire
            .0
            .post(self.endpoints.revoke())
            .basic_auth(self.client_id.as_str(), Some(self.client_secret.expose()))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(body.as_str().to_owned())
            .build()
            .map_err(|error| TokenError::new(TokenErrorKind::Setup).because(error.without_url()))?;
        self.wire.send(request).await?.into_done()
    }
}
