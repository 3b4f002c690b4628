//! From a body to the places of its records: one pass over the envelope, one over each record's head.
//!
//! `serde_json`'s borrowed `RawValue` finds where each record begins and ends without building a tree; measured
//! against SIMD parsers in this project's dependency notes, nothing faster keeps the bytes.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::IdentityProblem;
use crate::page::RecordSpan;

/// Longest id that is taken for one. The longest seen in QBO has 19 digits.
const LONGEST_ID: usize = 64;

/// Why a body is not a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The body is empty.
    #[error("the body is empty")]
    Empty,
    /// The body is not whole or not JSON.
    #[error("the body is cut short or is not JSON")]
    Malformed,
    /// There is no `QueryResponse`, or an empty one without the server's time.
    #[error("the answer has no QueryResponse")]
    NoAnswer,
    /// The answer carries a fault.
    #[error("the answer carries a fault")]
    Fault,
    /// Records came under a key that was not asked for.
    #[error("the answer holds records of something else")]
    OtherRecords,
    /// The answer's own count of its records is not what it holds.
    #[error("the answer counts its records differently than it holds")]
    Contradiction,
}

pub(crate) struct Envelope {
    pub(crate) records: Vec<RecordSpan>,
    pub(crate) answered_at: Option<OffsetDateTime>,
}

pub(crate) fn split(body: &[u8], key: &str) -> Result<Envelope, SplitError> {
    let text = readable(body)?;
    let outer: Outer<'_> = parse(&text, key)?;
    let answer = outer.answer.ok_or(SplitError::NoAnswer)?;
    if answer.records.is_empty() && outer.time.is_none() {
        return Err(SplitError::NoAnswer);
    }
    if answer.max_results.is_some_and(|claimed| claimed != answer.records.len() as u64) {
        return Err(SplitError::Contradiction);
    }
    let base = text.as_ptr() as usize;
    let place = |record: &&RawValue| {
        let start = record.get().as_ptr() as usize - base;
        let range = start..start + record.get().len();
        span(record.get(), range)
    };
    let answered_at = outer.time.as_deref().and_then(instant);
    Ok(Envelope { records: answer.records.iter().map(place).collect(), answered_at })
}

/// The number in `{"QueryResponse":{"totalCount":n}}`.
#[cfg(any(feature = "http", test))]
pub(crate) fn total_count(body: &[u8]) -> Result<u64, SplitError> {
    let text = readable(body)?;
    let outer: Outer<'_> = parse(&text, "")?;
    outer.answer.and_then(|answer| answer.total_count).ok_or(SplitError::NoAnswer)
}

/// The body as text of the same length. Bytes that are not UTF-8 become `?`, so that one spoilt record does
/// not hide its page: places found in this text are places in the body.
fn readable(body: &[u8]) -> Result<Cow<'_, str>, SplitError> {
    if body.trim_ascii().is_empty() {
        return Err(SplitError::Empty);
    }
    if let Ok(text) = std::str::from_utf8(body) {
        return Ok(Cow::Borrowed(text));
    }
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Ok(Cow::Owned(text))
}

fn parse<'a>(text: &'a str, key: &str) -> Result<Outer<'a>, SplitError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let outer = OuterSeed { key }.deserialize(&mut deserializer).map_err(|_| SplitError::Malformed)?;
    deserializer.end().map_err(|_| SplitError::Malformed)?;
    let faulty = outer.fault || outer.answer.as_ref().is_some_and(|answer| answer.fault);
    let strange = outer.answer.as_ref().is_some_and(|answer| answer.other_records);
    match (faulty, strange) {
        (true, _) => Err(SplitError::Fault),
        (false, true) => Err(SplitError::OtherRecords),
        (false, false) => Ok(outer),
    }
}

#[derive(Default)]
struct Outer<'a> {
    answer: Option<Answer<'a>>,
    time: Option<Cow<'a, str>>,
    fault: bool,
}

#[derive(Default)]
struct Answer<'a> {
    records: Vec<&'a RawValue>,
    max_results: Option<u64>,
    total_count: Option<u64>,
    fault: bool,
    other_records: bool,
}

struct OuterSeed<'k> {
    key: &'k str,
}

impl<'de> DeserializeSeed<'de> for OuterSeed<'_> {
    type Value = Outer<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Outer<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OuterSeed<'_> {
    type Value = Outer<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer of the API")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outer<'de>, A::Error> {
        let mut outer = Outer::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match &*name {
                "QueryResponse" => outer.answer = map.next_value_seed(AnswerSeed { key: self.key })?,
                "time" => outer.time = map.next_value::<Time<'de>>()?.0,
                "Fault" | "fault" => outer.fault |= map.next_value::<Option<IgnoredAny>>()?.is_some(),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(outer)
    }
}

