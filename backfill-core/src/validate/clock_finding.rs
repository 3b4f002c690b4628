//! A clock that is off, as a finding.

use raw_store::{Finding, ValidationResult};

use super::thresholds::Thresholds;
use crate::clocks::ClockApart;
use crate::report::FindingKind;

impl ClockApart {
    /// Adds it to what was found of each pipeline of a run.
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
