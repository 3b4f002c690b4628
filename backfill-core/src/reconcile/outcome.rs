//! The result of a reconciliation.

use qbo_client::Usage;
use qbo_client::report::{Amount, Basis};
use raw_store::{RunId, VerificationRecord, VerifyMethod, VerifyResult, Window};
use time::{Date, OffsetDateTime};

use crate::error::RunError;

/// The name under which the result for the company as a whole is kept in the log of verifications, beside those of the pipelines.
pub const WHOLE: &str = "reports";

/// The result of a reconciliation.
#[derive(Debug)]
pub struct Reconciliation {
    /// First day that was compared.
    pub first: Date,
    /// Last day that was compared.
    pub last: Date,
    /// When the amounts of the trial balance count.
    pub basis: Basis,
    /// The result of each pipeline with transactions in the range, in the order of the catalogue.
    pub pipelines: Vec<ReconciledPipeline>,
    /// The reports' transactions by type and result, in the order of types.
    pub labels: Vec<LabelTotals>,
    /// Everything that does not agree, and what no entity returns; the first of each type and kind.
    pub discrepancies: Vec<Discrepancy>,
    /// Transactions in the journal.
    pub transactions: u64,
    /// Days of which QuickBooks does not show the whole report, however few are requested.
    pub unread_days: Vec<Date>,
    /// Reports whose own totals are not the sums of their lines, or that have lines without a transaction.
    pub inconsistent_reports: u64,
    /// What comparing the journal with the balances of the accounts has shown.
    pub balances: BalanceCheck,
    /// The reports that were read.
    pub reports: u64,
    /// The API calls that were made, and what they cost.
    pub usage: Usage,
    /// The failure that stopped the reconciliation, if one did; the numbers then cover what was compared until then.
    pub failure: Option<RunError>,
}

/// The result of a reconciliation for one pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReconciledPipeline {
    /// The pipeline's name.
    pub pipeline: String,
    /// The entity's name in the log.
    pub entity_name: Box<str>,
    /// Transactions of the reports that are stored.
    pub agrees: u64,
    /// Transactions of the reports of which nothing is stored, or whose row is marked as gone.
    pub missing: u64,
    /// Transactions of the reports that are in quarantine.
    pub quarantined: u64,
    /// Rows whose transactions QuickBooks no longer has.
    pub gone: u64,
    /// Rows of the range without amounts: the journal has no line of them.
    pub without_amount: u64,
    /// Rows whose transactions have other dates at QuickBooks now.
    pub changed: u64,
    /// Rows that QuickBooks returns by id and that its reports do not have.
    pub unlisted: u64,
    /// Rows that the reports do not have and that could not be looked up.
    pub unresolved: u64,
}

/// How often a type of transaction had a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelTotals {
    /// The type, as the reports write it.
    pub label: Box<str>,
    /// The result; `None` for transactions that agree.
    pub kind: Option<DiscrepancyKind>,
    /// Whether the label is one that is known.
    pub is_known: bool,
    /// Number of transactions.
    pub count: u64,
    /// Sum of their amounts: the debit side of the journal, or the amount in the list.
    pub amount: Amount,
}

/// How a transaction differs between QuickBooks' reports and the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DiscrepancyKind {
    /// The reports have it, and an entity should have it: nothing is stored, or the row is marked as gone.
    Missing,
    /// It is stored, and QuickBooks no longer has it.
    Gone,
    /// No entity returns it, so it cannot be stored. This proves nothing wrong.
    NotReachable,
    /// It is kept in quarantine.
    Quarantined,
    /// Its type is unknown, and it could not be looked up.
    Unknown,
    /// It is stored, and QuickBooks has another date for it now.
    Changed,
    /// It is stored, QuickBooks returns it by id, and the reports do not have it.
    Unlisted,
    /// It is stored, the reports do not have it, and it could not be looked up.
    Unresolved,
    /// The list has it with an amount and as posting, and the journal does not have it.
    NotInJournal,
    /// Its postings do not balance, or are not those that the report's own total says.
    Unbalanced,
}

impl DiscrepancyKind {
    /// All kinds, in the order of their weight.
    pub const ALL: [Self; 10] = [
        Self::Missing,
        Self::NotInJournal,
        Self::Unbalanced,
        Self::Unlisted,
        Self::Changed,
        Self::Unknown,
        Self::Unresolved,
        Self::Quarantined,
        Self::Gone,
        Self::NotReachable,
    ];

    /// Returns the kind as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Gone => "gone",
            Self::NotReachable => "not_reachable",
            Self::Quarantined => "quarantined",
            Self::Unknown => "unknown",
            Self::Changed => "changed",
            Self::Unlisted => "unlisted",
            Self::Unresolved => "unresolved",
            Self::NotInJournal => "not_in_journal",
            Self::Unbalanced => "unbalanced",
        }
    }

    /// Whether the books agree in spite of it: nothing can be stored of it, or all of it is.
    pub fn is_harmless(self) -> bool {
        matches!(self, Self::NotReachable | Self::Gone)
    }
}

