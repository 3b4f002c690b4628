//! One consent: the page on which a person gives it, and the answer that comes back.
//!
//! No PKCE: whether Intuit honours, ignores or refuses a code challenge is not documented. The app's secret and a state of 256
//! random bits guard the exchange.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use url::Url;

use crate::environment::Endpoints;
use crate::realm::RealmId;
use crate::secret::{AuthorizationCode, ClientId};

/// How long a program waits for the answer of the consent page. Intuit's codes live about as long.
pub const CONSENT_LIFETIME: Duration = Duration::from_secs(600);

/// The only scope that allows reading; it also allows writing, which this program cannot do.
const SCOPE: &str = "com.intuit.quickbooks.accounting";

/// Longer than any answer: a code has up to 512 characters.
const LONGEST_ANSWER: usize = 4096;

/// The address to which Intuit sends the person back. It has to be registered with the app, character by character.
///
/// Invariant: `https`, or `http` on this machine (which Intuit accepts for development keys only); no query, no fragment, no
/// user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUrl(Url);

/// A text that is not a valid [`RedirectUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a redirect address is https, or http on localhost, without query and fragment")]
pub struct InvalidRedirectUrl;

impl RedirectUrl {
    /// Builds the address of a listener on this machine.
    pub fn loopback(port: u16) -> Self {
        let url = format!("http://localhost:{port}/callback");
        Self(url.parse().expect("it is written by the rules"))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The path of the address, on which a listener answers.
    pub fn path(&self) -> &str {
        self.0.path()
    }
}

impl FromStr for RedirectUrl {
    type Err = InvalidRedirectUrl;

    fn from_str(text: &str) -> Result<Self, InvalidRedirectUrl> {
        let url = Url::parse(text).map_err(|_| InvalidRedirectUrl)?;
        let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_local);
        let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if is_safe && is_plain && url.password().is_none() { Ok(Self(url)) } else { Err(InvalidRedirectUrl) }
    }
}

impl fmt::Display for RedirectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request for a consent that a person has not answered yet. It accepts one answer.
pub struct ConsentRequest {
    url: Url,
    redirect: RedirectUrl,
    state: SecretString,
    ends_at: OffsetDateTime,
}

/// A consent that a person has given.
#[derive(Debug)]
pub struct Redirected {
    /// Code to exchange for tokens, once.
    pub code: AuthorizationCode,
    /// Company that the person chose.
    pub realm: RealmId,
}

