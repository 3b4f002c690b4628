//! The lines of a `TransactionList`.

use time::Date;

use super::amount::Amount;
use super::columns::Columns;
use super::rows::{RowKind, each_row};
use crate::page::{SplitError, timestamp};

/// A transaction, as a `TransactionList` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTransaction {
    /// Type of the transaction as the report writes it: `Estimate`, or its translation.
    pub label: Box<str>,
    /// Id of the transaction.
    pub id: Box<str>,
    /// The transaction's date, if it can be read.
    pub date: Option<Date>,
    /// Number of the document, or empty.
    pub number: Box<str>,
    /// Name of the customer, vendor or employee, or empty.
    pub name: Box<str>,
    /// Whether the transaction posts, in the report's own words: `Yes`, or its translation. Empty if the report does not say.
    pub posting: Box<str>,
    /// Amount of the transaction, if the report has one that can be read.
    pub amount: Option<Amount>,
}

/// What a `TransactionList` says beside its transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Number of transactions.
    pub transactions: u64,
    /// Lines with a type and without an id.
    pub strays: u64,
}

/// Passes each line that names a transaction to `hand_on`.
pub(super) fn read(
    columns: &Columns,
    rows: &str,
    mut hand_on: impl FnMut(ListedTransaction),
) -> Result<Listed, SplitError> {
    let [date, label, number, name, posting] =
        ["tx_date", "txn_type", "doc_num", "name", "is_no_post"].map(|key| columns.place(&[key]));
    let amount = columns.place(&["subt_nat_amount", "subt_nat_home_amount", "nat_amount", "amount"]);
    let mut listed = Listed::default();
    each_row(rows, |row| {
        if row.kind != RowKind::Data || row.value(label).is_empty() {
            return;
        }
        if row.id(label).is_empty() {
            listed.strays += 1;
            return;
        }
        listed.transactions += 1;
        let amount = Some(row.value(amount)).filter(|text| !text.is_empty());
        hand_on(ListedTransaction {
            label: row.value(label).into(),
            id: row.id(label).into(),
            date: timestamp::date(row.value(date)),
            number: row.value(number).into(),
            name: row.value(name).into(),
            posting: row.value(posting).into(),
            amount: amount.and_then(|text| text.parse::<Amount>().ok()),
        });
    })?;
    Ok(listed)
}
