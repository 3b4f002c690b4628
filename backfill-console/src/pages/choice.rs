//! The choices of a filter.

use crate::visit::CompanyVisit;

/// One choice of a filter.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) text: String,
    pub(crate) is_chosen: bool,
}

/// The entities of the company's catalogue, by name.
pub(crate) fn entities(visit: &CompanyVisit, chosen: Option<&str>) -> Vec<Choice> {
    let language = visit.visit.language();
    let entities = visit.company.catalog.entities().iter().map(|spec| Choice {
        value: spec.entity_name().to_owned(),
        text: language.entity(spec.entity_name()),
        is_chosen: chosen == Some(spec.entity_name()),
    });
    let mut entities: Vec<_> = entities.collect();
    entities.sort_by(|one, other| one.text.cmp(&other.text));
    entities
}