/// Why no consent was given. Holds no part of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentError {
    /// The person, or Intuit, refused.
    #[error("the consent was not given ({0})")]
    Denied(&'static str),
    /// The answer does not belong to this request: it answers another or an older one, or is forged.
    #[error("the answer does not belong to this login (wrong state)")]
    WrongState,
    /// The answer came too late.
    #[error("the answer came more than {} minutes after the login began", CONSENT_LIFETIME.as_secs() / 60)]
    TooLate,
    /// The answer came to another address than the requested one.
    #[error("this address is not the redirect address of this login")]
    WrongAddress,
    /// The answer lacks the code or the realm, or has a parameter twice.
    #[error("the answer is incomplete ({0})")]
    Incomplete(&'static str),
    /// The operating system gave no random numbers.
    #[error("the system provides no random numbers")]
    NoRandomness,
}

impl ConsentRequest {
    /// Prepares a request for a consent. Sends nothing: a person opens [`ConsentRequest::url`].
    pub fn new(
        endpoints: &Endpoints,
        client_id: &ClientId,
        redirect: RedirectUrl,
        now: OffsetDateTime,
    ) -> Result<Self, ConsentError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| ConsentError::NoRandomness)?;
        let state = URL_SAFE_NO_PAD.encode(random);
        let mut url = Url::parse(endpoints.authorize()).expect("endpoints hold addresses");
        url.query_pairs_mut()
            .append_pair("client_id", client_id.as_str())
            .append_pair("response_type", "code")
            .append_pair("scope", SCOPE)
            .append_pair("redirect_uri", redirect.as_str())
            .append_pair("state", &state);
        Ok(Self { url, redirect, state: state.into(), ends_at: now + CONSENT_LIFETIME })
    }

    /// The page where a person consents. It is not a secret, but it carries the state: show it to that person only.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The address to which the answer comes.
    pub fn redirect(&self) -> &RedirectUrl {
        &self.redirect
    }

    /// Whether an address that was opened belongs to this request: it has the right state, once. Ignore an address that does
    /// not, such as that of a scanner, a tab of an earlier login or a page that was lured here; the request stays valid for its
    /// own answer.
    pub fn recognises(&self, answer: &str) -> bool {
        let url = if answer.len() <= LONGEST_ANSWER { Url::parse(answer.trim()).ok() } else { None };
        url.is_some_and(|url| {
            let mut states = url.query_pairs().filter(|(name, _)| name == "state");
            matches!((states.next(), states.next()), (Some((_, state)), None) if self.is_state(&state))
        })
    }

    /// Compares digests, so that the time taken reveals nothing about the state.
    fn is_state(&self, state: &str) -> bool {
        Sha256::digest(state) == Sha256::digest(self.state.expose_secret())
    }

    /// Reads the address to which the person was sent back. It consumes the request: one answer is read, whatever it says.
    pub fn accept(self, answer: &str, now: OffsetDateTime) -> Result<Redirected, ConsentError> {
        if answer.len() > LONGEST_ANSWER {
            return Err(ConsentError::WrongAddress);
        }
        let url = Url::parse(answer.trim()).map_err(|_| ConsentError::WrongAddress)?;
        let mut bare = url.clone();
        bare.set_query(None);
        bare.set_fragment(None);
        if bare != self.redirect.0 {
            return Err(ConsentError::WrongAddress);
        }
        let answer = Answer::of(&url)?;
        if answer.state.as_deref().is_none_or(|state| !self.is_state(state)) {
            return Err(ConsentError::WrongState);
        }
        if now > self.ends_at {
            return Err(ConsentError::TooLate);
        }
        if let Some(error) = answer.error {
            return Err(ConsentError::Denied(known_error(&error)));
        }
        let realm = answer.realm.and_then(|realm| realm.parse().ok());
        let code = answer.code.filter(|code| !code.is_empty()).map(AuthorizationCode::new);
        Ok(Redirected {
            code: code.ok_or(ConsentError::Incomplete("no code"))?,
            realm: realm.ok_or(ConsentError::Incomplete("no company"))?,
        })
    }
}

/// Omits the page's address, which carries the state.
impl fmt::Debug for ConsentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsentRequest")
            .field("redirect", &self.redirect)
            .field("ends_at", &self.ends_at)
            .finish_non_exhaustive()
    }
}

/// The parameters of an answer, each at most once.
#[derive(Default)]
struct Answer {
    code: Option<String>,
    state: Option<String>,
    realm: Option<String>,
    error: Option<String>,
}

impl Answer {
    fn of(url: &Url) -> Result<Self, ConsentError> {
        let mut answer = Self::default();
        for (name, value) in url.query_pairs() {
            let field = match &*name {
                "code" => &mut answer.code,
                "state" => &mut answer.state,
                "realmId" => &mut answer.realm,
                "error" => &mut answer.error,
                _ => continue,
            };
            if field.replace(value.into_owned()).is_some() {
                return Err(ConsentError::Incomplete("a parameter comes twice"));
            }
        }
        Ok(answer)
    }
}

