//! QuickBooks Online's query language: what can be requested, and how it is written.
//!
//! A [`Query`] is built from values that cannot break out of its text: an [`EntityName`], a [`Property`], a [`Value`], a
//! [`PageSize`]. A [`RecordLayout`] says how the answer holds the records.

mod entity;
mod layout;
mod page_size;

use std::fmt::Write as _;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

pub use entity::{EntityName, InvalidEntityName};
pub use layout::RecordLayout;
pub use page_size::{InvalidPageSize, PageSize};

/// The API's minor version: the floor and default since August 2025 (Intuit developer blog, 2025-01-21).
pub const MINOR_VERSION: &str = "75";

/// A property that a query can filter or order by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Property(&'static str);

impl Property {
    /// When QBO last changed the record, to the second.
    pub const LAST_UPDATED_TIME: Self = Self("MetaData.LastUpdatedTime");
    /// When the record was created; edits do not change it.
    pub const CREATE_TIME: Self = Self("MetaData.CreateTime");
    /// The bookkeeping date of a transaction: a date without a zone, which users edit.
    pub const TXN_DATE: Self = Self("TxnDate");
    /// Whether a record of a name list is in use.
    pub const ACTIVE: Self = Self("Active");
    /// The record's id.
    pub const ID: Self = Self("Id");

    /// The property's name in the query language.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

/// What an answer holds only if the request's URL names it. A request names one: Intuit's client libraries disagree on how
/// several are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Include {
    /// All custom fields of a record. Without it, an answer holds at most the first three, and only those with text (Intuit's
    /// page on custom fields).
    AllCustomFields,
}

impl Include {
    /// The value of the parameter `include`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllCustomFields => "enhancedAllCustomFields",
        }
    }
}

/// A literal of the query language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An instant, written to the second in UTC with a `Z`: the one form whose zone is beyond doubt.
    Instant(OffsetDateTime),
    /// A date without a zone.
    Date(Date),
    /// `true` or `false`, without quotes.
    Bool(bool),
    /// A text; quotes and backslashes in it are escaped with a backslash.
    Text(Box<str>),
}

/// Operator that compares a property with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal to the value (`=`).
    Equal,
    /// Greater than or equal to the value (`>=`).
    AtLeast,
    /// Greater than the value (`>`).
    Above,
    /// Less than the value (`<`).
    Below,
}

/// One condition of a query. QBO joins conditions by AND only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate {
    property: Property,
    test: Test,
}

/// What a predicate compares its property with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Compare(Comparison, Value),
    In(Vec<Value>),
}

impl Predicate {
    /// Builds the condition `property op value`.
    pub fn compare(property: Property, comparison: Comparison, value: Value) -> Self {
        Self { property, test: Test::Compare(comparison, value) }
    }

    /// Builds the condition `property IN (values)`.
    pub fn is_in(property: Property, values: impl IntoIterator<Item = Value>) -> Self {
        Self { property, test: Test::In(values.into_iter().collect()) }
    }
}

/// A query to QBO: the only place where text of its query language is written.
///
/// Grammar and quirks: `SELECT * FROM Entity WHERE … ORDERBY p STARTPOSITION n MAXRESULTS n`, from Intuit's page on data
/// queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    entity: EntityName,
    columns: Vec<Box<str>>,
    include: Option<Include>,
    layout: RecordLayout,
    predicates: Vec<Predicate>,
    order: Option<Property>,
    start_position: u32,
    page_size: PageSize,
    paged: bool,
    is_probe: bool,
    over_limit: bool,
}

impl Query {
    /// Selects all records of an entity, one full page from the first position.
    pub fn select(entity: EntityName) -> Self {
        Self {
            entity,
            columns: Vec::new(),
            include: None,
            layout: RecordLayout::default(),
            predicates: Vec::new(),
            order: None,
            start_position: 1,
            page_size: PageSize::default(),
            paged: true,
            is_probe: false,
            over_limit: false,
        }
    }

    /// Adds a column that `*` leaves out, such as `Sku` of an Item.
    pub fn column(mut self, column: &EntityName) -> Self {
        self.columns.push(column.as_str().into());
        self
    }

    /// Asks for more of each record than an answer holds by itself.
    pub fn include(mut self, include: Include) -> Self {
        self.include = Some(include);
        self
    }

    /// What is asked for beyond what an answer holds by itself.
    pub fn included(&self) -> Option<Include> {
        self.include
    }

    /// Sets how the answer holds the records, if it is not the usual way.
    pub fn layout(mut self, layout: RecordLayout) -> Self {
        self.layout = layout;
        self
    }

    /// Adds a condition.
    pub fn filter(mut self, predicate: Predicate) -> Self {
        self.predicates.push(predicate);
        self
    }

    /// Orders by one property, ascending. The default order is undocumented, so a caller that pages along a property sets it.
    pub fn order_by(mut self, property: Property) -> Self {
        self.order = Some(property);
        self
    }

    /// Sets the page: the position of its first record, counted from 1, and its size.
    pub fn page(mut self, start_position: u32, size: PageSize) -> Self {
        self.start_position = start_position;
        self.page_size = size;
        self
    }

    /// Leaves out the paging words, for an entity that does not know them: `Preferences`, of which there is one.
    pub fn unpaged(mut self) -> Self {
        self.paged = false;
        self
    }

    /// Makes the query a probe, which is repeated fewer times: it finds out whether the query can be answered at all.
    pub fn probe(mut self) -> Self {
        self.is_probe = true;
        self
    }

    /// Asks for one record more than the page size, to find out how QBO answers a query for more records than a page holds. The
    /// answer may have one record more as well.
    pub fn over_limit(mut self) -> Self {
        self.over_limit = true;
        self
    }

