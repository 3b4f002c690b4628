//! The reasons why a finished run does not end with 0.

use backfill_report::number::counted;

use crate::output::exit::{Exit, INCOMPLETE};

/// What the database says is left undone after a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsound {
    /// Windows that failed.
    pub(super) failed_windows: u64,
    /// The most frequent reason of the failures.
    pub(super) why_failed: Option<String>,
    /// Records that are open in quarantine.
    pub(super) open_quarantine: u64,
    /// Rows that the log counts and the tables lack.
    pub(super) rows_missing: u64,
}

impl Unsound {
    /// The error line, which names each cause and its remedy; `None` if nothing is left undone.
    pub(super) fn exit(self, what_ended: &str, report: &str) -> Option<Exit> {
        let causes = [
            (self.failed_windows, "window failed", "windows failed", report.to_owned()),
            (
                self.open_quarantine,
                "record is in quarantine",
                "records are in quarantine",
                format!("qbo-backfill quarantine list, then {QUARANTINE}"),
            ),
            (
                self.rows_missing,
                "row that the log has is missing from its table",
                "rows that the log has are missing from their tables",
                "qbo-backfill verify PIPELINE --repair".to_owned(),
            ),
        ];
        let found: Vec<_> = causes.into_iter().filter(|(number, ..)| *number > 0).collect();
        if found.is_empty() {
            return None;
        }
        let mut what: Vec<_> =
            found.iter().map(|(number, one, several, _)| counted(*number, one, several)).collect();
        if let (Some(why), true) = (&self.why_failed, self.failed_windows > 0) {
            what[0] = format!("{} ({why})", what[0]);
        }
        let next = found.iter().map(|(.., next)| next.as_str());
        Some(Exit::new(
            INCOMPLETE,
            format!("{what_ended}: {}; everything else is stored", what.join(", ")),
            next.collect::<Vec<_>>().join("; "),
        ))
    }
}

/// How to take records out of quarantine.
pub(super) const QUARANTINE: &str =
    "correct them in QuickBooks and run quarantine retry, or accept them: quarantine accept ID --reason TEXT";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_each_cause_and_its_way_out() {
        assert!(Unsound::default().exit("run 1", "see").is_none());
        let exit = Unsound { open_quarantine: 2, ..Unsound::default() }.exit("run 1", "see").unwrap();
        assert_eq!(exit.what, "run 1: 2 records are in quarantine; everything else is stored");
        assert!(exit.next.contains("quarantine accept ID --reason"), "{}", exit.next);
        let all = Unsound {
            failed_windows: 1,
            open_quarantine: 1,
            rows_missing: 1,
            why_failed: Some("why".into()),
        }
        .exit("run 1", "see")
        .unwrap();
        assert!(
            all.what.contains(
                "1 window failed (why), 1 record is in quarantine, 1 row that the log has is missing from its table;"
            ),
            "{}",
            all.what
        );
        assert!(all.next.starts_with("see; ") && all.next.ends_with("--repair"), "{}", all.next);
    }
}
