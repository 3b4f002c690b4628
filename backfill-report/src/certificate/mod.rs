//! Renders a certificate: what is stored of a company, and what was shown of it, when and by which method.

mod html;
mod json;

use backfill_core::Certificate;
use sha2::{Digest as _, Sha256};

use crate::hex::hex;

/// A [`Certificate`], and the versions that made it.
#[derive(Clone, Copy, Debug)]
pub struct CertificateView<'a> {
    /// What is certified.
    pub certificate: &'a Certificate,
    /// The program's name and version.
    pub program: &'a str,
    /// The version of the database's schema; `None` if it is unknown.
    pub schema_version: Option<i32>,
    /// The name of the database's schema.
    pub schema: &'a str,
}

impl CertificateView<'_> {
    /// The hash over the digests of all tables: SHA-256 over one line per table, in the order of names: the name, a space, the
    /// table's digest in hexadecimal digits, and a line feed. A table that several pipelines fill is in it once.
    #[must_use]
    pub fn hash(self) -> String {
        let mut hash = Sha256::new();
        let mut tables: Vec<_> =
            self.certificate.pipelines.iter().map(|one| (one.pipeline.table.as_str(), one.table)).collect();
        tables.sort_by_key(|(name, _)| *name);
        tables.dedup_by_key(|(name, _)| *name);
        for (name, table) in tables {
            hash.update(format!("{name} {}\n", hex(&table.sha256)));
        }
        hex(&hash.finalize())
    }

    /// The command that computes the digest of one table without this program. The connection is psql's own.
    #[must_use]
    pub fn command(self, table: &str) -> String {
        format!(
            "psql -Atc \"SELECT id || ' ' || encode(payload_digest, 'hex') FROM {}.{table} ORDER BY id COLLATE \\\"C\\\"\" | sha256sum",
            self.schema
        )
    }
}
