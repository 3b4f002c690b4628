//! Entries of a catalogue file that leave out what QuickBooks refuses.

use std::fmt::Write as _;

use super::answer::ProbeAnswer;
use super::assumption::refused_parts;
use crate::catalog::{Catalog, RequestPart};

/// Writes an entry for every entity of which a part is refused that the catalogue requests.
pub(super) fn overrides(answers: &[ProbeAnswer], catalog: &Catalog) -> String {
    let mut text = String::new();
    for spec in catalog.entities() {
        let requested = spec.parts();
        let parts = refused_parts(answers, spec.name().as_str()).into_iter();
        let keys: Vec<_> = parts.filter(|part| requested.contains(part)).filter_map(key).collect();
        if keys.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n[[entity]]\nname = \"{}\"", spec.name());
        for key in keys {
            let _ = writeln!(text, "{key}");
        }
    }
    text
}

/// The key that leaves a part out. There is none for the order alone: a run that finds it refused reads the range without it, and to
/// read the entity whole instead would cost more for ever.
fn key(part: RequestPart) -> Option<&'static str> {
    match part {
        RequestPart::CustomFields => Some("custom_fields = false"),
        RequestPart::Columns => Some("columns = []"),
        RequestPart::Active => Some("active = false"),
        RequestPart::Time => Some("snapshot = true"),
        RequestPart::Order => None,
    }
}
