//! Finds and reads the fault in a response: JSON, XML, or a web page of the gateway.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::page::envelope::AnswerEnvelope;
use crate::page::json_members::{each_element, text};

/// The most errors that are kept of one fault. One or two are usual.
const MOST_ERRORS: usize = 100;

/// The most bytes that are searched for an XML fault. The gateway's faults have some hundred bytes; a longer body is a web
/// page.
const LARGEST_XML: usize = 64 << 10;

/// A fault as QBO's API or its gateway reports it, whatever its form.
///
/// Only codes and the type are kept: messages and details can quote tokens, host names and customers' data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Type of the fault, such as `ValidationFault` or the gateway's `SERVICE`; letters only.
    pub kind: Box<str>,
    /// Errors of the fault.
    pub errors: Vec<FaultError>,
    /// Whether a message says that the subscription has ended (seen with HTTP 200 and without a code of its own).
    pub subscription_ended: bool,
    /// Whether a message says that this company does not know the entity, or lacks the feature that it belongs to. The code
    /// alone does not show it: an invalid query of ours has 4001 too.
    pub unknown_entity: bool,
    /// Whether a web page of the gateway quoted the fault: a gateway in trouble answers like that.
    pub in_page: bool,
}

/// One error of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultError {
    /// Error code without leading zeros: `3200` and `003200` are the same. Empty if there was none.
    pub code: Box<str>,
}

impl Fault {
    /// Whether one of the errors has this code.
    pub fn has(&self, code: &str) -> bool {
        self.errors.iter().any(|error| &*error.code == code)
    }

    /// The first error code, for messages to people.
    pub fn code(&self) -> Option<&str> {
        self.errors.iter().map(|error| &*error.code).find(|code| !code.is_empty())
    }

    /// Finds a fault in a body: JSON in both letter cases, at the top, inside `QueryResponse` or in a slot of `CDCResponse`;
    /// XML; or a web page of the gateway that quotes its own fault. `Content-Type` is ignored, because the gateway answers in
    /// XML to requests for JSON.
    pub fn find(body: &[u8]) -> Option<Self> {
        match body.trim_ascii_start().first()? {
            b'{' => from_json(body),
            b'<' => {
                let text = String::from_utf8_lossy(&body[..body.len().min(LARGEST_XML)]);
                from_xml(&text).or_else(|| from_page(&text))
            }
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct JsonFault<'a> {
    #[serde(alias = "Error", borrow)]
    error: Option<&'a RawValue>,
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct JsonError<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(alias = "Message", borrow)]
    message: Option<&'a RawValue>,
    #[serde(alias = "Detail", borrow)]
    detail: Option<&'a RawValue>,
}

/// Nothing becomes a tree, and only the needed parts are kept: an answer may hold anything.
fn from_json(body: &[u8]) -> Option<Fault> {
    let answer: AnswerEnvelope<'_> = serde_json::from_slice(body).ok()?;
    let inner = answer.query.and_then(|query| part(query)?.fault);
    let fault = answer.fault.or(inner).or_else(|| in_changes(answer.changes?))?;
    let fault: JsonFault<'_> = serde_json::from_str(fault.get()).ok()?;
    let mut found =
        Fault { kind: letters(&fault.kind.and_then(text).unwrap_or_default()), ..Fault::default() };
    if let Some(errors) = fault.error {
        each_element(errors.get(), |error| found.add(error))?;
    }
    Some(found)
}

/// The first fault in change data capture.
fn in_changes(changes: &RawValue) -> Option<&RawValue> {
    let mut found = None;
    each_element(changes.get(), |change| {
        let Some(change) = part(change) else { return };
        found = found.or(change.fault);
        if let Some(slots) = change.query {
            each_element(slots.get(), |slot| found = found.or_else(|| part(slot)?.fault));
        }
    })?;
    found
}

fn part(raw: &RawValue) -> Option<AnswerEnvelope<'_>> {
    serde_json::from_str(raw.get()).ok()
}

