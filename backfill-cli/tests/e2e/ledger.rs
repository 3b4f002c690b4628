//! The general ledger that `examples/sql/general-ledger.sql` computes from the views, against the emulator's own, which its
//! reports show. What no view has is listed here as `docs/analytics.md` lists it; nothing else may differ by a cent.

use std::collections::{BTreeMap, BTreeSet};

use fixtures::{Company, Record, ReportOnly, ReportOptions, Shape, report};
use serde_json::Value;
use time::macros::{date, datetime};
use time::{Date, Duration, Month};

use crate::house::{House, ended};

/// Entities whose documents the rules cover.
const COVERED: [&str; 13] = [
    "Invoice",
    "SalesReceipt",
    "CreditMemo",
    "RefundReceipt",
    "Payment",
    "Bill",
    "BillPayment",
    "VendorCredit",
    "Purchase",
    "Deposit",
    "Transfer",
    "JournalEntry",
    "CreditCardPayment",
];

/// The labels of transactions that no view has.
const WITHOUT_VIEW: [&str; 4] = ["Payroll Check", "Sales Tax Payment", "Tax Payment", "Inventory Qty Adjust"];

/// Accounts of postings that no record has: the cost of goods sold, and the stock that they leave.
const OF_COST: [&str; 2] = ["80", "81"];

/// The accounts that every fiscal year begins at zero, and the one that keeps what they were.
const OF_THE_YEAR: [&str; 8] = ["48", "1", "86", "80", "20", "17", "13", "61"];
const EXCHANGE: &str = "94";
const RETAINED: &str = "2";

/// One posting of the emulator's ledger, in cents.
#[derive(Debug)]
struct Posting {
    date: Date,
    label: String,
    account: String,
    cents: i64,
}

impl Posting {
    /// Whether it is of the listed difference: goods that a sale takes from the stock, or a transaction that no view has. A bill
    /// for goods that enter the stock posts to the same account, and its record says so.
    fn is_unreachable(&self) -> bool {
        let is_sale = ["Invoice", "Sales Receipt", "Credit Memo", "Refund"].contains(&self.label.as_str());
        WITHOUT_VIEW.contains(&self.label.as_str()) || (is_sale && OF_COST.contains(&self.account.as_str()))
    }
}

type Months = BTreeMap<(Date, String), i64>;

fn cents(amount: &str) -> i64 {
    let digits: String = amount.chars().filter(|it| it.is_ascii_digit() || *it == '-').collect();
    if digits.is_empty() { 0 } else { digits.parse().unwrap() }
}

fn text(cell: &Value) -> &str {
    cell.as_str().unwrap_or_default()
}

/// Reads a report of the emulator row by row, each as its cells.
fn rows(company: &Company, request: &str) -> Vec<Vec<Value>> {
    let options = ReportOptions { most_cells: usize::MAX, ..ReportOptions::default() };
    let (status, body) = report(company, &options, request);
    assert_eq!(status, 200, "{request}");
    let report: Value = serde_json::from_slice(&body).unwrap();
    let rows = report["Rows"]["Row"].as_array().cloned().unwrap_or_default();
    rows.iter().filter_map(|row| row["ColData"].as_array().cloned()).collect()
}

/// The emulator's ledger.
fn postings(company: &Company) -> Vec<Posting> {
    let columns = "columns=tx_date,txn_type,account_name,debt_amt,credit_amt";
    let rows = rows(company, &format!("JournalReport?start_date=2000-01-01&end_date=2030-12-31&{columns}"));
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let posting = |row: &Vec<Value>| Posting {
        date: Date::parse(text(&row[0]["value"]), format).unwrap(),
        label: text(&row[1]["value"]).to_owned(),
        account: text(&row[2]["id"]).to_owned(),
        cents: cents(text(&row[3]["value"])) - cents(text(&row[4]["value"])),
    };
    rows.iter().map(posting).collect()
}

/// What each account received in each month.
fn by_month<'a>(postings: impl Iterator<Item = &'a Posting>) -> Months {
    let mut months = Months::new();
    for posting in postings {
        let month = posting.date.replace_day(1).unwrap();
        *months.entry((month, posting.account.clone())).or_default() += posting.cents;
    }
    months.retain(|_, cents| *cents != 0);
    months
}

/// The emulator's trial balance at the end of a day, without what is unreachable.
fn reachable_balance(company: &Company, day: Date, unreachable: &[&Posting]) -> BTreeMap<String, i64> {
    let rows = rows(company, &format!("TrialBalance?start_date=2000-01-01&end_date={day}"));
    let mut balances: BTreeMap<String, i64> = BTreeMap::new();
    for row in rows.iter().filter(|row| !text(&row[0]["id"]).is_empty()) {
        let balance = cents(text(&row[1]["value"])) - cents(text(&row[2]["value"]));
        *balances.entry(text(&row[0]["id"]).to_owned()).or_default() += balance;
    }
    for posting in unreachable.iter().filter(|posting| posting.date <= day) {
        let is_closed = OF_THE_YEAR.contains(&posting.account.as_str()) && posting.date.year() < day.year();
        let account = if is_closed { RETAINED } else { &posting.account };
        *balances.entry(account.to_owned()).or_default() -= posting.cents;
    }
    balances.retain(|_, cents| *cents != 0);
    balances
}

