//! Finds the positions of the records in a body: one pass over the envelope, one over each record's head.
//!
//! `serde_json`'s borrowed `RawValue` finds where each record begins and ends without building a tree; measured against SIMD
//! parsers in this project's dependency notes, nothing faster keeps the bytes.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::json_members::{cuts, each_member, text};
use super::mend::mended;
use super::span::{IdentityProblem, RecordSpan};
use super::timestamp::{date, instant};
use crate::query::{EntityName, RecordLayout};

/// The longest text that is accepted as an id. The longest seen in QBO has 19 digits.
const LONGEST_ID: usize = 64;

/// More records than any answer holds: ten full pages. What is kept of a record takes more memory than the shortest record has
/// bytes, so without this limit a body of nothing but commas and zeros would take sixty times its size.
const MOST_RECORDS: usize = 10_000;

/// Why a body is not a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The body is empty.
    #[error("the body is empty")]
    Empty,
    /// The body is truncated or not JSON.
    #[error("the body is cut short or is not JSON")]
    Malformed,
    /// There is no `QueryResponse`, or an empty one without the server's time.
    #[error("the answer has no QueryResponse")]
    NoAnswer,
    /// The answer carries a fault.
    #[error("the answer carries a fault")]
    Fault,
    /// The records came under a key that was not requested.
    #[error("the answer holds records of another entity")]
    OtherRecords,
    /// What the answer says about its records is not what it holds, or not what was requested.
    #[error("the answer states another number of records than it holds")]
    Contradiction,
}

/// A page whose records are located but not parsed.
pub(crate) struct Envelope {
    pub(crate) records: Vec<RecordSpan>,
    pub(crate) answered_at: Option<OffsetDateTime>,
    start_position: Option<u64>,
    total_count: Option<u64>,
}

impl Envelope {
    /// Whether what the answer says about its position fits the query: where it begins, and that a page that is not full ends
    /// where the records end. QBO leaves these members out of many answers, and then there is nothing to compare.
    pub(crate) fn answers(&self, start_position: u32, page_size: u16) -> bool {
        let held = self.records.len() as u64;
        // A query for position 0 is answered as one for position 1.
        let begins = self.start_position.is_none_or(|said| said.max(1) == u64::from(start_position.max(1)));
        let has_room = held < u64::from(page_size);
        let end = u64::from(start_position.max(1)) - 1 + held;
        begins && !(has_room && self.total_count.is_some_and(|total| total > end))
    }
}

pub(crate) fn split(body: &[u8], key: &str, layout: &RecordLayout) -> Result<Envelope, SplitError> {
    envelope(&readable(body)?, key, layout)
}

/// Like [`split`], for a body that stays malformed when it is requested again: skips what JSON does not allow, and marks the
/// records that contain it.
pub(crate) fn split_around(body: &[u8], key: &str, layout: &RecordLayout) -> Result<Envelope, SplitError> {
    let text = readable(body)?;
    let mended = mended(&text);
    let mut envelope = envelope(&mended, key, layout)?;
    for record in &mut envelope.records {
        record.is_malformed =
            text.as_bytes()[record.range.clone()] != mended.as_bytes()[record.range.clone()];
    }
    Ok(envelope)
}

fn envelope(text: &str, key: &str, layout: &RecordLayout) -> Result<Envelope, SplitError> {
    let other_key = layout.array_key.as_ref().map(EntityName::as_str);
    let outer: Outer<'_> = parse(text, Keys(key, other_key))?;
    let answer = outer.answer.ok_or(SplitError::NoAnswer)?;
    if answer.records.is_empty() && outer.time.is_none() {
        return Err(SplitError::NoAnswer);
    }
    if answer.max_results.is_some_and(|claimed| claimed != answer.records.len() as u64) {
        return Err(SplitError::Contradiction);
    }
    // The total seems to be either that of the page or that of the query: it is at least the number of records here, and not
    // above zero where there are none.
    let held = answer.records.len() as u64;
    if answer.total_count.is_some_and(|total| total < held || (held == 0 && total > 0)) {
        return Err(SplitError::Contradiction);
    }
    let base = text.as_ptr() as usize;
    let span = |record: &&RawValue| span(record.get(), base, layout);
    let answered_at = outer.time.as_deref().and_then(instant);
    Ok(Envelope {
        records: answer.records.iter().map(span).collect(),
        answered_at,
        start_position: answer.start_position,
        total_count: answer.total_count,
    })
}

