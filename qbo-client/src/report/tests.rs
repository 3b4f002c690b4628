//! Reports of both styles, cut off anywhere.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::date;

use super::*;
use crate::page::SplitError;

/// The columns of the journal, in the order of the answer, which is not the requested one.
const KEYS: [&str; 7] = ["tx_date", "txn_type", "doc_num", "name", "account_name", "debt_amt", "credit_amt"];

/// The rows of one style. The newer one repeats what the older one leaves out, and has no blank rows.
#[derive(Clone, Copy, Debug)]
enum Style {
    Old,
    New,
}

/// A transaction: its label, and the cents of its postings; the last one balances them.
#[derive(Clone, Debug)]
struct Made {
    label: &'static str,
    cents: Vec<i64>,
}

fn cents(cents: i64) -> String {
    format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100)
}

fn cells(cells: [(String, Option<String>); 7]) -> Value {
    cells
        .into_iter()
        .map(|(value, id)| match id {
            Some(id) => json!({"value": value, "id": id}),
            None => json!({"value": value}),
        })
        .collect()
}

fn plain(text: &str) -> (String, Option<String>) {
    (text.to_owned(), None)
}

fn totals(title: &str, sum: &str) -> Value {
    let cells = cells([plain(title), plain(""), plain(""), plain(""), plain(""), plain(sum), plain(sum)]);
    json!({"type": "Section", "Summary": {"ColData": cells}})
}

fn rows(made: &[Made], style: Style) -> Vec<Value> {
    let (mut rows, mut all) = (Vec::new(), 0);
    for (place, one) in made.iter().enumerate() {
        let id = (place + 1).to_string();
        let debit: i64 = one.cents.iter().filter(|cents| **cents > 0).sum();
        all += debit;
        for (line, amount) in one.cents.iter().enumerate() {
            let (date, label) = match (style, line) {
                (_, 0) | (Style::New, _) => ("2026-02-03", one.label),
                (Style::Old, _) => ("0-00-00", ""),
            };
            let side = |shown: bool| if shown { plain(&cents(amount.abs())) } else { plain("") };
            rows.push(json!({"type": "Data", "ColData": cells([
                plain(date),
                (label.to_owned(), Some(id.clone())),
                plain("7"),
                ("Example Ltd".to_owned(), Some("9".to_owned())),
                ("An account".to_owned(), Some((line + 80).to_string())),
                side(*amount > 0),
                side(*amount <= 0),
            ])}));
        }
        rows.push(totals("", &cents(debit)));
        if matches!(style, Style::Old) {
            rows.push(json!({"type": "Data", "ColData": cells([(); 7].map(|()| plain("")))}));
        }
    }
    if !made.is_empty() {
        rows.push(totals("TOTAL", &cents(all)));
    }
    rows
}

