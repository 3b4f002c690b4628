//! Compares documents with the stored rows and lists stored ids, without changing anything.

use std::collections::HashSet;

use deadpool_postgres::Object;
use time::OffsetDateTime;

use super::commit::jsonb::Jsonb;
use super::commit::{documents, quarantine};
use super::version;
use crate::digest::Digest;
use crate::prepare::{Candidate, PreparedPage};
use crate::{Deviation, PageCommit, PageComparison, StoreErrorKind, TableName, Window};

/// Which of these documents would replace what is stored: the condition of the upsert.
fn older_sql(table: &TableName) -> String {
    let replaces = documents::replaces_sql(["$6", "$5", "$7", "$10", "$8"]);
    format!(
        "SELECT new.id
         FROM unnest($1::text[], $2::jsonb[], $3::timestamptz[], $4::bigint[], $9::bytea[])
             AS new (id, payload, source_updated_at_utc, source_sync_token, payload_digest)
         JOIN \"{table}\" AS stored ON stored.id = new.id
         WHERE {replaces}"
    )
}

fn ids_sql(table: &TableName) -> String {
    format!(
        "SELECT id FROM \"{table}\"
         WHERE ($1::timestamptz IS NULL OR (source_updated_at_utc >= $1 AND source_updated_at_utc < $2)) AND id > $3
           AND gone_found_at_utc IS NULL
         ORDER BY id LIMIT $4"
    )
}

/// Rows between each two neighbours of `$1`, all of them less those that are marked: each half reads an index alone.
fn count_live_sql(table: &TableName) -> String {
    let between = "source_updated_at_utc >= ($1::timestamptz[])[1] AND source_updated_at_utc < $2";
    format!(
        "SELECT place, sum(records)::bigint
         FROM (
             SELECT width_bucket(source_updated_at_utc, $1) AS place, count(*) AS records
             FROM \"{table}\" WHERE {between} GROUP BY place
             UNION ALL
             SELECT width_bucket(source_updated_at_utc, $1) AS place, -count(*)
             FROM \"{table}\" WHERE gone_found_at_utc IS NOT NULL AND {between} GROUP BY place
         ) AS counted
         GROUP BY place"
    )
}

/// The server's clock now, not at the start of a transaction.
pub(super) async fn clock(client: &Object) -> Result<OffsetDateTime, StoreErrorKind> {
    Ok(client.query_one("SELECT clock_timestamp()", &[]).await?.try_get(0)?)
}

/// What is stored under the id of a document.
#[derive(Clone, Copy)]
enum Found {
    Nothing,
    Row,
    /// A row that is marked as gone.
    Marked,
}

impl Found {
    fn of(stored: &documents::Stored) -> Self {
        if stored.is_gone { Self::Marked } else { Self::Row }
    }
}

/// Compares the documents of a page with what is stored.
pub(super) async fn compare(client: &Object, page: &PageCommit) -> Result<PageComparison, StoreErrorKind> {
    let landing = PreparedPage::of(page)?;
    let table = &page.pipeline.table;
    let mut comparison = PageComparison::default();
    let mut doubtful = Vec::new();
    if version::exists(&***client, table.as_str()).await? {
        let stored = documents::stored(client, table, &landing.candidates).await?;
        for (candidate, stored) in landing.candidates.iter().zip(stored) {
            match stored {
                Some(stored)
                    if !page.by_content
                        && !stored.is_gone
                        && *stored.digest == *candidate.digest.as_bytes() =>
                {
                    comparison.same += 1;
                }
                Some(stored) => doubtful.push((*candidate, Found::of(&stored))),
                None => doubtful.push((*candidate, Found::Nothing)),
            }
        }
    } else {
        doubtful.extend(landing.candidates.iter().map(|candidate| (*candidate, Found::Nothing)));
    }
    let aside = landing.quarantine.keys().copied();
    let digests: Vec<Digest> = aside.chain(doubtful.iter().map(|(candidate, _)| candidate.digest)).collect();
    let kept = quarantine::known(client, &page.pipeline.entity_name, &digests).await?;
    for (digest, document) in &landing.quarantine {
        if kept.contains(digest) {
            comparison.quarantined += 1;
        } else {
            let id = document.id.map(Into::into);
            comparison.missing.push(Deviation { id, window: document.window });
        }
    }
    let mut other = Vec::new();
    for (candidate, found) in doubtful {
        // A document that is kept beside its row must have the row as well.
        let instead = kept.contains(&candidate.digest) && !landing.beside.contains_key(&candidate.digest);
        match (instead, found) {
            (true, _) => comparison.quarantined += 1,
            (false, Found::Row) => other.push(candidate),
            // A page takes the mark back.
            (false, Found::Marked) => comparison.changed.push(deviation(candidate)),
            (false, Found::Nothing) => comparison.missing.push(deviation(candidate)),
        }
    }
    let older = older(client, page, &other).await?;
    for candidate in other {
        if older.contains(&*candidate.row.id) {
            comparison.changed.push(deviation(candidate));
        } else {
            comparison.same += 1;
        }
    }
    Ok(comparison)
}

