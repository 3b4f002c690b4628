//! Decides from status, headers and body whether a response is accepted, retried, throttled or final.

use std::time::Duration;

use qbo_auth::http::retry_after;
#[cfg(feature = "http")]
use qbo_auth::{AuthError, TokenErrorKind, http::LONGEST_PAUSE};
use time::OffsetDateTime;

use super::Fault;
use crate::error::{Cause, ErrorKind, Refusal};

/// Pause after a 429 that names no time (Intuit's page on limits and throttles).
const THROTTLE_PAUSE: Duration = Duration::from_mins(1);

/// The parts of an HTTP answer that decide what it means.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// The `Retry-After` header: seconds or an HTTP date.
    pub retry_after: Option<&'a str>,
    /// The present time, to measure a `Retry-After` date against.
    pub now: OffsetDateTime,
    /// Body of the answer, decompressed.
    pub body: &'a [u8],
}

/// What to do about an answer.
#[derive(Debug)]
pub enum Verdict {
    /// The answer holds no fault: look for the records in it.
    Accept,
    /// The whole company is throttled: no call may be made before this time has passed.
    Throttled(Duration),
    /// The same request may succeed later.
    Retry(Cause),
    /// The access token was refused: get another one and repeat the request, once.
    Reauthenticate,
    /// The same request will fail again.
    Final(ErrorKind),
}

/// Decides what an answer means. Every status with every body has exactly one verdict.
///
/// The rules follow the project's table of fault codes. A code outweighs the status, because throttling was sent as 403 for
/// years, faults occur inside HTTP 200, and 400 is sometimes sent for bad authorisation.
pub fn classify(answer: &Answer<'_>) -> Verdict {
    let fault = match answer.status {
        // A sound page is megabytes without a fault; the splitter finds a fault in one pass if there is one.
        200..=299 => return Verdict::Accept,
        _ => Fault::find(answer.body),
    };
    match fault {
        Some(fault) => by_fault(answer, &fault),
        None => by_status(answer),
    }
}

/// Decides about a fault that was found inside an answer of any status.
pub(crate) fn by_fault(answer: &Answer<'_>, fault: &Fault) -> Verdict {
    let code = || fault.code().unwrap_or_default().into();
    let refused = |why| Verdict::Final(ErrorKind::Refused { why, status: answer.status });
    if fault.subscription_ended {
        return refused(Refusal::Subscription);
    }
    match fault.code().unwrap_or_default() {
        "3001" | "429" => throttled(answer),
        "3200" | "100" | "110" => Verdict::Reauthenticate,
        // Seen intermittently with 500, where it is a failure of the server (minimul/qbo_api issue 96).
        "120" if answer.status >= 500 => Verdict::Retry(Cause::Server),
        "120" => Verdict::Final(ErrorKind::NeedsConsent),
        "3100" => refused(Refusal::Application),
        "130" => refused(Refusal::Environment),
        "140" => refused(Refusal::CompanyLocked),
        "6190" => refused(Refusal::Subscription),
        "10200" => refused(Refusal::CompanyReset),
        "6002" => Verdict::Retry(Cause::Timeout),
        "150" => Verdict::Retry(Cause::Server),
        "7001" if fault.in_page => Verdict::Retry(Cause::Server),
        "7001" => Verdict::Retry(Cause::NoDestination),
        "4002" => Verdict::Final(ErrorKind::PoisonedPage { code: code() }),
        // Sometimes a transient failure, sometimes one bad record: repeated a few times, then requested in smaller pages.
        "10000" => Verdict::Retry(Cause::Application),
        "10100" => Verdict::Final(ErrorKind::PageTooLarge),
        "5020" | "5030" => Verdict::Final(ErrorKind::EntityUnavailable { code: code() }),
        // An operation that does not exist: seen with 400, named by the code.
        "500" if fault.unknown_entity => Verdict::Final(ErrorKind::EntityUnavailable { code: code() }),
        _ if fault.unknown_entity && matches!(answer.status, 200..=299 | 400 | 403) => {
            Verdict::Final(ErrorKind::EntityUnavailable { code: code() })
        }
        // An unknown code that a web page quotes says no more than the page.
        _ if fault.in_page => by_status(answer),
        _ if &*fault.kind == "SystemFault" => Verdict::Retry(Cause::Server),
        // A fault of validation concerns the request, whatever its status.
        _ if &*fault.kind == "ValidationFault"
            && matches!(answer.status, 402..=407 | 409..=428 | 430..=499) =>
        {
            Verdict::Final(ErrorKind::BadQuery { code: code() })
        }
        _ if matches!(answer.status, 200..=299 | 400) => Verdict::Final(ErrorKind::BadQuery { code: code() }),
        _ => by_status(answer),
    }
}

