//! Compares what the journal posted to each account with how the account's balance changed.
//!
//! This is the control total of what no entity returns: a transaction that is left out of the journal changes a balance that
//! the journal does not explain.

use std::collections::{BTreeMap, BTreeSet};

use qbo_client::report::{Amount, Basis, Posting, ReportName, ReportRequest};
use raw_store::MemberRange;
use time::{Date, Month};

use super::outcome::{BalanceCheck, BalanceDifference};
use super::period::Period;
use super::reading::{Reading, misread};
use super::request::{JOURNAL_MONTHS, ReconcileRequest};
use crate::catalog::Axis;
use crate::error::RunError;

/// The most differences that are listed.
const MOST_LISTED: usize = 100;

/// The most ids of accounts that are read from the store; a company has fewer.
const MOST_ACCOUNTS: u32 = 100_000;

/// The kinds of accounts, by Intuit's words, and whether they are closed at the end of a year.
const KINDS: [(&str, bool); 5] =
    [("Revenue", true), ("Expense", true), ("Asset", false), ("Liability", false), ("Equity", false)];

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
/// has an effect: then income and expenses count from there. If that takes too long, the day alone is requested.
async fn balances(
    reading: &mut Reading<'_>,
    request: &ReconcileRequest,
    at: Date,
) -> Result<Option<ByAccount>, RunError> {
    let start = request.first.previous_day().unwrap_or(request.first);
    let question = |start| ReportRequest::new(ReportName::TrialBalance, start, at).with_basis(request.basis);
    let mut report = reading.whole(&question(start)).await?;
    if report.is_none() && start != at {
        report = reading.whole(&question(at)).await?;
    }
    let Some(report) = report else { return Ok(None) };
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
    let difference = |account: &str| {
        let changed = of(after, account) - of(before, account);
        let posted = of(posted, account);
        (changed != posted).then(|| BalanceDifference {
            until: month.last,
            account: account.into(),
            changed,
            posted,
        })
    };
    accounts.into_iter().filter_map(|account| difference(account)).collect()
}

/// The end of a fiscal year: income and expenses begin at zero again, and their sum goes to one account of equity. No
/// transaction does this, so the journal does not have it. What is stored of the company says when its year begins, and which
/// accounts are closed.
#[derive(Debug)]
struct Closing {
    /// The first month of the fiscal year, by its English name.
    month: String,
    /// Accounts of income and expenses.
    temporary: BTreeSet<Box<str>>,
    /// Accounts that keep their balance.
    permanent: BTreeSet<Box<str>>,
}

impl Closing {
    async fn of(reading: &Reading<'_>, request: &ReconcileRequest) -> Result<Self, RunError> {
        let mut closing = Self {
            // Of most companies.
            month: Month::January.to_string(),
            temporary: BTreeSet::new(),
            permanent: BTreeSet::new(),
        };
        for (kind, is_temporary) in KINDS {
            let accounts = having(reading, request, "Account", ("Classification", kind)).await?;
            if is_temporary { &mut closing.temporary } else { &mut closing.permanent }.extend(accounts);
        }
        for month in (1..=12).filter_map(|number| Month::try_from(number).ok()) {
            let name = month.to_string();
            let member = ("FiscalYearStartMonth", name.as_str());
            if !having(reading, request, "CompanyInfo", member).await?.is_empty() {
                closing.month = name;
            }
        }
        Ok(closing)
    }

    /// Whether differences are those of a year's end: accounts of income and expenses, and all of them, begin at zero, and one
    /// other account takes their sum.
    fn explains(&self, first: Date, found: &[BalanceDifference], before: &ByAccount) -> bool {
        if found.is_empty() {
            return true;
        }
        if first.day() != 1 || self.month != first.month().to_string() {
            return false;
        }
        let residual = |one: &BalanceDifference| one.changed - one.posted;
        let held = |account: &str| before.get(account).copied().unwrap_or_default();
        let is_closed = |one: &&BalanceDifference| {
            residual(one) == -held(&one.account) && !self.permanent.contains(&one.account)
        };
        let (closed, others): (Vec<_>, Vec<_>) = found.iter().partition(is_closed);
        let sum: Amount = closed.iter().map(|one| held(&one.account)).sum();
        let is_open =
            |account: &str| !held(account).is_zero() && !closed.iter().any(|one| *one.account == *account);
        !self.temporary.iter().any(|account| is_open(account))
            && matches!(others.as_slice(), [one] if residual(one) == sum && !self.temporary.contains(&one.account))
    }
}

/// The ids of an entity's rows that have a text in a member.
async fn having(
    reading: &Reading<'_>,
    request: &ReconcileRequest,
    entity: &str,
    (member, text): (&str, &str),
) -> Result<Vec<Box<str>>, RunError> {
    let Some(spec) = request.entities.iter().find(|spec| spec.name().as_str() == entity) else {
        return Ok(Vec::new());
    };
    let range = MemberRange { member: member.into(), first: text.into(), last: text.into() };
    let lookup = &reading.engine.store.lookup;
    let ids = lookup.ids_between(&spec.pipeline(Axis::Updated), &range, "", MOST_ACCOUNTS).await;
    ids.map_err(RunError::general)
}