/// Three years of a company with every kind of document, among them some that were voided.
async fn house() -> House {
    let shape = Shape::default()
        .every_entity(60)
        .with_counts(150, 20, 30)
        .with_books()
        .with_history(datetime!(2022-02-01 00:00 UTC)..datetime!(2025-01-01 00:00 UTC));
    let house = House::new(&shape).await;
    house.sandbox.with_company(|company| {
        for entity in COVERED {
            let ids: Vec<String> = company.ids(entity).into_iter().step_by(17).collect();
            assert!(ids.iter().all(|id| company.void(entity, id)), "{entity}");
        }
        company.insert("BillPayment", Record::from_payload(BILL_PAYMENT_WITH_CREDIT).unwrap());
        company.insert("VendorCredit", Record::from_payload(VENDOR_CREDIT).unwrap());
        // What was voided just now is not yet certain to be whole.
        company.advance(Duration::days(30));
        let reports = company.in_reports();
        reports.add(ReportOnly::payroll_check("9001", date!(2023 - 03 - 31), 310_007));
        reports.add(ReportOnly::payroll_check("9002", date!(2024 - 03 - 29), 312_345));
        reports.add(ReportOnly::sales_tax_payment("9003", date!(2024 - 04 - 20), 4_200));
    });
    house
}

/// A credit in another currency, and the payment that applies it.
const VENDOR_CREDIT: &str = r#"{"Id":"9100","SyncToken":"0","MetaData":{"CreateTime":"2024-05-02T03:00:00-07:00","LastUpdatedTime":"2024-05-02T03:00:00-07:00"},"TxnDate":"2024-05-02","CurrencyRef":{"value":"EUR"},"ExchangeRate":1.07,"APAccountRef":{"value":"93"},"TotalAmt":40.00,"Line":[{"Amount":40.00,"DetailType":"AccountBasedExpenseLineDetail","AccountBasedExpenseLineDetail":{"AccountRef":{"value":"20"}}}]}"#;
const BILL_PAYMENT_WITH_CREDIT: &str = r#"{"Id":"9101","SyncToken":"0","MetaData":{"CreateTime":"2024-05-07T03:00:00-07:00","LastUpdatedTime":"2024-05-07T03:00:00-07:00"},"TxnDate":"2024-05-07","CurrencyRef":{"value":"EUR"},"ExchangeRate":1.11,"PayType":"Check","CheckPayment":{"BankAccountRef":{"value":"35"}},"APAccountRef":{"value":"93"},"TotalAmt":60.00,"Line":[{"Amount":100.00,"LinkedTxn":[{"TxnId":"1","TxnType":"Bill"}]},{"Amount":40.00,"LinkedTxn":[{"TxnId":"9100","TxnType":"VendorCredit"}]}]}"#;

async fn load(house: &House) {
    let run = ["run", "all", "--from", "2022-01-01", "--to", "2025-01-15"];
    house.at(&run).await.expect(0);
    house.at(&["views", "install", "dbt-quickbooks"]).await.expect(0);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/sql/general-ledger.sql");
    // It can run again.
    for _ in 0..2 {
        let psql = ["db", "psql", "-X", "-1", "-v", "ON_ERROR_STOP=1", "-f", script];
        let url = house.database.url();
        let mut command = house.command(&[&["--database", url.as_str()], &psql[..]].concat());
        command.env("PGPASSWORD", house.database.password());
        ended(command).await.expect(0);
    }
}

/// What the views say that each account received in each month.
async fn months_of_views(house: &House) -> Months {
    let sql = "SELECT month::text, account_id, (amount * 100)::bigint FROM quickbooks_ledger.general_ledger WHERE amount <> 0";
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let month = |row: &tokio_postgres::Row| {
        let account: Option<String> = row.get(1);
        let month = Date::parse(row.get(0), format).unwrap();
        ((month, account.unwrap_or_else(|| "none".to_owned())), row.get(2))
    };
    house.query(sql).await.iter().map(month).collect()
}

async fn balance_of_views(house: &House, day: Date) -> BTreeMap<String, i64> {
    let sql =
        format!("SELECT account_id, (balance * 100)::bigint FROM quickbooks_ledger.trial_balance('{day}')");
    let balance = |row: &tokio_postgres::Row| (row.get(0), row.get(1));
    house.query(&sql).await.iter().map(balance).collect()
}

