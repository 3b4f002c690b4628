use super::EntityName;

/// How an entity's records stand in an answer, where that is not the usual way: an array under the entity's name, of
/// objects that carry their own `Id`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordLayout {
    /// Another key under which the records may come. `CreditCardPayment` is documented to answer under
    /// `CreditCardPaymentTxn`; since nobody has recorded it, the entity's name is accepted as well.
    pub array_key: Option<EntityName>,
    /// Whether each record stands inside an object with one member, named after its type, as those of
    /// `RecurringTransaction` do. The record's bytes are those of the whole object.
    pub wrapped: bool,
    /// The members whose values, joined by `/`, are the record's id; a missing one is left empty. None: `Id`.
    pub key: Vec<EntityName>,
    /// Members that are cut out of a record before anybody sees its bytes: links that are secrets, and new at every
    /// answer.
    pub strip: Vec<EntityName>,
}
