//! The questions of a probe.

use std::fmt;

use qbo_client::{PageSize, Property, Query};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::catalog::{Axis, Catalog, EntityKind, EntitySpec, RequestPart};

/// Start of the range that the questions name: no company of QuickBooks Online is older.
const EARLIEST: OffsetDateTime = datetime!(2000-01-01 0:00 UTC);

/// The number of records of a question, unless it is about the number of records.
const FEW: u16 = 10;

/// What is asked about an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuestionKind {
    /// The entity is requested as a run does it, with every part of its requests.
    AsRun,
    /// The entity is requested without any part that QuickBooks may refuse.
    Bare,
    /// The entity is requested with this part alone. The order of the records comes with the range of time.
    With(RequestPart),
    /// One more record is requested than a page holds.
    OverLimit,
    /// The records are requested in the order of their ids.
    ById,
    /// Deleted records are requested from change data capture.
    Changes,
}

/// Writes the kind as a word, such as `as_run` or `with_order`.
impl fmt::Display for QuestionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsRun => f.write_str("as_run"),
            Self::Bare => f.write_str("bare"),
            Self::With(part) => write!(f, "with_{part}"),
            Self::OverLimit => f.write_str("over_limit"),
            Self::ById => f.write_str("by_id"),
            Self::Changes => f.write_str("changes"),
        }
    }
}

/// One question about one entity.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) spec: EntitySpec,
    pub(super) kind: QuestionKind,
}

/// The questions that are asked in any case: every entity as a run requests it, then one entity of each kind in more ways.
pub(super) fn questions(catalog: &Catalog) -> Vec<Question> {
    let about = |spec: &EntitySpec, kind| Question { spec: spec.clone(), kind };
    let mut questions: Vec<_> =
        catalog.entities().iter().map(|spec| about(spec, QuestionKind::AsRun)).collect();
    for kind in [EntityKind::Transaction, EntityKind::List, EntityKind::Other] {
        let Some(spec) = example(catalog, kind) else { continue };
        questions.extend(apart(spec).into_iter().map(|kind| about(spec, kind)));
        if spec.has_ids() && kind != EntityKind::Other {
            questions.push(about(spec, QuestionKind::ById));
            questions.push(about(spec, QuestionKind::OverLimit));
            questions.push(about(spec, QuestionKind::Changes));
        }
    }
    questions
}

/// The entity of a kind with the most parts in its requests; the first of several.
fn example(catalog: &Catalog, kind: EntityKind) -> Option<&EntitySpec> {
    let own = catalog.entities().iter().filter(|spec| spec.kind() == kind && !spec.is_snapshot());
    own.reduce(|most, spec| if spec.parts().len() > most.parts().len() { spec } else { most })
}

/// The questions that find out which part of an entity's requests is refused.
pub(super) fn apart(spec: &EntitySpec) -> Vec<QuestionKind> {
    let parts = spec.parts().into_iter().rev().map(QuestionKind::With);
    std::iter::once(QuestionKind::Bare).chain(parts).collect()
}

impl Question {
    /// The query of the question. Change data capture has none.
    pub(super) fn query(&self, now: OffsetDateTime) -> Query {
        let few = PageSize::new(FEW).unwrap_or(PageSize::MAX);
        let bare = || self.spec.parts().into_iter().fold(self.spec.clone(), EntitySpec::without);
        let spec = match self.kind {
            QuestionKind::AsRun => self.spec.clone(),
            // An entity without a range has no order.
            QuestionKind::With(RequestPart::Order) => bare().with(RequestPart::Time).with(RequestPart::Order),
            QuestionKind::With(part) => bare().with(part),
            QuestionKind::Bare | QuestionKind::OverLimit | QuestionKind::ById | QuestionKind::Changes => {
                bare()
            }
        };
        let query = spec.query(Axis::Updated, EARLIEST, now).page(1, spec.page_size(few)).probe();
        match self.kind {
            QuestionKind::OverLimit => query.page(1, PageSize::MAX).over_limit(),
            QuestionKind::ById => query.order_by(Property::ID),
            _ => query,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entity_is_asked_about_and_examples_in_every_way() {
        let questions = questions(&Catalog::bundled());
        assert_eq!(questions.iter().filter(|one| one.kind == QuestionKind::AsRun).count(), 40);
        assert!((50..65).contains(&questions.len()), "{}", questions.len());
        let text = |entity: &str, kind| {
            let spec = Catalog::bundled().find(entity).unwrap().clone();
            Question { spec, kind }.query(datetime!(2026-01-01 0:00 UTC)).text()
        };
        let part = |part| text("Customer", QuestionKind::With(part));
        assert_eq!(
            text("Customer", QuestionKind::Bare),
            "SELECT * FROM Customer STARTPOSITION 1 MAXRESULTS 10"
        );
        assert!(part(RequestPart::Active).contains("WHERE Active IN (true,false) STARTPOSITION"));
        assert!(part(RequestPart::Time).contains("WHERE MetaData.LastUpdatedTime >= '2000-01-01T00:00:00Z'"));
        assert!(part(RequestPart::Order).contains("ORDERBY MetaData.LastUpdatedTime"));
        assert!(!part(RequestPart::Time).contains("ORDERBY"));
        assert!(text("Customer", QuestionKind::OverLimit).ends_with("MAXRESULTS 1001"));
        assert!(text("Customer", QuestionKind::ById).contains("ORDERBY Id"));
    }
}
