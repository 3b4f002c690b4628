//! The columns of a report, by their keys.

use serde::Deserialize;

use super::request::ReportRequest;

/// The columns of a report, as sent.
#[derive(Deserialize, Default)]
pub(super) struct ColumnList {
    #[serde(rename = "Column", default)]
    columns: Vec<SentColumn>,
}

/// One column, as sent. Reports before 2026 have the key in `ColType`; the others have it in the metadata, and a type in
/// `ColType`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SentColumn {
    #[serde(default)]
    col_type: Option<Box<str>>,
    #[serde(default)]
    meta_data: Vec<MetaDatum>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetaDatum {
    name: Box<str>,
    #[serde(default)]
    value: Option<Box<str>>,
}

/// The keys of a report's columns, in the order of its cells. The order is not the requested one.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns(Vec<Box<str>>);

impl Columns {
    pub(super) fn new(sent: ColumnList) -> Self {
        let key = |column: SentColumn| {
            let named = column.meta_data.into_iter().find(|one| &*one.name == "ColKey");
            named.and_then(|one| one.value).or(column.col_type).unwrap_or_default()
        };
        Self(sent.columns.into_iter().map(key).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The place of the first of these columns that the report has.
    pub(super) fn place(&self, keys: &[&str]) -> Option<usize> {
        keys.iter().find_map(|key| self.0.iter().position(|one| **one == **key))
    }

    /// The places of all columns of a kind.
    pub(super) fn places(&self, key: &str) -> Vec<usize> {
        let of_kind = self.0.iter().enumerate().filter(|(_, one)| ***one == *key);
        of_kind.map(|(place, _)| place).collect()
    }

    /// Whether the report has the columns without which it cannot be understood.
    pub(super) fn have(&self, request: &ReportRequest) -> bool {
        request.name().needed_columns().iter().all(|keys| self.place(keys).is_some())
    }
}
