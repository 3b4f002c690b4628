//! The certificate for programs.

use backfill_core::{Certificate, CertifiedPipeline, RequestPart};
use serde_json::{Value, json};

use super::CertificateView;
use crate::hex::hex;
use crate::instant::utc;
use crate::json::verified;

impl CertificateView<'_> {
    /// Renders the certificate as JSON.
    #[must_use]
    pub fn to_json(self) -> Value {
        let Certificate { identity, issued_at, span, pipelines, others } = self.certificate;
        json!({
            "program": self.program,
            "schema_version": self.schema_version,
            "realm_id": &*identity.realm_id,
            "environment": &*identity.environment,
            "issued_at_utc": utc(*issued_at),
            "start": utc(span.start()),
            "end": utc(span.end()),
            "sha256": self.hash(),
            "pipelines": pipelines.iter().map(|one| self.pipeline(one)).collect::<Vec<_>>(),
            "other_verifications": others.iter().map(verified).collect::<Vec<_>>(),
        })
    }

    fn pipeline(self, one: &CertifiedPipeline) -> Value {
        json!({
            "entity_name": &*one.pipeline.entity_name,
            "table": one.pipeline.table.as_str(),
            "time_axis": &*one.pipeline.time_axis,
            "start": utc(one.span.start()),
            "end": utc(one.span.end()),
            "windows_completed": one.completed,
            "windows_unavailable": one.unavailable,
            "windows_open": one.open,
            "never_read": one.never_read.iter().map(|gap| json!({"start": utc(gap.start()), "end": utc(gap.end())})).collect::<Vec<_>>(),
            "rows": one.table.rows,
            "rows_gone": one.table.gone,
            "open_quarantine": one.open_quarantine,
            "left_out": one.left_out.iter().map(|part| RequestPart::as_str(*part)).collect::<Vec<_>>(),
            "sha256": hex(&one.table.sha256),
            "sha256_command": self.command(one.pipeline.table.as_str()),
            "verified": one.verified.iter().map(verified).collect::<Vec<_>>(),
        })
    }
}