fn by_status(answer: &Answer<'_>) -> Verdict {
    let html = is_web_page(answer.body);
    let refused = |why| Verdict::Final(ErrorKind::Refused { why, status: answer.status });
    match answer.status {
        // Whatever its status, this was not sent by the API: the sender knows neither token nor company.
        200..=299 | 400..=407 | 409..=428 | 430..=499 if html => Verdict::Retry(Cause::Html),
        401 => Verdict::Reauthenticate,
        403 => refused(Refusal::Application),
        404 => refused(Refusal::UnknownCompany),
        408 => Verdict::Retry(Cause::Server),
        429 => throttled(answer),
        300..=399 => refused(Refusal::Redirect),
        504 => Verdict::Retry(Cause::Timeout),
        500..=599 if html => Verdict::Retry(Cause::Html),
        500..=599 => Verdict::Retry(Cause::Server),
        _ => Verdict::Final(ErrorKind::BadQuery { code: "".into() }),
    }
}

/// Whether a body is a web page, or at least not JSON: an XML fault has been read before.
pub(crate) fn is_web_page(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    body.trim_ascii_start().first() == Some(&b'<')
}

fn throttled(answer: &Answer<'_>) -> Verdict {
    let pause = answer.retry_after.and_then(|header| retry_after(header, Some(answer.now)));
    Verdict::Throttled(pause.unwrap_or(THROTTLE_PAUSE))
}

