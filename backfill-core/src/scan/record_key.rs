//! Identifies a record within one instant.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use qbo_client::RawRecord;

/// A record's id or, for a record without one, a hash of its bytes.
pub(crate) type RecordKey = Box<str>;

pub(crate) fn key(record: &RawRecord<'_>) -> RecordKey {
    record.id().map_or_else(
        |_| {
            let mut hasher = DefaultHasher::new();
            record.bytes().hash(&mut hasher);
            format!("~{:016x}", hasher.finish()).into()
        },
        Into::into,
    )
}
