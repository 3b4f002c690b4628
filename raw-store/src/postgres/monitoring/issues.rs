//! Reads the newest findings, and the quarantine page by page.

use deadpool_postgres::Object;
use postgres_types::ToSql;
use tokio_postgres::Row;

use super::snapshot::Snapshot;
use crate::postgres::commit::quarantine::{SHOWN_COLUMNS, shown};
use crate::postgres::rows::unexpected;
use crate::{
    AsOf, Finding, NewestFinding, QuarantineFilter, QuarantineKey, Quarantined, Severity, StoreErrorKind,
    Window,
};

/// As in the view `v_backfill_findings`, which a loader may not read.
const FINDINGS: &str = "
    SELECT entity_name, run_id, validated_at_utc, kind, severity, span_start_utc, span_end_utc, amount, detail
    FROM backfill_finding
    JOIN (
        SELECT DISTINCT ON (entity_name) run_id, entity_name, validated_at_utc
        FROM backfill_validation
        ORDER BY entity_name, validated_at_utc DESC, run_id DESC
    ) AS newest USING (run_id, entity_name, validated_at_utc)
    ORDER BY array_position(ARRAY['error', 'warning', 'info'], severity), entity_name COLLATE \"C\", span_start_utc, number
    LIMIT $1";

const QUARANTINE: &str = "
    WHERE ($1::text IS NULL OR entity_name = $1)
      AND (NOT $2 OR (NOT has_row AND resolved_at_utc IS NULL AND accepted_at_utc IS NULL))
      AND ($3::text IS NULL OR (entity_name, digest) > ($3, decode($4, 'hex')))
    ORDER BY entity_name, digest
    LIMIT $5";

pub(super) async fn newest_findings(
    client: &mut Object,
    limit: u32,
) -> Result<AsOf<Vec<NewestFinding>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let rows = snapshot.transaction.query(FINDINGS, &[&i64::from(limit)]).await?;
    snapshot.end(rows.iter().map(finding).collect::<Result<_, _>>()?).await
}

fn finding(row: &Row) -> Result<NewestFinding, StoreErrorKind> {
    let (start, end): (Option<_>, Option<_>) = (row.try_get(5)?, row.try_get(6)?);
    Ok(NewestFinding {
        entity_name: row.try_get::<_, &str>(0)?.into(),
        run: row.try_get::<_, &str>(1)?.parse().map_err(|_| unexpected("a run_id"))?,
        validated_at: row.try_get(2)?,
        finding: Finding {
            kind: row.try_get::<_, &str>(3)?.into(),
            severity: Severity::from_word(row.try_get(4)?).ok_or_else(|| unexpected("a severity"))?,
            span: start.zip(end).and_then(|(start, end)| Window::new(start, end).ok()),
            amount: row.try_get::<_, i64>(7)?.cast_unsigned(),
            detail: row.try_get::<_, &str>(8)?.into(),
        },
    })
}

pub(super) async fn page_of_quarantine(
    client: &mut Object,
    filter: &QuarantineFilter,
    after: Option<&QuarantineKey>,
    limit: u32,
) -> Result<AsOf<Vec<Quarantined>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let entity_name = filter.entity_name.as_deref();
    let (after_name, after_digest) = (after.map(|key| &*key.entity_name), after.map(|key| &*key.digest));
    let limit = i64::from(limit);
    let parameters: [&(dyn ToSql + Sync); 5] =
        [&entity_name, &filter.open, &after_name, &after_digest, &limit];
    let sql = format!("SELECT {SHOWN_COLUMNS} FROM quarantine {QUARANTINE}");
    let rows = snapshot.transaction.query(&sql, &parameters).await?;
    snapshot.end(rows.iter().map(shown).collect::<Result<_, _>>()?).await
}
