//! Renders the result of `reconcile` as text and JSON.

use std::fmt::Write as _;

use backfill_core::{
    BalanceCheck, BalanceDifference, Discrepancy, DiscrepancyKind, LabelTotals, ReconcilePlan,
    ReconciledPipeline, Reconciliation,
};
use serde_json::{Value, json};

use crate::number::counted;
use crate::table::Table;
use crate::untrusted::Untrusted;
use crate::width::Width;

/// The most transactions shown of each kind; JSON has all that are listed.
const MOST_SHOWN: usize = 20;

/// Renders the result of a reconciliation for a terminal.
pub fn text(found: &Reconciliation, calls: u64, width: Width) -> String {
    let mut text = format!("{}\n", pipelines(found).fitted(width));
    for kind in DiscrepancyKind::ALL {
        text.push_str(&listed(found, kind));
    }
    text.push_str(&unreachable(found, width));
    if !found.unread_days.is_empty() {
        let days: Vec<_> = found.unread_days.iter().take(MOST_SHOWN).map(ToString::to_string).collect();
        let _ = writeln!(
            text,
            "{}, however few are requested: {}",
            counted(found.unread_days.len() as u64, "day is not shown whole", "days are not shown whole"),
            days.join(", ")
        );
    }
    if found.inconsistent_reports > 0 {
        let _ = writeln!(text, "reports that contradict themselves: {}", found.inconsistent_reports);
    }
    text.push_str(&balances(&found.balances));
    let _ = write!(
        text,
        "{} .. {}: {} in the journal, {} read, {}",
        found.first,
        found.last,
        counted(found.transactions, "transaction", "transactions"),
        counted(found.reports, "report", "reports"),
        counted(calls, "API call", "API calls")
    );
    if found.ties_out() {
        text.push_str("\nties out with QuickBooks' reports");
    }
    text
}

fn pipelines(found: &Reconciliation) -> Table {
    let mut table = Table::new(&[
        "pipeline",
        "agrees#",
        "missing#",
        "changed#",
        "unlisted#",
        "quarantined#",
        "gone#",
        "without amount#",
        "unresolved#",
    ])
    .optional(&["without amount", "agrees", "quarantined", "unlisted"]);
    for one in &found.pipelines {
        let numbers = numbers(one).map(|(_, number)| number.to_string());
        table.row(std::iter::once(one.pipeline.clone()).chain(numbers));
    }
    table
}

fn numbers(one: &ReconciledPipeline) -> [(&'static str, u64); 8] {
    [
        ("agrees", one.agrees),
        ("missing", one.missing),
        ("changed", one.changed),
        ("unlisted", one.unlisted),
        ("quarantined", one.quarantined),
        ("gone", one.gone),
        ("without_amount", one.without_amount),
        ("unresolved", one.unresolved),
    ]
}

/// What each kind means.
fn meaning(kind: DiscrepancyKind) -> &'static str {
    match kind {
        DiscrepancyKind::Missing => "missing: QuickBooks reports it, and it is not stored",
        DiscrepancyKind::NotInJournal => "in the list with an amount, and not in the journal",
        DiscrepancyKind::Unbalanced => "the postings do not balance",
        DiscrepancyKind::Unlisted => "stored, and not in QuickBooks' reports",
        DiscrepancyKind::Changed => "QuickBooks has another date for it now",
        DiscrepancyKind::Unknown => "of an unknown type, and not looked up",
        DiscrepancyKind::Unresolved => "stored, not in the reports, and not looked up",
        DiscrepancyKind::Quarantined => "kept in quarantine",
        DiscrepancyKind::Gone => "gone: stored, and QuickBooks no longer has it",
        DiscrepancyKind::NotReachable => "not reachable: no entity returns it",
    }
}

/// The first transactions of a kind. Those that are not reachable are shown by type.
fn listed(found: &Reconciliation, kind: DiscrepancyKind) -> String {
    let mut text = String::new();
    if kind == DiscrepancyKind::NotReachable {
        return text;
    }
    let all: Vec<_> = found.discrepancies.iter().filter(|one| one.kind == kind).collect();
    for one in all.iter().take(MOST_SHOWN) {
        let _ = writeln!(text, "{}: {}", meaning(kind), transaction(one));
    }
    let count = found.count(kind);
    let shown = all.len().min(MOST_SHOWN) as u64;
    if count > shown {
        let _ = writeln!(text, "{}: {} more", meaning(kind), count - shown);
    }
    text
}

fn transaction(one: &Discrepancy) -> String {
    let mut text = String::new();
    if let Some(pipeline) = &one.pipeline {
        let _ = write!(text, "{pipeline} ");
    }
    if !one.label.is_empty() {
        let _ = write!(text, "{} ", Untrusted(&one.label));
    }
    let _ = write!(text, "id {}", Untrusted(&one.id));
    if !one.number.is_empty() {
        let _ = write!(text, ", number {}", Untrusted(&one.number));
    }
    if let Some(date) = one.date {
        let _ = write!(text, ", {date}");
    }
    if let Some(amount) = one.amount {
        let _ = write!(text, ", amount {amount}");
    }
    text
}