struct AnswerSeed<'k> {
    key: &'k str,
}

impl<'de> DeserializeSeed<'de> for AnswerSeed<'_> {
    type Value = Option<Answer<'de>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for AnswerSeed<'_> {
    type Value = Option<Answer<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a QueryResponse")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut answer = Answer::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match &*name {
                name if name == self.key => answer.records = map.next_value()?,
                "maxResults" => answer.max_results = map.next_value()?,
                "totalCount" => answer.total_count = map.next_value()?,
                "Fault" | "fault" => answer.fault |= map.next_value::<Option<IgnoredAny>>()?.is_some(),
                _ => answer.other_records |= is_filled_array(map.next_value::<&RawValue>()?),
            }
        }
        Ok(Some(answer))
    }
}

fn is_filled_array(value: &RawValue) -> bool {
    value.get().strip_prefix('[').is_some_and(|rest| !rest.trim_start().starts_with(']'))
}

/// The envelope's `time`: a text in the API's answers, milliseconds in the gateway's (which we do not need).
struct Time<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Time<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(text(raw)))
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "Id", borrow)]
    id: Option<&'a RawValue>,
    #[serde(rename = "SyncToken", borrow)]
    sync_token: Option<&'a RawValue>,
    #[serde(rename = "TxnDate", borrow)]
    txn_date: Option<&'a RawValue>,
    #[serde(rename = "MetaData", borrow)]
    meta: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Meta<'a> {
    #[serde(rename = "CreateTime", borrow)]
    created: Option<&'a RawValue>,
    #[serde(rename = "LastUpdatedTime", borrow)]
    updated: Option<&'a RawValue>,
}

fn span(record: &str, range: std::ops::Range<usize>) -> RecordSpan {
    // Only an object can be a record; without this, an array would be read as its fields in order.
    let head = if record.starts_with('{') { serde_json::from_str::<Head<'_>>(record).ok() } else { None };
    let Some(head) = head else {
        return RecordSpan {
            range,
            id: Err(IdentityProblem::NotAnObject),
            sync_token: None,
            updated_at: None,
            created_at: None,
            txn_date: None,
        };
    };
    let meta: Meta<'_> = head.meta.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    RecordSpan {
        range,
        id: identity(head.id),
        sync_token: head.sync_token.and_then(integer),
        updated_at: meta.updated.and_then(text).as_deref().and_then(instant),
        created_at: meta.created.and_then(text).as_deref().and_then(instant),
        txn_date: head.txn_date.and_then(text).as_deref().and_then(date),
    }
}

fn identity(raw: Option<&RawValue>) -> Result<Box<str>, IdentityProblem> {
    let id = text(raw.ok_or(IdentityProblem::Missing)?).ok_or(IdentityProblem::Unusable)?;
    let sound = (1..=LONGEST_ID).contains(&id.len()) && !id.chars().any(char::is_control);
    if sound { Ok(id.into()) } else { Err(IdentityProblem::Unusable) }
}

/// The text of a JSON string; `None` for any other value.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str::<String>(raw.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// `"3"`, as QBO writes edit counters, or `3`.
fn integer(raw: &RawValue) -> Option<i64> {
    raw.get().trim_matches('"').parse().ok()
}