impl Fault {
    fn add(&mut self, error: &RawValue) {
        let Ok(error) = serde_json::from_str::<JsonError<'_>>(error.get()) else { return };
        let message = error.message.and_then(text).unwrap_or_default();
        let detail = error.detail.and_then(text).unwrap_or_default();
        // A number is taken as it is written.
        let number = |raw: &&RawValue| raw.get().starts_with(|c: char| c.is_ascii_digit());
        let code =
            error.code.and_then(|raw| text(raw).or(Some(raw).filter(number).map(|raw| raw.get().into())));
        if self.errors.len() < MOST_ERRORS {
            self.errors.push(one_error(&code.unwrap_or_default(), &message));
        }
        self.subscription_ended |= speaks_of_ended_subscription(&message);
        self.unknown_entity |= speaks_of_unknown_entity(&message) || speaks_of_unknown_entity(&detail);
    }
}

/// Reads the gateway's small XML fault. Two attributes and a message are all that is needed, so the text is searched for them.
fn from_xml(text: &str) -> Option<Fault> {
    let fault = &text[text.find("<Fault")?..];
    let errors = fault
        .split("<Error")
        .skip(1)
        .take(MOST_ERRORS)
        .map(|error| one_error(attribute(error, "code").unwrap_or_default(), element(error, "Message")));
    Some(Fault {
        kind: letters(attribute(fault, "type").unwrap_or_default()),
        errors: errors.collect(),
        subscription_ended: speaks_of_ended_subscription(fault),
        unknown_entity: speaks_of_unknown_entity(fault),
        in_page: false,
    })
}

/// Reads what Intuit's gateway writes into a web page: `message=…; errorCode=007001; statusCode=400`.
fn from_page(text: &str) -> Option<Fault> {
    let error = one_error("", &text[text.find("errorCode=")?..]);
    (!error.code.is_empty()).then(|| Fault { errors: vec![error], in_page: true, ..Fault::default() })
}

fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let tag = &text[..text.find('>')?];
    let (_, value) = tag.split_once(&format!("{name}=\""))?;
    value.split('"').next()
}

fn element<'a>(text: &'a str, name: &str) -> &'a str {
    let inner = text.split_once(&format!("<{name}>")).map(|(_, rest)| rest);
    inner.and_then(|rest| rest.split('<').next()).unwrap_or_default()
}

/// Normalises a code. The gateway repeats it inside its message as `errorCode=003200`, which counts if the code itself is
/// missing.
fn one_error(code: &str, message: &str) -> FaultError {
    let code = if code.is_empty() {
        message.split_once("errorCode=").map_or("", |(_, rest)| rest.split(';').next().unwrap_or_default())
    } else {
        code
    };
    let code = code.trim().trim_start_matches('0');
    let sound = code.len() <= 12 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    FaultError { code: if sound { code.into() } else { "".into() } }
}

fn letters(kind: &str) -> Box<str> {
    kind.chars().filter(char::is_ascii_alphabetic).take(40).collect::<String>().into()
}

fn speaks_of_ended_subscription(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("subscription") && (message.contains("ended") || message.contains("cancel"))
}

