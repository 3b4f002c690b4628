//! The kinds of findings, and how serious each is by default.

use std::fmt;

use raw_store::Severity;
use serde::Deserialize;

/// The kinds of findings that a validation can make. The words are those of `raw.backfill_finding.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Rows without an id.
    KeyMissing,
    /// Rows that share an id.
    KeyRepeated,
    /// Rows whose document is empty.
    PayloadEmpty,
    /// Rows whose time differs from the time in their document, converted to UTC.
    TimeDiffers,
    /// Rows whose time lies outside of the window that they name.
    OutsideWindow,
    /// A window of which the table holds fewer rows than the log says, although no later edit can have moved them.
    RowsMissing,
    /// Days without records where records are expected.
    EmptyDays,
    /// A day with far more records than usual.
    Outlier,
    /// Several documents with the same number.
    NumberRepeated,
    /// QuickBooks refuses to send all custom fields, so records may have only some.
    CustomFieldsPartial,
    /// QuickBooks refuses another part of the requests, so records are read in another way, or may be missing.
    RequestLimited,
    /// The clocks of the source, the database and the host were too far apart while a run read.
    ClocksDisagree,
}

impl FindingKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::KeyMissing,
        Self::KeyRepeated,
        Self::PayloadEmpty,
        Self::TimeDiffers,
        Self::OutsideWindow,
        Self::RowsMissing,
        Self::EmptyDays,
        Self::Outlier,
        Self::NumberRepeated,
        Self::CustomFieldsPartial,
        Self::RequestLimited,
        Self::ClocksDisagree,
    ];

    /// Returns the kind as a word, such as `rows_missing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyMissing => "key_missing",
            Self::KeyRepeated => "key_repeated",
            Self::PayloadEmpty => "payload_empty",
            Self::TimeDiffers => "time_differs",
            Self::OutsideWindow => "outside_window",
            Self::RowsMissing => "rows_missing",
            Self::EmptyDays => "empty_days",
            Self::Outlier => "outlier",
            Self::NumberRepeated => "number_repeated",
            Self::CustomFieldsPartial => "custom_fields_partial",
            Self::RequestLimited => "request_limited",
            Self::ClocksDisagree => "clocks_disagree",
        }
    }

    /// Returns the severity of the kind, where the thresholds do not set another.
    pub fn severity(self) -> Severity {
        match self {
            Self::KeyMissing
            | Self::KeyRepeated
            | Self::PayloadEmpty
            | Self::TimeDiffers
            | Self::OutsideWindow
            | Self::RowsMissing => Severity::Error,
            Self::EmptyDays
            | Self::Outlier
            | Self::CustomFieldsPartial
            | Self::RequestLimited
            | Self::ClocksDisagree => Severity::Warning,
            Self::NumberRepeated => Severity::Info,
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
