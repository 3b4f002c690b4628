//! Sets of views: the contract that they keep, payloads that they bear, and how they are installed and dropped.
//!
//! `dbt-quickbooks-columns.tsv` has the tables and columns that the dbt package reads, `dbt-quickbooks-mapping.tsv` where each
//! comes from. A failure of the mutated payloads prints its seed: `VIEWS_SEED=n cargo test -p raw-store --test it view_sets`.

#![cfg(feature = "pg")]

use std::collections::{BTreeMap, BTreeSet};

use fixtures::TempDatabase;
use raw_store::{PgStore, SchemaName, StoreErrorKind, ViewSet};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{bare_store, connection, database, options, store, with_roles};

const SET: ViewSet = ViewSet::DbtQuickbooks;
const COLUMNS: &str = include_str!("dbt-quickbooks-columns.tsv");
const MAPPING: &str = include_str!("dbt-quickbooks-mapping.tsv");

/// Documents in each raw table of one seed.
const DOCUMENTS: u64 = 60;

fn target() -> SchemaName {
    "quickbooks".parse().unwrap()
}

async fn installed() -> (TempDatabase, PgStore, Client) {
    let database = database().await;
    let store = store(&database).await;
    store.install_views(SET, &target(), None).await.unwrap();
    let client = connection(&database).await;
    (database, store, client)
}

/// The lines of a table file without its head, as fields.
fn lines(file: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    file.lines().skip(1).map(|line| line.split('\t').collect())
}

/// Writes rows as a run does. Each has its number as its id.
async fn insert(client: &Client, table: &str, documents: &[Value]) {
    let sql = format!(
        "INSERT INTO raw.{table} (id, payload, ingested_at_utc, extract_window_start_utc, extract_window_end_utc,
             page_number, page_size, request_payload, source_updated_at_utc, source_answered_at_utc, payload_digest)
         SELECT number::text, document::jsonb, '2024-05-01T00:00:00Z', '2024-01-01Z', '2024-02-01Z', 1, 1000, '{{}}',
             '2024-01-15Z', '2024-05-01Z', ''
         FROM unnest($1::text[]) WITH ORDINALITY AS new (document, number)"
    );
    let documents: Vec<String> = documents.iter().map(ToString::to_string).collect();
    client.execute(&sql, &[&documents]).await.unwrap();
}

async fn text(client: &Client, sql: &str) -> Option<String> {
    client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0)
}

