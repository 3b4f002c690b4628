//! The right that a role lacks to read documents.

use backfill_core::EntitySpec;

use crate::visit::CompanyVisit;

/// The statement with which the owner of the schema lets the console's role read the documents of an entity. Schema and role
/// have the names that the documentation gives them; a page says so beside it.
pub(super) fn grant(visit: &CompanyVisit, spec: &EntitySpec) -> String {
    let role = if visit.visit.app.look_only { "qbo_reader" } else { "qbo_loader" };
    format!("GRANT SELECT ON raw.{} TO {role};", spec.table())
}
