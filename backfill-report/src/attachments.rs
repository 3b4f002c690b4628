//! Renders the result of a download of attachments as text and JSON.

use std::fmt::Write as _;

use serde_json::json;

use crate::number::counted;
use crate::untrusted::Untrusted;

/// The result of a download of attachments. Every attachment with a stored record is in exactly one of the counts of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Downloads {
    /// Files that were downloaded.
    pub downloaded: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Files that were in the folder before, with the recorded content.
    pub present: u64,
    /// Attachments that are notes and have no file.
    pub notes: u64,
    /// Attachments whose record QuickBooks no longer returns.
    pub gone: u64,
    /// Files that could not be downloaded.
    pub failed: u64,
    /// Windows whose records of attachments were not read to the end: their files are not known.
    pub unread_windows: u64,
    /// Records of attachments in quarantine that wait for a decision: their files are not known.
    pub quarantined: u64,
    /// The first failures.
    pub failures: Vec<FailedDownload>,
    /// Calls to the API. Requests to the files' host are not calls.
    pub calls: u64,
}

/// A file that could not be downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedDownload {
    /// Id of the attachment.
    pub id: Box<str>,
    /// Why, in our own words.
    pub reason: String,
}

/// Renders the result for a terminal.
pub fn text(result: &Downloads) -> String {
    let mut text = format!(
        "downloaded: {} ({}); in the folder before: {}; notes without a file: {}; no longer in QuickBooks: {}; failed: {}\n",
        counted(result.downloaded, "file", "files"),
        counted(result.bytes, "byte", "bytes"),
        result.present,
        result.notes,
        result.gone,
        result.failed
    );
    for FailedDownload { id, reason } in &result.failures {
        let _ = writeln!(text, "  attachment {}: {reason}", Untrusted(id));
    }
    let more = result.failed.saturating_sub(result.failures.len() as u64);
    if more > 0 {
        let _ = writeln!(text, "  … and {more} more; --output json lists all of them");
    }
    if result.unread_windows + result.quarantined > 0 {
        let _ = writeln!(
            text,
            "not known: the attachments of {} and of {} in quarantine",
            counted(result.unread_windows, "unread window", "unread windows"),
            counted(result.quarantined, "record", "records")
        );
    }
    let _ = write!(text, "{}", counted(result.calls, "API call", "API calls"));
    text
}

/// Renders the result for programs, with the command's exit code and next step.
pub fn json(result: &Downloads, exit_code: u8, next: &str) -> serde_json::Value {
    json!({"downloaded": result.downloaded, "bytes": result.bytes, "present": result.present,
           "notes": result.notes, "gone": result.gone, "failed": result.failed,
           "unread_windows": result.unread_windows, "quarantined": result.quarantined, "calls": result.calls,
           "exit_code": exit_code, "next": next})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_shown_and_failures_beyond_the_shown_ones_are_counted() {
        let failure = FailedDownload { id: "17\u{1b}[2J".into(), reason: "the link expired".into() };
        let result = Downloads {
            downloaded: 1,
            bytes: 2711,
            notes: 4,
            failed: 3,
            unread_windows: 2,
            failures: vec![failure],
            calls: 2,
            ..Downloads::default()
        };
        let shown = text(&result);
        assert!(shown.contains("downloaded: 1 file (2711 bytes)"), "{shown}");
        assert!(shown.contains("17?[2J: the link expired") && shown.contains("and 2 more"), "{shown}");
        assert!(shown.contains("2 unread windows and of 0 records in quarantine"), "{shown}");
        assert!(shown.ends_with("2 API calls"), "{shown}");
        assert_eq!(json(&result, 3, "again")["exit_code"], 3);
    }
}