/// Transactions that no entity returns, by type.
fn unreachable(found: &Reconciliation, width: Width) -> String {
    let mut table = Table::new(&["not reachable", "transactions#", "amount#", "type"]);
    let mut has_any = false;
    for one in found.labels.iter().filter(|one| one.kind == Some(DiscrepancyKind::NotReachable)) {
        has_any = true;
        let known = if one.is_known { "known" } else { "unknown: looked up in every entity" };
        let label = Untrusted(&one.label).to_string();
        table.row([label, one.count.to_string(), one.amount.to_string(), known.to_owned()]);
    }
    if has_any { format!("{}\n", table.fitted(width)) } else { String::new() }
}

fn balances(check: &BalanceCheck) -> String {
    match check {
        BalanceCheck::Ties { months } => format!(
            "every account's balance changed by what the journal posted ({})\n",
            counted(*months, "month", "months")
        ),
        BalanceCheck::NotCompared(why) => format!("the balances of the accounts were not compared: {why}\n"),
        BalanceCheck::Differs { differences, count } => {
            let mut text = String::new();
            for one in differences.iter().take(MOST_SHOWN) {
                let BalanceDifference { until, account, changed, posted } = one;
                let _ = writeln!(
                    text,
                    "until {until}, the balance of account {} changed by {changed}, and the journal posted {posted}",
                    Untrusted(account)
                );
            }
            let _ = writeln!(text, "balances that the journal does not explain: {count}");
            text
        }
    }
}

/// Renders the result of a reconciliation as JSON.
pub fn json(found: &Reconciliation, calls: u64) -> Value {
    let pipelines = found.pipelines.iter().map(|one| {
        let mut value = json!({"pipeline": one.pipeline, "entity_name": one.entity_name});
        for (name, number) in numbers(one) {
            value[name] = number.into();
        }
        value
    });
    json!({
        "first_day": found.first.to_string(),
        "last_day": found.last.to_string(),
        "basis": found.basis.as_str().to_lowercase(),
        "ties_out": found.ties_out(),
        "transactions": found.transactions,
        "reports": found.reports,
        "calls": calls,
        "pipelines": pipelines.collect::<Vec<_>>(),
        "types": found.labels.iter().map(label).collect::<Vec<_>>(),
        "discrepancies": found.discrepancies.iter().map(discrepancy).collect::<Vec<_>>(),
        "unread_days": found.unread_days.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "inconsistent_reports": found.inconsistent_reports,
        "balances": balances_json(&found.balances),
    })
}

fn label(one: &LabelTotals) -> Value {
    json!({
        "type": one.label,
        "result": one.kind.map_or("agrees", DiscrepancyKind::as_str),
        "is_known": one.is_known,
        "transactions": one.count,
        "amount": one.amount.to_string(),
    })
}

fn discrepancy(one: &Discrepancy) -> Value {
    json!({
        "result": one.kind.as_str(),
        "pipeline": one.pipeline,
        "type": one.label,
        "id": one.id,
        "date": one.date.map(|date| date.to_string()),
        "number": one.number,
        "amount": one.amount.map(|amount| amount.to_string()),
    })
}

fn balances_json(check: &BalanceCheck) -> Value {
    match check {
        BalanceCheck::Ties { months } => json!({"result": "ties", "months": months}),
        BalanceCheck::NotCompared(why) => json!({"result": "not_compared", "why": why}),
        BalanceCheck::Differs { differences, count } => {
            let all = differences.iter().map(|one| {
                json!({"until": one.until.to_string(), "account": one.account, "changed": one.changed.to_string(),
                       "posted": one.posted.to_string()})
            });
            json!({"result": "differs", "count": count, "differences": all.collect::<Vec<_>>()})
        }
    }
}

/// Renders the price of a reconciliation for a terminal.
pub fn plan_text(plan: &ReconcilePlan) -> String {
    format!(
        "reconcile: {} ({} JournalReport, {} TransactionList, {} TrialBalance), more where a report is too large, and at most {} \
         to look up what differs",
        counted(plan.calls(), "API call", "API calls"),
        plan.journals,
        plan.lists,
        plan.balances,
        plan.most_lookups
    )
}

/// Renders the price of a reconciliation as JSON.
pub fn plan_json(plan: &ReconcilePlan) -> Value {
    json!({
        "estimated_calls": plan.calls(),
        "journal_reports": plan.journals,
        "transaction_lists": plan.lists,
        "trial_balances": plan.balances,
        "most_lookups": plan.most_lookups,
    })
}
