//! The catalogue: the entities that can be read and what is unusual about each, in a TOML table that users can extend.

mod entity_spec;
mod refusal;
mod request_part;
mod toml_entry;
pub(crate) mod scan_key;
mod time_axis;

pub(crate) use self::entity_spec::IDS_AT_ONCE;
pub use self::entity_spec::{EntityKind, EntitySpec, pipeline_name};
pub use self::request_part::RequestPart;
pub use self::time_axis::{Axis, UnknownAxis};

use std::collections::BTreeMap;

use serde::Deserialize;

use self::toml_entry::{Entry, GROUPS};
use crate::did_you_mean::{did_you_mean, nearest};
use crate::toml_problem::TomlProblem;

/// The bundled catalogue as text.
const BUNDLED: &str = include_str!("catalog.toml");

/// The entities that can be backfilled: an open set, read from TOML.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The TOML tables, kept so that a user's file can change single keys.
    rows: Vec<toml::Table>,
    entities: Vec<EntitySpec>,
}

/// Error of reading a catalogue.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The text is not TOML, or not of the expected shape.
    #[error(transparent)]
    Format(#[from] TomlProblem),
    /// An entry has an unusable value.
    #[error("entity {entity}: {problem}")]
    Entry {
        /// The entry's name.
        entity: String,
        /// What is wrong with the entry.
        problem: TomlProblem,
    },
}

/// Error of looking up a name that is not a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no pipeline {asked:?}{}", did_you_mean(nearest.as_deref()))]
pub struct UnknownPipeline {
    /// The name that was looked up.
    pub asked: String,
    /// The pipeline with the nearest name, if one is near.
    pub nearest: Option<String>,
}

/// The catalogue file, before its entries are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    entity: Vec<toml::Spanned<toml::Table>>,
}

impl Catalog {
    /// Returns the catalogue that is bundled with the crate.
    pub fn bundled() -> Self {
        Self::from_toml(BUNDLED).expect("the bundled catalogue is read by a test")
    }

    /// Reads a catalogue from TOML.
    ///
    /// # Errors
    ///
    /// [`CatalogError`] if the text has another shape or an entry is unusable.
    pub fn from_toml(text: &str) -> Result<Self, CatalogError> {
        Self { rows: Vec::new(), entities: Vec::new() }.extended(text)
    }

    /// Adds the entries of a TOML text. An entry with the name of an existing one changes the keys that it gives and keeps the
    /// others.
    ///
    /// # Errors
    ///
    /// Those of [`from_toml`](Self::from_toml).
    pub fn extended(self, text: &str) -> Result<Self, CatalogError> {
        let file: File = toml::from_str(text).map_err(|error| TomlProblem::new(text, &error))?;
        let mut rows = self.rows;
        let mut starts: BTreeMap<String, usize> = BTreeMap::new();
        for own in file.entity {
            let (start, own) = (own.span().start, own.into_inner());
            starts.insert(name(&own).to_owned(), start);
            match rows.iter_mut().find(|row| row.get("name") == own.get("name")) {
                Some(row) => row.extend(own),
                None => rows.push(own),
            }
        }
        let unusable = |entity: &str, key: &str, problem: &str| CatalogError::Entry {
            entity: entity.to_owned(),
            problem: TomlProblem::of_key(text, starts.get(entity).copied().unwrap_or_default(), key, problem),
        };
        let spec = |row: &toml::Table| {
            let entry: Entry = row.clone().try_into().map_err(|error: toml::de::Error| {
                let (key, problem) = TomlProblem::new("", &error).into_parts();
                unusable(name(row), &key, &problem)
            })?;
            entry.spec().map_err(|(key, problem)| unusable(name(row), key, problem))
        };
        let entities = rows.iter().map(spec).collect::<Result<Vec<_>, _>>()?;
        for (at, spec) in entities.iter().enumerate() {
            if let Some(other) = entities[..at].iter().find(|other| other.plural == spec.plural) {
                let problem = format!("{} has the same plural, and so the same table", other.name);
                return Err(unusable(spec.name.as_str(), "plural", &problem));
            }
            let clash = entities[..at]
                .iter()
                .find(|other| names(other).iter().any(|name| names(spec).contains(name)));
            if let Some(other) = clash {
                let problem =
                    format!("one of its names is one of {}'s, too: letter case does not matter", other.name);
                return Err(unusable(spec.name.as_str(), "name", &problem));
            }
        }
        Ok(Self { rows, entities })
    }

    /// Asks for no custom fields beyond those that QuickBooks sends by itself.
    #[must_use]
    pub fn without_custom_fields(mut self) -> Self {
        self.entities.iter_mut().for_each(|spec| spec.custom_fields = false);
        self
    }

    /// Returns all entities, in the catalogue's order.
    pub fn entities(&self) -> &[EntitySpec] {
        &self.entities
    }

