//! What can be requested of the reports.

use std::fmt;

use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::query::EntityName;

const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// A report that can be requested. Names are case-sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReportName {
    /// Every posting of every transaction, a group of lines for each transaction.
    JournalReport,
    /// One line for each transaction, including those without postings.
    TransactionList,
    /// The balance of every account at the end of a day.
    TrialBalance,
}

/// When amounts count: when they are owed, or when they are paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Amounts count when they are owed.
    #[default]
    Accrual,
    /// Amounts count when they are paid: unpaid invoices are not in the figures.
    Cash,
}

impl ReportName {
    /// The report's name in the address of a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JournalReport => "JournalReport",
            Self::TransactionList => "TransactionList",
            Self::TrialBalance => "TrialBalance",
        }
    }

    /// The report's name, as errors and events name what is read.
    pub fn entity(self) -> EntityName {
        self.as_str().parse().expect("letters, the first one upper case")
    }

    /// The columns to request. Fewer columns leave room for more rows: a report has a limited number of cells.
    fn columns(self) -> &'static str {
        match self {
            Self::JournalReport => "tx_date,txn_type,doc_num,name,account_name,debt_amt,credit_amt",
            Self::TransactionList => "tx_date,txn_type,doc_num,is_no_post,name,subt_nat_amount",
            Self::TrialBalance => "",
        }
    }

    /// The columns without which a report cannot be understood; one of each list is enough.
    pub(super) fn needed_columns(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::JournalReport => {
                &[&["txn_type"], &["tx_date"], &["account_name"], &["debt_amt"], &["credit_amt"]]
            }
            Self::TransactionList => &[&["txn_type"], &["tx_date"]],
            Self::TrialBalance => &[],
        }
    }
}

impl fmt::Display for ReportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Basis {
    /// All bases.
    pub const ALL: [Self; 2] = [Self::Accrual, Self::Cash];

    /// The basis as requests and reports write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accrual => "Accrual",
            Self::Cash => "Cash",
        }
    }
}

/// A request for a report over a range of days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportRequest {
    name: ReportName,
    first: Date,
    last: Date,
    basis: Option<Basis>,
}

impl ReportRequest {
    /// Requests a report from the first to the last day, both included. Both are always sent: a report with only one of them
    /// covers other days (seen live, June 2026).
    pub fn new(name: ReportName, first: Date, last: Date) -> Self {
        Self { name, first, last, basis: None }
    }

    /// Sets when amounts count. Only reports of balances know it.
    #[must_use]
    pub fn with_basis(self, basis: Basis) -> Self {
        Self { basis: Some(basis), ..self }
    }

    /// The requested report.
    pub fn name(&self) -> ReportName {
        self.name
    }

    /// First day of the range.
    pub fn first(&self) -> Date {
        self.first
    }

    /// Last day of the range.
    pub fn last(&self) -> Date {
        self.last
    }

    /// When amounts count, if the request says so.
    pub fn basis(&self) -> Option<Basis> {
        self.basis
    }

    /// Number of days in the range.
    pub fn days(&self) -> u64 {
        u64::try_from((self.last - self.first).whole_days() + 1).unwrap_or(0)
    }

    /// The parameters of the request, in a fixed order.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let day = |date: Date| date.format(DATE).expect("a format of plain numbers cannot fail");
        let mut parameters = vec![("start_date", day(self.first)), ("end_date", day(self.last))];
        if !self.name.columns().is_empty() {
            parameters.push(("columns", self.name.columns().to_owned()));
        }
        if let Some(basis) = self.basis {
            parameters.push(("accounting_method", basis.as_str().to_owned()));
        }
        parameters
    }

    /// The request as one line, to be stored beside its answer.
    pub fn text(&self) -> String {
        let parameters = self.parameters();
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}?{}", self.name, parameters.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn both_ends_of_the_range_are_sent() {
        let request =
            ReportRequest::new(ReportName::TrialBalance, date!(2026 - 02 - 01), date!(2026 - 02 - 28));
        assert_eq!(
            request.with_basis(Basis::Cash).text(),
            "TrialBalance?start_date=2026-02-01&end_date=2026-02-28&accounting_method=Cash"
        );
        assert_eq!(request.days(), 28);
    }
}
