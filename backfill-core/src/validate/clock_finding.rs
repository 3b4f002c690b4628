//! A finding for a clock that disagrees with the others.

use raw_store::{Finding, ValidationResult};

use super::thresholds::Thresholds;
use crate::clock_check::ClockApart;
use crate::report::FindingKind;

impl ClockApart {
    /// Adds a finding for this clock to the validation of each pipeline of a run.
    pub fn enter(&self, validated: &mut [ValidationResult], thresholds: &Thresholds) {
        let kind = FindingKind::ClocksDisagree;
        let Some(severity) = thresholds.severity(kind) else { return };
        for one in validated {
            one.findings.push(Finding {
                kind: kind.as_str().into(),
                severity,
                span: None,
                amount: self.ahead.whole_seconds().unsigned_abs(),
                detail: self.to_string().into(),
            });
        }
    }
}
