//! Keeps the results of verifications.

use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::rows::{kept, unexpected, window};
use crate::{StoreErrorKind, VerificationRecord, VerifyMethod, VerifyResult};

/// Returns how many of the lines are there afterwards, whether this statement or an earlier one has written them.
const KEEP: &str = "
    INSERT INTO backfill_verification (verification_id, entity_name, method, span_start_utc, span_end_utc, result,
        records_counted, records_same, records_missing, records_changed, rows_gone, rows_marked, calls, verified_at_utc)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT (verification_id, entity_name) DO UPDATE SET result = excluded.result";

/// Steps from one pair of pipeline and method to the next in the index, and reads the newest line of each: the cost follows their
/// number, and not that of the lines, of which every night adds some.
const LAST: &str = "
    WITH RECURSIVE known AS (
        (SELECT entity_name, method FROM backfill_verification ORDER BY entity_name, method LIMIT 1)
        UNION ALL
        SELECT next.entity_name, next.method
        FROM known CROSS JOIN LATERAL (
            SELECT entity_name, method FROM backfill_verification AS line
            WHERE (line.entity_name, line.method) > (known.entity_name, known.method)
            ORDER BY entity_name, method LIMIT 1
        ) AS next
    )
    SELECT newest.*
    FROM known CROSS JOIN LATERAL (
        SELECT verification_id, entity_name, method, span_start_utc, span_end_utc, result, records_counted, records_same,
            records_missing, records_changed, rows_gone, rows_marked, calls, verified_at_utc
        FROM backfill_verification AS line
        WHERE line.entity_name = known.entity_name AND line.method = known.method
        ORDER BY verified_at_utc DESC, verification_id DESC LIMIT 1
    ) AS newest
    ORDER BY newest.entity_name, newest.method";

/// Keeps results in one transaction.
pub(super) async fn keep(client: &mut Object, records: &[VerificationRecord]) -> Result<(), StoreErrorKind> {
    let transaction = client.transaction().await?;
    for one in records {
        let (id, entity_name) = (one.id.as_str(), &*one.entity_name);
        let (method, result) = (one.method.as_str(), one.result.as_str());
        let numbers = [one.counted, one.same, one.missing, one.changed, one.gone, one.marked, one.calls];
        let [counted, same, missing, changed, gone, marked, calls] = numbers.map(u64::cast_signed);
        let (start, end) = (one.span.start(), one.span.end());
        let parameters: [&(dyn postgres_types::ToSql + Sync); 14] = [
            &id,
            &entity_name,
            &method,
            &start,
            &end,
            &result,
            &counted,
            &same,
            &missing,
            &changed,
            &gone,
            &marked,
            &calls,
            &one.at,
        ];
        kept("backfill_verification", transaction.execute(KEEP, &parameters).await?, 1)?;
    }
    Ok(transaction.commit().await?)
}

/// The newest result of each pipeline and method.
pub(super) async fn last(client: &Object) -> Result<Vec<VerificationRecord>, StoreErrorKind> {
    client.query(LAST, &[]).await?.iter().map(record).collect()
}

fn record(row: &Row) -> Result<VerificationRecord, StoreErrorKind> {
    let number = |at: usize| row.try_get::<_, i64>(at).map(i64::cast_unsigned);
    Ok(VerificationRecord {
        id: row.try_get::<_, &str>(0)?.parse().map_err(|_| unexpected("a verification_id"))?,
        entity_name: row.try_get::<_, &str>(1)?.into(),
        method: VerifyMethod::from_word(row.try_get(2)?).ok_or_else(|| unexpected("a method"))?,
        span: window(row, 3)?,
        result: VerifyResult::from_word(row.try_get(5)?).ok_or_else(|| unexpected("a result"))?,
        counted: number(6)?,
        same: number(7)?,
        missing: number(8)?,
        changed: number(9)?,
        gone: number(10)?,
        marked: number(11)?,
        calls: number(12)?,
        at: row.try_get(13)?,
    })
}