fn body(rows: &[Value], style: Style) -> String {
    let column = |key: &str| match style {
        Style::Old => json!({"ColTitle": "Titel", "ColType": key}),
        Style::New => {
            json!({"ColTitle": "Titel", "ColType": "String", "MetaData": [{"Name": "ColKey", "Value": key}]})
        }
    };
    let columns: Vec<_> = KEYS.iter().map(|key| column(key)).collect();
    let header = json!({"Time": "2026-03-01T08:00:00-08:00", "ReportName": "JournalReport", "StartPeriod": "2026-02-01",
        "EndPeriod": "2026-02-28", "Currency": "USD", "Option": [{"Name": "NoReportData", "Value": "false"}]});
    let rows = if rows.is_empty() { json!({}) } else { json!({"Row": rows}) };
    // The rows come before the columns, as in Intuit's examples.
    format!(r#"{{"Header":{header},"Rows":{rows},"Columns":{{"Column":{}}}}}"#, Value::from(columns))
}

fn request() -> ReportRequest {
    ReportRequest::new(ReportName::JournalReport, date!(2026 - 02 - 01), date!(2026 - 02 - 28))
}

fn read(body: String) -> Result<Report, SplitError> {
    Report::read(body.into(), &request())
}

fn transactions(report: &Report) -> Vec<JournalTransaction> {
    let mut all = Vec::new();
    report.journal(|one| all.push(one)).unwrap();
    all
}

fn made() -> impl Strategy<Value = Made> {
    let label = prop::sample::select(vec!["Invoice", "Cheque Expense", "Facture", "Nómina", "Payroll Check"]);
    (label, prop::collection::vec(-99_999_i64..99_999, 1..6)).prop_map(|(label, mut cents)| {
        cents.push(-cents.iter().sum::<i64>());
        Made { label, cents }
    })
}

#[test]
fn a_report_without_transactions_is_empty_and_not_cut() {
    for style in [Style::Old, Style::New] {
        let report = read(body(&[], style)).unwrap();
        assert_eq!((report.cells(), report.is_cut(), transactions(&report).len()), (0, false, 0));
    }
}

#[test]
fn a_report_that_cannot_be_displayed_is_cut_wherever_it_says_so() {
    let notice = json!({"value": "Unable to display more data. Please reduce the date range."});
    for row in [
        json!({"type": "Data", "ColData": [notice]}),
        json!({"type": "Section", "Summary": {"ColData": [notice]}}),
        json!({"type": "Section", "Header": {"ColData": [{"value": ""}, notice]}}),
    ] {
        let body = json!({"Header": {"ReportName": "JournalReport"}, "Rows": {"Row": [row]}});
        assert!(read(body.to_string()).unwrap().is_cut());
    }
}

#[test]
fn the_notice_in_a_customers_name_cuts_nothing() {
    let mut rows = rows(&[Made { label: "Invoice", cents: vec![5, -5] }], Style::New);
    rows[0]["ColData"][3]["value"] = "Unable to display more data Ltd".into();
    assert!(!read(body(&rows, Style::New)).unwrap().is_cut());
}

#[test]
fn what_is_no_answer_to_the_request_is_an_error() {
    let check = |body: &str, expected| assert_eq!(read(body.to_owned()).unwrap_err(), expected, "{body}");
    check(" ", SplitError::Empty);
    check("<html>", SplitError::Malformed);
    check("{}", SplitError::NoAnswer);
    check(r#"{"Fault":{"Error":[]}}"#, SplitError::Fault);
    check(r#"{"Header":{"ReportName":"GeneralLedger"},"Rows":{}}"#, SplitError::Contradiction);
    check(r#"{"Header":{"EndPeriod":"2026-02-27"},"Rows":{}}"#, SplitError::Contradiction);
    check(
        r#"{"Header":{},"Columns":{"Column":[{"ColType":"tx_date"}]},"Rows":{"Row":[{"ColData":[{"value":"x"}]}]}}"#,
        SplitError::Contradiction,
    );
    check(r#"{"Header":{},"Rows":{"Row":{}}}"#, SplitError::Malformed);
}

#[test]
fn one_missing_line_and_a_wrong_total_are_noticed() {
    let whole = rows(&[Made { label: "Bill", cents: vec![700, -300, -400] }], Style::Old);
    let mut short = whole.clone();
    short.remove(1);
    assert!(!transactions(&read(body(&short, Style::Old)).unwrap())[0].is_balanced());
    let mut other = whole;
    *other.last_mut().unwrap() = totals("TOTAL", "9.00");
    let report = read(body(&other, Style::Old)).unwrap();
    assert!(!report.journal(drop).unwrap().is_consistent());
}

#[test]
fn the_lines_of_a_list_are_read_in_sections_too() {
    let row = json!({"type": "Data", "ColData": [{"value": "2026-02-03"}, {"value": "Estimate", "id": "151"}, {"value": "47.60"}]});
    let section = json!({"type": "Section", "Header": {"ColData": [{"value": "Example Ltd", "id": "1"}]}, "Rows": {"Row": [row]},
        "Summary": {"ColData": [{"value": "Total"}, {"value": "47.60"}]}});
    let columns: Vec<_> =
        ["tx_date", "txn_type", "subt_nat_amount"].map(|key| json!({"ColType": key})).into();
    let body = json!({"Header": {}, "Columns": {"Column": columns}, "Rows": {"Row": [section]}}).to_string();
    let request = ReportRequest::new(ReportName::TransactionList, request().first(), request().last());
    let report = Report::read(body.into(), &request).unwrap();
    let mut all = Vec::new();
    assert_eq!(report.listed(|one| all.push(one)).unwrap().transactions, 1);
    assert_eq!((&*all[0].label, &*all[0].id, all[0].date), ("Estimate", "151", Some(date!(2026 - 02 - 03))));
    assert_eq!(all[0].amount, Some("47.60".parse().unwrap()));
}

#[test]
fn balances_have_a_side() {
    let row = |id: &str, debit: &str, credit: &str| json!({"ColData": [{"value": "An account", "id": id}, {"value": debit}, {"value": credit}]});
    let total = json!({"group": "GrandTotal", "type": "Section", "Summary": {"ColData": [{"value": "TOTAL"}, {"value": "2.00"}, {"value": "2.00"}]}});
    let columns: Vec<_> = ["Account", "Money", "Money"].map(|kind| json!({"ColType": kind})).into();
    let body = |rows: Value| {
        let report = json!({"Header": {"StartPeriod": "2020-01-01"}, "Columns": {"Column": columns}, "Rows": {"Row": rows}});
        let request = ReportRequest::new(ReportName::TrialBalance, request().first(), request().last());
        Report::read(report.to_string().into(), &request).unwrap().balances()
    };
    let both = body(json!([row("35", "2.00", ""), row("9", "", "2.00"), total])).unwrap();
    let shown: Vec<_> = both.iter().map(|one| format!("{} {}", one.account, one.amount)).collect();
    assert_eq!(shown, ["35 2.00", "9 -2.00"]);
    assert_eq!(body(json!([row("", "1.00", "")])), Err(SplitError::Contradiction));
}

proptest! {
    #[test]
    fn both_styles_hold_the_same_transactions(all in prop::collection::vec(made(), 0..12)) {
        let [old, new] = [Style::Old, Style::New].map(|style| read(body(&rows(&all, style), style)).unwrap());
        let found = transactions(&old);
        prop_assert_eq!(&found, &transactions(&new));
        prop_assert_eq!(found.len(), all.len());
        for (found, made) in found.iter().zip(&all) {
            prop_assert!(found.is_balanced());
            prop_assert_eq!(&*found.label, made.label);
            prop_assert_eq!(found.date, Some(date!(2026 - 02 - 03)));
            let mut shown = String::new();
            for posting in &found.postings {
                let _ = write!(shown, "{} ", posting.amount);
            }
            let expected: String = made.cents.iter().map(|one| cents(*one) + " ").collect();
            prop_assert_eq!(shown, expected);
        }
        for report in [&old, &new] {
            prop_assert!(!report.is_cut() && report.journal(drop).unwrap().is_consistent());
        }
    }

    /// Every row that is left out is either announced, or the end of a transaction is missing, or the totals are.
    #[test]
    fn a_report_that_ends_at_any_cell_is_cut(
        all in prop::collection::vec(made(), 1..6),
        is_old: bool,
        is_announced: bool,
        at in any::<prop::sample::Index>(),
    ) {
        let style = if is_old { Style::Old } else { Style::New };
        let whole = rows(&all, style);
        let cells = at.index(whole.len() * 7);
        let mut kept = whole[..cells / 7].to_vec();
        if !cells.is_multiple_of(7) {
            let mut last = whole[cells / 7].clone();
            let row = if last.get("Summary").is_some() { &mut last["Summary"] } else { &mut last };
            row["ColData"].as_array_mut().unwrap().truncate(cells % 7);
            kept.push(last);
        }
        if is_announced {
            kept.push(json!({"type": "Data", "ColData": [{"value": "Unable to display more data. Please reduce the date range."}]}));
        }
        let report = read(body(&kept, style)).unwrap();
        let journal = report.journal(drop).unwrap();
        let is_complete = journal.transactions == all.len() as u64;
        let at_an_end = journal.is_finished && journal.total.is_none();
        prop_assert!(report.is_cut() || at_an_end || is_complete || !journal.is_consistent());
        prop_assert!(!is_announced || report.is_cut());
    }

    #[test]
    fn no_bytes_are_beyond_reading(text in "[\\[\\]{}\",:a-zA-Z0-9. ]{0,80}") {
        drop(read(text.clone()));
        drop(read(format!(r#"{{"Header":{{}},"Rows":{text}}}"#)));
    }
}
