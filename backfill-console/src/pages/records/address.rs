//! The addresses of records.

use std::fmt::Write as _;

use backfill_core::EntitySpec;

use crate::visit::CompanyVisit;

/// The entity of an address, by its name in the log.
pub(super) fn spec<'a>(visit: &'a CompanyVisit, name: &str) -> Option<&'a EntitySpec> {
    visit.company.catalog.entities().iter().find(|spec| spec.entity_name() == name)
}

/// The address of a record. An id may hold any character.
pub(super) fn address(visit: &CompanyVisit, entity: &str, id: &str) -> String {
    format!("{}/records/{}/{}", visit.base(), segment(entity), segment(id))
}

/// A text as one segment of a path: every byte but letters, digits and `-`, `_` is escaped, so that no id ends the segment.
pub(super) fn segment(text: &str) -> String {
    text.bytes().fold(String::new(), |mut path, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => path.push(char::from(byte)),
            // Writing into a text cannot fail.
            _ => _ = write!(path, "%{byte:02X}"),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_of_a_path() {
        assert_eq!(segment("USD/EUR/2026-01-01"), "USD%2FEUR%2F2026-01-01");
        assert_eq!(segment("../<é>?#"), "%2E%2E%2F%3C%C3%A9%3E%3F%23");
    }
}