fn deviation(candidate: Candidate<'_>) -> Deviation {
    Deviation { id: Some(candidate.row.id.clone()), window: candidate.row.window }
}

/// The ids of documents whose content differs from what is stored and would replace it.
async fn older(
    client: &Object,
    page: &PageCommit,
    candidates: &[Candidate<'_>],
) -> Result<HashSet<Box<str>>, StoreErrorKind> {
    let mut found = HashSet::new();
    if candidates.is_empty() {
        return Ok(found);
    }
    let statement = client.prepare_cached(&older_sql(&page.pipeline.table)).await?;
    for part in documents::in_statements(candidates) {
        let ids: Vec<&str> = part.iter().map(|one| &*one.row.id).collect();
        let payloads: Vec<Jsonb<'_>> = part.iter().map(|one| Jsonb(&one.row.payload)).collect();
        let updated: Vec<Option<OffsetDateTime>> = part.iter().map(|one| one.row.updated_at).collect();
        let tokens: Vec<Option<i64>> = part.iter().map(|one| one.row.sync_token).collect();
        let digests: Vec<&[u8]> = part.iter().map(|one| one.digest.as_bytes()).collect();
        let parameters: [&(dyn postgres_types::ToSql + Sync); 10] = [
            &ids,
            &payloads,
            &updated,
            &tokens,
            &page.answered_at,
            &page.started_at,
            &page.ingested_at,
            &page.by_content,
            &digests,
            &page.latest_at,
        ];
        match client.query(&statement, &parameters).await {
            Ok(rows) => {
                for row in rows {
                    found.insert(row.try_get::<_, String>(0)?.into());
                }
            }
            // One of them cannot be a row, and is not in quarantine either. Which one does not matter: all have to be read
            // again.
            Err(error) if documents::is_about_one_record(&error) => {
                found.extend(part.iter().map(|one| one.row.id.clone()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Ids of stored documents, in the order of the primary key.
pub(super) async fn stored_ids(
    client: &Object,
    table: &TableName,
    span: Option<Window>,
    (after, limit): (&str, u32),
) -> Result<Vec<Box<str>>, StoreErrorKind> {
    if !version::exists(&***client, table.as_str()).await? {
        return Ok(Vec::new());
    }
    let statement = client.prepare_cached(&ids_sql(table)).await?;
    let (start, end) = (span.map(Window::start), span.map(Window::end));
    let rows = client.query(&statement, &[&start, &end, &after, &i64::from(limit)]).await?;
    rows.iter().map(|row| Ok(row.try_get::<_, String>(0)?.into())).collect()
}

/// Counts the rows without a mark in each window.
pub(super) async fn count_live(
    client: &Object,
    table: &TableName,
    windows: &[Window],
) -> Result<Vec<u64>, StoreErrorKind> {
    let mut counts = vec![0; windows.len()];
    let Some(last) = windows.last() else { return Ok(counts) };
    if !version::exists(&***client, table.as_str()).await? {
        return Ok(counts);
    }
    // The end of a window and the start of the next one differ where there is a gap.
    let mut starts: Vec<OffsetDateTime> = windows.iter().flat_map(|one| [one.start(), one.end()]).collect();
    starts.dedup();
    starts.pop();
    let statement = client.prepare_cached(&count_live_sql(table)).await?;
    for row in client.query(&statement, &[&starts, &last.end()]).await? {
        let (place, records): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
        let start = usize::try_from(place - 1).ok().and_then(|place| starts.get(place));
        let window = start.and_then(|start| windows.binary_search_by_key(start, |one| one.start()).ok());
        if let Some(window) = window {
            counts[window] = u64::try_from(records).unwrap_or(0);
        }
    }
    Ok(counts)
}