    /// Finds an entity by its pipeline (`qb_invoices_backfill`), its plural, its table or Intuit's name, ignoring case.
    ///
    /// # Errors
    ///
    /// [`UnknownPipeline`] with the nearest name, if no entity has this one.
    pub fn find(&self, asked: &str) -> Result<&EntitySpec, UnknownPipeline> {
        let wanted = asked.to_ascii_lowercase();
        self.entities.iter().find(|spec| names(spec).contains(&wanted)).ok_or_else(|| {
            let names: Vec<_> =
                self.entities.iter().flat_map(|spec| names(spec).map(|name| (name, spec))).collect();
            let near = nearest(&wanted, names.iter().map(|(name, _)| name.as_str()));
            let near = near.and_then(|near| names.iter().find(|(name, _)| name == near));
            let near = near.map(|(_, spec)| spec.pipeline_name());
            UnknownPipeline { asked: asked.to_owned(), nearest: near }
        })
    }

    fn find_or_suggest(&self, asked: &str) -> Result<&EntitySpec, UnknownPipeline> {
        self.find(asked).map_err(|unknown| {
            let names: Vec<_> = self.entities.iter().flat_map(names).collect();
            let near = nearest(asked, names.iter().map(String::as_str).chain(GROUPS));
            let group = near.filter(|near| GROUPS.contains(near)).map(str::to_owned);
            UnknownPipeline { nearest: group.or(unknown.nearest), ..unknown }
        })
    }

    /// Whether a word stands for several entities: `all`, `transactions` or `lists`.
    pub fn is_group(word: &str) -> bool {
        GROUPS.iter().any(|group| group.eq_ignore_ascii_case(word))
    }

    /// Finds several entities, each once. `all` stands for the whole catalogue, `transactions` and `lists` for all entities of
    /// a kind.
    ///
    /// # Errors
    ///
    /// [`UnknownPipeline`] for the first name that no entity has.
    pub fn select<'a>(
        &self,
        asked: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<EntitySpec>, UnknownPipeline> {
        let mut selected: Vec<EntitySpec> = Vec::new();
        for word in asked {
            let of_kind = |kind| self.entities.iter().filter(|spec| spec.kind == kind).cloned().collect();
            let found = match word.to_ascii_lowercase().as_str() {
                "all" => self.entities.clone(),
                "transactions" => of_kind(EntityKind::Transaction),
                "lists" => of_kind(EntityKind::List),
                _ => vec![self.find_or_suggest(word)?.clone()],
            };
            for spec in found {
                if !selected.contains(&spec) {
                    selected.push(spec);
                }
            }
        }
        Ok(selected)
    }
}

/// Returns the names that an entity can be found by, in lower case.
fn names(spec: &EntitySpec) -> [String; 4] {
    [
        spec.pipeline_name(),
        spec.plural.to_string(),
        spec.table.to_string(),
        spec.name.as_str().to_ascii_lowercase(),
    ]
}

