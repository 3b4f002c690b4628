//! One entity: how its records are requested, and where they go.

use qbo_client::{
    Comparison, EntityName, Include, PageSize, Predicate, Property, Query, RecordLayout, Value,
};
use raw_store::{Pipeline, TableName, Window};
use serde::Deserialize;
use time::OffsetDateTime;

use super::request_part::RequestPart;
use super::scan_key::ScanKey;
use super::time_axis::Axis;
use crate::chunk::{ChunkSize, TooManyWindows, tile};

/// The number of ids of one query. No limit is documented; a statement of this many ids is shorter than two kilobytes.
pub(crate) const IDS_AT_ONCE: usize = 100;

/// The kind of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    /// An event with a date: an invoice, a payment.
    Transaction,
    /// A name that transactions refer to: a customer, an item.
    List,
    /// Neither of the two: a rate, a file, the company's settings.
    Other,
}

impl EntityKind {
    /// Returns the kind as the catalogue has it: `transaction`, `list` or `other`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::List => "list",
            Self::Other => "other",
        }
    }
}

/// An entity that can be backfilled: one row of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "columns of the catalogue, each true or false by itself")]
pub struct EntitySpec {
    pub(crate) name: EntityName,
    pub(crate) plural: Box<str>,
    pub(crate) kind: EntityKind,
    pub(crate) axes: Vec<Axis>,
    pub(crate) active: bool,
    pub(crate) columns: Vec<EntityName>,
    pub(crate) page_size: PageSize,
    pub(crate) layout: RecordLayout,
    pub(crate) snapshot: bool,
    pub(crate) paged: bool,
    pub(crate) captured: bool,
    pub(crate) custom_fields: bool,
    /// What is left out of its requests, because QuickBooks refuses it.
    pub(crate) left_out: Vec<RequestPart>,
    pub(crate) table: TableName,
    pub(crate) notes: Box<str>,
}

/// Returns the pipeline's name of an entity, such as `qb_invoices_backfill` of `invoices`, its name in the log. An entity that is
/// no longer in the catalogue has one as well.
pub fn pipeline_name(entity_name: &str) -> String {
    format!("qb_{entity_name}_backfill")
}

impl EntitySpec {
    /// Returns Intuit's name of the entity, such as `Invoice`.
    pub fn name(&self) -> &EntityName {
        &self.name
    }

    /// Returns the entity's name in the log, such as `invoices`.
    pub fn entity_name(&self) -> &str {
        &self.plural
    }

    /// Returns the pipeline's name, such as `qb_invoices_backfill`.
    pub fn pipeline_name(&self) -> String {
        pipeline_name(&self.plural)
    }

    /// Returns the raw table, such as `qb_invoices`.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// Returns the entity's kind.
    pub fn kind(&self) -> EntityKind {
        self.kind
    }

    /// Returns the axes that windows of this entity can be measured on.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Whether records can be made inactive. Inactive records are read as well.
    pub fn has_inactive(&self) -> bool {
        self.active
    }

    /// Whether the entity is read whole, as a snapshot, because its records cannot be queried by time.
    pub fn is_snapshot(&self) -> bool {
        self.snapshot || self.leaves_out(RequestPart::Time)
    }

    /// Whether all custom fields of the entity's records are wanted; without being asked, QuickBooks sends only some.
    pub fn has_custom_fields(&self) -> bool {
        self.custom_fields
    }

    /// Returns the parts that are left out of the entity's requests, because QuickBooks refuses them.
    pub fn left_out(&self) -> &[RequestPart] {
        &self.left_out
    }

    /// Whether a part is left out of the entity's requests.
    pub(crate) fn leaves_out(&self, part: RequestPart) -> bool {
        self.left_out.contains(&part)
    }

    /// Whether the records can be requested in the order of time.
    pub(crate) fn is_ordered(&self) -> bool {
        !self.is_snapshot() && !self.leaves_out(RequestPart::Order)
    }

    /// Whether its requests ask for inactive records as well.
    pub(crate) fn asks_for_inactive(&self) -> bool {
        self.active && !self.leaves_out(RequestPart::Active)
    }

    /// Whether requests ask for all fields that QuickBooks can include.
    pub(crate) fn asks_for_all_fields(&self) -> bool {
        self.custom_fields && !self.leaves_out(RequestPart::CustomFields)
    }

    /// Returns the parts of the entity's requests that can be left out.
    pub(crate) fn parts(&self) -> Vec<RequestPart> {
        let has = |part: &RequestPart| match part {
            RequestPart::CustomFields => self.asks_for_all_fields(),
            RequestPart::Columns => !self.columns.is_empty() && !self.leaves_out(*part),
            RequestPart::Order => self.is_ordered(),
            RequestPart::Active => self.asks_for_inactive(),
            RequestPart::Time => !self.is_snapshot(),
        };
        RequestPart::ALL.into_iter().filter(has).collect()
    }

    /// Leaves a part out of the entity's requests.
    #[must_use]
    pub(crate) fn without(mut self, part: RequestPart) -> Self {
        if !self.leaves_out(part) {
            self.left_out.push(part);
        }
        self
    }

    /// Puts a part into the entity's requests again.
    #[must_use]
    pub(crate) fn with(mut self, part: RequestPart) -> Self {
        self.left_out.retain(|left| *left != part);
        self
    }

    /// Returns notes for users: what is unusual about the entity.
    pub fn notes(&self) -> &str {
        &self.notes
    }

