//! Decides what an answer of the token endpoint means, from its status, headers and body.
//!
//! It is tolerant, because no field but the access token is certain: lifetimes may be missing or strings, the refresh token may
//! be missing, and the content type may be wrong.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{TokenAnswer, TokenError, TokenErrorKind};
use crate::http::{PageTitle, http_date, retry_after};
use crate::secret::{AccessToken, RefreshToken, ZeroizingString};

/// The lifetime that Intuit documents for an access token, used if an answer gives none (RFC 6749 §5.1 allows that). Refusing
/// such an answer would lose the refresh token in it.
const DOCUMENTED_LIFETIME: Duration = Duration::from_secs(3_600);

/// Longer than any lifetime Intuit gives (five years), short enough to be added to any date.
const MAX_LIFETIME_SECONDS: u64 = 10 * 366 * 86_400;

const MAX_TID_CHARS: usize = 64;

/// The other error codes of RFC 6749 §5.2. Only these are repeated: a server could send any other text there, even the token it
/// was sent.
const REFUSAL_CODES: [&str; 3] = ["invalid_request", "unsupported_grant_type", "invalid_scope"];

/// The codes of RFC 6749 §4.1.2.1 for a server that cannot answer now, whatever their status.
const OUTAGE_CODES: [&str; 2] = ["server_error", "temporarily_unavailable"];

/// One complete answer, before it is interpreted. Has no `Debug`: the body may hold tokens.
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) date: Option<String>,
    pub(crate) intuit_tid: Option<String>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// The title of a web page, as the cause of an error.
#[derive(Debug, thiserror::Error)]
#[error("its title is \"{}\"", .0.as_str())]
struct Titled(PageTitle);

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    access_token: Option<ZeroizingString>,
    #[serde(default)]
    refresh_token: Option<ZeroizingString>,
    #[serde(default)]
    expires_in: Option<Value>,
    #[serde(default)]
    x_refresh_token_expires_in: Option<Value>,
    #[serde(default)]
    x_refresh_token_hard_expires_in: Option<Value>,
}

impl RawAnswer {
    /// Interprets the answer to a request for tokens.
    pub(crate) fn into_tokens(self) -> Result<TokenAnswer, TokenError> {
        let intuit_tid = self.tid();
        self.check_status().and_then(|()| self.tokens()).map_or_else(
            |kind| Err(self.error(kind)),
            |answer| Ok(TokenAnswer { intuit_tid: intuit_tid.clone(), ..answer }),
        )
    }

    /// Interprets the answer to a request that returns nothing.
    pub(crate) fn into_done(self) -> Result<(), TokenError> {
        self.check_status().map_err(|kind| self.error(kind))
    }

    fn error(&self, kind: TokenErrorKind) -> TokenError {
        let is_page = matches!(
            kind,
            TokenErrorKind::Html { .. } | TokenErrorKind::Unavailable { .. } | TokenErrorKind::Redirect
        );
        let error = TokenError::new(kind).with_intuit_tid(self.tid());
        match PageTitle::of(&self.body).filter(|title| is_page && !title.as_str().is_empty()) {
            Some(title) => error.because(Titled(title)),
            None => error,
        }
    }

    fn check_status(&self) -> Result<(), TokenErrorKind> {
        let status = self.status;
        match status {
            429 => Err(TokenErrorKind::Throttled { retry_after: self.retry_after() }),
            408 | 500.. => Err(TokenErrorKind::Unavailable { status }),
            // Before the body: a redirect of a proxy or a login page has a web page as its body.
            300..=399 => Err(TokenErrorKind::Redirect),
            // The content type decides nothing: web pages and faults are served under any.
            _ if PageTitle::of(&self.body).is_some() => Err(TokenErrorKind::Html { status }),
            200..=299 => Ok(()),
            _ => Err(self.refusal()),
        }
    }

