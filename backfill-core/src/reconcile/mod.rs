//! Reconciliation: compares QuickBooks' own reports with what is stored.
//!
//! A verification compares QuickBooks' query service with itself. The reports are made by another service, from the ledger: the
//! journal has every posting of every transaction, the list also has transactions without postings, and the trial balance has
//! the sums. A transaction of a report that an entity should have and that is not stored is missing. One that no entity
//! returns, such as a payroll check, is listed.

mod balances;
mod label;
mod lookup;
mod matching;
mod outcome;
mod period;
mod reading;
mod request;
mod tally;
mod unlisted;

use std::collections::HashSet;

use qbo_client::report::ReportName;
use raw_store::Window;
use time::Duration;
use tokio_util::sync::CancellationToken;

use self::balances::Ledger;
use self::lookup::Lookup;
use self::matching::Matching;
pub use self::outcome::{
    BalanceCheck, BalanceDifference, Discrepancy, DiscrepancyKind, LabelTotals, ReconciledPipeline,
    Reconciliation, WHOLE,
};
use self::period::Period;
use self::reading::{Reading, misread};
use self::request::{JOURNAL_MONTHS, LIST_MONTHS};
pub use self::request::{ReconcilePlan, ReconcileRequest};
use self::tally::Seen;
use crate::catalog::Axis;
use crate::engine::Engine;
use crate::error::RunError;
use crate::id_hash::id_hash;

/// The word of an English report for a transaction that posts.
const POSTS: &str = "Yes";

/// A reconciliation in progress.
struct Job<'a> {
    request: &'a ReconcileRequest,
    reading: Reading<'a>,
    lookup: Lookup<'a>,
    matching: Matching<'a>,
    ledger: Ledger,
    /// A hash of type and id of each transaction in the journal.
    posted: HashSet<u64>,
    /// The words that the list has for transactions that post.
    words: HashSet<Box<str>>,
    transactions: u64,
    inconsistent: u64,
}

impl Engine {
    /// Compares QuickBooks' reports with the rows. Nothing of what is stored changes; the reports and the result are kept.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the reconciliation could not begin. A failure later on is in the result.
    pub async fn reconcile(
        &self,
        request: ReconcileRequest,
        stop: CancellationToken,
    ) -> Result<Reconciliation, RunError> {
        self.check_company(&request.identity).await?;
        let refusals = self.store.refusals.refusals().await.map_err(RunError::general)?;
        let now = self.clock.now_utc();
        let accepted = |spec: &crate::EntitySpec| spec.clone().as_accepted(Axis::Updated, &refusals, now);
        let entities = request.entities.iter().map(accepted).collect();
        let request = ReconcileRequest { entities, ..request };
        let before = self.client.usage().calls;
        let mut job = Job {
            request: &request,
            reading: Reading {
                engine: self,
                id: &request.id,
                stop: &stop,
                reports: 0,
                unread_days: Vec::new(),
                has_totals: None,
                doubtful: Vec::new(),
            },
            lookup: Lookup { engine: self, stop: &stop, requests: 0 },
            matching: Matching::new(self, &request.entities).await?,
            ledger: Ledger::new(&request),
            posted: HashSet::new(),
            words: [POSTS.into()].into(),
            transactions: 0,
            inconsistent: 0,
        };
        let events = self.events(&request.id);
        let compared = events.relaying(&*self.client, job.compare()).await;
        let reconciliation = job.conclude(compared);
        let (calls, at) = (reconciliation.usage.calls - before, self.clock.now_utc());
        if let Some(span) = request.span() {
            let records = reconciliation.records(&request.id, span, (calls, at));
            let kept = self.store.verifications.keep_verifications(&records).await;
            kept.map_err(RunError::general)?;
        }
        Ok(reconciliation)
    }
}

impl ReconcileRequest {
    /// The range as a window, which the log of verifications has.
    fn span(&self) -> Option<Window> {
        let end = self.last.midnight().assume_utc().checked_add(Duration::DAY)?;
        Window::new(self.first.midnight().assume_utc(), end).ok()
    }
}

