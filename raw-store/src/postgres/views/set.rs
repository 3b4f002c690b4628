//! The sets of views that can be installed.

use std::str::FromStr;

/// A set of views of a shape that other programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ViewSet {
    /// The tables that the dbt package `fivetran/dbt_quickbooks` reads.
    DbtQuickbooks,
}

words!(ViewSet { DbtQuickbooks => "dbt-quickbooks" });

/// A word names no set of views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such set of views")]
pub struct UnknownViewSet;

impl FromStr for ViewSet {
    type Err = UnknownViewSet;

    fn from_str(word: &str) -> Result<Self, UnknownViewSet> {
        Self::from_word(word).ok_or(UnknownViewSet)
    }
}