    fn refusal(&self) -> TokenErrorKind {
        let code = self.parse().and_then(|body| body.error).and_then(|error| match error {
            Value::String(code) => Some(code),
            _ => None,
        });
        match (code.as_deref(), self.status) {
            (Some("invalid_grant"), _) => TokenErrorKind::InvalidGrant,
            (Some("invalid_client" | "unauthorized_client"), _) | (None, 401) => {
                TokenErrorKind::InvalidClient
            }
            (Some(code), status) if OUTAGE_CODES.contains(&code) => TokenErrorKind::Unavailable { status },
            (Some(code), _) => TokenErrorKind::InvalidRequest {
                code: REFUSAL_CODES.into_iter().find(|known| *known == code).unwrap_or("unknown code"),
            },
            (None, _) => TokenErrorKind::Protocol("a refusal without a code"),
        }
    }

    fn tokens(&self) -> Result<TokenAnswer, TokenErrorKind> {
        let body = self.parse().ok_or(TokenErrorKind::Protocol("not the expected JSON"))?;
        if body.error.is_some_and(|error| !error.is_null()) {
            return Err(TokenErrorKind::Protocol("an error under a status of success"));
        }
        let text = |field: Option<ZeroizingString>| field.filter(|text| !text.as_str().trim().is_empty());
        let access = text(body.access_token).ok_or(TokenErrorKind::Protocol("no access token"))?;
        Ok(TokenAnswer {
            access: AccessToken::new(access.as_str()),
            expires_in: seconds(body.expires_in.as_ref()).unwrap_or(DOCUMENTED_LIFETIME),
            refresh: text(body.refresh_token).map(|token| RefreshToken::new(token.as_str())),
            refresh_expires_in: seconds(body.x_refresh_token_expires_in.as_ref()),
            refresh_hard_expires_in: seconds(body.x_refresh_token_hard_expires_in.as_ref()),
            intuit_tid: None,
        })
    }

    /// The reason why a body cannot be parsed is dropped: it could quote a token.
    fn parse(&self) -> Option<Body> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The pause that `Retry-After` asks for, measured against the answer's own `Date`.
    fn retry_after(&self) -> Option<Duration> {
        retry_after(self.retry_after.as_deref()?, self.date.as_deref().and_then(http_date))
    }

    fn tid(&self) -> Option<Box<str>> {
        let tid: String =
            self.intuit_tid.as_deref()?.chars().filter(char::is_ascii_graphic).take(MAX_TID_CHARS).collect();
        (!tid.is_empty()).then(|| tid.into())
    }
}