/// The error codes of RFC 6749 §4.1.2.1. Any other text is not repeated: it comes from outside.
fn known_error(code: &str) -> &'static str {
    const KNOWN: [&str; 7] = [
        "access_denied",
        "invalid_scope",
        "invalid_request",
        "unauthorized_client",
        "unsupported_response_type",
        "server_error",
        "temporarily_unavailable",
    ];
    KNOWN.into_iter().find(|known| *known == code).unwrap_or("unknown reason")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::environment::Environment;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-01 00:00 UTC);

    fn request() -> ConsentRequest {
        let endpoints = Endpoints::of(Environment::Sandbox);
        ConsentRequest::new(&endpoints, &ClientId::new("false-id"), RedirectUrl::loopback(8484), NOW).unwrap()
    }

    fn answered(request: ConsentRequest, query: &str) -> Result<Redirected, ConsentError> {
        let query = query.replace("STATE", request.state.expose_secret());
        let url = format!("http://localhost:8484/callback?{query}");
        request.accept(&url, NOW)
    }

    #[test]
    fn the_page_is_intuits_and_every_request_has_a_state_of_its_own() {
        let (one, other) = (request(), request());
        assert!(one.url().starts_with(
            "https://appcenter.intuit.com/connect/oauth2?client_id=false-id&response_type=code&\
             scope=com.intuit.quickbooks.accounting&redirect_uri=http%3A%2F%2Flocalhost%3A8484%2Fcallback&state="
        ));
        assert_eq!(one.state.expose_secret().len(), 43);
        assert_ne!(one.state.expose_secret(), other.state.expose_secret());
        assert!(!format!("{:?}", one.state).contains(one.state.expose_secret()));
    }

    #[test]
    fn an_answer_is_read_strictly() {
        let given = answered(request(), "code=false-code&state=STATE&realmId=123").unwrap();
        assert_eq!((given.code.expose(), given.realm.as_str()), ("false-code", "123"));
        for (query, error) in [
            ("code=c&state=STATEx&realmId=1", ConsentError::WrongState),
            ("code=c&realmId=1", ConsentError::WrongState),
            ("error=access_denied&state=STATE", ConsentError::Denied("access_denied")),
            ("error=%1b[31m&state=STATE", ConsentError::Denied("unknown reason")),
            ("error=access_denied&state=other", ConsentError::WrongState),
            ("code=c&code=d&state=STATE&realmId=1", ConsentError::Incomplete("a parameter comes twice")),
            ("code=&state=STATE&realmId=1", ConsentError::Incomplete("no code")),
            ("code=c&state=STATE&realmId=1%2F2", ConsentError::Incomplete("no company")),
        ] {
            assert_eq!(answered(request(), query).unwrap_err(), error, "{query}");
        }
        let late = request();
        let url = format!("http://localhost:8484/callback?state={}", late.state.expose_secret());
        assert_eq!(late.accept(&url, NOW + CONSENT_LIFETIME * 2).unwrap_err(), ConsentError::TooLate);
        for elsewhere in
            ["http://localhost:8485/callback", "http://localhost:8484/other", "https://example.com/", "x"]
        {
            assert_eq!(request().accept(elsewhere, NOW).unwrap_err(), ConsentError::WrongAddress);
        }
    }

    #[test]
    fn only_an_address_with_the_right_state_belongs_to_a_login() {
        let check = |query: &str, expected: bool| {
            let request = request();
            let query = query.replace("STATE", request.state.expose_secret());
            assert_eq!(
                request.recognises(&format!("http://localhost:8484/callback?{query}")),
                expected,
                "{query}"
            );
        };
        check("code=c&state=STATE&realmId=1", true);
        check("error=access_denied&state=STATE", true);
        check("state=STATE", true);
        check("", false);
        check("error=access_denied", false);
        check("error=access_denied&state=other", false);
        check("code=c&state=STATEx&realmId=1", false);
        check("code=c&state=&realmId=1", false);
        check("code=c&state=other&state=STATE", false);
        check("code=c&state=STATE&state=other", false);
        check(&format!("state=STATE&x={}", "y".repeat(LONGEST_ANSWER)), false);
    }

    #[test]
    fn a_redirect_address_is_https_or_on_this_machine() {
        for good in ["https://books.example/callback", "http://localhost:1/x", "http://127.0.0.1:9/"] {
            assert!(good.parse::<RedirectUrl>().is_ok(), "{good}");
        }
        for bad in [
            "http://books.example/",
            "https://a@b.example/",
            "https://b.example/?q=1",
            "ftp://localhost/",
            "",
        ] {
            assert_eq!(bad.parse::<RedirectUrl>(), Err(InvalidRedirectUrl), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_without_the_state_is_accepted(text in ".{0,300}", query in "[a-z=&%0-9]{0,200}") {
            prop_assert!(request().accept(&text, NOW).is_err());
            let url = format!("http://localhost:8484/callback?{query}");
            prop_assert!(request().accept(&url, NOW).is_err());
        }
    }
}
