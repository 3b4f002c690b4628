//! Entry points for the fuzz targets.

use zeroize::Zeroizing;

use crate::oauth::response::RawAnswer;
use crate::oauth::{TokenAnswer, TokenError};
pub use crate::vault::sealed;

/// Interprets an answer of the token service; its headers are `Retry-After`, `Date` and `intuit_tid`.
pub fn token_answer(
    status: u16,
    (retry_after, date, intuit_tid): (Option<&str>, Option<&str>, Option<&str>),
    body: &[u8],
) -> Result<TokenAnswer, TokenError> {
    let owned = |head: Option<&str>| head.map(str::to_owned);
    let answer = RawAnswer {
        status,
        retry_after: owned(retry_after),
        date: owned(date),
        intuit_tid: owned(intuit_tid),
        body: Zeroizing::new(body.to_vec()),
    };
    answer.into_tokens()
}
