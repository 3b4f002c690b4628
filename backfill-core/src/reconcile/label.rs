//! What the types in QuickBooks' reports are called, and which entity has them.
//!
//! The words are hints: they differ between countries, and they may be translated. Ids decide.

/// What a label says about where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// An entity, by Intuit's name.
    Entity(&'static str),
    /// No entity returns transactions of this type.
    Unreachable,
    /// The label says nothing.
    Unknown,
}

/// Labels of each entity, in lower case: those of the United States, and those of other countries that were seen.
const ENTITIES: [(&str, &[&str]); 20] = [
    ("Invoice", &["invoice"]),
    ("Payment", &["payment", "receive payment"]),
    ("SalesReceipt", &["sales receipt"]),
    ("CreditMemo", &["credit memo", "credit note", "tax credit note", "adjustment note"]),
    ("RefundReceipt", &["refund", "refund receipt", "credit refund"]),
    ("Bill", &["bill"]),
    ("VendorCredit", &["vendor credit", "supplier credit"]),
    (
        "BillPayment",
        &["bill payment", "bill payment (check)", "bill payment (cheque)", "bill payment (credit card)"],
    ),
    (
        "Purchase",
        &[
            "check",
            "cheque",
            "expense",
            "cheque expense",
            "cash expense",
            "cash purchase",
            "credit card expense",
            "credit card charge",
            "credit card credit",
        ],
    ),
    ("Deposit", &["deposit"]),
    ("Transfer", &["transfer"]),
    ("JournalEntry", &["journal entry"]),
    ("CreditCardPayment", &["credit card payment"]),
    ("InventoryAdjustment", &["inventory qty adjust"]),
    ("TaxPayment", &["sales tax payment", "tax payment", "purchase tax payment", "gst payment"]),
    ("ReimburseCharge", &["billable expense charge"]),
    ("Estimate", &["estimate"]),
    ("PurchaseOrder", &["purchase order"]),
    ("TimeActivity", &["time activity", "time charge"]),
    ("RecurringTransaction", &[]),
];

/// Labels of transactions that no entity returns, in lower case.
const UNREACHABLE: [&str; 8] = [
    "inventory starting value",
    "payroll check",
    "paycheck",
    "payroll adjustment",
    "payroll refund",
    "sales tax adjustment",
    "global tax payment",
    "global tax adjustment",
];

/// Entities whose transactions always have postings, so that the journal has to have them.
const POSTING: [&str; 14] = [
    "Invoice",
    "Payment",
    "SalesReceipt",
    "CreditMemo",
    "RefundReceipt",
    "Bill",
    "VendorCredit",
    "BillPayment",
    "Purchase",
    "Deposit",
    "Transfer",
    "JournalEntry",
    "CreditCardPayment",
    "InventoryAdjustment",
];

/// Entities whose transactions have no postings, so that only the list has them.
const NOT_POSTING: [&str; 2] = ["Estimate", "PurchaseOrder"];

/// Whether an entity that a label means has to return the transaction: every company has it. Others depend on the company's plan
/// and country.
pub(super) fn has_to_return(entity: &str) -> bool {
    is_reported(entity) && !matches!(entity, "CreditCardPayment" | "InventoryAdjustment")
}

/// What a label says.
pub(super) fn hint(label: &str) -> Hint {
    let label = label.trim().to_lowercase();
    let label = label.as_str();
    match ENTITIES.iter().find(|(_, labels)| labels.contains(&label)) {
        Some((entity, _)) => Hint::Entity(entity),
        None if UNREACHABLE.contains(&label) => Hint::Unreachable,
        None => Hint::Unknown,
    }
}

/// Whether transactions of an entity have to be in the journal.
pub(super) fn posts(entity: &str) -> bool {
    POSTING.contains(&entity)
}

/// Whether transactions of an entity have to be in one of the reports, by their date.
pub(super) fn is_reported(entity: &str) -> bool {
    posts(entity) || NOT_POSTING.contains(&entity)
}

/// Whether a transaction of a report can be one of an entity. Templates are in no report. What posts is none of the entities
/// without postings, whose ids may be the same: time activities have numbers of their own.
pub(super) fn may_be(entity: &str, is_posted: bool) -> bool {
    match entity {
        "RecurringTransaction" => false,
        "TimeActivity" => !is_posted,
        _ => !is_posted || !NOT_POSTING.contains(&entity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_several_countries_lead_to_one_entity() {
        for label in ["Check", "Cheque Expense", "CREDIT CARD CREDIT", " Cash Purchase "] {
            assert_eq!(hint(label), Hint::Entity("Purchase"), "{label}");
        }
        assert_eq!(hint("Supplier Credit"), Hint::Entity("VendorCredit"));
        assert_eq!(hint("Payroll Check"), Hint::Unreachable);
        assert_eq!(hint("Paiement"), Hint::Unknown);
        let all: Vec<_> = ENTITIES.iter().flat_map(|(_, labels)| *labels).chain(&UNREACHABLE).collect();
        let one = |label: &&&&str| all.iter().filter(|other| other == label).count() == 1;
        assert!(all.iter().all(|label| one(&label)), "a label leads to one place");
    }
}
