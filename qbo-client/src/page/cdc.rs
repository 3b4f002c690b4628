//! Reads deleted records from a response of change data capture (CDC).

use serde::Deserialize;
use time::OffsetDateTime;

use super::SplitError;
use super::envelope::AnswerEnvelope;
use super::json_members::{each_element, each_member};
use super::timestamp::instant;

/// The most objects that an answer of change data capture holds; the answer does not say whether there are more.
const MOST_OBJECTS: usize = 1000;

/// Deleted records, as change data capture reports them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletions {
    /// Records that were deleted.
    pub deleted: Vec<Deleted>,
    /// Whether `deleted` holds all of them. QBO lists changed records before deleted ones and truncates without notice, so an
    /// answer that reaches the limit proves nothing.
    pub complete: bool,
}

/// A record that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Id of the record.
    pub id: Box<str>,
    /// When the record was deleted, if the time can be read.
    pub at: Option<OffsetDateTime>,
}

/// The members that are read of a record: deleted ones are stubs of these.
#[derive(Deserialize)]
struct Stub {
    #[serde(rename = "Id")]
    id: Option<Box<str>>,
    status: Option<Box<str>>,
    #[serde(rename = "MetaData")]
    meta: Option<Meta>,
}

/// The member of a stub that holds its time.
#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "LastUpdatedTime")]
    updated: Option<Box<str>>,
}

impl Deletions {
    /// Reads an answer of change data capture, whatever entities it holds.
    ///
    /// # Errors
    ///
    /// [`SplitError`] for anything that is not a complete answer; a fault in it is an error, never "nothing was deleted".
    pub fn read(body: &[u8]) -> Result<Self, SplitError> {
        if body.trim_ascii().is_empty() {
            return Err(SplitError::Empty);
        }
        let envelope: AnswerEnvelope<'_> = serde_json::from_slice(body).map_err(|_| SplitError::Malformed)?;
        if envelope.fault.is_some() {
            return Err(SplitError::Fault);
        }
        let responses = envelope.changes.ok_or(SplitError::NoAnswer)?;
        let mut found = Found::default();
        let mut read = Ok(());
        whole(each_element(responses.get(), |response| {
            read = read.and_then(|()| found.read_response(response.get()));
        }))?;
        read?;
        Ok(Self { deleted: found.deleted, complete: found.objects < MOST_OBJECTS })
    }
}

/// What has been found so far. The answer is read one object at a time, whatever it holds.
#[derive(Default)]
struct Found {
    deleted: Vec<Deleted>,
    objects: usize,
}

impl Found {
    fn read_response(&mut self, response: &str) -> Result<(), SplitError> {
        let response: AnswerEnvelope<'_> =
            serde_json::from_str(response).map_err(|_| SplitError::Malformed)?;
        if response.fault.is_some() {
            return Err(SplitError::Fault);
        }
        let Some(answers) = response.query else { return Ok(()) };
        let mut read = Ok(());
        whole(each_element(answers.get(), |answer| {
            read = read.and_then(|()| self.read_answer(answer.get()));
        }))?;
        read
    }

    fn read_answer(&mut self, answer: &str) -> Result<(), SplitError> {
        let mut read = Ok(());
        whole(each_member(answer, |member| {
            read = read.and_then(|()| match member.value.get() {
                _ if member.name.eq_ignore_ascii_case("fault") => Err(SplitError::Fault),
                records if records.starts_with('[') => self.read_records(records),
                _ => Ok(()),
            });
        }))?;
        read
    }

    fn read_records(&mut self, records: &str) -> Result<(), SplitError> {
        let mut read = Ok(());
        whole(each_element(records, |record| {
            read = read.and_then(|()| self.read_record(record.get()));
        }))?;
        read
    }

    fn read_record(&mut self, record: &str) -> Result<(), SplitError> {
        let stub: Stub = serde_json::from_str(record).map_err(|_| SplitError::Malformed)?;
        self.objects += 1;
        if let (Some("Deleted"), Some(id)) = (stub.status.as_deref(), stub.id) {
            let at = stub.meta.and_then(|meta| instant(&meta.updated?));
            self.deleted.push(Deleted { id, at });
        }
        Ok(())
    }
}

fn whole(read: Option<()>) -> Result<(), SplitError> {
    read.ok_or(SplitError::Malformed)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn deleted_records_are_told_from_changed_ones() {
        let body = br#"{"CDCResponse":[{"QueryResponse":[{"Invoice":[{"Id":"1","Line":[{"Id":"9"}]},
            {"status":"Deleted","domain":"QBO","Id":"979","MetaData":{"LastUpdatedTime":"2026-05-01T10:00:00-07:00"}}],
            "startPosition":1,"maxResults":2},{}]}],"time":"2026-05-05T03:28:39.892-07:00"}"#;
        let at = Some(datetime!(2026-05-01 17:00 UTC));
        let expected = Deletions { deleted: vec![Deleted { id: "979".into(), at }], complete: true };
        assert_eq!(Deletions::read(body), Ok(expected));
        let nothing = Deletions { deleted: Vec::new(), complete: true };
        assert_eq!(Deletions::read(br#"{"CDCResponse":[{"QueryResponse":[{}]}]}"#), Ok(nothing));
    }

    #[test]
    fn an_answer_as_long_as_its_limit_does_not_say_that_it_is_all() {
        let records = vec![r#"{"Id":"1"}"#; MOST_OBJECTS].join(",");
        let body = format!(r#"{{"CDCResponse":[{{"QueryResponse":[{{"Invoice":[{records}]}}]}}]}}"#);
        assert!(!Deletions::read(body.as_bytes()).unwrap().complete);
    }

    #[test]
    fn what_is_no_whole_answer_is_never_nothing_deleted() {
        let check =
            |body: &str, expected| assert_eq!(Deletions::read(body.as_bytes()), Err(expected), "{body}");
        check(" ", SplitError::Empty);
        check("{\"CDCResponse\":[{\"QueryRes", SplitError::Malformed);
        check("{}", SplitError::NoAnswer);
        check(r#"{"Fault":{"Error":[]}}"#, SplitError::Fault);
        check(r#"{"CDCResponse":[{"QueryResponse":[{"Fault":{"Error":[]}}]}]}"#, SplitError::Fault);
        check(r#"{"CDCResponse":[{"QueryResponse":[{"Invoice":[1]}]}]}"#, SplitError::Malformed);
    }
}