async fn names(client: &Client, sql: &str) -> BTreeSet<String> {
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

const RAW_TABLES: &str = "
    SELECT relname::text FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = 'raw'::regnamespace AND relkind = 'r' AND attname = 'payload_digest'";

#[tokio::test]
async fn every_column_of_the_contract_is_there_with_its_type_and_no_other() {
    let (_database, _store, client) = installed().await;
    let expected: BTreeSet<(String, String, String)> = lines(COLUMNS)
        .map(|fields| {
            let ty = match fields[2] {
                // The package appends this column to numbers of other tables, although it lists it as text.
                _ if fields[..2] == ["vendor_credit_line", "item_expense_quantity"] => "numeric",
                // And these to the numbers of tax lines, which are integers.
                "string" if fields[1] == "index" && !fields[0].ends_with("_linked_txn") => "integer",
                "string" => "text",
                "float" => "numeric",
                "timestamp" => "timestamp without time zone",
                "int" => "integer",
                other => other,
            };
            (fields[0].to_owned(), fields[1].to_owned(), ty.to_owned())
        })
        .collect();
    let sql = "
        SELECT relname::text, attname::text, format_type(atttypid, NULL)
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace = 'quickbooks'::regnamespace AND relkind = 'v' AND attnum > 0";
    let rows = client.query(sql, &[]).await.unwrap();
    let found: BTreeSet<_> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(expected.len(), 1006);
    assert_eq!(found.difference(&expected).collect::<Vec<_>>(), Vec::<&(String, String, String)>::new());
    assert_eq!(expected.difference(&found).collect::<Vec<_>>(), Vec::<&(String, String, String)>::new());
}

#[tokio::test]
async fn the_columns_that_are_always_null_are_those_without_a_source() {
    let (_database, store, _client) = installed().await;
    let status = store.views_status(SET, &target()).await.unwrap();
    assert_eq!((status.installed, status.views.len(), status.missing.len()), (Some(status.known), 52, 0));
    let without = lines(MAPPING).filter(|fields| fields[3].starts_with("null:"));
    let without: BTreeSet<_> = without.map(|fields| (fields[0].to_owned(), fields[1].to_owned())).collect();
    let listed = status.null_columns.iter().map(|one| (one.view.to_string(), one.column.to_string()));
    assert_eq!(listed.collect::<BTreeSet<_>>(), without);
    assert!(status.null_columns.iter().all(|one| !one.reason.is_empty()));
}

/// A document with every member that the mapping names, so that one serves all entities.
fn full_document() -> Value {
    let mut document = json!({});
    for fields in lines(MAPPING) {
        let path = fields[3].split([' ', ';']).next().unwrap_or_default();
        let is_path = path.contains('.') || path.starts_with(|letter: char| letter.is_ascii_uppercase());
        if is_path && path.chars().all(|letter| letter.is_ascii_alphanumeric() || ".[]".contains(letter)) {
            plant(&mut document, path, &json!("12.50"));
        }
    }
    plant(&mut document, "BillAddr.Id", &json!("7"));
    plant(&mut document, "CustomField[].Name", &json!("P.O. Number"));
    plant(&mut document, "CustomField[].StringValue", &json!("PO-1"));
    plant(&mut document, "Line[].LinkedTxn[].TxnType", &json!("Bill"));
    plant(&mut document, "EffectiveTaxRate[].RateValue", &json!(5));
    let bundle =
        json!({"GroupLineDetail": {"GroupItemRef": {"value": "20"}, "Line": [{"Amount": "12.50"}, {}]}});
    document["Line"].as_array_mut().unwrap().push(bundle);
    document
}

/// Puts a value at a path. Where the path leads through a value that is no object already, it stays out.
fn plant(at: &mut Value, path: &str, value: &Value) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let name = first.split('[').next().unwrap_or_default();
    let Some(object) = at.as_object_mut() else { return };
    let mut member = object.entry(name).or_insert(Value::Null);
    if first.contains('[') {
        if !member.is_array() {
            *member = json!([{}]);
        }
        member = &mut member[0];
    }
    match rest {
        Some(rest) => {
            if member.is_null() {
                *member = json!({});
            }
            plant(member, rest, value);
        }
        None if member.is_null() => *member = value.clone(),
        None => {}
    }
}

/// Splitmix64: the same numbers for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// A value that its member should not have.
    fn odd(&mut self) -> Value {
        let texts = [
            "",
            " ",
            "x",
            "NaN",
            "Infinity",
            "1e99",
            "1e999999",
            "-",
            ".",
            "1.",
            ".5",
            "+1",
            "0x10",
            "1_000",
            "٣",
            "1,5",
            "true",
            "FALSE",
            "t",
            "0000-01-01",
            "2024-02-30",
            "2023-02-29",
            "2024-02-29",
            "2024-13-01",
            "9999-12-31",
            "2024-01-01T25:00:00Z",
            "2024-01-01T10:00:00",
            "2024-01-01T10:00:00-08:00",
            "2024-01-01T10:00:60Z",
            "9999-12-31T23:59:59-12:00",
            "0001-01-01T00:00:00+14:00",
            "2024-01-01T10:00:00+99:99",
            "Group",
            "Bill",
            "\n",
            "2024-01-01T10:00:00.1234567890Z",
            "infinity",
            "epoch",
            "now",
            "2024-1-1",
            "{}",
            "\u{fffd}é",
        ];
        match self.below(12) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!([]),
            3 => json!({}),
            4 => json!([[], {}, null, 1]),
            5 => json!(-1.5e-7),
            6 => json!(1e300),
            7 => json!("9".repeat(300)),
            8 => json!(u64::MAX),
            _ => json!(texts[usize::try_from(self.below(texts.len() as u64)).unwrap()]),
        }
    }

    /// Changes, removes, wraps or repeats some members.
    fn mutate(&mut self, value: &mut Value) {
        if self.below(25) == 0 {
            *value = self.odd();
            return;
        }
        match value {
            Value::Object(members) => {
                members.retain(|_, _| self.below(25) != 0);
                for member in members.values_mut() {
                    self.mutate(member);
                }
            }
            Value::Array(elements) => {
                for element in elements.iter_mut() {
                    self.mutate(element);
                }
                if self.below(4) == 0 {
                    elements.push(self.odd());
                    elements.extend_from_within(..1);
                }
            }
            leaf if self.below(5) == 0 => *leaf = self.odd(),
            _ => {}
        }
    }
}

