//! By which member of its document people know a record.

use backfill_core::{EntityKind, EntitySpec};

/// The member of an entity's documents that holds the number or the name by which people know a record; `None` if there is none.
pub(crate) fn number_member(spec: &EntitySpec) -> Option<&'static str> {
    match spec.name().as_str() {
        "Payment" => Some("PaymentRefNum"),
        "Customer" | "Vendor" | "Employee" | "TaxAgency" => Some("DisplayName"),
        "Attachable" => Some("FileName"),
        "CompanyInfo" => Some("CompanyName"),
        "CompanyCurrency" => Some("Code"),
        "Transfer"
        | "TimeActivity"
        | "CreditCardPayment"
        | "ReimburseCharge"
        | "RecurringTransaction"
        | "TaxPayment" => None,
        _ => match spec.kind() {
            EntityKind::Transaction => Some("DocNumber"),
            EntityKind::List => Some("Name"),
            EntityKind::Other => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use backfill_core::Catalog;

    use super::*;

    #[test]
    fn records_are_known_by_what_their_kind_is_numbered_with() {
        let catalog = Catalog::bundled();
        let member = |name| number_member(catalog.find(name).unwrap());
        assert_eq!(member("invoices"), Some("DocNumber"));
        assert_eq!(member("payments"), Some("PaymentRefNum"));
        assert_eq!(member("customers"), Some("DisplayName"));
        assert_eq!(member("items"), Some("Name"));
        assert_eq!(member("exchange_rates"), None);
    }
}
