//! The record that describes an attachment.

use std::fmt;

use serde::Deserialize;

use super::link::FileLink;
use crate::page::RawRecord;
use crate::query::{EntityName, PageSize, Predicate, Property, Query, Value};

/// An attachment, as the record that describes it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The record's id.
    pub id: Box<str>,
    /// The record's edit counter; `None` if it is not an integer.
    pub sync_token: Option<i64>,
    /// The file; `None` if the attachment is a note.
    pub file: Option<AttachedFile>,
}

/// The file of an attachment.
#[derive(Clone, PartialEq, Eq)]
pub struct AttachedFile {
    /// The name that a user gave the file: any text, to be trusted with nothing.
    pub name: Box<str>,
    /// The length in bytes; `None` if the record does not state it.
    pub size: Option<u64>,
    /// The link that opens the file; `None` if the answer has none.
    pub link: Option<FileLink>,
}

/// Shows the size, and neither the name, which is customer data, nor the link.
impl fmt::Debug for AttachedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachedFile")
            .field("size", &self.size)
            .field("has_link", &self.link.is_some())
            .finish_non_exhaustive()
    }
}

/// The members that are read of a record; all others are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    file_name: Option<Box<str>>,
    size: Option<serde_json::Number>,
    temp_download_uri: Option<Box<str>>,
    file_access_uri: Option<Box<str>>,
}

/// The query that returns the records with these ids, each with a fresh link. Links are part of the answer only if the query's
/// layout does not strip them, as that of this one.
///
/// # Panics
///
/// If there are more ids than a page holds records.
pub fn attachments_query<'a>(entity: &EntityName, ids: impl IntoIterator<Item = &'a str>) -> Query {
    let values: Vec<_> = ids.into_iter().map(|id| Value::Text(id.into())).collect();
    let size = u16::try_from(values.len().max(1)).ok().and_then(|size| PageSize::new(size).ok());
    Query::select(entity.clone())
        .filter(Predicate::is_in(Property::ID, values))
        .page(1, size.expect("no more ids than a page holds records"))
}

impl Attachment {
    /// Reads a record. `None` if it has no usable id or is not JSON.
    ///
    /// A record that names neither a file nor a place where one lies is a note: Intuit's sample of a note has no `FileName`,
    /// no `Size` and no link.
    pub fn read(record: &RawRecord<'_>) -> Option<Self> {
        let members: Members = serde_json::from_slice(&record.bytes()).ok()?;
        let text = |text: &Option<Box<str>>| text.as_ref().is_some_and(|text| !text.is_empty());
        let is_file = text(&members.file_name)
            || text(&members.temp_download_uri)
            || text(&members.file_access_uri)
            || members.size.is_some();
        let file = is_file.then(|| AttachedFile {
            name: members.file_name.unwrap_or_default(),
            // Written with a decimal point by some clients.
            size: members.size.and_then(|size| whole(&size)),
            link: members.temp_download_uri.filter(|link| !link.is_empty()).map(FileLink::new),
        });
        Some(Self { id: record.id().ok()?.into(), sync_token: record.sync_token(), file })
    }
}

/// A number of bytes, also if it is written as `42.0`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
fn whole(number: &serde_json::Number) -> Option<u64> {
    let fits = |value: &f64| (0.0..=9e15).contains(value) && value.fract() == 0.0;
    number.as_u64().or_else(|| number.as_f64().filter(fits).map(|value| value as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RawPage;

    fn read(record: &str) -> Option<Attachment> {
        let body =
            format!(r#"{{"QueryResponse":{{"Attachable":[{record}]}},"time":"2026-01-01T00:00:00Z"}}"#);
        let page = RawPage::split(body.into(), "Attachable").unwrap();
        let record = page.records().next().unwrap();
        Attachment::read(&record)
    }

    #[test]
    fn a_file_is_read_with_its_link_and_none_of_both_is_printed() {
        let read = read(
            r#"{"FileName":"secret receipt.pdf","TempDownloadUri":"https://files.example/canary","Size":2711,"Id":"5000000000000029841","SyncToken":"3"}"#,
        )
        .unwrap();
        let file = read.file.as_ref().unwrap();
        assert_eq!((&*read.id, read.sync_token, file.size), ("5000000000000029841", Some(3), Some(2711)));
        assert_eq!(&*file.name, "secret receipt.pdf");
        assert_eq!(file.link.as_ref().unwrap().expose(), "https://files.example/canary");
        let shown = format!("{read:?} {:?}", file.link);
        assert!(!shown.contains("secret") && !shown.contains("canary"), "{shown}");
    }

    #[test]
    fn a_note_has_no_file_and_a_file_may_lack_everything_but_its_place() {
        let note = read(r#"{"Note":"call back","AttachableRef":[],"Id":"1","SyncToken":"0"}"#).unwrap();
        assert_eq!(note.file, None);
        assert_eq!(read(r#"{"FileName":"","Note":"x","Id":"1"}"#).unwrap().file, None);
        let bare = read(r#"{"FileAccessUri":"/v3/company/1/download/2","Id":"2"}"#).unwrap();
        assert_eq!(bare.file, Some(AttachedFile { name: "".into(), size: None, link: None }));
        assert_eq!(read(r#"{"Size":12.0,"Id":"2"}"#).unwrap().file.unwrap().size, Some(12));
        assert_eq!(read(r#"{"Size":-1,"Id":"2"}"#).unwrap().file.unwrap().size, None);
        assert_eq!(read(r#"{"FileName":"x"}"#), None);
        assert_eq!(read(r#"{"FileName":7,"Id":"2"}"#), None);
    }

    #[test]
    fn links_are_requested_by_id() {
        let query = attachments_query(&"Attachable".parse().unwrap(), ["1", "20'"]);
        assert_eq!(
            query.text(),
            r"SELECT * FROM Attachable WHERE Id IN ('1','20\'') STARTPOSITION 1 MAXRESULTS 2"
        );
    }
}
