//! Describes how the records of an unusual entity are laid out in a response.

use super::EntityName;

/// How an answer holds an entity's records, if it is not the usual way: an array under the entity's name, of objects that have
/// their own `Id`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordLayout {
    /// Another key under which the records may come. `CreditCardPayment` is documented to answer under `CreditCardPaymentTxn`;
    /// since no recorded answer shows it, the entity's name is accepted as well.
    pub array_key: Option<EntityName>,
    /// Whether each record is inside an object with one member, named after its type, as those of `RecurringTransaction` are.
    /// The record's bytes are those of the whole object.
    pub wrapped: bool,
    /// Members whose values, joined by `/`, are the record's id; a missing one is left empty. If the list is empty, the id is
    /// `Id`.
    pub key: Vec<EntityName>,
    /// Members that are cut out of a record before its bytes are handed out: links that are secrets, and that change with every
    /// answer.
    pub strip: Vec<EntityName>,
}