#[tokio::test]
async fn no_payload_makes_a_view_fail() {
    let (_database, _store, client) = installed().await;
    #[expect(clippy::disallowed_methods, reason = "a seed to repeat comes from the environment")]
    let only = std::env::var("VIEWS_SEED");
    let seeds = only.map_or(0..6, |seed| seed.parse().map(|seed: u64| seed..seed + 1).unwrap());
    let views = names(&client, "SELECT viewname::text FROM pg_views WHERE schemaname = 'quickbooks'").await;
    let tables = names(&client, RAW_TABLES).await;
    let document = full_document();
    for seed in seeds {
        for (number, table) in (0_u64..).zip(&tables) {
            client.batch_execute(&format!("TRUNCATE raw.{table}")).await.unwrap();
            let mut numbers = Numbers(seed << 32 | number);
            let mut documents: Vec<Value> = (0..DOCUMENTS).map(|_| document.clone()).collect();
            // The first two stay as they are: one of any type, and one of the only type that makes an item a bundle.
            documents[1]["Type"] = json!("Group");
            for document in documents.iter_mut().skip(2) {
                numbers.mutate(document);
            }
            documents.extend([json!([]), json!({}), json!("text"), json!(1), Value::Null, json!(false)]);
            insert(&client, table, &documents).await;
        }
        for view in &views {
            // As text, every column of every row is computed.
            let sql = format!("SELECT count(*)::text, sum(length(one::text)) FROM quickbooks.{view} AS one");
            let row = client.query_one(&sql, &[]).await;
            let row = row.unwrap_or_else(|error| panic!("VIEWS_SEED={seed}: {view}: {error:?}"));
            // The view of parts of bundles never has a row; its script says why.
            let has_rows = view != "invoice_line_bundle";
            assert_eq!(row.get::<_, String>(0) != "0", has_rows, "{view}, of full documents");
        }
    }
}

fn invoice() -> Value {
    let mut invoice = json!({
        "Id": "1", "SyncToken": "3", "DocNumber": "1001", "TxnDate": "2024-01-31", "DueDate": "2024-02-30",
        "Balance": "0.10", "CurrencyRef": {"value": "USD"}, "CustomerRef": {"value": "58"},
        "MetaData": {"CreateTime": "2024-01-31T20:00:00-08:00", "LastUpdatedTime": "2024-02-01T00:00:00"},
        "CustomField": [{"Name": "P.O. Number", "StringValue": "PO-9"}, {"Name": "sales rep"}],
        "BillAddr": {"Id": "95", "Line1": "One Street", "Lat": "INVALID"},
        "LinkedTxn": [{"TxnId": "4", "TxnType": "Estimate"}, {"TxnId": "5", "TxnType": "Payment"}, {"TxnId": "6", "TxnType": "Riddle"}],
        "Line": [
            {"Id": "1", "LineNum": 9, "DetailType": "SalesItemLineDetail",
             "SalesItemLineDetail": {"ItemRef": {"value": "11"}, "Qty": 3, "ServiceDate": "2024-01-05"}},
            {"DetailType": "GroupLineDetail", "GroupLineDetail": {"GroupItemRef": {"value": "20"}, "Quantity": 2}},
            {"DetailType": "SomethingNew", "Amount": 1}],
        "TxnTaxDetail": {"TotalTax": 4.27, "TaxLine": [
            {"Amount": 4.27, "TaxLineDetail": {"TaxRateRef": {"value": "2"}, "PercentBased": true, "TaxPercent": 8}}]}
    });
    // All digits stay, more than a float has.
    invoice["TotalAmt"] = serde_json::from_str("1234567890.12").unwrap();
    invoice
}

