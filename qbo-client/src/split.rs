//! From a body to the places of its records, in one pass: the envelope around them, and the head of each.

use std::borrow::Cow;
use std::ops::Range;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::json::{Reader, text};
use crate::member::{Member, cuts, members};
use crate::page::RecordSpan;
use crate::{EntityName, IdentityProblem, RecordLayout};

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

pub(crate) fn split(body: &[u8], key: &str, layout: &RecordLayout) -> Result<Envelope, SplitError> {
    let text = readable(body)?;
    let outer = envelope(&text, Some((key, layout)))?;
    let answer = outer.answer.ok_or(SplitError::NoAnswer)?;
    if answer.records.is_empty() && outer.time.is_none() {
        return Err(SplitError::NoAnswer);
    }
    if answer.max_results.is_some_and(|claimed| claimed != answer.records.len() as u64) {
        return Err(SplitError::Contradiction);
    }
    Ok(Envelope { records: answer.records, answered_at: outer.time.as_deref().and_then(instant) })
}

/// The number in `{"QueryResponse":{"totalCount":n}}`.
#[cfg(any(feature = "http", test))]
pub(crate) fn total_count(body: &[u8]) -> Result<u64, SplitError> {
    let text = readable(body)?;
    envelope(&text, None)?.answer.and_then(|answer| answer.total_count).ok_or(SplitError::NoAnswer)
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

/// What is wanted: records under a key, which stand as a layout says. Nothing for a count.
type Wanted<'w> = Option<(&'w str, &'w RecordLayout)>;

#[derive(Default)]
struct Outer<'a> {
    answer: Option<Answer>,
    time: Option<Cow<'a, str>>,
    fault: bool,
}

#[derive(Default)]
struct Answer {
    records: Vec<RecordSpan>,
    max_results: Option<u64>,
    total_count: Option<u64>,
    fault: bool,
    other_records: bool,
}

fn envelope<'a>(text: &'a str, wanted: Wanted<'_>) -> Result<Outer<'a>, SplitError> {
    let mut reader = Reader::new(text);
    let outer = outer(&mut reader, wanted).ok_or(SplitError::Malformed)?;
    if reader.peek().is_some() {
        return Err(SplitError::Malformed);
    }
    let faulty = outer.fault || outer.answer.as_ref().is_some_and(|answer| answer.fault);
    let strange = outer.answer.as_ref().is_some_and(|answer| answer.other_records);
    match (faulty, strange) {
        (true, _) => Err(SplitError::Fault),
        (false, true) => Err(SplitError::OtherRecords),
        (false, false) => Ok(outer),
    }
}

fn outer<'a>(reader: &mut Reader<'a>, wanted: Wanted<'_>) -> Option<Outer<'a>> {
    let mut outer = Outer::default();
    reader.object(|reader, name| {
        match &*text(name)? {
            "QueryResponse" if reader.peek()? == b'n' => {
                reader.value()?;
                outer.answer = None;
            }
            "QueryResponse" => outer.answer = Some(answer(reader, wanted)?),
            // A text in the API's answers, milliseconds in the gateway's (which we do not need).
            "time" => outer.time = text(reader.value()?),
            "Fault" | "fault" => outer.fault |= reader.value()? != "null",
            _ => drop(reader.value()?),
        }
        Some(())
    })?;
    Some(outer)
}

fn answer(reader: &mut Reader<'_>, wanted: Wanted<'_>) -> Option<Answer> {
    let mut answer = Answer::default();
    reader.object(|reader, name| {
        match &*text(name)? {
            "maxResults" => answer.max_results = number(reader.value()?)?,
            "totalCount" => answer.total_count = number(reader.value()?)?,
            "Fault" | "fault" => answer.fault |= reader.value()? != "null",
            name => match wanted {
                Some((key, layout)) if is_key(name, key, layout) => reader.array(|reader| {
                    answer.records.push(record(reader, layout)?);
                    Some(())
                })?,
                _ => answer.other_records |= is_filled_array(reader.value()?),
            },
        }
        Some(())
    })?;
    Some(answer)
}

/// Whether the records may come under this name.
fn is_key(name: &str, key: &str, layout: &RecordLayout) -> bool {
    name == key || layout.array_key.as_ref().is_some_and(|other| other.as_str() == name)
}

/// A count, or null.
fn number(value: &str) -> Option<Option<u64>> {
    serde_json::from_str(value).ok()
}

fn is_filled_array(value: &str) -> bool {
    value.strip_prefix('[').is_some_and(|rest| !rest.trim_start().starts_with(']'))
}

/// A record's place and head.
fn record(reader: &mut Reader<'_>, layout: &RecordLayout) -> Option<RecordSpan> {
    reader.peek()?;
    let start = reader.position();
    if is_plain(layout) {
        let head = Head::read(reader)?;
        return Some(head.span(start..reader.position(), Vec::new(), |head| identity(head.id)));
    }
    let record = reader.value()?;
    Some(laid_out(record, start..reader.position(), layout))
}

/// Whether each record is an object with an `Id`, of which everything is kept.
fn is_plain(layout: &RecordLayout) -> bool {
    !layout.wrapped && layout.key.is_empty() && layout.strip.is_empty()
}

