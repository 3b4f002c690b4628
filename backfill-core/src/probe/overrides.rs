//! Entries of a catalogue file that leave out what QuickBooks refuses.

use std::fmt::Write as _;

use super::answer::ProbeAnswer;
use super::assumption::refused_parts;
use crate::catalog::{Catalog, RequestPart};

/// Writes an entry for every entity of which a part is refused.
pub(super) fn overrides(answers: &[ProbeAnswer], catalog: &Catalog) -> String {
    let mut text = String::new();
    for spec in catalog.entities() {
        let parts = refused_parts(answers, spec.name().as_str());
        if parts.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n[[entity]]\nname = \"{}\"", spec.name());
        let mut keys: Vec<_> = parts.into_iter().map(key).collect();
        keys.dedup();
        for key in keys {
            let _ = writeln!(text, "{key}");
        }
    }
    text
}

/// The key that leaves a part out. The catalogue knows no entity with a range and without an order, so such an entity is read
/// whole.
fn key(part: RequestPart) -> &'static str {
    match part {
        RequestPart::CustomFields => "custom_fields = false",
        RequestPart::Columns => "columns = []",
        RequestPart::Active => "active = false",
        RequestPart::Order | RequestPart::Time => "snapshot = true",
    }
}