#[tokio::test]
async fn values_are_exact_times_are_utc_and_lines_are_counted_from_zero() {
    let (_database, _store, client) = installed().await;
    insert(&client, "qb_invoices", &[invoice()]).await;
    for (sql, expected) in [
        ("SELECT total_amount::text FROM invoice", Some("1234567890.12")),
        ("SELECT (balance + 0.2)::text FROM invoice", Some("0.30")),
        ("SELECT transaction_date::text FROM invoice", Some("2024-01-31")),
        ("SELECT due_date::text FROM invoice", None),
        ("SELECT created_at::text FROM invoice", Some("2024-02-01 04:00:00")),
        ("SELECT updated_at::text FROM invoice", None),
        ("SELECT custom_p_o_number || coalesce(custom_sales_rep, '/') FROM invoice", Some("PO-9/")),
        ("SELECT _fivetran_synced::text FROM invoice", Some("2024-05-01 00:00:00")),
        (
            "SELECT string_agg(index || ':' || detail_type, ' ' ORDER BY index) FROM invoice_line",
            Some("0:SalesItemLineDetail 1:GroupLineDetail 2:SomethingNew"),
        ),
        (
            "SELECT concat_ws('/', item_id, sales_item_item_id, quantity, sales_item_service_date) FROM invoice_line WHERE index = '0'",
            Some("11/11/3/2024-01-05 00:00:00"),
        ),
        ("SELECT bundle_id || '/' || bundle_quantity FROM invoice_line WHERE index = '1'", Some("20/2")),
        (
            "SELECT string_agg(concat_ws(':', index, estimate_id, payment_id), ' ' ORDER BY index) FROM invoice_linked_txn",
            Some("0:4 1:5 2"),
        ),
        (
            "SELECT concat_ws('/', index, amount, tax_rate_id, percent_based, tax_percent, _fivetran_deleted) FROM invoice_tax_line",
            Some("0/4.27/2/t/8/f"),
        ),
        ("SELECT concat_ws('/', id, line_1, latitude) FROM address", Some("95/One Street/INVALID")),
    ] {
        client
            .batch_execute("SET search_path TO quickbooks; SET TimeZone TO 'America/Guayaquil'")
            .await
            .unwrap();
        assert_eq!(text(&client, sql).await.as_deref(), expected, "{sql}");
    }
}

