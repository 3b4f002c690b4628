//! An answer together with the time at which it was given.

use time::OffsetDateTime;

/// An answer of the store, with the time at which it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf<T> {
    /// The present time by the store's own clock, by which ages in the answer are measured.
    pub now: OffsetDateTime,
    /// The answer.
    pub value: T,
}

impl<T> AsOf<T> {
    /// Converts the answer, and keeps its time.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> AsOf<U> {
        AsOf { now: self.now, value: convert(self.value) }
    }
}