/// An instant with any offset. Times come back in Pacific local time, whatever the company's country, so
/// they must be compared as instants, never as text.
fn instant(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

fn date(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use time::macros::{date, datetime};

    use super::*;
    use crate::RawPage;

    fn page(body: impl Into<Bytes>) -> Result<RawPage, SplitError> {
        RawPage::split(body.into(), "Invoice")
    }

    #[test]
    fn records_are_views_that_keep_every_byte() {
        let record = r#"{"TotalAmt": 10.50 ,"Id":"17","SyncToken":"5","TxnDate":"2014-09-02","MetaData":{"CreateTime":"2014-09-02T12:00:00-07:00","LastUpdatedTime":"2014-12-02T12:00:00-08:00"},"x":12345678901234567890.123}"#;
        let body = format!(
            r#"{{"QueryResponse":{{"Invoice":[{record} , {record}],"startPosition":1,"maxResults":2,"totalCount":2}},"time":"2020-09-29T06:03:53.903-07:00"}}"#
        );
        let page = page(body).unwrap();
        assert_eq!(page.answered_at(), Some(datetime!(2020-09-29 13:03:53.903 UTC)));
        assert_eq!(page.len(), 2);
        for view in page.records() {
            assert_eq!(view.bytes(), record.as_bytes());
            assert_eq!(view.id(), Ok("17"));
            assert_eq!(view.sync_token(), Some(5));
            assert_eq!(view.created_at(), Some(datetime!(2014-09-02 19:00 UTC)));
            assert_eq!(view.updated_at(), Some(datetime!(2014-12-02 20:00 UTC)));
            assert_eq!(view.txn_date(), Some(date!(2014 - 09 - 02)));
        }
    }

    #[test]
    fn only_a_whole_answer_with_its_time_is_an_empty_page() {
        assert_eq!(page(r#"{"QueryResponse":{},"time":"2020-09-29T06:03:53.903-07:00"}"#).unwrap().len(), 0);
        let refused = [
            ("", SplitError::Empty),
            (" \n", SplitError::Empty),
            ("{}", SplitError::NoAnswer),
            (r#"{"QueryResponse":{}}"#, SplitError::NoAnswer),
            (r#"{"QueryResponse":null,"time":"2020-09-29T06:03:53-07:00"}"#, SplitError::NoAnswer),
            (r#"{"time":"2020-09-29T06:03:53.903-07:00"}"#, SplitError::NoAnswer),
            ("[]", SplitError::Malformed),
            ("<html>", SplitError::Malformed),
            (r#"{"QueryResponse":{"Invoice":[{"Id":"1"}"#, SplitError::Malformed),
            (r#"{"QueryResponse":{},"time":"x"}trailing"#, SplitError::Malformed),
            (r#"{"QueryResponse":{"Customer":[{"Id":"1"}]},"time":"x"}"#, SplitError::OtherRecords),
            (
                r#"{"QueryResponse":{"Invoice":[{"Id":"1"}],"maxResults":2},"time":"x"}"#,
                SplitError::Contradiction,
            ),
            (r#"{"Fault":{"Error":[]},"time":"x"}"#, SplitError::Fault),
            (r#"{"fault":{"error":[]},"queryResponse":null,"time":1601391072830}"#, SplitError::Fault),
            (r#"{"QueryResponse":{"Fault":{"Error":[]}},"time":"x"}"#, SplitError::Fault),
        ];
        for (body, error) in refused {
            assert_eq!(page(body).unwrap_err(), error, "{body}");
        }
    }

    #[test]
    fn a_record_without_a_usable_id_says_so_and_keeps_its_bytes() {
        let check = |record: &str, problem| {
            let body = format!(r#"{{"QueryResponse":{{"Invoice":[{record}]}},"time":"x"}}"#);
            let page = page(body).unwrap();
            let view = page.records().next().unwrap();
            assert_eq!(view.id(), Err(problem), "{record}");
            assert_eq!(view.bytes(), record.as_bytes());
        };
        check(r#"{"Name":"x"}"#, IdentityProblem::Missing);
        check(r#"{"Id":7}"#, IdentityProblem::Unusable);
        check(r#"{"Id":""}"#, IdentityProblem::Unusable);
        check(r#"{"Id":"a\u0000b"}"#, IdentityProblem::Unusable);
        check(r#"{"Id":"1","Id":"2"}"#, IdentityProblem::NotAnObject);
        check("[1]", IdentityProblem::NotAnObject);
    }

    #[test]
    fn bytes_that_are_not_text_spoil_one_record_and_not_its_page() {
        let mut body = br#"{"QueryResponse":{"Invoice":[{"Id":"1","n":""#.to_vec();
        body.extend([0xff, 0xc3]);
        body.extend(br#""},{"Id":"2","n":"ok"}]},"time":"x"}"#);
        let page = page(body).unwrap();
        let records: Vec<_> = page.records().map(|r| r.bytes()).collect();
        assert_eq!(records[0], Bytes::from_static(b"{\"Id\":\"1\",\"n\":\"\xff\xc3\"}"));
        assert_eq!(records[1], Bytes::from_static(b"{\"Id\":\"2\",\"n\":\"ok\"}"));
    }

    #[test]
    fn deep_nesting_inside_a_record_does_not_break_its_page() {
        let deep = format!(r#"{{"Id":"1","d":{}1{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
        let body = format!(r#"{{"QueryResponse":{{"Invoice":[{deep},{{"Id":"2"}}]}},"time":"x"}}"#);
        assert_eq!(page(body).unwrap().len(), 2);
    }

    #[test]
    fn the_total_of_a_count_is_read() {
        let body = br#"{"QueryResponse":{"totalCount":2},"time":"2020-09-29T06:04:13.414-07:00"}"#;
        assert_eq!(total_count(body), Ok(2));
        assert_eq!(total_count(br#"{"QueryResponse":{},"time":"x"}"#), Err(SplitError::NoAnswer));
    }
}
