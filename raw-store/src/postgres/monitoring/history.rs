//! Reads what happened, in the order of time.

use deadpool_postgres::Object;
use postgres_types::ToSql;
use time::OffsetDateTime;
use tokio_postgres::Row;

use super::history_sql;
use super::snapshot::Snapshot;
use crate::postgres::rows::{run_id, unexpected};
use crate::{
    AsOf, HistoryEntry, HistoryFilter, HistoryKey, HistoryKind, HistoryOrder, HistoryPhase, RunId, Severity,
    StoreErrorKind, Window,
};

pub(super) async fn happened(
    client: &mut Object,
    (span, filter): (Window, &HistoryFilter),
    order: HistoryOrder,
    (after, limit): (Option<&HistoryKey>, u32),
) -> Result<AsOf<Vec<HistoryEntry>>, StoreErrorKind> {
    let snapshot = Snapshot::begin(client).await?;
    let Some(sql) = history_sql::statement(filter, order, after.is_some()) else {
        return snapshot.end(Vec::new()).await;
    };
    let (start, end) = (span.start(), span.end());
    let run = filter.run.as_ref().map(RunId::as_str);
    let (entity_name, who) = (filter.entity_name.as_deref(), filter.who.as_deref());
    let text = filter.text.as_deref();
    let (at, kind) = (after.map(|key| key.at), after.map(|key| key.kind.as_str()));
    let (key, limit) = (after.map(|key| &*key.key), i64::from(limit));
    let parameters: [&(dyn ToSql + Sync); 10] =
        [&start, &end, &run, &entity_name, &who, &text, &at, &kind, &key, &limit];
    let rows = snapshot.transaction.query(&sql, &parameters).await?;
    snapshot.end(rows.iter().map(entry).collect::<Result<_, _>>()?).await
}

fn entry(row: &Row) -> Result<HistoryEntry, StoreErrorKind> {
    let text = |at: usize| row.try_get::<_, Option<&str>>(at).map(|text| text.map(Box::<str>::from));
    let trigger = row.try_get::<_, Option<&str>>(8)?;
    let (start, end): (Option<OffsetDateTime>, Option<OffsetDateTime>) = (row.try_get(11)?, row.try_get(12)?);
    Ok(HistoryEntry {
        at: row.try_get(0)?,
        kind: HistoryKind::from_word(row.try_get(1)?).ok_or_else(|| unexpected("a kind of entry"))?,
        key: row.try_get::<_, &str>(2)?.into(),
        level: Severity::from_word(row.try_get(3)?).ok_or_else(|| unexpected("a level"))?,
        phase: HistoryPhase::from_word(row.try_get(4)?).ok_or_else(|| unexpected("a phase"))?,
        event: row.try_get::<_, &str>(5)?.into(),
        run: run_id(row.try_get(6)?)?,
        entity_name: text(7)?,
        trigger: trigger.map(|name| name.parse().map_err(|_| unexpected("a trigger_name"))).transpose()?,
        who: text(9)?,
        code: text(10)?,
        span: start.zip(end).and_then(|(start, end)| Window::new(start, end).ok()),
        records: row.try_get::<_, Option<i64>>(13)?.map(i64::cast_unsigned),
        detail: text(14)?,
    })
}
