//! F2: what an answer means that is no page.

use qbo_client::{Answer, ErrorKind, Fault, Verdict, classify};
use time::OffsetDateTime;

use crate::memory::bounded;
use crate::message::Message;
use crate::shape::Shape;

/// A fault's own parts, the head of an answer among them.
const SPARE: usize = 64 << 10;

/// What a test's answers say where they quote a secret.
const CANARY: &str = "canary-4711-never-repeated";

/// Shapes that cost most for their bytes.
pub const SHAPES: &[Shape] = &[
    Shape {
        name: "errors in XML",
        head: "500\n\n<IntuitResponse><Fault type=\"SERVICE\">",
        unit: "<Error",
        tail: "",
    },
    Shape { name: "tags in XML", head: "500\n\n<Fault", unit: "<", tail: "" },
    Shape { name: "errors in JSON", head: "400\n\n{\"Fault\":{\"Error\":[{}", unit: ",{}", tail: "]}}" },
    Shape {
        name: "a detail that is a tree",
        head: "400\n\n{\"Fault\":{\"Error\":[{\"code\":\"4001\",\"Detail\":[0",
        unit: ",0",
        tail: "]}]}}",
    },
    Shape {
        name: "slots",
        head: "400\n\n{\"CDCResponse\":[{\"QueryResponse\":[{}",
        unit: ",{}",
        tail: "]}]}",
    },
    Shape { name: "a web page", head: "503\n\n<html>", unit: "<p>down</p>", tail: "" },
];

/// Classifies an answer.
pub fn target(data: &[u8]) {
    let message = Message::read(data);
    let answer = Answer {
        status: message.status,
        retry_after: message.header("retry-after"),
        now: OffsetDateTime::UNIX_EPOCH,
        body: message.body,
    };
    let verdict = bounded(data, SPARE, || classify(&answer));
    assert!(!format!("{verdict:?}").contains(CANARY));
    match verdict {
        Verdict::Accept => assert!((200..=299).contains(&message.status)),
        Verdict::Throttled(pause) => assert!(pause.as_secs() <= 900),
        Verdict::Final(ErrorKind::BadQuery { code } | ErrorKind::EntityUnavailable { code }) => {
            is_a_code(&code);
        }
        _ => {}
    }
    if let Some(fault) = bounded(data, SPARE, || Fault::find(message.body)) {
        fault.errors.iter().for_each(|error| is_a_code(&error.code));
        assert!(fault.kind.len() <= 40 && fault.kind.bytes().all(|byte| byte.is_ascii_alphabetic()));
    }
}

fn is_a_code(code: &str) {
    assert!(code.len() <= 12 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
}
