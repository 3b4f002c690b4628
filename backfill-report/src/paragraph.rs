//! Sums a run up in one paragraph: what happened, what is missing, and what to do next.

use backfill_core::{PipelineReport, Report, Totals};
use raw_store::{RunStatus, Severity, WindowState};

use crate::findings::{all, sum};
use crate::instant::short;
use crate::number::{counted, seconds};
use crate::style::state;
use crate::summary::custom_fields;
use crate::untrusted::Untrusted;
use crate::view::ReportView;

impl ReportView<'_> {
    /// Sums the run up in one paragraph, with the marks of [`crate::style`].
    #[must_use]
    pub fn to_paragraph(self) -> String {
        let report = self.report;
        let standing = Standing::of(report);
        let mut sentences = vec![self.happened(), read(report), standing.windows()];
        sentences.extend(unavailable(report));
        sentences.push(sum(report));
        sentences
            .extend(custom_fields(report).filter(|_| !has_all_fields(report)).map(|text| sentence(&text)));
        sentences.push(standing.to_do());
        sentences.join(" ")
    }

    /// What the run was, and how it ended.
    fn happened(self) -> String {
        let run = &self.report.run;
        let took = self.seconds().map(|time| format!(" in {} s", seconds(time))).unwrap_or_default();
        let why = match (&run.message, run.status) {
            (Some(message), RunStatus::Completed) => format!(" ({})", Untrusted(message)),
            (Some(message), _) => format!(": {}", Untrusted(message)),
            (None, _) => String::new(),
        };
        sentence(&format!(
            "Run {} is {}: {}, {} to {} {}, {}{took}{why}",
            run.id,
            state(run.status.as_str()),
            pipelines(self.report),
            short(run.span.start()),
            short(run.span.end()),
            windows(&run.chunk),
            counted(run.calls, "API call", "API calls"),
        ))
    }
}

/// How the range was cut into windows.
fn windows(chunk: &str) -> String {
    match chunk {
        "chosen" => "in chosen windows".into(),
        "whole" => "as a whole".into(),
        length => format!("by {}", Untrusted(length)),
    }
}

/// The pipelines of the run by name, or their number if there are too many for a sentence.
fn pipelines(report: &Report) -> String {
    const FEW: usize = 3;
    let names: Vec<_> = report.pipelines.iter().map(|one| one.pipeline.as_str()).collect();
    if names.len() <= FEW { names.join(", ") } else { format!("{} pipelines", names.len()) }
}

/// What the run read.
fn read(report: &Report) -> String {
    let totals = Totals::of(&report.run.pipelines);
    let counts = totals.counts;
    if totals.windows_opened == 0 {
        return "There was no window to read.".into();
    }
    let quarantined = match counts.quarantined {
        0 => String::new(),
        number => format!(", {number} put into quarantine"),
    };
    format!(
        "It read {}: {} inserted, {} updated, {} unchanged{quarantined}.",
        counted(counts.read(), "record", "records"),
        counts.inserted,
        counts.updated,
        counts.unchanged
    )
}

/// The pipelines that the company does not have.
fn unavailable(report: &Report) -> Option<String> {
    let has_none = |one: &&PipelineReport| one.count(WindowState::Unavailable) > 0;
    let names: Vec<_> = report.pipelines.iter().filter(has_none).map(|one| one.pipeline.as_str()).collect();
    let what = format!("This company does not have {}; a later run asks again.", names.join(", "));
    (!names.is_empty()).then_some(what)
}

fn has_all_fields(report: &Report) -> bool {
    report.pipelines.iter().filter_map(PipelineReport::custom_fields).all(|one| one.whole >= one.records)
}

/// Ends a text with one full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

/// What is missing of the range after the run, whichever run read the rest.
#[derive(Debug, Default)]
struct Standing {
    windows: u64,
    completed: u64,
    unavailable: u64,
    provisional: u64,
    failed: u64,
    open: u64,
    quarantined: u64,
    rows_missing: u64,
    /// Errors and warnings of the validation.
    findings: u64,
}

