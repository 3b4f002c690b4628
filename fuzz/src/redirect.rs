//! F11: the address that a person pastes after a consent.

use qbo_auth::{
    CONSENT_LIFETIME, ClientId, ConsentError, ConsentRequest, Endpoints, Environment, RedirectUrl,
};
use time::macros::datetime;

use crate::memory::bounded;
use crate::shape::Shape;

/// In an input, the state that this request has.
const STATE: &str = "STATE";

/// What a test's codes look like.
const CANARY: &str = "canary-4711-never-repeated";

/// The address is taken apart into parts of at most 4 KiB.
const SPARE: usize = 64 << 10;

/// Shapes that cost most for their bytes.
pub const SHAPES: &[Shape] = &[
    Shape {
        name: "parameters",
        head: "http://localhost:8484/callback?",
        unit: "code=x&",
        tail: "state=STATE",
    },
    Shape {
        name: "escapes",
        head: "http://localhost:8484/callback?state=STATE&code=",
        unit: "%00",
        tail: "",
    },
];

/// Pastes an address.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = text.parse::<RedirectUrl>();
    let now = datetime!(2026-01-01 0:00 UTC);
    let endpoints = Endpoints::of(Environment::Sandbox);
    let redirect = RedirectUrl::loopback(8484);
    let request = ConsentRequest::new(&endpoints, &ClientId::new("false-id"), redirect, now);
    let request = request.expect("random numbers can be had");
    let (_, state) = request.url().rsplit_once("state=").expect("the page's address carries the state");
    let answer = text.replace(STATE, state);
    let state = state.to_owned();
    let accepted = bounded(answer.as_bytes(), SPARE, || request.accept(&answer, now + CONSENT_LIFETIME));
    match accepted {
        Ok(given) => {
            assert!(answer.contains(&state));
            assert!(!given.code.expose().is_empty());
            assert!(given.realm.as_str().bytes().all(|byte| byte.is_ascii_digit()));
            assert!(!format!("{given:?}").contains(CANARY));
        }
        Err(error) => {
            let told = format!("{error} {error:?}");
            assert!(!told.contains(CANARY) && !told.contains(&state));
            assert_ne!(error, ConsentError::TooLate);
        }
    }
}
