//! The SQL scripts of each set of views.

use super::set::ViewSet;

/// How a script names the schema of its views; see the head of `_setup.sql`.
pub(super) const TARGET: &str = "quickbooks /*target*/";

/// The scripts of one set.
pub(super) struct Scripts {
    /// Version of the scripts. Columns are only added at the end of a view, so that views are replaced in place.
    pub(super) version: i32,
    /// Version of the package whose tables the views have the shape of.
    pub(super) package: &'static str,
    /// Creates the schema, its functions and the table of installed sets.
    pub(super) setup: &'static str,
    /// The views: name and script of each.
    pub(super) views: &'static [(&'static str, &'static str)],
    /// The functions that `setup` creates.
    pub(super) functions: &'static [&'static str],
}

macro_rules! dbt_quickbooks {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../sql/views/dbt-quickbooks/", $name, ".sql")))),+]
    };
}

const DBT_QUICKBOOKS: Scripts = Scripts {
    version: 1,
    package: "1.9.0",
    setup: include_str!("../../../sql/views/dbt-quickbooks/_setup.sql"),
    views: DBT_QUICKBOOKS_VIEWS,
    functions: &[
        "as_array",
        "as_boolean",
        "as_date",
        "as_number",
        "as_time",
        "custom_field",
        "linked_id",
        "sales_lines",
    ],
};

#[rustfmt::skip]
const DBT_QUICKBOOKS_VIEWS: &[(&str, &str)] = dbt_quickbooks![
    "account", "address", "bill", "bill_line", "bill_linked_txn", "bill_payment", "bill_payment_line",
    "bill_tax_line", "bundle", "bundle_item", "credit_card_payment_txn", "credit_memo", "credit_memo_line",
    "credit_memo_tax_line", "customer", "customer_type", "department", "deposit", "deposit_line",
    "deposit_tax_line", "estimate", "estimate_line", "estimate_tax_line", "invoice", "invoice_line",
    "invoice_line_bundle", "invoice_linked_txn", "invoice_tax_line", "item", "journal_entry",
    "journal_entry_line", "journal_entry_tax_line", "payment", "payment_line", "purchase", "purchase_line",
    "purchase_order", "purchase_order_line", "purchase_order_linked_txn", "purchase_tax_line",
    "refund_receipt", "refund_receipt_line", "refund_receipt_tax_line", "sales_receipt",
    "sales_receipt_line", "sales_receipt_tax_line", "tax_agency", "tax_rate", "transfer", "vendor",
    "vendor_credit", "vendor_credit_line",
];

impl ViewSet {
    pub(super) fn scripts(self) -> &'static Scripts {
        match self {
            Self::DbtQuickbooks => &DBT_QUICKBOOKS,
        }
    }
}

impl Scripts {
    /// The raw tables that the views read.
    pub(super) fn raw_tables(&self) -> Vec<&'static str> {
        let mut tables = Vec::new();
        for (_, sql) in self.views {
            let words: Vec<&str> =
                sql.lines().filter(|line| !line.starts_with("--")).flat_map(str::split_whitespace).collect();
            let named = words.windows(2).filter(|pair| pair[0] == "FROM" && pair[1].starts_with("qb_"));
            tables.extend(named.map(|pair| pair[1].trim_end_matches(';')));
        }
        tables.sort_unstable();
        tables.dedup();
        tables
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::scripts::PLACEHOLDER;
    use super::{TARGET, ViewSet};

    #[test]
    fn every_script_names_its_schemas_only_where_they_are_replaced() {
        let scripts = ViewSet::DbtQuickbooks.scripts();
        let setup = ("_setup", scripts.setup);
        for (name, sql) in scripts.views.iter().copied().chain([setup]) {
            let sql = sql.replace(PLACEHOLDER, "").replace(TARGET, "");
            let code = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
            let named = code.filter(|line| line.contains("raw.") || line.contains("quickbooks"));
            assert_eq!(named.collect::<Vec<_>>(), Vec::<&str>::new(), "{name}");
        }
    }

    #[test]
    fn every_script_creates_the_view_of_its_name_and_the_folder_has_no_other() {
        let scripts = ViewSet::DbtQuickbooks.scripts();
        for (name, sql) in scripts.views {
            assert_eq!(sql.matches(&format!("CREATE OR REPLACE VIEW {name} AS\n")).count(), 1, "{name}");
            assert_eq!(sql.matches("CREATE").count(), 1, "{name}");
        }
        let folder =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/views/dbt-quickbooks")).unwrap();
        assert_eq!(folder.count(), scripts.views.len() + 1);
        let functions = scripts.setup.matches("CREATE OR REPLACE FUNCTION ").count();
        assert_eq!(functions, scripts.functions.len());
        for name in scripts.functions {
            assert!(scripts.setup.contains(&format!("CREATE OR REPLACE FUNCTION {name}(")), "{name}");
        }
    }

    #[test]
    fn the_raw_tables_are_those_that_the_scripts_read() {
        let tables = ViewSet::DbtQuickbooks.scripts().raw_tables();
        assert_eq!(tables.len(), 25);
        assert!(tables.contains(&"qb_invoices") && tables.contains(&"qb_company_info"));
    }
}
