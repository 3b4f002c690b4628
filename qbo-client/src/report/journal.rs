//! The transactions of a `JournalReport`.

use time::Date;

use super::amount::{Amount, UnreadableAmount};
use super::columns::Columns;
use super::rows::{Row, RowKind, each_row};
use crate::page::{SplitError, timestamp};

/// What older reports write in place of the date, from the second line of a transaction on.
const SAME_DATE: &str = "0-00-00";

/// One line of a transaction: an amount on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Id of the account, or empty if the report names none.
    pub account: Box<str>,
    /// Amount on the account's debit side, less the amount on its credit side.
    pub amount: Amount,
}

/// A transaction with its postings, as a `JournalReport` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalTransaction {
    /// Type of the transaction as the report writes it: `Invoice`, or its translation.
    pub label: Box<str>,
    /// Id of the transaction, or empty if the report has none.
    pub id: Box<str>,
    /// The transaction's date, if it can be read.
    pub date: Option<Date>,
    /// Number of the document, or empty.
    pub number: Box<str>,
    /// Name of the customer, vendor or employee, or empty.
    pub name: Box<str>,
    /// The lines.
    pub postings: Vec<Posting>,
    /// Sum of the debit side.
    pub debit: Amount,
    /// Sum of the credit side.
    pub credit: Amount,
    /// Whether the report's own total of the transaction, where it has one, is the sum of its lines, and all amounts could be
    /// read.
    pub is_consistent: bool,
}

impl JournalTransaction {
    /// Whether both sides are equal and the report's own total agrees: no posting of the transaction is missing.
    pub fn is_balanced(&self) -> bool {
        self.is_consistent && self.debit == self.credit
    }
}

/// What a `JournalReport` says beside its transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// Number of transactions.
    pub transactions: u64,
    /// Sum of all debit sides.
    pub debit: Amount,
    /// Sum of all credit sides.
    pub credit: Amount,
    /// The report's own totals of debit and credit, if it has them.
    pub total: Option<(Amount, Amount)>,
    /// Lines with an amount that belong to no transaction.
    pub strays: u64,
    /// Whether the last transaction has its end.
    pub is_finished: bool,
}

impl Journal {
    /// Whether the report's own totals, where it has them, are the sums of its transactions.
    pub fn is_consistent(&self) -> bool {
        self.strays == 0 && self.total.is_none_or(|total| total == (self.debit, self.credit))
    }
}

/// Passes each transaction to `hand_on`.
pub(super) fn read(
    columns: &Columns,
    rows: &str,
    hand_on: impl FnMut(JournalTransaction),
) -> Result<Journal, SplitError> {
    let mut reader = Reader::new(columns, hand_on);
    each_row(rows, |row| reader.read(&row))?;
    Ok(reader.finish())
}

/// The places of the columns.
struct Places {
    date: Option<usize>,
    label: Option<usize>,
    number: Option<usize>,
    name: Option<usize>,
    account: Option<usize>,
    debit: Option<usize>,
    credit: Option<usize>,
}

impl Places {
    fn of(columns: &Columns) -> Self {
        Self {
            date: columns.place(&["tx_date"]),
            label: columns.place(&["txn_type"]),
            number: columns.place(&["doc_num"]),
            name: columns.place(&["name"]),
            account: columns.place(&["account_name"]),
            debit: columns.place(&["debt_amt"]),
            credit: columns.place(&["credit_amt"]),
        }
    }

    fn amounts(&self, row: &Row<'_, '_>) -> Result<(Amount, Amount), UnreadableAmount> {
        Ok((row.value(self.debit).parse()?, row.value(self.credit).parse()?))
    }
}

/// Groups lines into transactions. The id stands in the cell of the type. Older reports repeat the id on every line and leave
/// the type and the date of further lines out; newer ones are said to repeat all three, and lines without any of them were seen
/// as well. So a line begins a transaction if it follows the end of one, or has another id or another type.
struct Reader<F> {
    places: Places,
    current: Option<JournalTransaction>,
    all: Journal,
    hand_on: F,
}

impl<F: FnMut(JournalTransaction)> Reader<F> {
    fn new(columns: &Columns, hand_on: F) -> Self {
        Self {
            places: Places::of(columns),
            current: None,
            all: Journal { is_finished: true, ..Journal::default() },
            hand_on,
        }
    }

    fn read(&mut self, row: &Row<'_, '_>) {
        match row.kind {
            RowKind::Data if row.is_blank() => {}
            RowKind::Data => self.line(row),
            RowKind::Summary => self.end(row),
            RowKind::Header => {}
        }
    }

    fn line(&mut self, row: &Row<'_, '_>) {
        let (label, id) = (row.value(self.places.label), row.id(self.places.label));
        let begins = self.current.as_ref().is_none_or(|current| {
            (!id.is_empty() && *id != *current.id) || (!label.is_empty() && *label != *current.label)
        });
        if begins {
            self.close(None);
            // Without an id it cannot be found anywhere.
            if id.is_empty() {
                self.all.strays += u64::from(self.places.amounts(row) != Ok((Amount::ZERO, Amount::ZERO)));
                return;
            }
            self.begin(row, label, id);
        }
        let amounts = self.places.amounts(row);
        let Some(current) = &mut self.current else { return };
        let (debit, credit) = amounts.unwrap_or_default();
        current.is_consistent &= amounts.is_ok();
        current.debit += debit;
        current.credit += credit;
        let account = row.id(self.places.account).into();
        current.postings.push(Posting { account, amount: debit - credit });
    }

    fn begin(&mut self, row: &Row<'_, '_>, label: &str, id: &str) {
        let date = row.value(self.places.date);
        self.current = Some(JournalTransaction {
            label: label.into(),
            id: id.into(),
            date: timestamp::date(date).filter(|_| date != SAME_DATE),
            number: row.value(self.places.number).into(),
            name: row.value(self.places.name).into(),
            is_consistent: true,
            ..JournalTransaction::default()
        });
        self.all.is_finished = false;
    }

    /// The end of a transaction, or the report's totals.
    fn end(&mut self, row: &Row<'_, '_>) {
        let total = self.places.amounts(row);
        let has_amounts = [self.places.debit, self.places.credit].iter().any(|at| !row.value(*at).is_empty());
        if self.current.is_some() {
            self.close(has_amounts.then_some(total));
            self.all.is_finished = true;
        } else if has_amounts {
            // A total that cannot be read is an amount that belongs to no transaction.
            self.all.strays += u64::from(total.is_err());
            self.all.total = total.ok();
        }
    }

    fn close(&mut self, total: Option<Result<(Amount, Amount), UnreadableAmount>>) {
        let Some(mut done) = self.current.take() else { return };
        done.is_consistent &= total.is_none_or(|total| total == Ok((done.debit, done.credit)));
        self.all.transactions += 1;
        self.all.debit += done.debit;
        self.all.credit += done.credit;
        (self.hand_on)(done);
    }

    fn finish(mut self) -> Journal {
        self.close(None);
        self.all
    }
}