/// The number in `{"QueryResponse":{"totalCount":n}}`.
#[cfg(any(feature = "http", test))]
pub(crate) fn total_count(body: &[u8]) -> Result<u64, SplitError> {
    let text = readable(body)?;
    let outer: Outer<'_> = parse(&text, Keys("", None))?;
    outer.answer.and_then(|answer| answer.total_count).ok_or(SplitError::NoAnswer)
}

/// The body as text of the same length. Bytes that are not UTF-8 become `?`, so that one corrupt record does not hide its page:
/// positions in this text are positions in the body.
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

fn parse<'a>(text: &'a str, keys: Keys<'_>) -> Result<Outer<'a>, SplitError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let outer = OuterSeed { keys }.deserialize(&mut deserializer).map_err(|_| SplitError::Malformed)?;
    deserializer.end().map_err(|_| SplitError::Malformed)?;
    let faulty = outer.fault || outer.answer.as_ref().is_some_and(|answer| answer.fault);
    let strange = outer.answer.as_ref().is_some_and(|answer| answer.other_records);
    match (faulty, strange) {
        (true, _) => Err(SplitError::Fault),
        (false, true) => Err(SplitError::OtherRecords),
        (false, false) => Ok(outer),
    }
}

/// The keys under which the records may come.
#[derive(Clone, Copy)]
struct Keys<'k>(&'k str, Option<&'k str>);

impl Keys<'_> {
    fn contain(self, name: &str) -> bool {
        name == self.0 || self.1 == Some(name)
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
    start_position: Option<u64>,
    total_count: Option<u64>,
    fault: bool,
    other_records: bool,
}

struct OuterSeed<'k> {
    keys: Keys<'k>,
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
                "QueryResponse" => outer.answer = map.next_value_seed(AnswerSeed { keys: self.keys })?,
                "time" => outer.time = map.next_value::<Time<'de>>()?.0,
                "Fault" | "fault" => outer.fault |= map.next_value::<Option<IgnoredAny>>()?.is_some(),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(outer)
    }
}

struct AnswerSeed<'k> {
    keys: Keys<'k>,
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
                name if self.keys.contain(name) => map.next_value_seed(Records(&mut answer.records))?,
                "maxResults" => answer.max_results = map.next_value()?,
                "startPosition" => answer.start_position = map.next_value()?,
                "totalCount" => answer.total_count = map.next_value()?,
                "Fault" | "fault" => answer.fault |= map.next_value::<Option<IgnoredAny>>()?.is_some(),
                _ => answer.other_records |= is_filled_array(map.next_value::<&RawValue>()?),
            }
        }
        Ok(Some(answer))
    }
}

/// Collects the records.
struct Records<'r, 'de>(&'r mut Vec<&'de RawValue>);

impl<'de> DeserializeSeed<'de> for Records<'_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(record) = array.next_element()? {
            if self.0.len() == MOST_RECORDS {
                return Err(A::Error::custom("more records than any page holds"));
            }
            self.0.push(record);
        }
        Ok(())
    }
}

fn is_filled_array(value: &RawValue) -> bool {
    value.get().strip_prefix('[').is_some_and(|rest| !rest.trim_start().starts_with(']'))
}

/// The envelope's `time`: a string in the API's answers, milliseconds in the gateway's (which we do not need).
struct Time<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Time<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(text(raw)))
    }
}

/// The members that are read of each record. If one of these keys occurs twice, the record is not an object; of two document
/// numbers the last one counts, as in the row.
#[derive(Default)]
struct Head<'a> {
    id: Option<&'a RawValue>,
    sync_token: Option<&'a RawValue>,
    txn_date: Option<&'a RawValue>,
    meta: Option<&'a RawValue>,
    number: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum HeadKey {
    Id,
    SyncToken,
    TxnDate,
    MetaData,
    DocNumber,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Head<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadVisitor)
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head<'de>, A::Error> {
        // `None` if the key is absent: `null` is a value that is present.
        let (mut id, mut sync_token, mut txn_date, mut meta) = (None, None, None, None);
        let mut number = None;
        while let Some(key) = map.next_key()? {
            let place = match key {
                HeadKey::Id => &mut id,
                HeadKey::SyncToken => &mut sync_token,
                HeadKey::TxnDate => &mut txn_date,
                HeadKey::MetaData => &mut meta,
                HeadKey::DocNumber => {
                    number = map.next_value()?;
                    continue;
                }
                HeadKey::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if place.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Head {
            id: id.flatten(),
            sync_token: sync_token.flatten(),
            txn_date: txn_date.flatten(),
            meta: meta.flatten(),
            number,
        })
    }
}

#[derive(Default, Deserialize)]
struct Meta<'a> {
    #[serde(rename = "CreateTime", borrow)]
    created: Option<&'a RawValue>,
    #[serde(rename = "LastUpdatedTime", borrow)]
    updated: Option<&'a RawValue>,
}

