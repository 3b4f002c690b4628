//! Counts results by type, and lists the first of each.

use std::collections::BTreeMap;

use qbo_client::report::Amount;
use time::Date;
use time::macros::format_description;

use super::label::{Hint, hint};
use super::outcome::{Discrepancy, DiscrepancyKind, LabelTotals};

/// The most discrepancies that are listed of one type and kind; all are counted.
const MOST_LISTED: u64 = 1000;

/// The member of a record that is its transaction's date.
pub(super) const DATE: &str = "TxnDate";

/// A date as records write it.
pub(super) fn day(date: Date) -> Box<str> {
    let day = date.format(format_description!("[year]-[month]-[day]"));
    day.expect("a format of plain numbers cannot fail").into()
}

/// A transaction, as a report has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) label: Box<str>,
    pub(super) id: Box<str>,
    pub(super) date: Option<Date>,
    pub(super) number: Box<str>,
    pub(super) amount: Option<Amount>,
    /// Whether the journal has it.
    pub(super) posts: bool,
}

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    totals: BTreeMap<(Box<str>, Option<DiscrepancyKind>), (u64, Amount)>,
    discrepancies: Vec<Discrepancy>,
}

impl Tally {
    /// Counts a transaction that agrees.
    pub(super) fn agree(&mut self, seen: &Seen) {
        self.count(&seen.label, None, 1, seen.amount.unwrap_or_default());
    }

    /// Counts and lists a transaction that differs.
    pub(super) fn note(&mut self, kind: DiscrepancyKind, pipeline: Option<String>, seen: Seen) {
        if self.count(&seen.label, Some(kind), 1, seen.amount.unwrap_or_default()) > MOST_LISTED {
            return;
        }
        let Seen { label, id, date, number, amount, posts: _ } = seen;
        self.discrepancies.push(Discrepancy { kind, pipeline, label, id, date, number, amount });
    }

    /// Counts transactions that are not listed. Returns how many there are now.
    pub(super) fn count(
        &mut self,
        label: &str,
        kind: Option<DiscrepancyKind>,
        count: u64,
        amount: Amount,
    ) -> u64 {
        let total = self.totals.entry((label.into(), kind)).or_default();
        total.0 += count;
        total.1 += amount;
        total.0
    }

    /// The totals and the list.
    pub(super) fn take(self) -> (Vec<LabelTotals>, Vec<Discrepancy>) {
        let totals = self.totals.into_iter().map(|((label, kind), (count, amount))| {
            let is_known = label.is_empty() || hint(&label) != Hint::Unknown;
            LabelTotals { label, kind, is_known, count, amount }
        });
        let mut discrepancies = self.discrepancies;
        discrepancies
            .sort_by(|a, b| (a.kind, &a.label, a.date, &a.id).cmp(&(b.kind, &b.label, b.date, &b.id)));
        (totals.collect(), discrepancies)
    }
}
