//! The balances of a `TrialBalance`.

use super::amount::{Amount, UnreadableAmount};
use super::columns::Columns;
use super::rows::{RowKind, each_row};
use crate::page::SplitError;

/// The balance of one account at the end of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountBalance {
    /// Id of the account.
    pub account: Box<str>,
    /// The account's name, as the report writes it.
    pub name: Box<str>,
    /// Balance on the debit side; negative on the credit side.
    pub amount: Amount,
}

/// The lines that name an account.
pub(super) fn read(columns: &Columns, rows: &str) -> Result<Vec<AccountBalance>, SplitError> {
    // The columns of money are debit and credit, in this order; newer reports name them by key.
    let money = columns.places("Money");
    let debit = columns.place(&["debit", "debt_amt"]).or_else(|| money.first().copied());
    let credit = columns.place(&["credit", "credit_amt"]).or_else(|| money.get(1).copied());
    let mut balances = Vec::new();
    let mut read = Ok(());
    each_row(rows, |row| {
        if row.kind == RowKind::Summary || row.is_blank() {
            return;
        }
        let amount = || -> Result<Amount, UnreadableAmount> {
            Ok(row.value(debit).parse::<Amount>()? - row.value(credit).parse()?)
        };
        // Heads of sections may name an account that has sub-accounts.
        match (amount(), row.id(Some(0))) {
            (Ok(amount), "") if amount.is_zero() => {}
            (Ok(amount), account) if !account.is_empty() => {
                let name = row.value(Some(0)).into();
                balances.push(AccountBalance { account: account.into(), name, amount });
            }
            _ => read = Err(SplitError::Contradiction),
        }
    })?;
    read.map(|()| balances)
}
