//! Hashes an id to eight bytes, where millions of ids are kept.

use std::hash::{DefaultHasher, Hash, Hasher as _};

/// Hashes an id, or the bytes of a record without one. Two ids collide with a chance of one in 2^64; a deleted record then goes
/// unnoticed.
pub(crate) fn id_hash(id: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