/// A sale of 150: an item of 100, and a bundle of 30 and 20 whose second part has an account of its own.
fn sale_with_a_bundle() -> Value {
    json!({"TotalAmt": 150, "Line": [
        {"Amount": 100, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {"ItemRef": {"value": "11"}}},
        {"Amount": 50, "DetailType": "GroupLineDetail", "GroupLineDetail": {
            "GroupItemRef": {"value": "20"}, "Quantity": 1, "Line": [
                {"Amount": 30, "DetailType": "SalesItemLineDetail",
                 "SalesItemLineDetail": {"ItemRef": {"value": "21"}, "Qty": 3}},
                {"Amount": 20, "DetailType": "SalesItemLineDetail",
                 "SalesItemLineDetail": {"ItemRef": {"value": "22"}, "ItemAccountRef": {"value": "79"}}}]}},
        {"Amount": 150, "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}}]})
}

#[tokio::test]
async fn a_bundle_counts_once_as_its_parts_in_every_kind_of_sale() {
    let (_database, _store, client) = installed().await;
    for (table, view) in [
        ("qb_invoices", "invoice_line"),
        ("qb_sales_receipts", "sales_receipt_line"),
        ("qb_credit_memos", "credit_memo_line"),
        ("qb_refund_receipts", "refund_receipt_line"),
        ("qb_estimates", "estimate_line"),
    ] {
        insert(&client, table, &[sale_with_a_bundle()]).await;
        let sql = format!(
            "SELECT string_agg(concat_ws(':', index, sales_item_item_id, amount, sales_item_account_id, bundle_id), ' '
                 ORDER BY index) FROM quickbooks.{view} WHERE sales_item_item_id IS NOT NULL"
        );
        assert_eq!(text(&client, &sql).await.as_deref(), Some("0:11:100 1:21:30 2:22:20:79"), "{view}");
        assert_eq!(
            text(&client, &format!("SELECT max(index)::text FROM quickbooks.{view}")).await.as_deref(),
            Some("3")
        );
    }
    // As the package joins them: each line of an invoice with every part of a bundle of that invoice.
    let sql = "
        SELECT sum(coalesce(part.amount, line.amount))::text || ' of ' || max(invoice.total_amount)
        FROM quickbooks.invoice AS invoice
        JOIN quickbooks.invoice_line AS line ON line.invoice_id = invoice.id
        LEFT JOIN quickbooks.invoice_line_bundle AS part ON part.invoice_id = invoice.id
        WHERE line.detail_type <> 'SubTotalLineDetail'";
    assert_eq!(text(&client, sql).await.as_deref(), Some("150 of 150"));
}

#[tokio::test]
async fn the_lines_of_a_record_and_its_tax_lines_can_be_appended_as_the_package_does() {
    let (_database, _store, client) = installed().await;
    let document = json!({"Line": [{}, {}], "TxnTaxDetail": {"TaxLine": [{}]}});
    for record in [
        "bill",
        "credit_memo",
        "deposit",
        "invoice",
        "journal_entry",
        "purchase",
        "refund_receipt",
        "sales_receipt",
    ] {
        let table =
            if record == "journal_entry" { "qb_journal_entries".into() } else { format!("qb_{record}s") };
        insert(&client, &table, std::slice::from_ref(&document)).await;
        let sql = format!(
            "SELECT string_agg(index::text, ' ' ORDER BY index) FROM (
                 SELECT index FROM quickbooks.{record}_line
                 UNION ALL SELECT index + 10000 FROM quickbooks.{record}_tax_line) AS numbers"
        );
        assert_eq!(text(&client, &sql).await.as_deref(), Some("0 1 10000"), "{record}");
    }
}

#[tokio::test]
async fn a_gone_record_is_deleted_and_an_inactive_one_is_not() {
    let (_database, _store, client) = installed().await;
    insert(&client, "qb_items", &[json!({"Active": false}), json!({}), json!({"Type": "Group"})]).await;
    client
        .batch_execute("UPDATE raw.qb_items SET gone_found_at_utc = '2024-06-01Z' WHERE id = '2'")
        .await
        .unwrap();
    let sql = "SELECT string_agg(concat_ws(':', id, active, _fivetran_deleted, _fivetran_synced::date), ' ' ORDER BY id)
               FROM quickbooks.item";
    assert_eq!(text(&client, sql).await.as_deref(), Some("1:f:f:2024-05-01 2:t:2024-06-01"));
    assert_eq!(
        text(&client, "SELECT string_agg(id, ' ') FROM quickbooks.bundle").await.as_deref(),
        Some("3")
    );
}

#[tokio::test]
async fn the_newest_record_says_what_an_address_is_now() {
    let (_database, _store, client) = installed().await;
    let address = |city: &str| json!({"BillAddr": {"Id": "7", "City": city}});
    insert(&client, "qb_customers", &[address("old"), address("new")]).await;
    let newer = "UPDATE raw.qb_customers SET source_updated_at_utc = '2024-04-01Z' WHERE id = '2'";
    client.batch_execute(newer).await.unwrap();
    let sql = "SELECT string_agg(city, ' ') FROM quickbooks.address";
    assert_eq!(text(&client, sql).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn installing_again_restores_what_is_missing_and_dropping_leaves_no_trace() {
    let (_database, store, client) = installed().await;
    let tables = names(&client, RAW_TABLES).await;
    client.batch_execute("DROP VIEW quickbooks.bill").await.unwrap();
    assert_eq!(*store.views_status(SET, &target()).await.unwrap().missing, ["bill".into()]);
    store.install_views(SET, &target(), None).await.unwrap();
    assert!(store.views_status(SET, &target()).await.unwrap().missing.is_empty());
    assert!(store.check().await.unwrap().is_empty());

    // What somebody has built on the views is not dropped with them.
    client
        .batch_execute("CREATE SCHEMA theirs; CREATE VIEW theirs.one AS SELECT * FROM quickbooks.bill")
        .await
        .unwrap();
    store.install_views(SET, &target(), None).await.unwrap();
    let refused = store.drop_views(SET, &target()).await.unwrap_err();
    assert!(matches!(refused.kind, StoreErrorKind::ViewsInUse(_)), "{refused}");
    client
        .batch_execute(
            "CREATE OR REPLACE VIEW theirs.two AS SELECT quickbooks.as_number('1'); DROP VIEW theirs.one",
        )
        .await
        .unwrap();
    let refused = store.drop_views(SET, &target()).await.unwrap_err();
    assert!(matches!(refused.kind, StoreErrorKind::ViewsInUse(_)), "{refused}");
    assert_eq!(store.views_status(SET, &target()).await.unwrap().views.len(), 52);
    client.batch_execute("DROP SCHEMA theirs CASCADE").await.unwrap();

    assert!(store.drop_views(SET, &target()).await.unwrap());
    assert!(!store.drop_views(SET, &target()).await.unwrap());
    assert_eq!(text(&client, "SELECT to_regnamespace('quickbooks')::text").await, None);
    assert_eq!(names(&client, RAW_TABLES).await, tables);
}

#[tokio::test]
async fn a_schema_that_holds_something_else_is_left_alone() {
    let database = database().await;
    let store = store(&database).await;
    let client = connection(&database).await;
    client
        .batch_execute("CREATE SCHEMA quickbooks; CREATE TABLE quickbooks.invoice (id text)")
        .await
        .unwrap();
    let refused = store.install_views(SET, &target(), None).await.unwrap_err();
    assert!(matches!(refused.kind, StoreErrorKind::SchemaTaken { .. }), "{refused}");
    let refused = store.install_views(SET, &SchemaName::default(), None).await.unwrap_err();
    assert!(matches!(refused.kind, StoreErrorKind::Configuration(_)), "{refused}");
    let everything = "SELECT relname::text FROM pg_class WHERE relnamespace = 'quickbooks'::regnamespace";
    assert_eq!(names(&client, everything).await, BTreeSet::from(["invoice".to_owned()]));
    // Not even an empty raw table was created.
    assert_eq!(names(&client, RAW_TABLES).await.len(), 3);

    // Other things beside the views stay when these are dropped.
    client
        .batch_execute("DROP TABLE quickbooks.invoice; CREATE TABLE quickbooks.theirs (id text)")
        .await
        .unwrap();
    store.install_views(SET, &target(), None).await.unwrap();
    assert!(store.drop_views(SET, &target()).await.unwrap());
    assert_eq!(names(&client, everything).await, BTreeSet::from(["theirs".to_owned()]));
    // So does the schema, which was there before the views, even if nothing is in it.
    client.batch_execute("DROP TABLE quickbooks.theirs").await.unwrap();
    for _ in 0..2 {
        store.install_views(SET, &target(), None).await.unwrap();
    }
    assert!(store.drop_views(SET, &target()).await.unwrap());
    assert!(text(&client, "SELECT to_regnamespace('quickbooks')::text").await.is_some());
}

#[tokio::test]
async fn a_function_of_the_schema_is_not_called_in_place_of_a_built_in_one() {
    let database = database().await;
    let (store, client) = (store(&database).await, connection(&database).await);
    let function = "CREATE FUNCTION quickbooks.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'";
    client.batch_execute(&format!("CREATE SCHEMA quickbooks; {function}")).await.unwrap();
    store.install_views(SET, &target(), None).await.unwrap();
    // No view depends on it.
    client.batch_execute("DROP FUNCTION quickbooks.lower(text)").await.unwrap();
}

#[tokio::test]
async fn each_company_has_views_of_its_own() {
    let (database, store, client) = installed().await;
    let other = PgStore::connect(options(&database), "raw_b".parse().unwrap()).await.unwrap();
    other.migrate().await.unwrap();
    for refused in [
        other.install_views(SET, &target(), None).await.unwrap_err(),
        other.drop_views(SET, &target()).await.unwrap_err(),
    ] {
        assert!(matches!(refused.kind, StoreErrorKind::SchemaTaken { .. }), "{refused}");
    }
    let second: SchemaName = "quickbooks_b".parse().unwrap();
    other.install_views(SET, &second, None).await.unwrap();
    insert(&client, "qb_items", &[json!({"Name": "of the first"})]).await;
    assert_eq!(text(&client, "SELECT count(*)::text FROM quickbooks_b.item").await.as_deref(), Some("0"));
    assert_eq!(text(&client, "SELECT name FROM quickbooks.item").await.as_deref(), Some("of the first"));
    assert_eq!(store.views_status(SET, &second).await.unwrap().raw_schema.as_deref(), Some("raw_b"));
}

#[tokio::test]
async fn views_of_a_newer_program_are_not_replaced() {
    let (_database, store, client) = installed().await;
    client.batch_execute("UPDATE quickbooks.qbo_backfill_views SET version = 99").await.unwrap();
    let refused = store.install_views(SET, &target(), None).await.unwrap_err();
    assert!(matches!(refused.kind, StoreErrorKind::Newer { found: 99, .. }), "{refused}");
}

#[tokio::test]
async fn only_a_role_that_is_named_reads_the_views() {
    let database = database().await;
    let reader = with_roles(&database, "qbo_reader").await;
    let (store, client) = (bare_store(&database).await, connection(&database).await);
    store.install_views(SET, &target(), None).await.unwrap();
    let owners = "SELECT DISTINCT viewowner::text FROM pg_views WHERE schemaname = 'quickbooks'";
    assert_eq!(names(&client, owners).await, BTreeSet::from(["qbo_owner".to_owned()]));
    let may_read = "SELECT has_schema_privilege('qbo_reader', 'quickbooks', 'USAGE')::text";
    assert_eq!(text(&client, may_read).await.as_deref(), Some("false"));
    let reader = PgStore::connect(reader, SchemaName::default()).await.unwrap();
    let refused = reader.views_status(SET, &target()).await.unwrap_err();
    assert!(matches!(refused.kind, StoreErrorKind::Forbidden(_)), "{refused}");

    let refused = store.install_views(SET, &target(), Some("no such role")).await.unwrap_err();
    assert!(matches!(refused.kind, StoreErrorKind::Configuration(_)), "{refused}");
    let role = format!("analyst of {}", database.name());
    client.batch_execute(&format!("CREATE ROLE \"{role}\"")).await.unwrap();
    // Of a database whose defaults let nobody call a new function.
    let defaults = "ALTER DEFAULT PRIVILEGES FOR ROLE qbo_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC";
    client.batch_execute(defaults).await.unwrap();
    assert!(store.drop_views(SET, &target()).await.unwrap());
    store.install_views(SET, &target(), Some(&role)).await.unwrap();
    // A view that is restored has its readers again; what was taken from a reader stays so.
    client
        .batch_execute(&format!(
            "DROP VIEW quickbooks.item; REVOKE SELECT ON quickbooks.bill FROM \"{role}\""
        ))
        .await
        .unwrap();
    store.install_views(SET, &target(), None).await.unwrap();
    insert(&client, "qb_items", &[json!({"UnitPrice": "1.5"})]).await;
    client.batch_execute(&format!("SET ROLE \"{role}\"")).await.unwrap();
    assert_eq!(text(&client, "SELECT unit_price::text FROM quickbooks.item").await.as_deref(), Some("1.5"));
    assert!(client.query("SELECT * FROM raw.qb_items", &[]).await.is_err());
    assert!(client.query("SELECT * FROM quickbooks.bill", &[]).await.is_err());
    client
        .batch_execute(&format!("RESET ROLE; DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\""))
        .await
        .unwrap();
}

#[test]
fn the_mapping_names_every_column_of_the_contract_once() {
    let mut named: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    lines(MAPPING).for_each(|fields| *named.entry((fields[0], fields[1])).or_default() += 1);
    let columns: BTreeSet<_> = lines(COLUMNS).map(|fields| (fields[0], fields[1])).collect();
    assert!(named.values().all(|times| *times == 1));
    assert_eq!(named.keys().copied().collect::<BTreeSet<_>>(), columns);
}
