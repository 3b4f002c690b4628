//! A run's report together with the monthly limit that its API calls are compared with.

use backfill_core::Report;

use crate::number::real;

/// A [`Report`] and the monthly limit that its API calls are compared with. `to_text` and its siblings render it.
#[derive(Clone, Copy, Debug)]
pub struct ReportView<'a> {
    /// The report, rebuilt from the log in the database (`raw.backfill_log`).
    pub report: &'a Report,
    /// Maximum number of API calls per month; `None` for no limit.
    pub monthly_calls: Option<u64>,
}

impl ReportView<'_> {
    /// Percentage of the monthly limit that the run used; `None` without a limit.
    pub(crate) fn percent_of_limit(self) -> Option<f64> {
        let calls = real(self.report.run.calls);
        self.monthly_calls.map(|limit| 100.0 * calls / real(limit.max(1)))
    }

    /// The run's duration in seconds, if it has ended.
    pub(crate) fn seconds(self) -> Option<f64> {
        let run = &self.report.run;
        run.finished_at.map(|end| (end - run.started_at).as_seconds_f64())
    }
}