impl Job<'_> {
    async fn compare(&mut self) -> Result<BalanceCheck, RunError> {
        self.compare_journal().await?;
        self.compare_list().await?;
        self.matching.resolve(&mut self.lookup).await?;
        let unread = self.reading.unread_days.clone();
        let (engine, request) = (self.reading.engine, self.request);
        let (matching, lookup) = (&mut self.matching, &mut self.lookup);
        unlisted::account_for_unlisted(engine, request, matching, lookup, &unread).await?;
        balances::check(&mut self.reading, self.request, &self.ledger).await
    }

    /// The periods of a report, the last one first, because they are taken from the end.
    fn periods(&self, months: u8) -> Vec<Period> {
        let mut periods = Period::tile(self.request.first, self.request.last, months);
        periods.reverse();
        periods
    }

    async fn compare_journal(&mut self) -> Result<(), RunError> {
        let mut left = self.periods(JOURNAL_MONTHS);
        while let Some((period, report)) = self.reading.next(ReportName::JournalReport, &mut left).await? {
            let mut all = Vec::new();
            let journal = report.journal(|one| {
                self.ledger.post(period, &one.postings);
                let is_balanced = one.is_balanced();
                let seen = Seen {
                    label: one.label,
                    id: one.id,
                    date: one.date,
                    number: one.number,
                    amount: Some(one.debit),
                    posts: true,
                };
                if !is_balanced {
                    self.matching.tally.note(DiscrepancyKind::Unbalanced, None, seen.clone());
                }
                self.posted.insert(id_hash(&(&*seen.label, &*seen.id)));
                all.push(seen);
            });
            let journal = journal.map_err(misread)?;
            self.transactions += journal.transactions;
            self.inconsistent += u64::from(!journal.is_consistent());
            self.matching.compare(all).await?;
        }
        Ok(())
    }

    async fn compare_list(&mut self) -> Result<(), RunError> {
        let mut left = self.periods(LIST_MONTHS);
        while let Some((_, report)) = self.reading.next(ReportName::TransactionList, &mut left).await? {
            let (mut rest, mut words) = (Vec::new(), Vec::new());
            let listed = report.listed(|one| {
                if self.posted.contains(&id_hash(&(&*one.label, &*one.id))) {
                    if !self.words.contains(&one.posting) {
                        self.words.insert(one.posting);
                    }
                    return;
                }
                words.push(one.posting);
                rest.push(Seen {
                    label: one.label,
                    id: one.id,
                    date: one.date,
                    number: one.number,
                    amount: one.amount,
                    posts: false,
                });
            });
            self.inconsistent += u64::from(listed.map_err(misread)?.strays > 0);
            for (one, word) in rest.iter().zip(words) {
                let has_amount = one.amount.is_some_and(|amount| !amount.is_zero());
                let is_unread = one.date.is_some_and(|date| self.reading.unread_days.contains(&date));
                if has_amount && !is_unread && !word.is_empty() && self.words.contains(&word) {
                    self.matching.tally.note(DiscrepancyKind::NotInJournal, None, one.clone());
                }
            }
            self.matching.compare(rest).await?;
        }
        Ok(())
    }

    fn conclude(self, compared: Result<BalanceCheck, RunError>) -> Reconciliation {
        let (labels, discrepancies) = self.matching.tally.take();
        let pipelines = self.matching.candidates.into_iter().map(|one| one.result);
        let has_any = |one: &ReconciledPipeline| {
            let nothing = ReconciledPipeline {
                pipeline: one.pipeline.clone(),
                entity_name: one.entity_name.clone(),
                ..ReconciledPipeline::default()
            };
            *one != nothing
        };
        let (balances, failure) = match compared {
            Ok(balances) => (balances, None),
            Err(failure) => (BalanceCheck::NotCompared("the reconciliation was not finished"), Some(failure)),
        };
        let mut unread_days = self.reading.unread_days;
        unread_days.sort_unstable();
        unread_days.dedup();
        Reconciliation {
            first: self.request.first,
            last: self.request.last,
            basis: self.request.basis,
            pipelines: pipelines.filter(has_any).collect(),
            labels,
            discrepancies,
            transactions: self.transactions,
            unread_days,
            inconsistent_reports: self.inconsistent,
            balances,
            reports: self.reading.reports,
            usage: self.reading.engine.client.usage(),
            failure,
        }
    }
}
