//! Reads reports: halves a period whose report is cut off or takes too long, down to one day, and keeps every whole report.

use qbo_client::report::{Report, ReportName, ReportRequest};
use qbo_client::{Advice, SplitError};
use raw_store::{KeptReport, RunId, TableName};
use time::Date;
use tokio_util::sync::CancellationToken;

use super::period::Period;
use crate::engine::Engine;
use crate::error::{Failure, RunError, broken};

/// How many days have journals without totals before it is believed that QuickBooks writes none.
const DAYS_IN_DOUBT: usize = 3;

/// How many days may not be shown whole before the rest is left unread.
const MOST_UNREAD_DAYS: usize = 31;

/// Reads the reports of one reconciliation.
pub(super) struct Reading<'a> {
    pub(super) engine: &'a Engine,
    pub(super) id: &'a RunId,
    pub(super) stop: &'a CancellationToken,
    /// Number of whole reports.
    pub(super) reports: u64,
    /// Days whose reports are never whole.
    pub(super) unread_days: Vec<Date>,
    /// Whether journals end with totals; `None` while no journal has shown it.
    pub(super) has_totals: Option<bool>,
    /// Days whose journals have no totals, while no journal has shown whether there are any.
    pub(super) doubtful: Vec<Period>,
}

/// One request's end.
enum Asked {
    Whole(Report),
    /// Fewer days may be answered.
    TooLarge,
    /// A journal without totals at its end: it is cut off, or QuickBooks writes none.
    NoTotals,
}

impl Reading<'_> {
    /// Reads a report over a period, in as many parts as needed, and returns the first part that is whole; the rest is put on
    /// the stack of what is left to read.
    pub(super) async fn next(
        &mut self,
        name: ReportName,
        left: &mut Vec<Period>,
    ) -> Result<Option<(Period, Report)>, RunError> {
        loop {
            let Some(period) = left.pop() else {
                if self.doubtful.is_empty() {
                    return Ok(None);
                }
                self.settle_doubt(left);
                continue;
            };
            let request = ReportRequest::new(name, period.first, period.last);
            let asked = self.ask(&request).await?;
            match (asked, period.halves()) {
                (Asked::Whole(report), _) => return Ok(Some((period, report))),
                (_, Some((earlier, later))) => left.extend([later, earlier]),
                (Asked::NoTotals, None) if self.has_totals.is_none() => {
                    self.doubtful.push(period);
                    if self.doubtful.len() == DAYS_IN_DOUBT {
                        self.settle_doubt(left);
                    }
                }
                (_, None) => {
                    self.unread_days.push(period.first);
                    if self.unread_days.len() >= MOST_UNREAD_DAYS {
                        // Nor are the others: asking for each of them would cost a call or more a day.
                        self.unread_days.extend(left.drain(..).map(|period| period.first));
                    }
                }
            }
        }
    }

    /// Decides about days whose journals have no totals: if no journal had any, QuickBooks writes none, and the days are read
    /// again. Otherwise they are cut off.
    fn settle_doubt(&mut self, left: &mut Vec<Period>) {
        let days = std::mem::take(&mut self.doubtful);
        if *self.has_totals.get_or_insert(false) {
            self.unread_days.extend(days.iter().map(|day| day.first));
        } else {
            left.extend(days.into_iter().rev());
        }
    }

    /// Reads one report whole, or not at all.
    pub(super) async fn whole(&mut self, request: &ReportRequest) -> Result<Option<Report>, RunError> {
        match self.ask(request).await? {
            Asked::Whole(report) => Ok(Some(report)),
            Asked::TooLarge | Asked::NoTotals => Ok(None),
        }
    }

    async fn ask(&mut self, request: &ReportRequest) -> Result<Asked, RunError> {
        let answer = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(RunError::general(Failure::Stopped)),
            answer = self.engine.client.fetch_report(request) => answer,
        };
        let report = match answer {
            Ok(report) if report.is_cut() => return Ok(Asked::TooLarge),
            Ok(report) if !self.ends(&report) => return Ok(Asked::NoTotals),
            Ok(report) => report,
            Err(error) if error.advice() == Advice::AskFewer => return Ok(Asked::TooLarge),
            Err(error) => return Err(RunError::general(Failure::Read(error))),
        };
        self.keep(request, &report).await?;
        self.reports += 1;
        Ok(Asked::Whole(report))
    }

    /// Whether a journal ends as the company's other journals do.
    fn ends(&mut self, report: &Report) -> bool {
        if report.has_totals() {
            self.has_totals = Some(true);
        }
        !report.lacks_totals() || self.has_totals == Some(false)
    }

    async fn keep(&self, request: &ReportRequest, report: &Report) -> Result<(), RunError> {
        let kept = KeptReport {
            question: request.text().into(),
            answer: report.body().clone(),
            first_day: request.first(),
            last_day: request.last(),
            basis: request.basis().map(|basis| basis.as_str().into()),
            answered_at: report.answered_at(),
            received_at: self.engine.clock.now_utc(),
            verification: self.id.clone(),
        };
        let kept = self.engine.store.reports.keep_report(&table(request.name()), &kept).await;
        kept.map_err(RunError::general)
    }
}

/// The table of a report.
fn table(name: ReportName) -> TableName {
    let table = match name {
        ReportName::JournalReport => "qb_report_journal_report",
        ReportName::TransactionList => "qb_report_transaction_list",
        ReportName::TrialBalance => "qb_report_trial_balance",
    };
    table.parse().expect("letters and underscores")
}

/// A report's rows were read once before, so they can be read again.
pub(super) fn misread(_: SplitError) -> RunError {
    RunError::general(broken("the rows of a report cannot be read a second time"))
}