/// One transaction that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discrepancy {
    /// How it differs.
    pub kind: DiscrepancyKind,
    /// The pipeline that has it or should have it, if one does.
    pub pipeline: Option<String>,
    /// The type, as the reports write it; empty for a row that they do not have.
    pub label: Box<str>,
    /// The transaction's id.
    pub id: Box<str>,
    /// The transaction's date, if it is known.
    pub date: Option<Date>,
    /// Number of the document, or empty.
    pub number: Box<str>,
    /// The transaction's amount, if it is known.
    pub amount: Option<Amount>,
}

/// What comparing the journal with the balances of the accounts has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BalanceCheck {
    /// Every account's balance changed by what the journal posted to it, in every month.
    Ties {
        /// Months compared.
        months: u64,
    },
    /// Some accounts' balances changed by other amounts.
    Differs {
        /// The accounts and months, in the order of time; the first of them.
        differences: Vec<BalanceDifference>,
        /// The number of them.
        count: u64,
    },
    /// The balances could not be compared, for the reason that these words give.
    NotCompared(&'static str),
}

/// An account whose balance changed by another amount than the journal posted to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceDifference {
    /// Last day of the period.
    pub until: Date,
    /// Id of the account.
    pub account: Box<str>,
    /// Change of the balance, on the debit side.
    pub changed: Amount,
    /// What the journal posted, on the debit side.
    pub posted: Amount,
}

impl ReconciledPipeline {
    /// Whether every transaction of the pipeline that QuickBooks reports is stored, and every row explained.
    pub fn agrees(&self) -> bool {
        self.missing + self.quarantined + self.changed + self.unlisted + self.unresolved == 0
    }
}

impl Reconciliation {
    /// Whether everything ties out: nothing is missing, nothing is unexplained, the journal balances and explains how the
    /// balances of the accounts changed.
    pub fn ties_out(&self) -> bool {
        self.labels.iter().all(|one| one.kind.is_none_or(DiscrepancyKind::is_harmless))
            && self.pipelines.iter().all(ReconciledPipeline::agrees)
            && self.are_reports_whole()
            // On a cash basis there is nothing to compare the balances with, and whoever asks for it knows.
            && (self.basis == Basis::Cash || matches!(self.balances, BalanceCheck::Ties { .. }))
    }

    /// Number of transactions with a result.
    pub fn count(&self, kind: DiscrepancyKind) -> u64 {
        self.labels.iter().filter(|one| one.kind == Some(kind)).map(|one| one.count).sum()
    }

    /// Whether the reports could be read whole and agree with themselves.
    fn are_reports_whole(&self) -> bool {
        self.failure.is_none() && self.unread_days.is_empty() && self.inconsistent_reports == 0
    }

    /// What is kept of the result: a record for each pipeline, and one for the reports as a whole.
    pub(super) fn records(
        &self,
        id: &RunId,
        span: Window,
        (calls, at): (u64, OffsetDateTime),
    ) -> Vec<VerificationRecord> {
        let record = |one: &ReconciledPipeline, result| VerificationRecord {
            id: id.clone(),
            entity_name: one.entity_name.clone(),
            method: VerifyMethod::Report,
            span,
            result,
            counted: 0,
            same: one.agrees,
            missing: one.missing,
            changed: one.changed,
            gone: one.gone,
            marked: 0,
            calls,
            at,
        };
        // Each of these may hide a transaction of any pipeline.
        let hiding = [DiscrepancyKind::Unbalanced, DiscrepancyKind::Unknown, DiscrepancyKind::NotInJournal];
        let is_proven = self.are_reports_whole()
            && hiding.into_iter().all(|kind| self.count(kind) == 0)
            && !matches!(self.balances, BalanceCheck::Differs { .. });
        let result = |differs: bool, is_proven: bool| match (differs, is_proven) {
            (true, _) => VerifyResult::Differs,
            (_, false) => VerifyResult::Incomplete,
            _ => VerifyResult::Confirmed,
        };
        let pipelines = self.pipelines.iter().map(|one| {
            let differs = one.missing + one.changed + one.unlisted > 0;
            record(one, result(differs, is_proven && one.agrees()))
        });
        let sum = |number: fn(&ReconciledPipeline) -> u64| self.pipelines.iter().map(number).sum();
        let whole = ReconciledPipeline {
            entity_name: WHOLE.into(),
            agrees: sum(|one| one.agrees),
            missing: self.count(DiscrepancyKind::Missing),
            changed: sum(|one| one.changed),
            gone: sum(|one| one.gone),
            ..ReconciledPipeline::default()
        };
        let differs = self.labels.iter().any(|one| one.kind.is_some_and(|kind| !kind.is_harmless()))
            || matches!(self.balances, BalanceCheck::Differs { .. });
        pipelines
            .chain([record(
                &whole,
                result(differs, self.ties_out() && matches!(self.balances, BalanceCheck::Ties { .. })),
            )])
            .collect()
    }
}
