use qbo_client::{Comparison, EntityName, Predicate, Property, Query, Value};
use raw_store::{Pipeline, TableName};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::Axis;

/// The bundled catalogue, as text.
const BUNDLED: &str = include_str!("catalog.toml");

/// What kind of thing an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    /// Something that happened: an invoice, a payment.
    Transaction,
    /// A name that transactions refer to: a customer, an item.
    List,
}

/// One entity that can be backfilled: a row of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntitySpec {
    name: EntityName,
    plural: Box<str>,
    kind: EntityKind,
    axes: Vec<Axis>,
    active: bool,
    columns: Vec<EntityName>,
    table: TableName,
    notes: Box<str>,
}

impl EntitySpec {
    /// Intuit's name, such as `Invoice`.
    pub fn name(&self) -> &EntityName {
        &self.name
    }

    /// The name in the log, such as `invoices`.
    pub fn entity_name(&self) -> &str {
        &self.plural
    }

    /// The pipeline's name, such as `qb_invoices_backfill`.
    pub fn pipeline_name(&self) -> String {
        format!("qb_{}_backfill", self.plural)
    }

    /// The raw table, such as `qb_invoices`.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// What kind of thing it is.
    pub fn kind(&self) -> EntityKind {
        self.kind
    }

    /// What its windows can measure.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Whether records can be made inactive, and are read all the same.
    pub fn has_inactive(&self) -> bool {
        self.active
    }

    /// What a user should know about it.
    pub fn notes(&self) -> &str {
        &self.notes
    }

    /// Where it lands, with windows on this axis.
    pub fn pipeline(&self, axis: Axis) -> Pipeline {
        Pipeline {
            entity_name: self.plural.clone(),
            table: self.table.clone(),
            time_axis: axis.as_str().into(),
        }
    }

    /// The question for all records from `start` to before `end`, in the order of the axis. Inactive records
    /// are asked for by name: QBO leaves them out otherwise.
    pub(crate) fn query(&self, axis: Axis, start: OffsetDateTime, end: OffsetDateTime) -> Query {
        let mut query = Query::select(self.name.clone());
        for column in &self.columns {
            query = query.column(column);
        }
        if self.active {
            let both = [Value::Bool(true), Value::Bool(false)];
            query = query.filter(Predicate::is_in(Property::ACTIVE, both));
        }
        query
            .filter(Predicate::compare(axis.property(), Comparison::AtLeast, axis.literal(start)))
            .filter(Predicate::compare(axis.property(), Comparison::Below, axis.literal(end)))
            .order_by(axis.property())
    }
}

/// The entities that can be backfilled: an open set, read from TOML.
#[derive(Clone, Debug)]
pub struct Catalog {
    entities: Vec<EntitySpec>,
}