impl Standing {
    fn of(report: &Report) -> Self {
        let count = |state| report.pipelines.iter().map(|one| one.count(state) as u64).sum::<u64>();
        Self {
            windows: report.pipelines.iter().map(|one| one.windows.len() as u64).sum(),
            completed: count(WindowState::Completed),
            unavailable: count(WindowState::Unavailable),
            provisional: count(WindowState::Provisional),
            failed: count(WindowState::Failed),
            open: count(WindowState::Pending) + count(WindowState::Running),
            quarantined: report.open_quarantine(),
            rows_missing: report.rows_missing(),
            findings: all(report).filter(|(_, one)| one.severity != Severity::Info).count() as u64,
        }
    }

    /// How many windows of the range are completed, and what the others are.
    fn windows(&self) -> String {
        let rest = self.provisional + self.failed + self.open;
        if rest == 0 && self.unavailable == 0 {
            return format!(
                "All of the range is completed ({}).",
                counted(self.windows, "window", "windows")
            );
        }
        let kinds = [
            (self.failed, "failed"),
            (self.open, "not read yet"),
            (self.provisional, "provisional, because they ended too near to now"),
            (self.unavailable, "not available"),
        ];
        let others = kinds.iter().filter(|(number, _)| *number > 0);
        let others: Vec<_> = others.map(|(number, kind)| format!("{number} {kind}")).collect();
        format!(
            "Of the range, {} of {} are completed; {}.",
            self.completed,
            counted(self.windows, "window", "windows"),
            others.join(", ")
        )
    }

    /// What a person has to do next.
    fn to_do(&self) -> String {
        let mut steps = Vec::new();
        if self.failed + self.open > 0 {
            steps.push("run the same command again, which reads only what is not completed".to_owned());
        } else if self.provisional > 0 {
            steps
                .push("run the same command again later, which completes the provisional windows".to_owned());
        }
        if self.quarantined > 0 {
            let records = counted(self.quarantined, "record waits", "records wait");
            steps.push(format!("decide on quarantine, where {records}: qbo-backfill quarantine list"));
        }
        if self.rows_missing > 0 {
            let rows = counted(self.rows_missing, "row is missing", "rows are missing");
            steps.push(format!("{rows} that the log has: qbo-backfill verify PIPELINE --repair"));
        }
        match (steps.is_empty(), self.findings) {
            (true, 0) => "Nothing is missing, and there is nothing left to do.".into(),
            (true, findings) => {
                let findings = counted(findings, "finding", "findings");
                format!("Nothing is missing; to do: look at the {findings} in the report.")
            }
            (false, _) => format!("To do: {}.", steps.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_what_to_do() {
        let whole = Standing { windows: 12, completed: 12, ..Standing::default() };
        assert_eq!(whole.windows(), "All of the range is completed (12 windows).");
        assert_eq!(whole.to_do(), "Nothing is missing, and there is nothing left to do.");

        let odd = Standing { findings: 2, ..whole };
        assert_eq!(odd.to_do(), "Nothing is missing; to do: look at the 2 findings in the report.");

        let torn = Standing {
            windows: 12,
            completed: 8,
            failed: 2,
            open: 1,
            provisional: 1,
            quarantined: 1,
            ..Standing::default()
        };
        assert_eq!(
            torn.windows(),
            "Of the range, 8 of 12 windows are completed; 2 failed, 1 not read yet, 1 provisional, because they ended too \
             near to now."
        );
        assert_eq!(
            torn.to_do(),
            "To do: run the same command again, which reads only what is not completed; decide on quarantine, where 1 record \
             waits: qbo-backfill quarantine list."
        );
        let later = Standing { windows: 12, completed: 11, provisional: 1, ..Standing::default() };
        assert!(later.to_do().contains("again later"), "{}", later.to_do());
    }

    #[test]
    fn a_sentence_begins_and_ends_as_one() {
        assert_eq!(sentence("custom fields: all"), "Custom fields: all.");
        assert_eq!(sentence("Done."), "Done.");
    }
}
