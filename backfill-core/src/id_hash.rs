//! A mark of eight bytes for an id, where millions of them are kept.

use std::hash::{DefaultHasher, Hash, Hasher as _};

/// The mark of an id, or of the bytes of a record without one. Two ids share one by a chance of one in 2^64, and then a record
/// that is gone passes unseen.
pub(crate) fn id_hash(id: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
