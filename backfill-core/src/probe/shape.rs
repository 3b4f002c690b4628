//! What is kept of an answer: its shape, and nothing of its content.

use std::collections::BTreeSet;

use qbo_client::{RawPage, RawRecord};
use serde_json::{Map, Value};

use super::known_keys::known;
use crate::catalog::EntitySpec;

/// The shape of a page of records: counts, and keys of Intuit's documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Number of records.
    pub records: u64,
    /// Keys of the records that the documentation names.
    pub keys: BTreeSet<&'static str>,
    /// Number of other keys. They may be named by users, and are only counted.
    pub other_keys: u64,
    /// Records that are not a JSON object.
    pub unreadable: u64,
    /// Records whose id is a number, and those with another id. All others have none.
    pub numeric_ids: u64,
    /// See `numeric_ids`.
    pub other_ids: u64,
    /// Records whose last update is known to the second.
    pub timed: u64,
    /// Records of whose last update only the day is known.
    pub dated: u64,
    /// Records that state when they were created.
    pub created: u64,
    /// Elements of the arrays `CustomField`.
    pub custom_fields: u64,
    /// Records that say that they are inactive.
    pub inactive: u64,
    /// Whether the last updates never decrease; `None` with fewer than two.
    pub in_order_of_time: Option<bool>,
    /// Whether the ids grow as numbers; `None` with fewer than two numbers.
    pub in_order_of_number: Option<bool>,
    /// Whether the ids grow as texts; `None` with fewer than two.
    pub in_order_of_text: Option<bool>,
}

impl Shape {
    /// Describes a page.
    pub(super) fn of(page: &RawPage, spec: &EntitySpec) -> Self {
        let mut shape = Self { records: page.len() as u64, ..Self::default() };
        let (mut times, mut numbers, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        let mut others = BTreeSet::new();
        for record in page.records() {
            shape.count_head(&record);
            times.extend(record.updated_at());
            if let Ok(id) = record.id() {
                texts.push(id);
                // The longest id seen has 21 digits.
                numbers.extend(id.parse::<u128>());
            }
            match object(&record, spec) {
                Some(members) => shape.count_members(&members, &mut others),
                None => shape.unreadable += 1,
            }
        }
        shape.other_keys = others.len() as u64;
        shape.in_order_of_time = in_order(&times, |a, b| a <= b);
        shape.in_order_of_number = in_order(&numbers, |a, b| a < b);
        shape.in_order_of_text = in_order(&texts, |a, b| a < b);
        shape
    }

    fn count_head(&mut self, record: &RawRecord<'_>) {
        match record.id() {
            Ok(id) if id.parse::<u128>().is_ok() => self.numeric_ids += 1,
            Ok(_) => self.other_ids += 1,
            Err(_) => {}
        }
        self.timed += u64::from(record.updated_at().is_some());
        self.dated += u64::from(record.updated_on().is_some());
        self.created += u64::from(record.created_at().is_some());
    }

    fn count_members(&mut self, members: &Map<String, Value>, others: &mut BTreeSet<String>) {
        for (key, value) in members {
            match known(key) {
                Some(key) => _ = self.keys.insert(key),
                None => _ = others.insert(key.clone()),
            }
            match (key.as_str(), value) {
                ("CustomField", Value::Array(fields)) => self.custom_fields += fields.len() as u64,
                ("Active", Value::Bool(false)) => self.inactive += 1,
                _ => {}
            }
        }
    }
}

/// The members of a record, without the object around it that some entities have.
fn object(record: &RawRecord<'_>, spec: &EntitySpec) -> Option<Map<String, Value>> {
    let Value::Object(members) = serde_json::from_slice(&record.bytes()).ok()? else { return None };
    if spec.layout.wrapped && !members.contains_key("Id") {
        let inner = members.into_iter().find_map(|(_, value)| match value {
            Value::Object(inner) => Some(inner),
            _ => None,
        });
        return inner;
    }
    Some(members)
}

fn in_order<T>(values: &[T], follows: impl Fn(&T, &T) -> bool) -> Option<bool> {
    (values.len() > 1).then(|| values.windows(2).all(|pair| follows(&pair[0], &pair[1])))
}
