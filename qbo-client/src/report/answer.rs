//! One report as received, and what its rows say.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::{Date, OffsetDateTime};

use super::balance::{self, AccountBalance};
use super::columns::{ColumnList, Columns};
use super::journal::{self, Journal, JournalTransaction};
use super::listed::{self, Listed, ListedTransaction};
use super::request::{ReportName, ReportRequest};
use super::rows::{Cell, RowKind, each_row};
use crate::page::{SplitError, timestamp};

/// What QuickBooks writes into a report that has more cells than it shows.
const NOTICE: &str = "unable to display more data";

/// The most cells (rows by columns) of a report (Intuit's page on reports).
const MOST_CELLS: u64 = 400_000;

/// Reports that were cut off without a word had this many cells and more (RoboFinSystems/robosystems). A report of this size is
/// believed only if it ends with its totals.
const MANY_CELLS: u64 = 310_000;

/// One report as received: its bytes, and where its rows are.
#[derive(Clone)]
pub struct Report {
    body: Bytes,
    rows: Range<usize>,
    columns: Columns,
    answered_at: Option<OffsetDateTime>,
    currency: Option<Box<str>>,
    cells: u64,
    is_cut: bool,
    has_totals: bool,
    has_transactions: bool,
}

/// The outermost members of a report, each as its text where it may be long.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(alias = "Fault", borrow)]
    fault: Option<&'a RawValue>,
    #[serde(rename = "Header", borrow)]
    header: Option<&'a RawValue>,
    #[serde(rename = "Columns", default)]
    columns: Option<ColumnList>,
    #[serde(rename = "Rows", borrow)]
    rows: Option<&'a RawValue>,
}

/// The members of a report's header that are read.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Header {
    time: Option<Box<str>>,
    report_name: Option<Box<str>>,
    report_basis: Option<Box<str>>,
    start_period: Option<Box<str>>,
    end_period: Option<Box<str>>,
    currency: Option<Box<str>>,
}

impl Header {
    /// Whether the report is the one that was requested. QuickBooks ignores parameters that it does not know, and then answers
    /// for other days; what the header does not state cannot be compared.
    fn answers(&self, request: &ReportRequest) -> bool {
        let says = |said: &Option<Box<str>>, asked: &str| said.as_deref().is_none_or(|said| said == asked);
        let is_on = |said: &Option<Box<str>>, asked: Date| {
            said.as_deref().and_then(timestamp::date).is_none_or(|said| said == asked)
        };
        says(&self.report_name, request.name().as_str())
            && request.basis().is_none_or(|basis| says(&self.report_basis, basis.as_str()))
            // The start of a trial balance does not change its figures.
            && (request.name() == ReportName::TrialBalance || is_on(&self.start_period, request.first()))
            && is_on(&self.end_period, request.last())
    }
}

impl Report {
    /// Reads the answer to a request.
    ///
    /// # Errors
    ///
    /// [`SplitError`] for anything that is not a complete answer to this request: a fault, truncated JSON, other days than
    /// those requested, a column that is missing. A report that QuickBooks has cut off is not an error; see
    /// [`is_cut`](Self::is_cut).
    pub fn read(body: Bytes, request: &ReportRequest) -> Result<Self, SplitError> {
        if body.trim_ascii().is_empty() {
            return Err(SplitError::Empty);
        }
        let envelope: Envelope<'_> = serde_json::from_slice(&body).map_err(|_| SplitError::Malformed)?;
        if envelope.fault.is_some() {
            return Err(SplitError::Fault);
        }
        let (Some(header), Some(rows)) = (envelope.header, envelope.rows) else {
            return Err(SplitError::NoAnswer);
        };
        let is_announced = header.get().to_ascii_lowercase().contains(NOTICE);
        let header: Header = serde_json::from_str(header.get()).map_err(|_| SplitError::Malformed)?;
        if !header.answers(request) {
            return Err(SplitError::Contradiction);
        }
        let columns = Columns::new(envelope.columns.unwrap_or_default());
        let mut survey = Survey::of(rows.get(), columns.len())?;
        survey.is_cut |= is_announced;
        // A report that cannot be displayed may come without columns.
        if survey.cells > 0 && !survey.is_cut && !columns.have(request) {
            return Err(SplitError::Contradiction);
        }
        let start = rows.get().as_ptr() as usize - body.as_ptr() as usize;
        let rows = start..start + rows.get().len();
        let mut report = Self {
            rows,
            columns,
            answered_at: header.time.as_deref().and_then(timestamp::instant),
            currency: header.currency,
            cells: survey.cells,
            has_totals: false,
            has_transactions: false,
            is_cut: survey.is_cut || survey.cells >= MOST_CELLS,
            body,
        };
        if request.name() == ReportName::JournalReport {
            let journal = report.journal(drop)?;
            (report.has_totals, report.has_transactions) =
                (journal.total.is_some(), journal.transactions > 0);
            report.is_cut |= !journal.is_finished || (report.cells >= MANY_CELLS && !report.has_totals);
        } else {
            report.is_cut |= report.cells >= MANY_CELLS;
        }
        Ok(report)
    }

