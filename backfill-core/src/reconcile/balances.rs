//! Compares what the journal posted to each account with how the account's balance changed.
//!
//! This is the control total of what no entity returns: a transaction that is left out of the journal changes a balance that
//! the journal does not explain.

use std::collections::{BTreeMap, BTreeSet};

use qbo_client::report::{Amount, Basis, Posting, ReportName, ReportRequest};
use raw_store::MemberRange;
use time::Date;

use super::outcome::{BalanceCheck, BalanceDifference};
use super::period::{Period, month_name};
use super::reading::{Reading, misread};
use super::request::{JOURNAL_MONTHS, ReconcileRequest};
use crate::catalog::{Axis, EntitySpec};
use crate::error::RunError;

/// The most differences that are listed.
const MOST_LISTED: usize = 100;

/// The most ids of accounts that are read from the store; a company has fewer.
const MOST_ACCOUNTS: u32 = 100_000;

/// Amounts by the id of their account.
type ByAccount = BTreeMap<Box<str>, Amount>;

/// What the journal posted to each account in each month.
#[derive(Debug)]
pub(super) struct Ledger {
    months: Vec<(Period, ByAccount)>,
}

impl Ledger {
    pub(super) fn new(request: &ReconcileRequest) -> Self {
        let months = Period::tile(request.first, request.last, JOURNAL_MONTHS);
        Self { months: months.into_iter().map(|month| (month, ByAccount::new())).collect() }
    }

    /// Adds the postings of a transaction of a period, which lies in one month.
    pub(super) fn post(&mut self, period: Period, postings: &[Posting]) {
        let at = self.months.partition_point(|(month, _)| month.last < period.first);
        let Some((_, posted)) = self.months.get_mut(at) else { return };
        for posting in postings {
            *posted.entry(posting.account.clone()).or_default() += posting.amount;
        }
    }
}

/// Compares the ledger with the balances of the accounts at the end of every month.
pub(super) async fn check(
    reading: &mut Reading<'_>,
    request: &ReconcileRequest,
    ledger: &Ledger,
) -> Result<BalanceCheck, RunError> {
    let Some(before) = request.first.previous_day() else {
        return Ok(BalanceCheck::NotCompared("the range has no day before it"));
    };
    let Some(mut balances) = balances(reading, request, before).await? else {
        return Ok(BalanceCheck::NotCompared("QuickBooks does not show the whole trial balance"));
    };
    let closing = Closing::of(reading, request).await?;
    let (mut differences, mut count) = (Vec::new(), 0);
    for (month, posted) in &ledger.months {
        let Some(now) = self::balances(reading, request, month.last).await? else {
            return Ok(BalanceCheck::NotCompared("QuickBooks does not show the whole trial balance"));
        };
        let found = compare(*month, (&balances, &now), posted);
        if !closing.explains(month.first, &found, &balances) {
            count += found.len() as u64;
            let room = MOST_LISTED - differences.len();
            differences.extend(found.into_iter().take(room));
        }
        balances = now;
    }
    Ok(match (request.basis, count) {
        (Basis::Cash, _) => {
            BalanceCheck::NotCompared("the journal has no cash basis; the balances were kept")
        }
        (Basis::Accrual, 0) => BalanceCheck::Ties { months: ledger.months.len() as u64 },
        (Basis::Accrual, _) => BalanceCheck::Differs { differences, count },
    })
}

/// The balances at the end of a day; `None` if QuickBooks does not show them whole. The start is the same for all, in case it
/// has an effect: then income and expenses count from there.
async fn balances(
    reading: &mut Reading<'_>,
    request: &ReconcileRequest,
    at: Date,
) -> Result<Option<ByAccount>, RunError> {
    let start = request.first.previous_day().unwrap_or(request.first);
    let question = ReportRequest::new(ReportName::TrialBalance, start, at).with_basis(request.basis);
    let Some(report) = reading.whole(&question).await? else { return Ok(None) };
    let mut balances = ByAccount::new();
    for one in report.balances().map_err(misread)? {
        *balances.entry(one.account).or_default() += one.amount;
    }
    Ok(Some(balances))
}

/// The accounts whose balances changed by other amounts than the journal posted.
fn compare(
    month: Period,
    (before, after): (&ByAccount, &ByAccount),
    posted: &ByAccount,
) -> Vec<BalanceDifference> {
    let accounts: BTreeSet<_> = before.keys().chain(after.keys()).chain(posted.keys()).collect();
    let of = |amounts: &ByAccount, account: &str| amounts.get(account).copied().unwrap_or_default();
    let difference = |account: &Box<str>| {
        let changed = of(after, account) - of(before, account);
        let posted = of(posted, account);
        (changed != posted).then(|| BalanceDifference {
            until: month.last,
            account: account.clone(),
            changed,
            posted,
        })
    };
    accounts.into_iter().filter_map(difference).collect()
}

/// The end of a fiscal year: income and expenses begin at zero again, and their sum goes to one account of equity. No
/// transaction does this, so the journal does not have it.
#[derive(Debug, Default)]
struct Closing {
    /// The first month of the fiscal year, by its English name.
    month: Option<String>,
    /// Accounts of income and expenses.
    temporary: BTreeSet<Box<str>>,
}

impl Closing {
    /// What is stored of the company says when its year begins, and which accounts are closed.
    async fn of(reading: &Reading<'_>, request: &ReconcileRequest) -> Result<Self, RunError> {
        let named = |name: &str| request.entities.iter().find(|spec| spec.name().as_str() == name);
        let (Some(accounts), Some(company)) = (named("Account"), named("CompanyInfo")) else {
            return Ok(Self::default());
        };
        let mut closing = Self::default();
        for kind in ["Revenue", "Expense"] {
            closing.temporary.extend(having(reading, accounts, "Classification", kind).await?);
        }
        for month in (1..=12).filter_map(|number| time::Month::try_from(number).ok()) {
            if !having(reading, company, "FiscalYearStartMonth", &month_name(month)).await?.is_empty() {
                closing.month = Some(month_name(month));
            }
        }
        Ok(closing)
    }

    /// Whether differences are those of a year's end: every account of income and expenses begins at zero, and one other
    /// account takes their sum.
    fn explains(&self, first: Date, found: &[BalanceDifference], before: &ByAccount) -> bool {
        if found.is_empty() {
            return true;
        }
        if first.day() != 1 || self.month.as_deref() != Some(month_name(first.month()).as_str()) {
            return false;
        }
        let residual = |one: &BalanceDifference| one.changed - one.posted;
        let (temporary, others): (Vec<_>, Vec<_>) =
            found.iter().partition(|one| self.temporary.contains(&one.account));
        let open =
            before.iter().filter(|(account, amount)| !amount.is_zero() && self.temporary.contains(*account));
        let closed: BTreeMap<_, _> = temporary.iter().map(|one| (&one.account, -residual(one))).collect();
        let sum: Amount = closed.values().copied().sum();
        closed == open.map(|(account, amount)| (account, *amount)).collect()
            && matches!(others.as_slice(), [one] if residual(one) == sum)
    }
}

/// The ids of rows that have a text in a member.
async fn having(
    reading: &Reading<'_>,
    spec: &EntitySpec,
    member: &str,
    text: &str,
) -> Result<Vec<Box<str>>, RunError> {
    let range = MemberRange { member: member.into(), first: text.into(), last: text.into() };
    let lookup = &reading.engine.store.lookup;
    let ids = lookup.ids_between(&spec.pipeline(Axis::Updated), &range, "", MOST_ACCOUNTS).await;
    ids.map_err(RunError::general)
}
