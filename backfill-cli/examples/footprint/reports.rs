//! What a reconciliation takes with reports of ever more cells.

use crate::connected;
use crate::home::{Home, Outcome};

/// The largest report that was kept, in cells and in MiB, and the number of reports.
const REPORTS: &str = "
    SELECT max(cells)::bigint, max(octet_length(answer::text))::bigint, count(*) FROM (
        SELECT answer, (SELECT count(*) FROM regexp_matches(answer::text, '\"value\"', 'g')) AS cells
        FROM raw.qb_report_journal_report
    ) AS report";

pub(crate) async fn reports(sizes: &[usize]) -> Outcome {
    println!(
        "{:>9} {:>9} {:>12} {:>12} {:>8} {:>8} {:>9}",
        "invoices", "journals", "cells", "largest MiB", "seconds", "CPU s", "peak MiB"
    );
    for invoices in sizes {
        let home = Home::new(&[("--invoices", *invoices), ("--customers", 100), ("--items", 100)]).await?;
        let unlimited = ["--rate", "off", "--monthly-calls", "off"];
        let range = ["--from", "2024-01-01", "--to", "2025-01-01"];
        home.measure(&[&["run", "invoices", "customers", "items"], &range[..], &unlimited].concat())?;
        let used = home.measure(&[&["reconcile"], &range[..], &unlimited].concat())?;
        let largest = connected(&home).await?.query_one(REPORTS, &[]).await?;
        let (cells, bytes, journals): (i64, i64, i64) = (largest.get(0), largest.get(1), largest.get(2));
        println!(
            "{invoices:>9} {journals:>9} {cells:>12} {:>12.1} {:>8.2} {:>8.2} {:>9.1}",
            bytes as f64 / f64::from(1 << 20),
            used.seconds,
            used.cpu_seconds,
            used.peak_mib
        );
        home.close().await?;
    }
    Ok(())
}