    /// Whether QuickBooks has left rows out, because the report is too large: it says so, or the last transaction or the last
    /// row is not finished. Fewer days have to be requested.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether the report is a journal with transactions and without the totals at its end. Either the rest is missing, or
    /// QuickBooks writes no totals: the totals are in Intuit's example, and no journal of the reports of 2026 is known.
    pub fn lacks_totals(&self) -> bool {
        self.has_transactions && !self.has_totals
    }

    /// Whether the report is a journal with totals at its end.
    pub fn has_totals(&self) -> bool {
        self.has_totals
    }

    /// Number of cells in the report.
    pub fn cells(&self) -> u64 {
        self.cells
    }

    /// The currency of the amounts, if the report names one.
    pub fn currency(&self) -> Option<&str> {
        self.currency.as_deref()
    }

    /// When QBO answered, by its own clock.
    pub fn answered_at(&self) -> Option<OffsetDateTime> {
        self.answered_at
    }

    /// The answer, as sent.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Passes each transaction of a `JournalReport` to `hand_on`, one at a time and in the report's order.
    ///
    /// # Errors
    ///
    /// [`SplitError`] if a row is not built as a row of a report.
    pub fn journal(&self, hand_on: impl FnMut(JournalTransaction)) -> Result<Journal, SplitError> {
        journal::read(&self.columns, self.rows()?, hand_on)
    }

    /// Passes each line of a `TransactionList` to `hand_on`, one at a time and in the report's order.
    ///
    /// # Errors
    ///
    /// [`SplitError`] if a row is not built as a row of a report.
    pub fn listed(&self, hand_on: impl FnMut(ListedTransaction)) -> Result<Listed, SplitError> {
        listed::read(&self.columns, self.rows()?, hand_on)
    }

    /// The balances of a `TrialBalance`: its lines that name an account.
    ///
    /// # Errors
    ///
    /// [`SplitError`] if a row is not built as a row of a report, has an amount that cannot be read, or an amount without an
    /// account.
    pub fn balances(&self) -> Result<Vec<AccountBalance>, SplitError> {
        balance::read(&self.columns, self.rows()?)
    }

    fn rows(&self) -> Result<&str, SplitError> {
        std::str::from_utf8(&self.body[self.rows.clone()]).map_err(|_| SplitError::Malformed)
    }
}

/// Shows sizes and no contents: a report is customer data.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("bytes", &self.body.len())
            .field("cells", &self.cells)
            .field("is_cut", &self.is_cut)
            .finish_non_exhaustive()
    }
}

/// What the rows of a report say about the report as a whole.
#[derive(Default)]
struct Survey {
    cells: u64,
    is_cut: bool,
}

impl Survey {
    fn of(rows: &str, columns: usize) -> Result<Self, SplitError> {
        let mut survey = Self::default();
        each_row(rows, |row| {
            survey.cells += row.cells.len() as u64;
            // A row of data that is not finished; the summaries of some reports are shorter.
            let is_short = row.kind == RowKind::Data && row.cells.len() < columns;
            survey.is_cut |= is_short || is_notice(row.cells);
        })?;
        Ok(survey)
    }
}

/// Whether a row says that the report has no room for more. A transaction's own text may say anything.
fn is_notice(cells: &[Cell<'_>]) -> bool {
    let has_ids = cells.iter().any(|cell| !cell.id.is_empty());
    !has_ids && cells.iter().any(|cell| cell.value.to_ascii_lowercase().contains(NOTICE))
}