    /// Whether the query is a probe, which is repeated fewer times.
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// The entity that the query selects.
    pub fn entity(&self) -> &EntityName {
        &self.entity
    }

    /// How the answer holds the records.
    pub fn record_layout(&self) -> &RecordLayout {
        &self.layout
    }

    /// Position of the page's first record among those that match, counted from 1.
    pub fn start_position(&self) -> u32 {
        self.start_position
    }

    /// Number of records requested.
    pub fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// The text of the query for its page.
    pub fn text(&self) -> String {
        let mut text = String::from("SELECT *");
        for column in &self.columns {
            text.push_str(", ");
            text.push_str(column);
        }
        self.push_source(&mut text);
        if let Some(order) = self.order {
            let _ = write!(text, " ORDERBY {}", order.0);
        }
        if self.paged {
            let records = u32::from(self.page_size.get()) + u32::from(self.over_limit);
            let _ = write!(text, " STARTPOSITION {} MAXRESULTS {records}", self.start_position);
        }
        text
    }

    /// The text of the query that counts the matching records, whatever the page.
    pub fn count_text(&self) -> String {
        let mut text = String::from("SELECT COUNT(*)");
        self.push_source(&mut text);
        text
    }

    fn push_source(&self, text: &mut String) {
        let _ = write!(text, " FROM {}", self.entity);
        for (position, predicate) in self.predicates.iter().enumerate() {
            text.push_str(if position == 0 { " WHERE " } else { " AND " });
            text.push_str(predicate.property.0);
            match &predicate.test {
                Test::Compare(comparison, value) => {
                    text.push_str(match comparison {
                        Comparison::Equal => " = ",
                        Comparison::AtLeast => " >= ",
                        Comparison::Above => " > ",
                        Comparison::Below => " < ",
                    });
                    push_literal(text, value);
                }
                Test::In(values) => {
                    text.push_str(" IN (");
                    for (position, value) in values.iter().enumerate() {
                        text.push_str(if position == 0 { "" } else { "," });
                        push_literal(text, value);
                    }
                    text.push(')');
                }
            }
        }
    }
}

const INSTANT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// Writes an instant to the second in UTC with a `Z`: the one form whose zone is beyond doubt.
pub(crate) fn instant(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(INSTANT).expect("a format of plain numbers cannot fail")
}

fn push_literal(text: &mut String, value: &Value) {
    let plain = match value {
        Value::Instant(at) => instant(*at),
        Value::Date(date) => date.format(DATE).expect("a format of plain numbers cannot fail"),
        Value::Bool(flag) => {
            text.push_str(if *flag { "true" } else { "false" });
            return;
        }
        Value::Text(words) => {
            text.push('\'');
            for c in words.chars() {
                if matches!(c, '\'' | '\\') {
                    text.push('\\');
                }
                text.push(c);
            }
            text.push('\'');
            return;
        }
    };
    let _ = write!(text, "'{plain}'");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::{date, datetime};

    use super::*;

    fn invoices() -> Query {
        Query::select("Invoice".parse().unwrap())
    }

    #[test]
    fn times_are_written_in_utc_with_a_z_and_dates_bare() {
        let updated = Property::LAST_UPDATED_TIME;
        let text = invoices()
            .filter(Predicate::compare(
                updated,
                Comparison::AtLeast,
                Value::Instant(datetime!(2026-01-01 0:00 -5)),
            ))
            .filter(Predicate::compare(
                Property::TXN_DATE,
                Comparison::Below,
                Value::Date(date!(2026 - 02 - 01)),
            ))
            .text();
        assert_eq!(
            text,
            "SELECT * FROM Invoice WHERE MetaData.LastUpdatedTime >= '2026-01-01T05:00:00Z' \
             AND TxnDate < '2026-02-01' STARTPOSITION 1 MAXRESULTS 1000"
        );
    }

    #[test]
    fn quotes_and_backslashes_cannot_leave_a_literal() {
        let text = invoices()
            .filter(Predicate::compare(
                Property::ID,
                Comparison::Equal,
                Value::Text(r"Amy's \ 'x' OR".into()),
            ))
            .count_text();
        assert_eq!(text, r"SELECT COUNT(*) FROM Invoice WHERE Id = 'Amy\'s \\ \'x\' OR'");
    }

    #[test]
    fn an_entity_that_knows_no_pages_is_asked_without_them() {
        let text = Query::select("Preferences".parse().unwrap()).unpaged().text();
        assert_eq!(text, "SELECT * FROM Preferences");
    }

    #[test]
    fn a_column_that_the_star_leaves_out_is_named() {
        let item = Query::select("Item".parse().unwrap()).column(&"Sku".parse().unwrap());
        assert!(item.text().starts_with("SELECT *, Sku FROM Item"));
        assert!(item.count_text().starts_with("SELECT COUNT(*) FROM Item"));
    }

    proptest! {
        #[test]
        fn every_text_is_read_back_from_its_literal(
            texts in prop::collection::vec(any::<String>(), 1..5),
            quotes in r"['\\ )(,]{0,40}",
        ) {
            let all: Vec<_> = texts.into_iter().chain([quotes]).collect();
            let values = || all.iter().map(|text| Value::Text(text.as_str().into()));
            let query = values()
                .fold(invoices(), |query, value| {
                    query.filter(Predicate::compare(Property::ID, Comparison::Equal, value))
                })
                .filter(Predicate::is_in(Property::ID, values()));
            let expected: Vec<_> = all.iter().chain(&all).cloned().collect();
            prop_assert_eq!(fixtures::literals(&query.text()), Some(expected));
        }
    }
}