/// The verdict if no token was obtained because the token service throttles: the whole company is called too often, or its
/// allowance is used up, which the token service is the first to say (estuary/connectors pull request 4780).
#[cfg(feature = "http")]
pub(crate) fn throttled_tokens(error: &AuthError) -> Option<Verdict> {
    let AuthError::Endpoint(error) = error else { return None };
    match error.kind() {
        TokenErrorKind::Throttled { retry_after } => {
            Some(Verdict::Throttled(retry_after.unwrap_or(THROTTLE_PAUSE).min(LONGEST_PAUSE)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn verdict(status: u16, retry_after: Option<&str>, body: &str) -> String {
        let answer =
            Answer { status, retry_after, now: datetime!(2026-11-22 10:00 UTC), body: body.as_bytes() };
        let verdict = match Fault::find(answer.body) {
            Some(fault) if status / 100 == 2 => by_fault(&answer, &fault),
            _ => classify(&answer),
        };
        format!("{verdict:?}")
    }

    fn fault(kind: &str, code: &str) -> String {
        format!(r#"{{"Fault":{{"Error":[{{"Message":"m","Detail":"d","code":"{code}"}}],"type":"{kind}"}}}}"#)
    }

    #[test]
    fn throttling_is_seen_in_every_form_and_says_how_long() {
        let xml = r#"<IntuitResponse><Fault type="SERVICE"><Error code="3001"><Message>message=ThrottleExceeded; errorCode=003001</Message></Error></Fault></IntuitResponse>"#;
        assert_eq!(verdict(429, None, xml), "Throttled(60s)");
        assert_eq!(verdict(403, None, xml), "Throttled(60s)");
        assert_eq!(verdict(429, None, ""), "Throttled(60s)");
        assert_eq!(verdict(429, Some("7"), ""), "Throttled(7s)");
        assert_eq!(verdict(429, Some("86400"), ""), "Throttled(900s)");
        assert_eq!(verdict(429, Some("soon"), ""), "Throttled(60s)");
        assert_eq!(verdict(429, Some("Sun, 22 Nov 2026 10:00:30 GMT"), ""), "Throttled(30s)");
        assert_eq!(verdict(429, Some("Sun, 22 Nov 2026 09:00:00 GMT"), ""), "Throttled(0ns)");
        assert_eq!(verdict(200, Some("1"), &fault("SERVICE", "003001")), "Throttled(1s)");
    }

    #[test]
    fn what_may_pass_is_retried_and_what_will_not_is_final() {
        let retry = [
            (500, fault("SystemFault", "10000")),
            (200, fault("SystemFault", "10000")),
            (200, fault("SystemFault", "")),
            (500, fault("AuthorizationFault", "120")),
            (502, "<html>bad gateway</html>".into()),
            (503, String::new()),
            (
                504,
                r#"<IntuitResponse><Fault type="SystemFault"><Error code="6002"/></Fault></IntuitResponse>"#
                    .into(),
            ),
            (400, fault("SystemFault", "7001")),
            (408, String::new()),
        ];
        for (status, body) in retry {
            assert!(verdict(status, None, &body).starts_with("Retry"), "{status} {body}");
        }
        let unknown = r#"{"Fault":{"Error":[{"code":"4001","Detail":"invalid context declaration: X"}]}}"#;
        let nowhere = r#"{"Fault":{"Error":[{"code":"4001","Detail":"QueryValidationError: Metadata not found for Entity: X"}]}}"#;
        let unsupported = r#"{"Fault":{"Error":[{"Message":"Unsupported Operation","Detail":"Operation x is not supported.","code":"500"}],"type":"ValidationFault"}}"#;
        let last = [
            (400, fault("ValidationFault", "4001"), "BadQuery"),
            (200, fault("ValidationFault", "4000"), "BadQuery"),
            (400, fault("ValidationFault", "4002"), "PoisonedPage"),
            (400, fault("ValidationFault", "10100"), "PageTooLarge"),
            (400, fault("AuthorizationFault", "5020"), "EntityUnavailable"),
            (400, unknown.into(), "EntityUnavailable"),
            (200, unknown.into(), "EntityUnavailable"),
            (400, nowhere.into(), "EntityUnavailable"),
            (400, unsupported.into(), "EntityUnavailable"),
            (500, unsupported.into(), "EntityUnavailable"),
            (403, fault("AuthorizationFault", "003100"), "Application"),
            (400, fault("AuthorizationFault", "120"), "NeedsConsent"),
            (403, fault("AuthorizationFault", "6190"), "Subscription"),
            (404, String::new(), "UnknownCompany"),
            (302, String::new(), "Redirect"),
            (418, "teapot".into(), "BadQuery"),
            (403, fault("ValidationFault", "2010"), "BadQuery"),
            (422, fault("ValidationFault", ""), "BadQuery"),
            (403, fault("AuthorizationFault", "2010"), "Application"),
        ];
        for (status, body, kind) in last {
            let verdict = verdict(status, None, &body);
            assert!(verdict.starts_with("Final") && verdict.contains(kind), "{status} {body}: {verdict}");
        }
        assert_eq!(verdict(401, None, &fault("AUTHENTICATION", "003200")), "Reauthenticate");
        assert_eq!(verdict(401, None, ""), "Reauthenticate");
        assert_eq!(verdict(200, None, "{}"), "Accept");
    }

    #[test]
    fn a_web_page_says_nothing_of_token_company_or_query_whatever_its_status() {
        for page in ["<html><title>Access Denied</title></html>", "\u{feff}<!DOCTYPE html>", " \n<HTML>"] {
            for status in [400, 401, 403, 404, 405, 407, 413, 451, 500, 502, 503] {
                assert_eq!(verdict(status, None, page), "Retry(Html)", "{status} {page}");
            }
            assert_eq!(verdict(429, None, page), "Throttled(60s)");
        }
        let quoting = |code: &str| format!("<html><p>message=x; errorCode={code}; statusCode=400</p></html>");
        assert_eq!(verdict(400, None, &quoting("007001")), "Retry(Server)");
        assert_eq!(verdict(401, None, &quoting("003200")), "Reauthenticate");
        assert_eq!(verdict(400, None, &quoting("012345")), "Retry(Html)");
        assert_eq!(verdict(400, None, &fault("SystemFault", "7001")), "Retry(NoDestination)");
    }

    /// The parts of a fault, in any order and either spelling, with other members around.
    fn fault_of(kind: &str, code: &str, capital: bool, rotation: usize) -> String {
        let name = |word: &str| {
            let (first, rest) = word.split_at(1);
            if capital { format!("{}{rest}", first.to_uppercase()) } else { word.to_owned() }
        };
        let mut error = [
            format!(r#""code":"{code}""#),
            format!(r#""{}":"m""#, name("message")),
            format!(r#""{}":"d""#, name("detail")),
        ];
        error.rotate_left(rotation % 3);
        let mut fault =
            [format!(r#""{}":[{{{}}}]"#, name("error"), error.join(",")), format!(r#""type":"{kind}""#)];
        fault.rotate_left(rotation % 2);
        let mut answer =
            [format!(r#""{}":{{{}}}"#, name("fault"), fault.join(",")), r#""time":"x""#.to_owned()];
        answer.rotate_left(rotation / 2 % 2);
        format!("{{{}}}", answer.join(","))
    }

    proptest! {
        /// The same verdict whatever the order of members and the case of their names.
        #[test]
        fn every_answer_has_one_verdict_however_it_is_spelled(
            status in 100_u16..600,
            code in "(0{0,3}(100|110|120|130|140|150|3001|3100|3200|4000|4001|4002|5020|6002|6190|7001|10000|10100|10200|429)|[0-9]{0,6}|[a-z]{3})",
            kind in "(SystemFault|ValidationFault|AuthorizationFault|AUTHENTICATION|SERVICE|)",
            rotation in 0_usize..12,
        ) {
            let usual = verdict(status, None, &fault_of(&kind, &code, true, 0));
            for capital in [false, true] {
                prop_assert_eq!(&verdict(status, None, &fault_of(&kind, &code, capital, rotation)), &usual);
            }
            prop_assert!(status / 100 != 2 || usual != "Accept", "a fault is never a page");
        }

        #[test]
        fn no_answer_is_beyond_classification(
            status: u16,
            header in prop::option::of(any::<String>()),
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let now = datetime!(2026-11-22 10:00 UTC);
            let answer = Answer { status, retry_after: header.as_deref(), now, body: &body };
            match classify(&answer) {
                Verdict::Accept => prop_assert_eq!(status / 100, 2),
                Verdict::Throttled(pause) => prop_assert!(pause <= LONGEST_PAUSE),
                _ => {}
            }
        }
    }
}
