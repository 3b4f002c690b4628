//! Adds rows up to the digest of their table.

use sha2::{Digest as _, Sha256};

use crate::TableDigest;

/// The sum of the rows so far, which come in the bytewise order of their ids.
#[derive(Debug, Default)]
pub(crate) struct TableSum {
    rows: u64,
    gone: u64,
    hash: Sha256,
}

impl TableSum {
    /// Adds a row.
    pub(crate) fn add(&mut self, id: &str, digest: &[u8], is_gone: bool) {
        self.rows += 1;
        self.gone += u64::from(is_gone);
        self.hash.update(id);
        self.hash.update(" ");
        for byte in digest {
            self.hash.update(format!("{byte:02x}"));
        }
        self.hash.update("\n");
    }

    pub(crate) fn finish(self) -> TableDigest {
        TableDigest { rows: self.rows, gone: self.gone, sha256: self.hash.finalize().into() }
    }
}