/// A lifetime as a number or as digits in a string.
fn seconds(value: Option<&Value>) -> Option<Duration> {
    let seconds = match value? {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    Some(Duration::from_secs(seconds.min(MAX_LIFETIME_SECONDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> RawAnswer {
        RawAnswer {
            status,
            retry_after: None,
            date: None,
            intuit_tid: Some("1-false\u{1b}[31m-tid".to_owned()),
            body: Zeroizing::new(body.as_bytes().to_vec()),
        }
    }

    #[test]
    fn every_answer_has_one_meaning() {
        let check = |status, body: &str, expected: TokenErrorKind| {
            let error = answer(status, body).into_tokens().expect_err(body);
            assert_eq!(*error.kind(), expected, "{status} {body}");
            assert_eq!(error.intuit_tid(), Some("1-false[31m-tid"));
        };
        let described =
            r#"{"error_description":"Incorrect or invalid refresh token","error":"invalid_grant"}"#;
        check(400, r#"{"error":"invalid_grant"}"#, TokenErrorKind::InvalidGrant);
        check(400, described, TokenErrorKind::InvalidGrant);
        check(401, r#"{"error":"invalid_client"}"#, TokenErrorKind::InvalidClient);
        check(400, r#"{"error":"invalid_client"}"#, TokenErrorKind::InvalidClient);
        check(401, "", TokenErrorKind::InvalidClient);
        let refused = |code| TokenErrorKind::InvalidRequest { code };
        check(400, r#"{"error":"invalid_request"}"#, refused("invalid_request"));
        check(400, "{\"error\":\"RT1-1234567890 \\u001b[0m\"}", refused("unknown code"));
        check(400, r#"{"error":"unauthorized_client"}"#, TokenErrorKind::InvalidClient);
        for (status, code) in [(400, "temporarily_unavailable"), (400, "server_error"), (403, "server_error")]
        {
            check(status, &format!(r#"{{"error":"{code}"}}"#), TokenErrorKind::Unavailable { status });
        }
        check(
            400,
            r#"{"error":{"code":"invalid_grant"}}"#,
            TokenErrorKind::Protocol("a refusal without a code"),
        );
        check(400, "not json", TokenErrorKind::Protocol("a refusal without a code"));
        check(429, "", TokenErrorKind::Throttled { retry_after: None });
        check(429, "<html>", TokenErrorKind::Throttled { retry_after: None });
        check(503, r#"{"error":"invalid_grant"}"#, TokenErrorKind::Unavailable { status: 503 });
        check(502, "<html>", TokenErrorKind::Unavailable { status: 502 });
        check(200, " \n<!DOCTYPE html>", TokenErrorKind::Html { status: 200 });
        check(403, "<html>", TokenErrorKind::Html { status: 403 });
        check(401, "\u{feff}<html>", TokenErrorKind::Html { status: 401 });
        for status in [301, 302, 303, 307, 308] {
            check(status, "", TokenErrorKind::Redirect);
            check(status, "<html><a href='https://login.example'>moved</a>", TokenErrorKind::Redirect);
        }
        check(200, "", TokenErrorKind::Protocol("not the expected JSON"));
        check(200, r#"{"access_token":5}"#, TokenErrorKind::Protocol("not the expected JSON"));
        check(200, "{}", TokenErrorKind::Protocol("no access token"));
        check(200, r#"{"access_token":" "}"#, TokenErrorKind::Protocol("no access token"));
        let both = r#"{"access_token":"false-access","error":"invalid_grant"}"#;
        check(200, both, TokenErrorKind::Protocol("an error under a status of success"));
    }

    #[test]
    fn a_web_page_is_named_by_its_title() {
        for status in [200, 307, 400, 401, 403, 404, 407, 503] {
            let page = "<html><head><title>Blocked by\n policy</title></head></html>";
            let error = answer(status, page).into_tokens().unwrap_err();
            let title = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!(title, "its title is \"Blocked by policy\"", "{status}");
            assert_ne!(*error.kind(), TokenErrorKind::InvalidClient, "{status}");
        }
    }

    #[test]
    fn lifetimes_may_be_missing_or_strings_or_absurd() {
        let check = |fields: &str, expires_in: u64, refresh: Option<u64>| {
            let body = format!(r#"{{"access_token":"false-access"{fields}}}"#);
            let answer = answer(200, &body).into_tokens().expect(&body);
            assert_eq!(answer.expires_in.as_secs(), expires_in, "{body}");
            assert_eq!(answer.refresh_expires_in.map(|d| d.as_secs()), refresh, "{body}");
            assert_eq!(answer.refresh, None);
        };
        check("", 3600, None);
        check(r#","expires_in":1800,"x_refresh_token_expires_in":8726400"#, 1800, Some(8_726_400));
        check(r#","expires_in":"1800","x_refresh_token_expires_in":"8640000""#, 1800, Some(8_640_000));
        check(r#","expires_in":-1,"x_refresh_token_expires_in":null,"refresh_token":"""#, 3600, None);
        check(r#","expires_in":18446744073709551615,"token_type":"x""#, MAX_LIFETIME_SECONDS, None);
    }

    #[test]
    fn a_pause_until_a_date_is_measured_against_the_answers_own() {
        let throttled = |date: Option<&str>| RawAnswer {
            retry_after: Some("Sun, 06 Nov 1994 08:50:37 GMT".to_owned()),
            date: date.map(str::to_owned),
            ..answer(429, "")
        };
        let dated = throttled(Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(dated.retry_after(), Some(Duration::from_mins(1)));
        assert_eq!(throttled(None).retry_after(), None);
    }
}
