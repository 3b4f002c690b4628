//! Which refusals of QuickBooks still count, and the entity without the parts that they are about.

use raw_store::SourceRefusal;
use time::{Duration, OffsetDateTime};

use super::entity_spec::EntitySpec;
use super::request_part::RequestPart;
use super::time_axis::Axis;

/// How long a refusal counts. Plans of companies and the API itself change, so the part is requested again after this time, and
/// by another version of the program.
const COUNTS_FOR: Duration = Duration::days(30);

/// The version of the program that remembers a refusal.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

impl RequestPart {
    /// The refusal of this part, to be remembered.
    pub(crate) fn refused(self, spec: &EntitySpec, axis: Axis, at: OffsetDateTime) -> SourceRefusal {
        SourceRefusal {
            entity_name: spec.entity_name().into(),
            part: self.remembered_as(axis).into(),
            refused_at: at,
            program: PROGRAM.into(),
        }
    }
}

impl EntitySpec {
    /// Leaves out of its requests along an axis what QuickBooks has refused, as far as the refusal still counts.
    #[must_use]
    pub fn as_accepted(self, axis: Axis, refusals: &[SourceRefusal], now: OffsetDateTime) -> Self {
        let counts = |one: &&SourceRefusal| {
            let age = now - one.refused_at;
            // A refusal of the future comes from a clock that was ahead.
            *one.program == *PROGRAM && age < COUNTS_FOR && age > -COUNTS_FOR
        };
        let own = refusals.iter().filter(|one| *one.entity_name == *self.entity_name()).filter(counts);
        let refused: Vec<_> = own.map(|one| &*one.part).collect();
        let is_refused = |part: &RequestPart| refused.contains(&&*part.remembered_as(axis));
        let left_out: Vec<_> = self.parts().into_iter().filter(is_refused).collect();
        left_out.into_iter().fold(self, Self::without)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::Catalog;

    #[test]
    fn a_refusal_counts_for_its_entity_its_version_and_a_month() {
        let now = datetime!(2026-06-30 12:00 UTC);
        let catalog = Catalog::bundled();
        let invoices = catalog.find("Invoice").unwrap();
        let refused = RequestPart::CustomFields.refused(invoices, Axis::Updated, now - Duration::days(29));
        let accepted = |refusal: &SourceRefusal| {
            let spec = invoices.clone().as_accepted(Axis::Updated, std::slice::from_ref(refusal), now);
            spec.query(Axis::Updated, now, now + Duration::DAY).included().is_some()
        };
        assert!(!accepted(&refused));
        assert!(accepted(&SourceRefusal { refused_at: now - Duration::days(31), ..refused.clone() }));
        assert!(accepted(&SourceRefusal { program: "0.0.1".into(), ..refused.clone() }));
        assert!(accepted(&SourceRefusal { entity_name: "bills".into(), ..refused.clone() }));
        assert!(accepted(&SourceRefusal { part: "what a later version refuses".into(), ..refused }));
    }

    #[test]
    fn one_time_can_be_refused_and_another_accepted() {
        let now = datetime!(2026-06-30 12:00 UTC);
        let bills = Catalog::bundled().find("Bill").unwrap().clone();
        let refused =
            [RequestPart::Time, RequestPart::Order].map(|part| part.refused(&bills, Axis::TxnDate, now));
        assert!(bills.clone().as_accepted(Axis::TxnDate, &refused, now).is_snapshot());
        assert!(bills.as_accepted(Axis::Updated, &refused, now).is_ordered());
    }

    #[test]
    fn what_is_left_out_is_not_in_the_query_and_the_page_stays() {
        let (from, to) = (datetime!(2026-01-01 0:00 UTC), datetime!(2026-02-01 0:00 UTC));
        let items = Catalog::bundled().find("Item").unwrap().clone();
        let text = |parts: &[RequestPart]| {
            let spec = parts.iter().fold(items.clone(), |spec, part| spec.without(*part));
            spec.query(Axis::Updated, from, to).text()
        };
        assert_eq!(
            items.parts(),
            [RequestPart::Columns, RequestPart::Order, RequestPart::Active, RequestPart::Time]
        );
        assert!(!text(&[RequestPart::Order]).contains("ORDERBY"));
        assert!(
            text(&[RequestPart::Order]).contains("Active IN")
                && text(&[RequestPart::Order]).contains(", Sku")
        );
        assert!(!text(&[RequestPart::Active]).contains("Active"));
        assert_eq!(
            text(&[RequestPart::Columns, RequestPart::Time]),
            "SELECT * FROM Item WHERE Active IN (true,false) STARTPOSITION 1 MAXRESULTS 1000"
        );
        assert_eq!(text(&items.parts()), "SELECT * FROM Item STARTPOSITION 1 MAXRESULTS 1000");
    }
}