/// A record's position and head. `base` is the address where the body's text begins.
fn span(record: &str, base: usize, layout: &RecordLayout) -> RecordSpan {
    let range = within(record, base);
    let record = if layout.wrapped { unwrapped(record) } else { record };
    let offset = within(record, base).start;
    let unwanted = |name: &str| layout.strip.iter().any(|member| member.as_str() == name);
    let cuts = if layout.strip.is_empty() { Vec::new() } else { cuts(record, unwanted) };
    let cuts = cuts.into_iter().map(|cut| cut.start + offset..cut.end + offset).collect();
    // Only an object can be a record; without this check, an array would be read as its fields in order.
    let head = if record.starts_with('{') { serde_json::from_str::<Head<'_>>(record).ok() } else { None };
    let Some(head) = head else {
        return RecordSpan {
            range,
            cuts,
            is_malformed: false,
            id: Err(IdentityProblem::NotAnObject),
            sync_token: None,
            updated_at: None,
            updated_on: None,
            created_at: None,
            txn_date: None,
            number: None,
        };
    };
    let meta: Meta<'_> = head.meta.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let updated = meta.updated.and_then(text);
    let updated_at = updated.as_deref().and_then(instant);
    RecordSpan {
        range,
        cuts,
        is_malformed: false,
        id: if layout.key.is_empty() { identity(head.id) } else { joined(record, &layout.key) },
        sync_token: head.sync_token.and_then(integer),
        updated_at,
        updated_on: if updated_at.is_none() { updated.as_deref().and_then(date) } else { None },
        created_at: meta.created.and_then(text).as_deref().and_then(instant),
        txn_date: head.txn_date.and_then(text).as_deref().and_then(date),
        number: head.number.and_then(number),
    }
}

/// The hash of a document number; an empty number has none.
fn number(raw: &RawValue) -> Option<u64> {
    let number = text(raw).unwrap_or(Cow::Borrowed(raw.get()));
    (!number.is_empty()).then(|| mark(&number))
}

/// A hash of eight bytes for a text. Two texts share it with a chance of one in 2^64.
fn mark(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The range of a part of the body's text within it.
fn within(part: &str, base: usize) -> std::ops::Range<usize> {
    let start = part.as_ptr() as usize - base;
    start..start + part.len()
}

/// The record inside a wrapper: its first member that is an object. An object that has its own `Id` is no wrapper.
fn unwrapped(record: &str) -> &str {
    let (mut is_wrapper, mut inner) = (true, None);
    each_member(record, |member| {
        is_wrapper &= member.name != "Id";
        inner = inner.or(Some(member.value.get()).filter(|value| value.starts_with('{')));
    });
    inner.filter(|_| is_wrapper).unwrap_or(record)
}

fn identity(raw: Option<&RawValue>) -> Result<Box<str>, IdentityProblem> {
    sound(&text(raw.ok_or(IdentityProblem::Missing)?).ok_or(IdentityProblem::Unusable)?)
}

/// An id joined from several members, for records without one.
fn joined(record: &str, key: &[EntityName]) -> Result<Box<str>, IdentityProblem> {
    let mut parts: Vec<Option<&RawValue>> = vec![None; key.len()];
    let mut is_named_twice = false;
    each_member(record, |member| {
        if let Some(place) = key.iter().position(|name| name.as_str() == member.name) {
            is_named_twice |= parts[place].replace(member.value).is_some();
        }
    });
    if is_named_twice {
        return Err(IdentityProblem::NotAnObject);
    }
    let part = |part: Option<&'_ RawValue>| match part {
        None => Ok(String::new()),
        Some(value) => text(value).map(Cow::into_owned).ok_or(IdentityProblem::Unusable),
    };
    let parts = parts.into_iter().map(part).collect::<Result<Vec<_>, _>>()?;
    if parts.iter().all(String::is_empty) {
        return Err(IdentityProblem::Missing);
    }
    sound(&parts.join("/"))
}

fn sound(id: &str) -> Result<Box<str>, IdentityProblem> {
    let sound = (1..=LONGEST_ID).contains(&id.len()) && !id.chars().any(char::is_control);
    if sound { Ok(id.into()) } else { Err(IdentityProblem::Unusable) }
}

/// `"3"`, as QBO writes edit counters, or `3`.
fn integer(raw: &RawValue) -> Option<i64> {
    raw.get().trim_matches('"').parse().ok()
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
    fn documents_with_one_number_have_one_mark() {
        let record = |number: &str| format!(r#"{{"Id":"1"{number}}}"#);
        let numbers = [
            r#","DocNumber":"A-1""#,
            r#","DocNumber":"\u0041-1""#,
            r#","DocNumber":"B","DocNumber":"A-1""#,
            r#","DocNumber":"A-2""#,
            r#","DocNumber":7"#,
            r#","DocNumber":"7""#,
            r#","DocNumber":"""#,
            r#","DocNumber":null"#,
            "",
        ];
        let records = numbers.map(record).join(",");
        let page = page(format!(r#"{{"QueryResponse":{{"Invoice":[{records}]}},"time":"x"}}"#)).unwrap();
        let marks: Vec<_> = page.records().map(|record| record.number_mark()).collect();
        assert!(page.records().all(|record| record.id() == Ok("1")));
        assert!(marks[0].is_some() && marks[..3].iter().all(|mark| *mark == marks[0]), "{marks:?}");
        assert!(marks[3].is_some() && marks[3] != marks[0] && marks[4] == marks[5] && marks[4].is_some());
        assert_eq!(marks[6..], [None; 3]);
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
            (r#"{"QueryResponse":{"totalCount":2500},"time":"x"}"#, SplitError::Contradiction),
            (r#"{"QueryResponse":{"maxResults":2},"time":"x"}"#, SplitError::Contradiction),
            (
                r#"{"QueryResponse":{"Invoice":[{"Id":"1"},{"Id":"2"}],"totalCount":1},"time":"x"}"#,
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

    /// A page that is not full is the last one, so no record can be behind it; and it begins where it was requested.
    #[test]
    fn an_answer_that_does_not_fit_to_its_question_is_none() {
        let check = |(start, size), says: &str, fits: bool| {
            let records = r#"{"Id":"1"},{"Id":"2"}"#;
            let body = format!(r#"{{"QueryResponse":{{"Invoice":[{records}]{says}}},"time":"x"}}"#);
            let query = crate::Query::select("Invoice".parse().unwrap());
            let query = query.page(start, crate::PageSize::new(size).unwrap());
            let page = RawPage::answering(body.into(), &query).map(|page| page.len());
            assert_eq!(
                page,
                if fits { Ok(2) } else { Err(SplitError::Contradiction) },
                "{start} {size} {says}"
            );
        };
        check((1, 1000), "", true);
        check((1, 1000), r#","startPosition":1,"maxResults":2,"totalCount":2"#, true);
        check((1, 1000), r#","startPosition":0"#, true);
        check((1, 1000), r#","totalCount":3"#, false);
        check((1, 1000), r#","startPosition":2"#, false);
        // A full page says nothing about what is behind it, and a page with more records than requested is full, too.
        check((1, 2), r#","totalCount":2500"#, true);
        check((1, 1), r#","totalCount":2500"#, true);
        // The total is that of the page, as QBO was seen to say, or that of the query.
        check((1001, 1000), r#","startPosition":1001,"totalCount":2"#, true);
        check((1001, 1000), r#","startPosition":1001,"totalCount":1002"#, true);
        check((1001, 1000), r#","startPosition":1001,"totalCount":1003"#, false);
        check((1001, 1000), r#","startPosition":1,"totalCount":1002"#, false);
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
        check(r#"{"Id":null,"Id":"2"}"#, IdentityProblem::NotAnObject);
        check("[1]", IdentityProblem::NotAnObject);
    }

    fn page_of(layout: &RecordLayout, body: &str) -> Result<RawPage, SplitError> {
        let query = crate::Query::select("Rate".parse().unwrap()).layout(layout.clone());
        RawPage::answering(Bytes::copy_from_slice(body.as_bytes()), &query)
    }

    fn names(names: &[&str]) -> Vec<EntityName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn records_may_come_under_another_key_or_under_their_entitys_name() {
        let layout = RecordLayout { array_key: Some("RateTxn".parse().unwrap()), ..RecordLayout::default() };
        for key in ["Rate", "RateTxn"] {
            let body = format!(r#"{{"QueryResponse":{{"{key}":[{{"Id":"1"}}],"maxResults":1}},"time":"x"}}"#);
            assert_eq!(page_of(&layout, &body).unwrap().len(), 1, "{key}");
        }
        let body = r#"{"QueryResponse":{"RateTxn":[{"Id":"1"}]},"time":"x"}"#;
        assert_eq!(page_of(&RecordLayout::default(), body).unwrap_err(), SplitError::OtherRecords);
    }

    #[test]
    fn a_wrapped_record_is_known_by_what_is_inside_and_keeps_its_wrapper() {
        let layout = RecordLayout { wrapped: true, ..RecordLayout::default() };
        let wrapped = r#"{ "Bill" : {"Id":"9","SyncToken":"2","TxnDate":"2024-01-02","MetaData":{"LastUpdatedTime":"2024-12-02T12:00:00-08:00"}} }"#;
        let body = format!(r#"{{"QueryResponse":{{"Rate":[{wrapped},{{"Id":"3"}},{{}}]}},"time":"x"}}"#);
        let page = page_of(&layout, &body).unwrap();
        let records: Vec<_> = page.records().collect();
        assert_eq!((records[0].id(), records[0].sync_token()), (Ok("9"), Some(2)));
        assert_eq!(records[0].updated_at(), Some(datetime!(2024-12-02 20:00 UTC)));
        assert_eq!(records[0].txn_date(), Some(date!(2024 - 01 - 02)));
        assert_eq!(records[0].bytes(), wrapped.as_bytes());
        assert_eq!((records[1].id(), records[2].id()), (Ok("3"), Err(IdentityProblem::Missing)));
    }

    #[test]
    fn a_record_without_an_id_is_named_by_its_key() {
        let layout = RecordLayout { key: names(&["From", "To", "Day"]), ..RecordLayout::default() };
        let check = |record: &str, id| {
            let body = format!(r#"{{"QueryResponse":{{"Rate":[{record}]}},"time":"x"}}"#);
            let page = page_of(&layout, &body).unwrap();
            assert_eq!(page.records().next().unwrap().id(), id, "{record}");
        };
        check(r#"{"Day":"2024-01-02","From":"EUR","To":"USD"}"#, Ok("EUR/USD/2024-01-02"));
        check(r#"{"Day":"2024-01-02","From":"EUR"}"#, Ok("EUR//2024-01-02"));
        check(r#"{"Id":"7"}"#, Err(IdentityProblem::Missing));
        check(r#"{"From":1}"#, Err(IdentityProblem::Unusable));
        check(r#"{"From":"EUR","From":"USD"}"#, Err(IdentityProblem::NotAnObject));
    }

    #[test]
    fn a_stripped_member_is_gone_from_the_bytes_even_of_a_record_that_cannot_be_read() {
        let layout = RecordLayout { strip: names(&["Link"]), wrapped: true, ..RecordLayout::default() };
        let body = r#"{"QueryResponse":{"Rate":[{"Id":"1","Link":"s3cret","N":1.50},{"File":{"Id":"2" ,"Link":"s3cret"}},{"Id":"3","Id":"4","Link":"s3cret"}]},"time":"x"}"#;
        let page = page_of(&layout, body).unwrap();
        let kept: Vec<_> = page.records().map(|record| record.bytes()).collect();
        assert_eq!(kept[0], &br#"{"Id":"1","N":1.50}"#[..]);
        assert_eq!(kept[1], &br#"{"File":{"Id":"2"}}"#[..]);
        assert_eq!(kept[2], &br#"{"Id":"3","Id":"4"}"#[..]);
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
    fn a_time_that_utc_has_no_date_for_is_no_time() {
        for (time, expected) in [
            ("9999-12-31T23:59:59Z", Some(datetime!(9999-12-31 23:59:59 UTC))),
            ("9999-12-31T23:59:59-12:00", None),
            ("0000-01-01T00:00:00+14:00", None),
        ] {
            let record = format!(r#"{{"Id":"1","MetaData":{{"LastUpdatedTime":"{time}"}}}}"#);
            let page =
                page(format!(r#"{{"QueryResponse":{{"Invoice":[{record}]}},"time":"{time}"}}"#)).unwrap();
            assert_eq!(page.records().next().unwrap().updated_at(), expected, "{time}");
            assert_eq!(page.answered_at(), expected, "{time}");
        }
    }

    #[test]
    fn an_answer_with_more_records_than_any_page_is_none() {
        let records = vec!["0"; MOST_RECORDS].join(",");
        let body = |more: &str| format!(r#"{{"QueryResponse":{{"Invoice":[{records}{more}]}},"time":"x"}}"#);
        assert_eq!(page(body("")).unwrap().len(), MOST_RECORDS);
        assert_eq!(page(body(",0")).unwrap_err(), SplitError::Malformed);
    }

    #[test]
    fn the_total_of_a_count_is_read() {
        let body = br#"{"QueryResponse":{"totalCount":2},"time":"2020-09-29T06:04:13.414-07:00"}"#;
        assert_eq!(total_count(body), Ok(2));
        assert_eq!(total_count(br#"{"QueryResponse":{},"time":"x"}"#), Err(SplitError::NoAnswer));
    }
}
