//! What QuickBooks' reports say, beside what is stored.

use fixtures::{CallKind, Labels, ReportOnly, Shape};
use serde_json::Value;
use time::macros::date;

use crate::house::{Ended, House};

/// The year in which the company's history is.
const YEAR: [&str; 5] = ["reconcile", "--from", "2024-01-01", "--to", "2025-01-01"];

fn value(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_ties_out_until_something_is_missing() {
    let house = House::new(&Shape::default().every_entity(6)).await;
    house.backfill(&["all"], &[]).await.expect(0);
    house.sandbox.with_company(|company| {
        company.in_reports().add(ReportOnly::payroll_check("900001", date!(2024 - 05 - 17), 123_456));
    });

    let plan = house.at(&[&YEAR[..], &["--plan", "--output", "json"]].concat()).await.expect(0);
    let price = value(&plan)["estimated_calls"].as_i64().unwrap();
    assert_eq!(house.sandbox.journal().count(CallKind::Report), 0);
    let tied = house.at(&YEAR).await.expect(0);
    assert!(tied.stdout.contains("ties out with QuickBooks' reports"), "{}", tied.stdout);
    let payroll = tied.stdout.lines().find(|line| line.contains("Payroll Check")).unwrap();
    assert!(payroll.contains("1234.56"), "{payroll}");
    assert_eq!(house.sandbox.journal().count(CallKind::Report) as i64, price);
    let kept = "SELECT (SELECT count(*) FROM raw.qb_report_journal_report) + (SELECT count(*) FROM raw.qb_report_transaction_list)
        + (SELECT count(*) FROM raw.qb_report_trial_balance WHERE answer -> 'Header' ->> 'ReportName' = 'TrialBalance')";
    assert_eq!(house.number(kept).await, price);
    let status = house.at(&["status"]).await.expect(0);
    assert!(status.stdout.contains("the company: ties out with QuickBooks' reports"), "{}", status.stdout);

    let id = house.sandbox.with_company(|company| company.ids("Bill").into_iter().nth(2).unwrap());
    let delete = format!("DELETE FROM raw.qb_bills WHERE id = '{id}'");
    house.client().await.batch_execute(&delete).await.unwrap();
    house.sandbox.with_reports(|reports| reports.labels = Labels::Uk);
    let found = house.at(&[&YEAR[..], &["--output", "json"]].concat()).await.expect(3);
    let found = value(&found);
    let missing: Vec<_> = found["discrepancies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["result"] == "missing")
        .map(|one| (one["pipeline"].as_str().unwrap(), one["id"].as_str().unwrap()))
        .collect();
    assert_eq!(missing, [("qb_bills_backfill", id.as_str())]);
    assert_eq!((&found["exit_code"], &found["ties_out"]), (&3.into(), &false.into()));
    // Asking again keeps the newest answers alone.
    assert_eq!(house.number(kept).await, price);
    let text = house.at(&YEAR).await.expect(3);
    assert!(text.error().contains("transactions missing: 1"), "{}", text.error());
    let status = house.at(&["status", "--output", "json"]).await.expect(0);
    assert_eq!(value(&status)["reconciled"]["result"], "differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_with_a_time_of_day_is_refused() {
    let house = House::new(&Shape::default().with_counts(5, 5, 5)).await;
    let range = ["reconcile", "--from", "2024-01-01T05:00:00Z", "--to", "2025-01-01"];
    let ended = house.at(&range).await.expect(2);
    assert!(ended.error().contains("plain dates"), "{}", ended.error());
}