/// The words of recorded refusals (`invalid context declaration: X`, `Metadata not found for Entity: X`, `Unsupported
/// Operation`), and those of the error-code page for a feature that a plan or country does not have.
fn speaks_of_unknown_entity(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let lacking = ["not supported", "not enabled", "not available"];
    text.contains("invalid context declaration")
        || text.contains("metadata not found for entity")
        || text.contains("unsupported operation")
        || text.contains("feature") && lacking.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_shape_is_read() {
        let check = |body: &str, kind: &str, code: &str| {
            let fault = Fault::find(body.as_bytes()).expect(body);
            assert_eq!((&*fault.kind, fault.code().unwrap_or_default()), (kind, code), "{body}");
        };
        check(
            r#"{"Fault":{"Error":[{"Message":"Invalid query","Detail":"QueryValidationError","code":"4001"}],"type":"ValidationFault"},"time":"2020-09-29T06:52:56.527-07:00"}"#,
            "ValidationFault",
            "4001",
        );
        check(
            r#"{"warnings":null,"fault":{"error":[{"message":"message=AuthenticationFailed; errorCode=003200; statusCode=401","detail":"Token expired","code":"3200","element":null}],"type":"AUTHENTICATION"},"time":1601391072830}"#,
            "AUTHENTICATION",
            "3200",
        );
        check(
            r#"{"fault":{"error":[{"message":"message=x; errorCode=003100; statusCode=403"}],"type":"SERVICE"}}"#,
            "SERVICE",
            "3100",
        );
        check(
            r#"<?xml version="1.0"?><IntuitResponse time="2016-12-07T15:27:09-08:00"><Fault type="SERVICE"><Error code="3001"><Message>message=ThrottleExceeded; errorCode=003001; statusCode=429</Message></Error></Fault></IntuitResponse>"#,
            "SERVICE",
            "3001",
        );
        check(
            r#"{"QueryResponse":{"Fault":{"Error":[{"code":"10000"}],"type":"SystemFault"}},"time":"x"}"#,
            "SystemFault",
            "10000",
        );
        check(
            r#"{"CDCResponse":[{"QueryResponse":[{},{"Fault":{"Error":[{"code":"2070"}],"type":"ValidationFault"}}]}]}"#,
            "ValidationFault",
            "2070",
        );
        check(r#"{"Fault":{"Error":[{"Message":"Too Many Requests","code":429}]}}"#, "", "429");
        check(r#"{"Fault":{"Error":[{"Detail":{"odd":1},"code":"4001"}]}}"#, "", "4001");
    }

    #[test]
    fn an_unknown_entity_is_told_from_a_wrong_query() {
        let check = |detail: &str, unknown: bool| {
            let body =
                format!(r#"{{"Fault":{{"Error":[{{"Message":"m","Detail":"{detail}","code":"4001"}}]}}}}"#);
            assert_eq!(Fault::find(body.as_bytes()).unwrap().unknown_entity, unknown, "{detail}");
        };
        check("QueryValidationError: invalid context declaration: Budget", true);
        check("QueryValidationError: Metadata not found for Entity: TaxService", true);
        check("Unsupported Operation: Operation query is not supported.", true);
        check("Feature Not Supported Error: the feature is not supported", true);
        check("QueryValidationError: property 'Actve' is not queryable", false);
        check("QueryValidationError: value 1001 is too large", false);
    }

    #[test]
    fn a_page_of_the_gateway_is_read_by_the_fault_that_it_quotes() {
        let page = "<html><head><title>Status report</title></head><body><h1>HTTP Status 400</h1><p>message=No destination \
                    found for given partition key; errorCode=007001; statusCode=400</p></body></html>";
        let fault = Fault::find(page.as_bytes()).unwrap();
        assert_eq!((fault.code(), fault.in_page), (Some("7001"), true));
        let odd = page.replace("007001", "&lt;canary&gt;");
        assert_eq!(Fault::find(odd.as_bytes()), None);
    }

    #[test]
    fn what_is_no_fault_is_none() {
        for body in
            ["", "{}", "<html><body>down</body></html>", "[1]", r#"{"QueryResponse":{}}"#, "{\"fault\":null}"]
        {
            assert_eq!(Fault::find(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn of_a_fault_with_thousands_of_errors_the_first_are_kept() {
        let json = format!(r#"{{"Fault":{{"Error":[{{"code":"1"}}{}]}}}}"#, r#",{"code":"2"}"#.repeat(5000));
        let xml = format!(r#"<Fault><Error code="1"/>{}</Fault>"#, r#"<Error code="2"/>"#.repeat(5000));
        for body in [json, xml] {
            let fault = Fault::find(body.as_bytes()).unwrap();
            assert_eq!((fault.code(), fault.errors.len()), (Some("1"), MOST_ERRORS));
        }
    }

    #[test]
    fn nothing_that_the_server_wrote_in_prose_is_kept() {
        let body = r#"{"Fault":{"Error":[{"Message":"secret-abc","Detail":"token secret-abc","code":"secret abc!"}],"type":"Validation secret-1"}}"#;
        let fault = Fault::find(body.as_bytes()).unwrap();
        assert_eq!(fault.code(), None);
        assert!(!format!("{fault:?}").contains("abc"));
    }
}
