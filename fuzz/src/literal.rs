//! F7: texts in a question.

use qbo_client::{Comparison, EntityName, Predicate, Property, Query, Value};

use crate::memory::bounded;
use crate::shape::Shape;

/// Shapes that cost most for their bytes.
pub const SHAPES: &[Shape] = &[
    Shape { name: "quotes", head: "", unit: "'", tail: "" },
    Shape { name: "backslashes", head: "", unit: "\\", tail: "" },
    Shape { name: "letters", head: "", unit: "é", tail: "" },
];

/// Asks for any text, and finds it in the question as the emulator reads it.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let entity: EntityName = "Invoice".parse().expect("it is a name");
    let value = || Value::Text(text.into());
    let query = Query::select(entity)
        .filter(Predicate::compare(Property::ID, Comparison::Equal, value()))
        .filter(Predicate::is_in(Property::ID, [value(), Value::Bool(true), value()]));
    // Three times the text, each sign of it with a backslash, in a string that doubles.
    let question = bounded(data, 4096 + 8 * data.len(), || query.text());
    assert_eq!(
        fixtures::literals(&question).as_deref(),
        Some(&[text, text, "true", text].map(str::to_owned)[..])
    );
    assert!(question.ends_with(" STARTPOSITION 1 MAXRESULTS 1000"));
}
