//! F1: a page's envelope, and the records in it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use qbo_client::{Bytes, Deletions, EntityName, IdentityProblem, Query, RawPage, RawRecord, RecordLayout};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::memory::bounded;
use crate::shape::Shape;

/// Records of ten pages, with what is known of each, in vectors that double.
const SPARE: usize = 8 << 20;

/// The member that one of the layouts cuts out.
const SECRET: &str = "Link";

/// Shapes that cost most for their bytes.
pub const SHAPES: &[Shape] = &[
    Shape {
        name: "small records",
        head: r#"{"QueryResponse":{"Invoice":[0"#,
        unit: ",0",
        tail: r#"]},"time":"x"}"#,
    },
    Shape {
        name: "usual records",
        head: r#"{"QueryResponse":{"Invoice":[{"Id":"x"}"#,
        unit: r#",{"Id":"1#","SyncToken":"0","TxnDate":"2024-01-02","MetaData":{"CreateTime":"2024-01-02T03:04:05-08:00","LastUpdatedTime":"2024-01-02T03:04:05-08:00"},"Line":[{"Amount":100.50,"DetailType":"SalesItemLineDetail","Description":"Obviously false work, by the hour, over and over and over again"}],"TotalAmt":100.50}"#,
        tail: r#"]},"time":"2024-01-02T03:04:05.678-08:00"}"#,
    },
    Shape { name: "nesting", head: r#"{"QueryResponse":{"Invoice":["#, unit: "[", tail: "" },
    Shape {
        name: "members",
        head: r#"{"QueryResponse":{"Invoice":[{"Id":"1""#,
        unit: ",\"\":0",
        tail: r#"}]},"time":"x"}"#,
    },
    Shape {
        name: "links",
        head: r#"{"QueryResponse":{"Invoice":[{"Id":"1""#,
        unit: ",\"Link\":0,\"\":0",
        tail: r#"}]},"time":"x"}"#,
    },
    Shape {
        name: "keys of the envelope",
        head: r#"{"QueryResponse":{""#,
        unit: "\":0,\"",
        tail: r#"":0},"time":"x"}"#,
    },
    Shape {
        name: "deletions",
        head: r#"{"CDCResponse":[{"QueryResponse":[{"Invoice":[{}"#,
        unit: ",{}",
        tail: "]}]}]}",
    },
    Shape { name: "slots", head: r#"{"CDCResponse":[{"QueryResponse":[{}"#, unit: ",{}", tail: "]}]}" },
];

static QUERIES: LazyLock<Vec<Query>> = LazyLock::new(|| {
    let names = |names: &[&str]| names.iter().map(|name| name_of(name)).collect();
    let usual = RecordLayout::default();
    let layouts = [
        RecordLayout { array_key: Some(name_of("InvoiceTxn")), ..usual.clone() },
        RecordLayout { wrapped: true, strip: names(&[SECRET]), ..usual.clone() },
        RecordLayout { key: names(&["From", "To"]), ..usual.clone() },
        usual,
    ];
    layouts.into_iter().map(|layout| Query::select(name_of("Invoice")).layout(layout)).collect()
});

fn name_of(name: &str) -> EntityName {
    name.parse().expect("it is a name")
}

/// Splits a body in every layout, and reads it as change data capture.
pub fn target(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    for query in QUERIES.iter() {
        let split = bounded(data, SPARE, || RawPage::answering(body.clone(), query));
        if let Ok(page) = split {
            records_are_whole(&page, query.record_layout());
            if *query.record_layout() == RecordLayout::default() {
                splits_back(&page);
                nothing_is_lost(data, &page);
            }
        }
    }
    let _ = bounded(data, SPARE, || Deletions::read(data));
}

fn records_are_whole(page: &RawPage, layout: &RecordLayout) {
    for record in page.records() {
        let bytes = record.bytes();
        if let Ok(id) = record.id() {
            assert!((1..=64).contains(&id.len()) && !id.chars().any(char::is_control));
        }
        let Ok(text) = std::str::from_utf8(&bytes) else { continue };
        assert!(serde_json::from_str::<&RawValue>(text).is_ok(), "what is left of a record is not JSON");
        if !layout.strip.is_empty() {
            assert!(!has_secret(text, layout.wrapped), "a stripped member is still there");
        }
    }
}

fn has_secret(record: &str, wrapped: bool) -> bool {
    let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(record) else { return false };
    let is_wrapper = wrapped && !members.contains_key("Id");
    if !is_wrapper {
        return members.contains_key(SECRET);
    }
    // With two members that are objects it is not told here which came first.
    let mut inner = members.values().filter(|value| value.get().starts_with('{'));
    match (inner.next(), inner.next()) {
        (None, _) => members.contains_key(SECRET),
        (Some(inner), None) => has_secret(inner.get(), false),
        (Some(_), Some(_)) => false,
    }
}

/// What was taken out of an envelope is the same in another one.
fn splits_back(page: &RawPage) {
    let mut body = br#"{"QueryResponse":{"Invoice":["#.to_vec();
    for (place, record) in page.records().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&record.bytes());
    }
    body.extend_from_slice(br#"]},"time":"2024-01-02T03:04:05Z"}"#);
    let again = RawPage::split(body.into(), "Invoice").expect("whole records make a whole page");
    assert_eq!(page.len(), again.len());
    for (one, other) in page.records().zip(again.records()) {
        assert_eq!(known(&one), known(&other));
    }
}

type Known<'a> = (Bytes, Result<&'a str, IdentityProblem>, Option<i64>, [Option<String>; 3]);

fn known<'a>(record: &RawRecord<'a>) -> Known<'a> {
    let times = [
        record.updated_at().map(|at| at.to_string()),
        record.created_at().map(|at| at.to_string()),
        record.txn_date().map(|date| date.to_string()),
    ];
    (record.bytes(), record.id(), record.sync_token(), times)
}

/// Another parser sees as many records, where both are sure to see the same arrays.
fn nothing_is_lost(data: &[u8], page: &RawPage) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let is_plain = |key: &str| text.matches(key).count() <= 1;
    if text.contains('\\') || !is_plain("\"Invoice\"") || !is_plain("\"QueryResponse\"") {
        return;
    }
    let Ok(Value::Object(outer)) = serde_json::from_str(text) else { return };
    let records =
        outer.get("QueryResponse").and_then(|answer| answer.get("Invoice")).and_then(Value::as_array);
    assert_eq!(page.len(), records.map_or(0, Vec::len));
    for (record, value) in page.records().zip(records.into_iter().flatten()) {
        let id = value
            .as_object()
            .and_then(|record: &Map<String, Value>| record.get("Id"))
            .and_then(Value::as_str);
        if let Ok(found) = record.id() {
            assert_eq!(Some(found), id);
        }
    }
}
