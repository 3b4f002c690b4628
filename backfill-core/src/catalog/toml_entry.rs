//! An entry of the catalogue's file, before it is checked.

use qbo_client::{EntityName, PageSize, RecordLayout};
use serde::Deserialize;

use super::entity_spec::{EntityKind, EntitySpec};
use super::time_axis::Axis;

/// Words that stand for several entities wherever a pipeline can be named.
pub(crate) const GROUPS: [&str; 3] = ["all", "transactions", "lists"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "keys of a file, each true or false by itself")]
pub(crate) struct Entry {
    name: String,
    plural: String,
    kind: EntityKind,
    axes: Vec<Axis>,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    columns: Vec<String>,
    page_size: Option<u16>,
    array_key: Option<String>,
    #[serde(default)]
    wrapped: bool,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    strip: Vec<String>,
    #[serde(default)]
    snapshot: bool,
    #[serde(default = "yes")]
    paged: bool,
    #[serde(default = "yes")]
    captured: bool,
    #[serde(default)]
    custom_fields: bool,
    #[serde(default)]
    notes: String,
}

fn yes() -> bool {
    true
}

/// A key, and what is wrong with it.
pub(crate) type Fault = (&'static str, &'static str);

impl Entry {
    /// Checks the entry and converts it to an entity, or says what is wrong with it.
    pub(crate) fn spec(self) -> Result<EntitySpec, Fault> {
        let name = self.name.parse();
        let name = name.map_err(|_| ("name", "the name must be letters, starting with a capital"))?;
        let table = format!("qb_{}", self.plural)
            .parse()
            .map_err(|_| ("plural", "the plural must be lower-case letters, digits and underscores"))?;
        if !self.plural.contains(|c: char| c.is_ascii_lowercase()) {
            return Err(("plural", "the plural must have a letter: it names the table and the pipeline"));
        }
        if GROUPS.contains(&self.plural.as_str()) {
            return Err(("plural", "the plural is a word that stands for several entities"));
        }
        if self.axes.is_empty() {
            return Err(("axes", "at least one axis is needed"));
        }
        if !self.paged && !self.snapshot {
            return Err(("paged", "only a snapshot can do without pages"));
        }
        let page_size = self.page_size.map_or(Ok(PageSize::MAX), PageSize::new);
        Ok(EntitySpec {
            name,
            plural: self.plural.into(),
            kind: self.kind,
            axes: self.axes,
            active: self.active,
            columns: names("columns", &self.columns)?,
            page_size: page_size.map_err(|_| ("page_size", "a page holds 1 to 1000 records"))?,
            layout: RecordLayout {
                array_key: names("array_key", self.array_key.as_slice())?.pop(),
                wrapped: self.wrapped,
                key: names("key", &self.key)?,
                strip: names("strip", &self.strip)?,
            },
            snapshot: self.snapshot,
            paged: self.paged,
            captured: self.captured,
            custom_fields: self.custom_fields,
            left_out: Vec::new(),
            table,
            notes: self.notes.into(),
        })
    }
}

fn names(key: &'static str, members: &[String]) -> Result<Vec<EntityName>, Fault> {
    let names: Result<_, _> = members.iter().map(|member| member.parse()).collect();
    names.map_err(|_| (key, "columns, keys and stripped members must be letters, starting with a capital"))
}
