//! From where on a deviation is a finding, and how serious each kind is.

use std::collections::BTreeMap;

use raw_store::Severity;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::report::FindingKind;

/// Thresholds for findings, and the severity of each kind.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// A run of days without records is a finding if chance alone would bring it less often than this probability.
    #[serde(deserialize_with = "gap_chance")]
    pub gap_chance: f64,
    /// Least number of standard deviations by which an outlier lies above what its weekday usually has.
    #[serde(deserialize_with = "outlier_deviations")]
    pub outlier_deviations: f64,
    /// Least multiple of the usual number of records that an outlier has.
    #[serde(deserialize_with = "outlier_factor")]
    pub outlier_factor: f64,
    /// Least number of records of an outlier.
    pub outlier_records: u64,
    /// The level of each kind of finding, where it differs from [`FindingKind::severity`]; `"off"` suppresses the kind.
    pub severity: BTreeMap<FindingKind, Level>,
}

/// The level at which a kind of finding is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The finding is not reported.
    Off,
    /// The finding is informative.
    Info,
    /// A person should look at the finding.
    Warning,
    /// Something is wrong.
    Error,
}

/// Error of a threshold that nothing could ever pass, or everything would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidThreshold(&'static str);

impl Default for Thresholds {
    /// Allows one false gap in some ten thousand days: in a working life.
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
    /// Checks that the numbers are usable as thresholds.
    ///
    /// # Errors
    ///
    /// [`InvalidThreshold`] names the first threshold that is not.
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

    /// Returns the severity of a kind of finding; `None` if it is not reported.
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

/// A number that is checked where it is read, so that an error names its line.
fn checked<'de, D: Deserializer<'de>>(source: D, among: fn(f64) -> Thresholds) -> Result<f64, D::Error> {
    let number = f64::deserialize(source)?;
    among(number).check().map_err(D::Error::custom)?;
    Ok(number)
}

fn gap_chance<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    checked(source, |gap_chance| Thresholds { gap_chance, ..Thresholds::default() })
}

fn outlier_deviations<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    checked(source, |outlier_deviations| Thresholds { outlier_deviations, ..Thresholds::default() })
}

fn outlier_factor<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    checked(source, |outlier_factor| Thresholds { outlier_factor, ..Thresholds::default() })
}
