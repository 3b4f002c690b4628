//! Findings for the parts of a request that QuickBooks refuses.

use super::Found;
use crate::catalog::RequestPart;
use crate::report::{FindingKind, PipelineReport};

impl Found<'_> {
    /// Adds a finding for custom fields that may be missing, and one for each other cause.
    pub(super) fn push_refusals(&mut self, pipeline: &PipelineReport) {
        let Some(spec) = &pipeline.spec else { return };
        for part in spec.left_out() {
            let (kind, amount) = match part {
                RequestPart::CustomFields => {
                    let fields = pipeline.custom_fields().unwrap_or_default();
                    (FindingKind::CustomFieldsPartial, fields.records - fields.whole)
                }
                RequestPart::Columns | RequestPart::Order | RequestPart::Active | RequestPart::Time => {
                    (FindingKind::RequestLimited, pipeline.records_read())
                }
            };
            self.push(kind, None, amount, part.consequence().to_owned());
        }
    }
}