    /// Returns the pipeline that writes the entity's table, with windows on this axis.
    pub fn pipeline(&self, axis: Axis) -> Pipeline {
        Pipeline {
            entity_name: self.plural.clone(),
            table: self.table.clone(),
            time_axis: axis.as_str().into(),
        }
    }

    /// Cuts a span into the windows that account for it. An entity that is read whole has one window, the span.
    ///
    /// # Errors
    ///
    /// [`TooManyWindows`] if there are more windows than a request may have.
    pub fn windows(&self, span: Window, chunk: ChunkSize) -> Result<Vec<Window>, TooManyWindows> {
        tile(span, if self.is_snapshot() { ChunkSize::Whole } else { chunk })
    }

    /// Returns the page size for this entity: `asked`, unless the entity has a smaller limit.
    pub fn page_size(&self, asked: PageSize) -> PageSize {
        // An entity without pages has one record, which never fills a page.
        if self.paged { asked.min(self.page_size) } else { PageSize::MAX }
    }

    /// Whether QuickBooks can count the entity's records.
    pub(crate) fn is_counted(&self) -> bool {
        self.paged
    }

    /// Whether change data capture reports deleted records of the entity.
    pub(crate) fn is_captured(&self) -> bool {
        self.captured
    }

    /// Whether records can be queried by id.
    pub(crate) fn has_ids(&self) -> bool {
        self.layout.key.is_empty() && self.paged
    }

    /// Returns the key that a cursor over `span` advances by.
    pub(crate) fn scale(&self, axis: Axis, span: Window) -> ScanKey {
        if self.is_snapshot() { ScanKey::Whole(span) } else { axis.into() }
    }

    /// Builds the query for all records from `start` (inclusive) to `end` (exclusive), in the order of the axis. For an entity
    /// that is read whole, the query covers all its records in any order. The query names inactive records, because QBO leaves
    /// them out otherwise.
    pub(crate) fn query(&self, axis: Axis, start: OffsetDateTime, end: OffsetDateTime) -> Query {
        let query = self.everything();
        match (self.is_snapshot(), self.paged) {
            (false, _) => {
                let query = query
                    .filter(Predicate::compare(axis.property(), Comparison::AtLeast, axis.literal(start)))
                    .filter(Predicate::compare(axis.property(), Comparison::Below, axis.literal(end)));
                if self.is_ordered() { query.order_by(axis.property()) } else { query }
            }
            (true, true) => query,
            (true, false) => query.unpaged(),
        }
    }

    /// Builds the query for the records with these ids.
    pub(crate) fn query_by_id<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Query {
        let ids = ids.map(|id| Value::Text(id.into()));
        self.everything().filter(Predicate::is_in(Property::ID, ids))
    }

    fn everything(&self) -> Query {
        let mut query = Query::select(self.name.clone()).layout(self.layout.clone());
        if self.asks_for_all_fields() {
            query = query.include(Include::AllCustomFields);
        }
        let columns = if self.leaves_out(RequestPart::Columns) { &[][..] } else { &self.columns };
        for column in columns {
            query = query.column(column);
        }
        if self.asks_for_inactive() {
            let both = [Value::Bool(true), Value::Bool(false)];
            query = query.filter(Predicate::is_in(Property::ACTIVE, both));
        }
        query
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::Catalog;

    fn text(entity: &str, axis: Axis) -> String {
        let (from, to) = (datetime!(2026-01-01 0:00 UTC), datetime!(2026-02-01 0:00 UTC));
        Catalog::bundled().find(entity).unwrap().query(axis, from, to).text()
    }

    #[test]
    fn lists_are_read_with_their_inactive_records_and_items_with_their_sku() {
        assert_eq!(
            text("items", Axis::Updated),
            "SELECT *, Sku FROM Item WHERE Active IN (true,false) \
             AND MetaData.LastUpdatedTime >= '2026-01-01T00:00:00Z' \
             AND MetaData.LastUpdatedTime < '2026-02-01T00:00:00Z' \
             ORDERBY MetaData.LastUpdatedTime STARTPOSITION 1 MAXRESULTS 1000"
        );
        assert!(
            text("invoices", Axis::TxnDate)
                .contains("WHERE TxnDate >= '2026-01-01' AND TxnDate < '2026-02-01' ORDERBY TxnDate")
        );
    }

    #[test]
    fn what_is_read_as_a_whole_is_asked_for_without_time_and_order() {
        let agencies = text("TaxAgency", Axis::Updated);
        assert_eq!(agencies, "SELECT * FROM TaxAgency STARTPOSITION 1 MAXRESULTS 1000");
        assert_eq!(text("Preferences", Axis::Updated), "SELECT * FROM Preferences");
        let span = Window::new(datetime!(2026-01-01 0:00 UTC), datetime!(2026-02-01 0:00 UTC)).unwrap();
        let catalog = Catalog::bundled();
        assert_eq!(catalog.find("company_info").unwrap().windows(span, ChunkSize::Day).unwrap(), [span]);
        assert_eq!(catalog.find("invoices").unwrap().windows(span, ChunkSize::Day).unwrap().len(), 31);
    }

    #[test]
    fn the_smaller_page_wins_and_what_has_no_pages_never_fills_one() {
        let catalog = Catalog::bundled();
        let size = |entity: &str, asked| {
            catalog.find(entity).unwrap().page_size(PageSize::new(asked).unwrap()).get()
        };
        assert_eq!((size("TimeActivity", 1000), size("TimeActivity", 50)), (500, 50));
        assert_eq!((size("Invoice", 1000), size("Invoice", 50)), (1000, 50));
        assert_eq!(size("Preferences", 1), 1000);
    }
}
