//! What people call the entities.

use crate::words::language::Language;

/// The plural of an entity in the log, its English name and its Spanish one.
const NAMES: [(&str, &str, &str); 40] = [
    ("invoices", "Invoices", "Facturas"),
    ("sales_receipts", "Sales receipts", "Recibos de venta"),
    ("estimates", "Estimates", "Estimaciones"),
    ("credit_memos", "Credit memos", "Notas de crédito"),
    ("refund_receipts", "Refund receipts", "Recibos de reembolso"),
    ("payments", "Payments", "Pagos"),
    ("bills", "Bills", "Facturas de proveedor"),
    ("bill_payments", "Bill payments", "Pagos a proveedores"),
    ("vendor_credits", "Vendor credits", "Créditos de proveedor"),
    ("purchases", "Purchases", "Compras"),
    ("purchase_orders", "Purchase orders", "Órdenes de compra"),
    ("deposits", "Deposits", "Depósitos"),
    ("transfers", "Transfers", "Transferencias"),
    ("journal_entries", "Journal entries", "Asientos de diario"),
    ("time_activities", "Time activities", "Registros de tiempo"),
    ("credit_card_payments", "Credit card payments", "Pagos de tarjeta de crédito"),
    ("reimburse_charges", "Reimbursable charges", "Cargos reembolsables"),
    ("inventory_adjustments", "Inventory adjustments", "Ajustes de inventario"),
    ("recurring_transactions", "Recurring transactions", "Transacciones recurrentes"),
    ("tax_payments", "Tax payments", "Pagos de impuestos"),
    ("accounts", "Accounts", "Cuentas"),
    ("classes", "Classes", "Clases"),
    ("customers", "Customers", "Clientes"),
    ("customer_types", "Customer types", "Tipos de cliente"),
    ("departments", "Departments", "Departamentos"),
    ("employees", "Employees", "Empleados"),
    ("items", "Items", "Artículos"),
    ("payment_methods", "Payment methods", "Métodos de pago"),
    ("terms", "Terms", "Plazos de pago"),
    ("vendors", "Vendors", "Proveedores"),
    ("tax_codes", "Tax codes", "Códigos de impuesto"),
    ("tax_rates", "Tax rates", "Tasas de impuesto"),
    ("tax_agencies", "Tax agencies", "Agencias tributarias"),
    ("budgets", "Budgets", "Presupuestos"),
    ("company_currencies", "Company currencies", "Monedas de la empresa"),
    ("journal_codes", "Journal codes", "Códigos de diario"),
    ("exchange_rates", "Exchange rates", "Tipos de cambio"),
    ("attachables", "Attachments", "Adjuntos"),
    ("company_info", "Company information", "Datos de la empresa"),
    ("preferences", "Preferences", "Preferencias"),
];

impl Language {
    /// The name of an entity, at the start of a line. An entity of a user's own catalogue is called as its log line is.
    pub(crate) fn entity(self, plural: &str) -> String {
        let own = NAMES.iter().find(|(known, ..)| *known == plural);
        let name = own.map(|(_, english, spanish)| match self {
            Self::En => *english,
            Self::Es => *spanish,
        });
        name.map_or_else(
            || {
                let words = plural.replace('_', " ");
                let mut letters = words.chars();
                letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
            },
            str::to_owned,
        )
    }

    /// The name of an entity within a sentence.
    pub(crate) fn entity_within(self, plural: &str) -> String {
        let name = self.entity(plural);
        let mut letters = name.chars();
        letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
    }
}

#[cfg(test)]
mod tests {
    use backfill_core::Catalog;

    use super::*;

    #[test]
    fn every_entity_of_the_catalogue_has_a_name() {
        for spec in Catalog::bundled().entities() {
            assert!(NAMES.iter().any(|(known, ..)| *known == spec.entity_name()), "{}", spec.entity_name());
        }
        assert_eq!(Language::Es.entity("own_things"), "Own things");
        assert_eq!(Language::Es.entity_within("purchase_orders"), "órdenes de compra");
    }
}
