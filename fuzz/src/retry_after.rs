//! F4: `Retry-After` and `Date`.

use std::time::Duration;

use qbo_auth::TokenErrorKind;
use qbo_auth::fuzzing::token_answer;
use qbo_client::{Answer, Verdict, classify};
use time::macros::datetime;

use crate::memory::bounded;
use crate::shape::Shape;

/// The pause where none is named.
const UNNAMED: Duration = Duration::from_mins(1);

/// Shapes that cost most for their bytes.
pub const SHAPES: &[Shape] = &[
    Shape { name: "digits", head: "", unit: "9", tail: "" },
    Shape { name: "zones", head: "Sun, 06 Nov 1994 08:49:37 ", unit: "GMT", tail: "" },
    Shape { name: "comments", head: "Sun, 06 Nov 1994 08:49:37 ", unit: "(", tail: "" },
];

/// Reads a header as the API's and as the token service's.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let now = datetime!(1994-11-06 08:49:37 UTC);
    let answer = Answer { status: 429, retry_after: Some(text), now, body: b"" };
    let Verdict::Throttled(pause) = bounded(data, 4096, || classify(&answer)) else {
        panic!("429 is always throttling");
    };
    assert!(pause.as_secs() <= 900);
    let heads = (Some(text), Some("Sun, 06 Nov 1994 08:49:37 GMT"), None);
    let error = bounded(data, 4096, || token_answer(429, heads, b"")).expect_err("429 is no token");
    let TokenErrorKind::Throttled { retry_after } = *error.kind() else {
        panic!("429 is always throttling");
    };
    assert_eq!(pause, retry_after.unwrap_or(UNNAMED), "the two services are understood differently");
    // The other way round: what is said of now.
    let heads = (Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(text), None);
    let error = token_answer(429, heads, b"").expect_err("429 is no token");
    let TokenErrorKind::Throttled { retry_after } = *error.kind() else {
        panic!("429 is always throttling");
    };
    assert!(retry_after.is_none_or(|pause| pause.as_secs() <= 900));
}
