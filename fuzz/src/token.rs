//! F3: an answer of the token service.

use qbo_auth::fuzzing::token_answer;

use crate::memory::bounded;
use crate::message::Message;
use crate::shape::Shape;

/// The service's answers are read up to here, and no further.
const LARGEST: usize = 64 << 10;

/// A tree of such an answer.
const SPARE: usize = 50 * LARGEST;

/// What a test's tokens look like.
const CANARY: &str = "canary-4711-never-repeated";

/// Ten years with their leap days.
const LONGEST: u64 = 10 * 366 * 86_400;

/// Shapes that cost most for their bytes.
pub const SHAPES: &[Shape] = &[
    Shape { name: "an error that is a tree", head: "400\n\n{\"error\":[0", unit: ",0", tail: "]}" },
    Shape { name: "a long token", head: "200\n\n{\"access_token\":\"", unit: "x", tail: "\"}" },
    Shape { name: "members", head: "200\n\n{\"access_token\":\"x\"", unit: ",\"#\":0", tail: "}" },
];

/// Understands an answer.
pub fn target(data: &[u8]) {
    let message = Message::read(&data[..data.len().min(LARGEST)]);
    let header = |name| message.header(name);
    let heads = (header("retry-after"), header("date"), header("intuit_tid"));
    let understood = bounded(data, SPARE, || token_answer(message.status, heads, message.body));
    let tid = match understood {
        Ok(answer) => {
            assert!((200..=299).contains(&message.status));
            assert!(!format!("{answer:?}").contains(CANARY));
            assert!(!answer.access.expose().trim().is_empty());
            assert!(answer.refresh.is_none_or(|token| !token.expose().trim().is_empty()));
            let lifetimes =
                [Some(answer.expires_in), answer.refresh_expires_in, answer.refresh_hard_expires_in];
            assert!(lifetimes.into_iter().flatten().all(|lifetime| lifetime.as_secs() <= LONGEST));
            answer.intuit_tid
        }
        Err(error) => {
            assert!(
                !format!("{error} {error:?}")
                    .replace(header("intuit_tid").unwrap_or("-"), "")
                    .contains(CANARY)
            );
            error.intuit_tid().map(Into::into)
        }
    };
    assert!(tid.is_none_or(|tid| tid.len() <= 64 && tid.bytes().all(|byte| byte.is_ascii_graphic())));
}