fn name(row: &toml::Table) -> &str {
    row.get("name").and_then(toml::Value::as_str).unwrap_or("without a name")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::Axis;

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
    fn every_queryable_entity_is_there_once_and_every_question_can_be_written() {
        let catalog = Catalog::bundled();
        assert_eq!(catalog.entities().len(), 40);
        let mut names = HashSet::new();
        let span = time::macros::datetime!(2026-01-01 0:00 UTC);
        for spec in catalog.entities() {
            for name in [spec.name().as_str(), spec.entity_name(), &spec.pipeline_name()] {
                assert!(names.insert(name.to_owned()), "{name} is there twice");
            }
            for axis in spec.axes() {
                let query = spec.query(*axis, span, span + time::Duration::DAY);
                let expected = if spec.is_snapshot() { 0 } else { 3 };
                assert_eq!(
                    query.text().matches(axis.property().as_str()).count(),
                    expected,
                    "{}",
                    spec.name()
                );
                assert_eq!(query.text().contains("Active IN (true,false)"), spec.has_inactive());
                assert_eq!(query.text().matches("FROM ").count(), 1);
                assert_eq!(query.included().is_some(), spec.has_custom_fields());
            }
            assert_eq!(spec.axes().contains(&Axis::TxnDate), spec.axes().len() == 3, "{}", spec.name());
        }
    }

    #[test]
    fn custom_fields_are_asked_for_where_the_catalogue_says_so_unless_they_are_switched_off() {
        let catalog = Catalog::bundled();
        let wanted = |catalog: &Catalog| {
            let names = catalog.entities().iter().filter(|spec| spec.has_custom_fields());
            names.map(|spec| spec.name().as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            wanted(&catalog),
            [
                "Invoice",
                "SalesReceipt",
                "Estimate",
                "CreditMemo",
                "RefundReceipt",
                "Bill",
                "Purchase",
                "PurchaseOrder",
                "Customer",
                "Vendor"
            ]
        );
        let own =
            "[[entity]]\nname='Bill'\ncustom_fields=false\n[[entity]]\nname='Item'\ncustom_fields=true\n";
        let own = catalog.extended(own).unwrap();
        assert!(!wanted(&own).contains(&"Bill".to_owned()) && wanted(&own).contains(&"Item".to_owned()));
        assert_eq!(wanted(&own.without_custom_fields()), Vec::<String>::new());
    }

    #[test]
    fn a_mistyped_pipeline_gets_the_nearest_name() {
        let nearest = |asked| Catalog::bundled().find(asked).unwrap_err().nearest;
        assert_eq!(nearest("qb_invoice_backfil").as_deref(), Some("qb_invoices_backfill"));
        assert_eq!(nearest("custmoers").as_deref(), Some("qb_customers_backfill"));
        assert_eq!(nearest("zzzzzzzzzz"), None);
        let of_several = |asked| Catalog::bundled().select([asked]).unwrap_err().nearest;
        assert_eq!(of_several("transactons").as_deref(), Some("transactions"));
        assert_eq!(of_several("Invoce").as_deref(), Some("qb_invoices_backfill"));
    }

    #[test]
    fn groups_stand_for_all_of_a_kind_and_nothing_is_selected_twice() {
        let catalog = Catalog::bundled();
        let count = |words: &[&str]| catalog.select(words.iter().copied()).unwrap().len();
        assert_eq!((count(&["transactions"]), count(&["lists"]), count(&["all"])), (20, 16, 40));
        assert_eq!(count(&["Lists", "Customer", "transactions", "preferences"]), 37);
        assert!(Catalog::is_group("all") && Catalog::is_group("LISTS") && !Catalog::is_group("items"));
    }

    #[test]
    fn an_entity_of_the_users_own_is_a_row_of_toml() {
        let catalog = Catalog::bundled();
        let own = "[[entity]]\nname='Widget'\nplural='widgets'\nkind='transaction'\naxes=['updated']\n";
        let extended = catalog.clone().extended(own).unwrap();
        assert_eq!(extended.select(["all", "Widget"]).unwrap().len(), 41);

        let changed = catalog.extended("[[entity]]\nname='TimeActivity'\npage_size=100\n").unwrap();
        assert_eq!(changed.entities().len(), 40);
        let spec = changed.find("time_activities").unwrap();
        assert_eq!(spec.page_size(qbo_client::PageSize::MAX).get(), 100);
        assert_eq!(spec.axes().len(), 3, "what the entry does not name is gone");
    }

    #[test]
    fn an_entry_that_cannot_be_used_is_refused_by_name() {
        let check = |entry: &str, part: &str| {
            let text = format!("# ours\n[[entity]]\nname='Bill'\n\n[[entity]]\n{entry}");
            let error = Catalog::bundled().extended(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{entry}: {error}");
        };
        check(
            "name='Widget'\nkind='list'\naxes=['updated']\nplural='b;x'",
            "entity Widget: line 9, key plural: ",
        );
        check(
            "name='Widget'\nplurl='w'\nkind='list'\naxes=['updated']",
            "key plurl: there is no such key; did you mean plural?",
        );
        check("name='Widget'\nplurl='w'\nkind='list'\naxes=['updated']", "line 7, ");
        check(
            "name='Widget'\nplural='w'\nkind='lsit'\naxes=['updated']",
            "line 8, key kind: \"lsit\" is not known here; did you mean list?",
        );
        check(
            "name='Widget'\nplural='w'\nkind='list'\naxes=['updted']",
            "line 9, key axes: \"updted\" is not known here; did you mean updated?",
        );
        check("name='Widget'\n[entiy]", "line 7, key entiy: there is no such key; did you mean entity?");
        check("name='Widget", "line 6, ");
        check(
            "name='widget'\nplural='w'\nkind='list'\naxes=['updated']",
            "entity widget: line 6, key name: the name must be",
        );
        check("name='Widget'\nplural='b;x'\nkind='list'\naxes=['updated']", "lower-case letters");
        check("name='Widget'\nplural='w'\nkind='list'\naxes=[]", "at least one axis");
        check("name='Widget'\nplurl='w'\nkind='list'\naxes=['updated']", "entity Widget: line 7");
        check("name='Widget'\nkind='list'\naxes=['updated']", "plural");
        check("name='Widget'\nplural=''\nkind='list'\naxes=['updated']", "must have a letter");
        check("name='Widget'\nplural='_1'\nkind='list'\naxes=['updated']", "must have a letter");
        check("name='Widget'\nplural='lists'\nkind='list'\naxes=['updated']", "several entities");
        check("name='Widget'\nplural='bills'\nkind='list'\naxes=['updated']", "Bill has the same plural");
        check("name='Invoices'\nplural='w'\nkind='list'\naxes=['updated']", "one of Invoice's, too");
        check("name='Bill'\npage_size=1001", "1 to 1000");
        check("name='Bill'\npaged=false", "only a snapshot");
        check("name='Bill'\nstrip=['a b']", "letters, starting with a capital");
    }
}
