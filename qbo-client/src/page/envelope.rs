//! The outermost members of a response: the fault, the query's page, or the changes.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The members around the records of an answer, or of a part of one, each as its text: nothing becomes a tree.
///
/// A page has one `QueryResponse`. Change data capture has a `CDCResponse` of parts, each with a `QueryResponse` that has a
/// slot for every requested entity. A fault can occur in any of them, in both letter cases.
#[derive(Deserialize)]
pub(crate) struct AnswerEnvelope<'a> {
    #[serde(alias = "Fault", borrow)]
    pub(crate) fault: Option<&'a RawValue>,
    #[serde(rename = "QueryResponse", borrow)]
    pub(crate) query: Option<&'a RawValue>,
    #[serde(rename = "CDCResponse", borrow)]
    pub(crate) changes: Option<&'a RawValue>,
}