/// A catalogue that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The text is not TOML of the expected shape.
    #[error("the catalogue cannot be read")]
    Format(#[from] Box<toml::de::Error>),
    /// An entry has an unusable value.
    #[error("entity {entity}: {problem}")]
    Entry {
        /// The entry's name.
        entity: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A name that is no pipeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no pipeline {asked:?}{}", nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default())]
pub struct UnknownPipeline {
    /// What was asked for.
    pub asked: String,
    /// The pipeline whose name is nearest, if any is near.
    pub nearest: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    entity: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    plural: String,
    kind: EntityKind,
    axes: Vec<Axis>,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    notes: String,
}

impl Entry {
    fn spec(self) -> Result<EntitySpec, CatalogError> {
        let problem = |problem| CatalogError::Entry { entity: self.name.clone(), problem };
        let name =
            self.name.parse().map_err(|_| problem("the name must be letters, starting with a capital"))?;
        let table = format!("qb_{}", self.plural)
            .parse()
            .map_err(|_| problem("the plural must be lower-case letters, digits and underscores"))?;
        let columns: Result<Vec<EntityName>, _> = self.columns.iter().map(|column| column.parse()).collect();
        let columns = columns.map_err(|_| problem("a column must be letters, starting with a capital"))?;
        if self.axes.is_empty() {
            return Err(problem("at least one axis is needed"));
        }
        Ok(EntitySpec {
            name,
            plural: self.plural.into(),
            kind: self.kind,
            axes: self.axes,
            active: self.active,
            columns,
            table,
            notes: self.notes.into(),
        })
    }
}

impl Catalog {
    /// The catalogue that comes with the crate.
    pub fn bundled() -> Self {
        Self::from_toml(BUNDLED).expect("the bundled catalogue is read by a test")
    }

    /// Reads a catalogue.
    ///
    /// # Errors
    ///
    /// [`CatalogError`] for text of another shape or an entry that cannot be used.
    pub fn from_toml(text: &str) -> Result<Self, CatalogError> {
        let file: File = toml::from_str(text).map_err(Box::new)?;
        let entities = file.entity.into_iter().map(Entry::spec).collect::<Result<_, _>>()?;
        Ok(Self { entities })
    }

    /// Adds the entries of `other`, which win over entries of the same name.
    pub fn extended(mut self, other: Self) -> Self {
        self.entities.retain(|ours| !other.entities.iter().any(|theirs| theirs.name == ours.name));
        self.entities.extend(other.entities);
        self
    }

    /// All entities, in the catalogue's order.
    pub fn entities(&self) -> &[EntitySpec] {
        &self.entities
    }

    /// Finds one entity by its pipeline (`qb_invoices_backfill`), its plural, its table or Intuit's name;
    /// letter case does not matter.
    ///
    /// # Errors
    ///
    /// [`UnknownPipeline`], with the nearest name.
    pub fn find(&self, asked: &str) -> Result<&EntitySpec, UnknownPipeline> {
        let wanted = asked.to_ascii_lowercase();
        let names = |spec: &EntitySpec| {
            [
                spec.pipeline_name(),
                spec.plural.to_string(),
                spec.table.to_string(),
                spec.name.as_str().to_ascii_lowercase(),
            ]
        };
        self.entities.iter().find(|spec| names(spec).contains(&wanted)).ok_or_else(|| {
            let distance = |spec: &EntitySpec| {
                names(spec)
                    .iter()
                    .map(|name| strsim::damerau_levenshtein(name, &wanted))
                    .min()
                    .unwrap_or(usize::MAX)
            };
            let near = self.entities.iter().min_by_key(|spec| distance(spec));
            // Farther than half of the word is a guess, not a suggestion.
            let near = near.filter(|spec| distance(spec) <= wanted.len().div_ceil(2));
            UnknownPipeline { asked: asked.to_owned(), nearest: near.map(EntitySpec::pipeline_name) }
        })
    }

    /// Finds several, each once; `all` stands for the whole catalogue.
    ///
    /// # Errors
    ///
    /// [`UnknownPipeline`] for the first name that is none.
    pub fn select<'a>(
        &self,
        asked: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<EntitySpec>, UnknownPipeline> {
        let mut selected: Vec<EntitySpec> = Vec::new();
        for name in asked {
            let found = if name == "all" { self.entities.clone() } else { vec![self.find(name)?.clone()] };
            for spec in found {
                if !selected.contains(&spec) {
                    selected.push(spec);
                }
            }
        }
        Ok(selected)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_bundled_catalogue_names_everything_after_the_plural() {
        let catalog = Catalog::bundled();
        let invoice = catalog.find("Invoice").unwrap();
        assert_eq!(invoice.pipeline_name(), "qb_invoices_backfill");
        assert_eq!(invoice.table().as_str(), "qb_invoices");
        assert_eq!(invoice.entity_name(), "invoices");
        for name in ["qb_invoices_backfill", "invoices", "QB_INVOICES", "invoice"] {
            assert_eq!(catalog.find(name).unwrap(), invoice);
        }
    }

    #[test]
    fn a_mistyped_pipeline_gets_the_nearest_name() {
        let nearest = |asked| Catalog::bundled().find(asked).unwrap_err().nearest;
        assert_eq!(nearest("qb_invoice_backfil").as_deref(), Some("qb_invoices_backfill"));
        assert_eq!(nearest("custmoers").as_deref(), Some("qb_customers_backfill"));
        assert_eq!(nearest("zzzzzzzzzz"), None);
    }

    #[test]
    fn lists_are_read_with_their_inactive_records_and_items_with_their_sku() {
        let (from, to) = (datetime!(2026-01-01 0:00 UTC), datetime!(2026-02-01 0:00 UTC));
        let item = Catalog::bundled().find("items").unwrap().query(Axis::Updated, from, to);
        assert_eq!(
            item.text(),
            "SELECT *, Sku FROM Item WHERE Active IN (true,false) \
             AND MetaData.LastUpdatedTime >= '2026-01-01T00:00:00Z' \
             AND MetaData.LastUpdatedTime < '2026-02-01T00:00:00Z' \
             ORDERBY MetaData.LastUpdatedTime STARTPOSITION 1 MAXRESULTS 1000"
        );
        let invoice = Catalog::bundled().find("invoices").unwrap().query(Axis::TxnDate, from, to);
        assert!(
            invoice
                .text()
                .contains("WHERE TxnDate >= '2026-01-01' AND TxnDate < '2026-02-01' ORDERBY TxnDate")
        );
    }

    #[test]
    fn an_entity_of_the_users_own_is_a_row_of_toml() {
        let own = Catalog::from_toml(
            "[[entity]]\nname='Bill'\nplural='bills'\nkind='transaction'\naxes=['updated']\n",
        );
        let catalog = Catalog::bundled().extended(own.unwrap());
        assert_eq!(catalog.select(["all", "Bill"]).unwrap().len(), 4);
        for bad in [
            "[[entity]]\nname='bill'\nplural='bills'\nkind='transaction'\naxes=['updated']",
            "[[entity]]\nname='Bill'\nplural='b;x'\nkind='transaction'\naxes=['updated']",
            "[[entity]]\nname='Bill'\nplural='bills'\nkind='transaction'\naxes=[]",
            "[[entity]]\nname='Bill'\nplurl='bills'\nkind='transaction'\naxes=['updated']",
        ] {
            assert!(Catalog::from_toml(bad).is_err(), "{bad}");
        }
    }
}
