use std::collections::BTreeMap;

use raw_store::Severity;
use serde::Deserialize;

use crate::report::FindingKind;

/// When something is worth a finding, and how much it matters.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// A stretch of days without records is told if chance alone would bring it less often than this.
    pub gap_chance: f64,
    /// A day is told if it lies so many standard deviations above what its weekday usually has.
    pub outlier_deviations: f64,
    /// And if it has so many times as many records.
    pub outlier_factor: f64,
    /// And if it has at least so many.
    pub outlier_records: u64,
    /// How much each kind of finding matters, where that is not as [`FindingKind::severity`] says; `"off"` for not at all.
    pub severity: BTreeMap<FindingKind, Level>,
}

/// What becomes of a kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It is not told.
    Off,
    /// It is good to know.
    Info,
    /// A person should look.
    Warning,
    /// Something is wrong.
    Error,
}

/// A threshold that nothing could ever pass, or everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidThreshold(&'static str);

impl Default for Thresholds {
    /// One false gap in some ten thousand days: in a working life.
    fn default() -> Self {
        Self {
            gap_chance: 1e-4,
            outlier_deviations: 4.5,
            outlier_factor: 3.0,
            outlier_records: 10,
            severity: BTreeMap::new(),
        }
    }
}

impl Thresholds {
    /// Makes sure that the numbers mean something.
    ///
    /// # Errors
    ///
    /// [`InvalidThreshold`] names the first that does not.
    pub fn check(&self) -> Result<(), InvalidThreshold> {
        if !(self.gap_chance > 0.0 && self.gap_chance < 1.0) {
            return Err(InvalidThreshold("gap_chance is between 0 and 1"));
        }
        if !(self.outlier_deviations > 0.0 && self.outlier_deviations.is_finite()) {
            return Err(InvalidThreshold("outlier_deviations is more than 0"));
        }
        if !(self.outlier_factor >= 1.0 && self.outlier_factor.is_finite()) {
            return Err(InvalidThreshold("outlier_factor is at least 1"));
        }
        Ok(())
    }

    /// How much a kind of finding matters; `None` if it is not to be told.
    pub fn severity(&self, kind: FindingKind) -> Option<Severity> {
        match self.severity.get(&kind) {
            None => Some(kind.severity()),
            Some(Level::Off) => None,
            Some(Level::Info) => Some(Severity::Info),
            Some(Level::Warning) => Some(Severity::Warning),
            Some(Level::Error) => Some(Severity::Error),
        }
    }
}
