//! Events for programs: one JSON object per line on stdout.

use backfill_report::instant::utc;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::output::print;

/// Writes one event that happens now, with its version, time and name.
pub(crate) fn write(name: &str, fields: Value) {
    write_at(now(), name, fields);
}

/// Writes one event of the contract that happened at a known time.
pub(crate) fn write_at(at: OffsetDateTime, name: &str, fields: Value) {
    let exit_code = fields.get("exit_code").and_then(Value::as_u64);
    let mut object = Map::new();
    object.insert("v".into(), 1.into());
    object.insert("t".into(), with_milliseconds(at).into());
    object.insert("ev".into(), name.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    print::event(&Value::Object(object).to_string(), exit_code);
}

#[expect(clippy::disallowed_methods, reason = "such an event carries the moment at which it is written")]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn with_milliseconds(at: OffsetDateTime) -> String {
    let millis = at.replace_millisecond(at.millisecond()).unwrap_or(at);
    millis.format(&time::format_description::well_known::Rfc3339).unwrap_or_else(|_| utc(at))
}
