//! Keeps reports of the source, as sent.

use deadpool_postgres::Object;

use super::rows::unexpected;
use crate::{KeptReport, StoreErrorKind, TableName};

/// Returns how many rows hold this answer or a later one afterwards.
fn keep_sql(table: &TableName) -> String {
    format!(
        "WITH kept AS (
             INSERT INTO \"{table}\" AS stored (question, answer, first_day, last_day, basis, answered_at_utc, received_at_utc,
                 verification_id)
             VALUES ($1, $2::text::json, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (question) DO UPDATE SET answer = excluded.answer, answered_at_utc = excluded.answered_at_utc,
                 received_at_utc = excluded.received_at_utc, verification_id = excluded.verification_id
             WHERE stored.received_at_utc <= excluded.received_at_utc
             RETURNING question
         )
         SELECT question FROM kept
         UNION SELECT question FROM \"{table}\" WHERE question = $1 AND received_at_utc > $7"
    )
}

fn kept_sql(table: &TableName) -> String {
    format!(
        "SELECT question, answer::text, first_day, last_day, basis, answered_at_utc, received_at_utc, verification_id
         FROM \"{table}\" WHERE question = $1"
    )
}

/// Keeps a report, unless a later answer to its question is kept.
pub(super) async fn keep(
    client: &Object,
    table: &TableName,
    report: &KeptReport,
) -> Result<(), StoreErrorKind> {
    let answer = std::str::from_utf8(&report.answer).map_err(|_| unexpected("a report that is not UTF-8"))?;
    let id = report.verification.as_str();
    let parameters: [&(dyn postgres_types::ToSql + Sync); 8] = [
        &&*report.question,
        &answer,
        &report.first_day,
        &report.last_day,
        &report.basis.as_deref(),
        &report.answered_at,
        &report.received_at,
        &id,
    ];
    match client.query(&keep_sql(table), &parameters).await?.len() {
        0 => Err(StoreErrorKind::RowsAltered { table: table.as_str().into(), rows: 1 }),
        _ => Ok(()),
    }
}

/// The newest answer to a question.
pub(super) async fn kept(
    client: &Object,
    table: &TableName,
    question: &str,
) -> Result<Option<KeptReport>, StoreErrorKind> {
    let Some(row) = client.query_opt(&kept_sql(table), &[&question]).await? else { return Ok(None) };
    Ok(Some(KeptReport {
        question: row.try_get::<_, &str>(0)?.into(),
        answer: row.try_get::<_, String>(1)?.into(),
        first_day: row.try_get(2)?,
        last_day: row.try_get(3)?,
        basis: row.try_get::<_, Option<&str>>(4)?.map(Into::into),
        answered_at: row.try_get(5)?,
        received_at: row.try_get(6)?,
        verification: row.try_get::<_, &str>(7)?.parse().map_err(|_| unexpected("a verification_id"))?,
    }))
}