/// The place and head of a record that is wrapped, has a key of its own, or of which something is cut out.
fn laid_out(record: &str, range: Range<usize>, layout: &RecordLayout) -> RecordSpan {
    let inner = if layout.wrapped { unwrapped(record) } else { record };
    let offset = range.start + (inner.as_ptr() as usize - record.as_ptr() as usize);
    let members = members(inner).unwrap_or_default();
    let unwanted = |name: &str| layout.strip.iter().any(|member| member.as_str() == name);
    let cuts = cuts(&members, unwanted).into_iter().map(|cut| cut.start + offset..cut.end + offset).collect();
    let head = Head::read(&mut Reader::new(inner)).unwrap_or_default();
    head.span(range, cuts, |head| {
        if layout.key.is_empty() { identity(head.id) } else { joined(&members, &layout.key) }
    })
}

/// What is read of a record. A member that stands in it twice makes all of it unknown.
#[derive(Default)]
struct Head<'a> {
    is_object: bool,
    id: Option<&'a str>,
    sync_token: Option<&'a str>,
    txn_date: Option<&'a str>,
    meta: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// Reads a value of any kind.
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let mut head = Self::default();
        if reader.peek()? != b'{' {
            reader.value()?;
            return Some(head);
        }
        head.is_object = true;
        reader.object(|reader, name| {
            let value = reader.value()?;
            let member = match name_of(name).as_ref() {
                "Id" => &mut head.id,
                "SyncToken" => &mut head.sync_token,
                "TxnDate" => &mut head.txn_date,
                "MetaData" => &mut head.meta,
                _ => return Some(()),
            };
            head.is_object &= member.replace(value).is_none();
            Some(())
        })?;
        Some(head)
    }

    fn span(
        self,
        range: Range<usize>,
        cuts: Vec<Range<usize>>,
        id: impl FnOnce(&Self) -> Result<Box<str>, IdentityProblem>,
    ) -> RecordSpan {
        if !self.is_object {
            let id = Err(IdentityProblem::NotAnObject);
            return RecordSpan {
                range,
                cuts,
                id,
                sync_token: None,
                updated_at: None,
                created_at: None,
                txn_date: None,
            };
        }
        let (created_at, updated_at) = self.meta.and_then(times).unwrap_or_default();
        RecordSpan {
            range,
            cuts,
            id: id(&self),
            sync_token: self.sync_token.and_then(integer),
            updated_at,
            created_at,
            txn_date: self.txn_date.and_then(text).as_deref().and_then(date),
        }
    }
}

/// `CreateTime` and `LastUpdatedTime`; nothing where one of them stands twice.
fn times(meta: &str) -> Option<(Option<OffsetDateTime>, Option<OffsetDateTime>)> {
    let (mut created, mut updated) = (None, None);
    Reader::new(meta).object(|reader, name| {
        let value = reader.value()?;
        let member = match name_of(name).as_ref() {
            "CreateTime" => &mut created,
            "LastUpdatedTime" => &mut updated,
            _ => return Some(()),
        };
        member.replace(value).is_none().then_some(())
    })?;
    let time = |value: Option<&str>| value.and_then(text).as_deref().and_then(instant);
    Some((time(created), time(updated)))
}

/// A member's name; nothing for one that is no text.
fn name_of(quoted: &str) -> Cow<'_, str> {
    text(quoted).unwrap_or_default()
}

/// The record inside a wrapper: its first member that is an object. One that has its own `Id` is no wrapper.
fn unwrapped(record: &str) -> &str {
    let members = members(record).unwrap_or_default();
    if members.iter().any(|member| member.name == "Id") {
        return record;
    }
    let inner = members.iter().map(|member| member.value).find(|value| value.starts_with('{'));
    inner.unwrap_or(record)
}

fn identity(id: Option<&str>) -> Result<Box<str>, IdentityProblem> {
    let id = id.filter(|value| *value != "null").ok_or(IdentityProblem::Missing)?;
    sound(&text(id).ok_or(IdentityProblem::Unusable)?)
}

/// An id made of several members, for records without one.
fn joined(members: &[Member<'_>], key: &[EntityName]) -> Result<Box<str>, IdentityProblem> {
    let mut parts = Vec::with_capacity(key.len());
    for name in key {
        let mut named = members.iter().filter(|member| member.name == name.as_str());
        parts.push(match (named.next(), named.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(member), None) => text(member.value).ok_or(IdentityProblem::Unusable)?,
            (Some(_), Some(_)) => return Err(IdentityProblem::NotAnObject),
        });
    }
    if parts.iter().all(|part| part.is_empty()) {
        return Err(IdentityProblem::Missing);
    }
    sound(&parts.join("/"))
}

fn sound(id: &str) -> Result<Box<str>, IdentityProblem> {
    let sound = (1..=LONGEST_ID).contains(&id.len()) && !id.chars().any(char::is_control);
    if sound { Ok(id.into()) } else { Err(IdentityProblem::Unusable) }
}

/// `"3"`, as QBO writes edit counters, or `3`.
fn integer(value: &str) -> Option<i64> {
    value.trim_matches('"').parse().ok()
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
    fn the_total_of_a_count_is_read() {
        let body = br#"{"QueryResponse":{"totalCount":2},"time":"2020-09-29T06:04:13.414-07:00"}"#;
        assert_eq!(total_count(body), Ok(2));
        assert_eq!(total_count(br#"{"QueryResponse":{},"time":"x"}"#), Err(SplitError::NoAnswer));
    }
}