async fn balance_sheet(house: &House, day: Date) -> BTreeMap<(String, String), i64> {
    let sql = format!(
        "SELECT part, account, (balance * 100)::bigint FROM quickbooks_ledger.balance_sheet('{day}')"
    );
    house.query(&sql).await.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_of_the_views_is_the_companys_own_but_for_what_no_view_has() {
    let house = house().await;
    load(&house).await;
    let company = house.sandbox.with_company(|company| company.clone());
    let own = postings(&company);

    // Every kind of document and every account is in it.
    let labels: BTreeSet<_> = own.iter().map(|posting| posting.label.as_str()).collect();
    assert_eq!(labels.len(), 22, "{labels:?}");
    let accounts: BTreeSet<_> = own.iter().map(|posting| posting.account.as_str()).collect();
    assert_eq!(accounts.len(), 22, "all but retained earnings: {accounts:?}");

    let (unreachable, reachable): (Vec<_>, Vec<_>) = own.iter().partition(|posting| posting.is_unreachable());
    let (expected, found) = (by_month(reachable.into_iter()), months_of_views(&house).await);
    let months: BTreeSet<_> = found.keys().map(|(month, _)| *month).collect();
    assert!(months.len() >= 35 && found.len() > 400, "{} months, {} lines", months.len(), found.len());
    let both: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let differs: Vec<_> = both
        .into_iter()
        .map(|key| (key, expected.get(key).copied(), found.get(key).copied()))
        .filter(|(_, expected, found)| expected != found)
        .collect();
    assert!(differs.is_empty(), "month and account, the company's, the views': {differs:#?}");

    // The listed difference is what was planted, what no view of the contract has, and the cost of goods.
    let sum = |label: &str, account: &str| {
        let postings = unreachable.iter().filter(|it| it.label == label && it.account == account);
        postings.map(|it| it.cents).sum::<i64>()
    };
    assert_eq!(sum("Payroll Check", "61"), 310_007 + 312_345);
    assert_eq!(sum("Sales Tax Payment", "61"), 4_200);
    for label in ["Tax Payment", "Inventory Qty Adjust", "Invoice", "Refund"] {
        assert!(unreachable.iter().any(|it| it.label == label), "{label}");
    }
    assert!(sum("Invoice", "80") > 0 && sum("Invoice", "80") == -sum("Invoice", "81"));

    for year in [2022, 2023, 2024] {
        for month in [Month::March, Month::June, Month::September, Month::December] {
            let day = Date::from_calendar_date(year, month, month.length(year)).unwrap();
            let found = balance_of_views(&house, day).await;
            assert_eq!(found, reachable_balance(&company, day, &unreachable), "{day}");
            assert_eq!(found.values().sum::<i64>(), 0, "{day}");
            let sheet = balance_sheet(&house, day).await;
            let total = |part: &str| sheet[&(part.to_owned(), "Total".to_owned())];
            assert_eq!(total("Asset"), total("Liability") + total("Equity"), "{day}: {sheet:?}");
            let is_of_the_year = |account: &str| account == EXCHANGE || OF_THE_YEAR.contains(&account);
            let of_the_year: i64 =
                found.iter().filter(|(account, _)| is_of_the_year(account)).map(|(_, cents)| cents).sum();
            assert_eq!(sheet[&("Equity".to_owned(), "Net income".to_owned())], -of_the_year, "{day}");
            let accounts = found.keys().filter(|account| !is_of_the_year(account)).count();
            assert_eq!(sheet.len(), accounts + 1 + 3, "{day}: {sheet:?}");
        }
    }
    assert!(balance_of_views(&house, date!(2024 - 06 - 30)).await.contains_key(RETAINED));
    assert!(found.keys().any(|(_, account)| account == EXCHANGE));
    assert_eq!(house.number("SELECT count(*) FROM quickbooks_ledger.not_covered").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_document_leaves_the_ledger_and_one_that_the_rules_do_not_cover_is_named() {
    let house = House::new(&Shape::default().with_counts(20, 5, 5).with_books()).await;
    house.sandbox.with_company(|company| company.advance(Duration::days(30)));
    load(&house).await;
    let id = house.sandbox.with_company(|company| {
        let id = company.ids("Invoice").into_iter().next().unwrap();
        assert!(company.delete("Invoice", &id));
        id
    });
    let postings = format!(
        "SELECT count(*) FROM quickbooks_ledger.posting WHERE transaction_type = 'Invoice' AND transaction_id = '{id}'"
    );
    assert!(house.number(&postings).await > 0);
    house.at(&["verify", "Invoice", "--mark-gone"]).await;
    assert_eq!(house.number(&postings).await, 0);

    assert_eq!(house.number("SELECT count(*) FROM quickbooks_ledger.not_covered").await, 0);
    let client = house.client().await;
    client.batch_execute("UPDATE raw.qb_items SET gone_found_at_utc = now(), payload = '{}'").await.unwrap();
    assert!(
        house.number("SELECT count(*) FROM quickbooks_ledger.not_covered WHERE without_account > 0").await
            > 0
    );
    assert_eq!(house.number("SELECT count(*) FROM quickbooks_ledger.not_covered WHERE open <> 0").await, 0);
}
