//! How far a pipeline is, in a word and its tone.

use crate::facts::Standing;
use crate::visit::CompanyVisit;

/// The word for a pipeline's standing, and its tone.
pub(crate) fn pill(visit: &CompanyVisit, standing: Standing) -> (&'static str, &'static str) {
    let w = &visit.visit.words().today;
    match standing {
        Standing::Unavailable => (w.unavailable, ""),
        Standing::Incomplete => (w.incomplete, "bad"),
        Standing::Reading => (w.reading_now, "busy"),
        Standing::Provisional => (w.provisional, "warn"),
        Standing::Unconfirmed => (w.complete, "warn"),
        Standing::Confirmed => (w.confirmed, "good"),
    }
}
