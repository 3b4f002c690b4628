//! The events of the contract, and the object that stands for an error: one JSON object a line on stdout.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::exit::{self, Exit};
use crate::instant::utc;
use crate::output;

/// Writes one event of the contract.
pub(crate) fn write(name: &str, fields: Value) {
    let exit_code = fields.get("exit_code").and_then(Value::as_u64);
    let mut object = Map::new();
    object.insert("v".into(), 1.into());
    object.insert("t".into(), now().into());
    object.insert("ev".into(), name.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    output::event(&Value::Object(object).to_string(), exit_code);
}

/// Tells programs why a command has not ended well, unless its result or its last event has told it already.
pub(crate) fn tell(exit: &Exit) {
    let is_end_of_help = exit.code == exit::DONE;
    if !is_end_of_help && output::is_for_programs() && !output::has_told(exit.code.into()) {
        write(
            "error",
            json!({"kind": kind(exit.code), "exit_code": exit.code, "message": exit.what, "next": exit.next}),
        );
    }
}

/// The word for an exit code.
fn kind(code: u8) -> &'static str {
    match code {
        exit::USAGE => "usage",
        exit::INCOMPLETE => "incomplete",
        exit::REAUTHORISE => "reauthorise",
        exit::REFUSED => "refused",
        exit::SOURCE => "source",
        exit::DESTINATION => "destination",
        exit::VAULT => "vault",
        exit::HELD => "held",
        exit::OUTPUT => "output",
        exit::INTERRUPTED | exit::TERMINATED => "stopped",
        _ => "bug",
    }
}

#[expect(clippy::disallowed_methods, reason = "an event carries the moment at which it is written")]
fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let millis = now.replace_millisecond(now.millisecond()).unwrap_or(now);
    millis.format(&time::format_description::well_known::Rfc3339).unwrap_or_else(|_| utc(now))
}
