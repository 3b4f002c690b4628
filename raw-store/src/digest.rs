//! The digest that identifies a document's bytes.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A fingerprint of a document's bytes: the first half of their SHA-256.
///
/// Sixteen bytes make a chance collision between two versions of one record impossible in practice (one in 2^128), and keep
/// small the column that every page reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Digest([u8; Self::LEN]);

impl Digest {
    const LEN: usize = 16;

    /// The fingerprint of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let whole = Sha256::digest(bytes);
        Self(std::array::from_fn(|at| whole[at]))
    }

    /// The sixteen bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn a_digest_is_the_first_half_of_sha_256() {
        // FIPS 180-2, appendix B.1: the digest of "abc" is ba7816bf 8f01cfea 414140de 5dae2223 …
        assert_eq!(format!("{:?}", Digest::of(b"abc")), "ba7816bf8f01cfea414140de5dae2223");
        assert_ne!(Digest::of(b"{\"a\":1}"), Digest::of(b"{\"a\": 1}"));
    }
}
