//! Writes the documents of a page to their raw table, and decides which of them replace stored rows.

use std::mem;

use deadpool_postgres::{Object, Transaction};
use time::{Date, OffsetDateTime};
use tokio_postgres::{Client, GenericClient, Statement};

use super::jsonb::Jsonb;
use crate::postgres::gone;
use crate::prepare::{CHANGES_SPREAD_WITHIN, Candidate, LANDS_WITHIN, PreparedPage, note_altered};
use crate::{Altered, PageCommit, StoreErrorKind, TableName};

/// Payload bytes of one statement. The driver keeps its buffers at the size of the largest statement for the life of a
/// connection (rust-postgres issue 1081), and the server writes what `unnest` yields to a temporary file once it is larger
/// than `work_mem`, 4 MiB by default. Larger statements were no faster at 1, 3 or 30 KB a record (docs/performance.md).
const STATEMENT_BYTES: usize = 512 * 1024;

/// SQLSTATEs that say that one document cannot be stored, and nothing about the others: not valid text (22021), JSON (22032),
/// or input (22P02); a character or number beyond the type (22P05, 22003); beyond a limit of the program (54000) or of its
/// stack (54001).
const ABOUT_ONE_RECORD: [&str; 7] = ["22021", "22032", "22P02", "22P05", "22003", "54000", "54001"];

/// An empty document; its size is known without unpacking it.
pub(in crate::postgres) const SAYS_NOTHING: &str =
    "(payload IS NULL OR (pg_column_size(payload) < 64 AND payload::text IN ('{}', '[]', 'null', '\"\"')))";

/// Reads the digests and the versions that belong to them: small columns, so that an unchanged page reads no payload and writes
/// nothing. Also reads what shows that a row was changed by hand since, and whether it is marked as gone.
fn look_up_sql(table: &TableName) -> String {
    format!(
        "SELECT id, payload_digest, source_updated_at_utc, {SAYS_NOTHING}, source_sync_token,
             gone_found_at_utc IS NOT NULL
         FROM \"{table}\" WHERE id = ANY($1)"
    )
}

/// Whether a document (`new`) replaces the stored one (`stored`), as `replaces` decides in Rust: for a page that was requested
/// at `asked_at`, answered at `answered_at`, is committed at `now` and may be compared `by_content`.
pub(in crate::postgres) fn replaces_sql(
    [asked_at, answered_at, now, latest, by_content]: [&str; 5],
) -> String {
    let lag = CHANGES_SPREAD_WITHIN.whole_seconds();
    let slack = LANDS_WITHIN.whole_seconds();
    format!(
        "(
            (coalesce(stored.source_updated_at_utc, '-infinity'), coalesce(stored.source_sync_token, -1),
                stored.source_answered_at_utc)
            <= (coalesce(new.source_updated_at_utc, '-infinity'), coalesce(new.source_sync_token, -1), {answered_at})
            AND stored.payload IS DISTINCT FROM new.payload
        ) OR (
            (stored.source_updated_at_utc, stored.source_sync_token)
                IS DISTINCT FROM (new.source_updated_at_utc, new.source_sync_token)
            AND stored.payload_digest = new.payload_digest
        ) OR (
            (stored.ingested_at_utc <= {asked_at}
                OR stored.ingested_at_utc > {now}::timestamptz + interval '{slack} seconds')
            AND (
                greatest(stored.source_updated_at_utc, stored.source_answered_at_utc)
                    > greatest({answered_at}, {now}, {latest}::timestamptz) + interval '{lag} seconds'
                OR ({by_content}
                    AND (stored.source_updated_at_utc
                        BETWEEN {answered_at}::timestamptz - interval '{lag} seconds'
                            AND {answered_at}::timestamptz + interval '{lag} seconds') IS NOT TRUE
                    AND (stored.source_updated_at_utc
                        BETWEEN {latest}::timestamptz - interval '{lag} seconds'
                            AND {latest}::timestamptz + interval '{lag} seconds') IS NOT TRUE)
            )
            AND (stored.payload, stored.source_updated_at_utc, stored.source_sync_token)
                IS DISTINCT FROM (new.payload, new.source_updated_at_utc, new.source_sync_token)
        )"
    )
}

/// Inserts rows, or replaces older ones. `xmax` is 0 only in a row that this statement has inserted.
fn upsert_sql(table: &TableName) -> String {
    let replaces = replaces_sql(["$13", "$12", "$8", "$15", "$14"]).replace("new.", "excluded.");
    format!(
        "INSERT INTO \"{table}\" AS stored (id, payload, extract_window_start_utc, extract_window_end_utc,
             source_updated_at_utc, source_sync_token, payload_digest, source_updated_on, ingested_at_utc, page_number, page_size,
             request_payload, source_answered_at_utc)
         SELECT new.*, $8, $9, $10, $11, $12
         FROM unnest($1::text[], $2::jsonb[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::bigint[],
             $7::bytea[], $16::date[]) AS new
         ON CONFLICT (id) DO UPDATE SET
             payload = excluded.payload,
             extract_window_start_utc = excluded.extract_window_start_utc,
             extract_window_end_utc = excluded.extract_window_end_utc,
             source_updated_at_utc = excluded.source_updated_at_utc,
             source_sync_token = excluded.source_sync_token,
             payload_digest = excluded.payload_digest,
             source_updated_on = excluded.source_updated_on,
             ingested_at_utc = excluded.ingested_at_utc,
             page_number = excluded.page_number,
             page_size = excluded.page_size,
             request_payload = excluded.request_payload,
             source_answered_at_utc = excluded.source_answered_at_utc,
             gone_found_at_utc = NULL,
             source_deleted_at_utc = NULL
         WHERE {replaces}
         RETURNING id, xmax = 0"
    )
}

/// Which of the documents are in the table as they were sent, or in a newer version. Each is found by its key, as are the
/// lines of the log.
fn confirm_sql(table: &TableName) -> String {
    format!(
        "SELECT new.id
         FROM unnest($1::text[], $2::jsonb[], $3::timestamptz[], $4::bigint[]) AS new (id, payload, updated, token),
         LATERAL (
             SELECT payload, source_updated_at_utc, source_sync_token, source_answered_at_utc
             FROM \"{table}\" WHERE id = new.id
             OFFSET 0
         ) AS stored
         WHERE stored.payload IS NOT DISTINCT FROM new.payload
            OR (coalesce(stored.source_updated_at_utc, '-infinity'), coalesce(stored.source_sync_token, -1),
                   stored.source_answered_at_utc)
             > (coalesce(new.updated, '-infinity'), coalesce(new.token, -1), $5::timestamptz)"
    )
}

/// Whether something in the database may drop or change what is written to a table: a trigger, a rule or a row policy.
pub(in crate::postgres) const MEDDLED: &str = "
    SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = class.oid AND NOT tgisinternal AND tgenabled <> 'D')
        OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = class.oid)
        OR row_security_active(class.oid)
    FROM pg_class AS class WHERE class.oid = to_regclass($1)";

/// Runs `MEDDLED` for one table.
pub(in crate::postgres) async fn is_meddled(
    transaction: &Transaction<'_>,
    meddled: &Statement,
    table: &TableName,
) -> Result<bool, StoreErrorKind> {
    let row = transaction.query_opt(meddled, &[&format!("\"{table}\"")]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
}

/// Prepares the query for which documents are stored already.
pub(in crate::postgres) async fn prepare_look_up(
    transaction: &Transaction<'_>,
    page: &PageCommit,
) -> Result<Statement, StoreErrorKind> {
    Ok(transaction.prepare_cached(&look_up_sql(&page.pipeline.table)).await?)
}

/// What is stored under the id of a candidate.
#[derive(Clone, Debug)]
pub(in crate::postgres) struct Stored {
    pub(in crate::postgres) digest: Vec<u8>,
    updated_at: Option<OffsetDateTime>,
    says_nothing: bool,
    sync_token: Option<i64>,
    /// Whether the row is marked as gone at the source.
    pub(in crate::postgres) is_gone: bool,
}

impl Stored {
    /// Equal bytes are one version: a row that claims another version was changed since it was committed.
    fn is(&self, candidate: &Candidate<'_>) -> bool {
        // PostgreSQL keeps microseconds.
        let micros = |at: Option<OffsetDateTime>| at.map(|at| at.unix_timestamp_nanos() / 1000);
        *self.digest == *candidate.digest.as_bytes()
            && self.sync_token == candidate.row.sync_token
            && micros(self.updated_at) == micros(candidate.row.updated_at)
    }
}

/// What has to be done about a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::postgres) enum Work {
    /// Nothing: it is stored already, byte for byte and with its version.
    Nothing,
    /// It is written unless its row is newer.
    Write,
    /// As `Write`, and its row loses the mark that says that the source no longer has it.
    WriteAndUnmark,
}

/// What has to be done about each candidate, and which rows were changed by hand since. If documents are compared by content,
/// all are written.
pub(in crate::postgres) async fn work(
    transaction: &Transaction<'_>,
    look_up: &Statement,
    candidates: &[Candidate<'_>],
    by_content: bool,
) -> Result<(Vec<Work>, Altered), StoreErrorKind> {
    let stored = look_up_all(&**transaction, look_up, candidates).await?;
    let mut altered = Altered::default();
    let mut work = Vec::with_capacity(candidates.len());
    for (candidate, stored) in candidates.iter().zip(stored) {
        let same = stored.as_ref().filter(|stored| !by_content && stored.is(candidate));
        if let Some(stored) = same {
            note_altered(&mut altered, candidate.row, stored.updated_at, stored.says_nothing);
        }
        work.push(match (&stored, same) {
            (Some(stored), _) if stored.is_gone => Work::WriteAndUnmark,
            (_, Some(_)) => Work::Nothing,
            _ => Work::Write,
        });
    }
    Ok((work, altered))
}

/// What is stored under each candidate's id.
pub(in crate::postgres) async fn stored(
    client: &Object,
    table: &TableName,
    candidates: &[Candidate<'_>],
) -> Result<Vec<Option<Stored>>, StoreErrorKind> {
    let look_up = client.prepare_cached(&look_up_sql(table)).await?;
    look_up_all(&***client, &look_up, candidates).await
}

async fn look_up_all(
    client: &impl GenericClient,
    look_up: &Statement,
    candidates: &[Candidate<'_>],
) -> Result<Vec<Option<Stored>>, StoreErrorKind> {
    let mut all = vec![None; candidates.len()];
    if candidates.is_empty() {
        return Ok(all);
    }
    let ids: Vec<&str> = candidates.iter().map(|candidate| &*candidate.row.id).collect();
    for row in client.query(look_up, &[&ids]).await? {
        if let Ok(at) = position(candidates, row.try_get(0)?) {
            all[at] = Some(Stored {
                digest: row.try_get(1)?,
                updated_at: row.try_get(2)?,
                says_nothing: row.try_get(3)?,
                sync_token: row.try_get(4)?,
                is_gone: row.try_get(5)?,
            });
        }
    }
    Ok(all)
}

/// Writes the candidates of a page. One that the server refuses goes to quarantine alone: the rest is committed. What the table
/// may not have kept is read back before the commit: rows that were not returned, and all rows if something `meddles` with the
/// table. The rows that are `marked` as gone lose their marks.
pub(in crate::postgres) async fn land(
    transaction: &Transaction<'_>,
    page: &PageCommit,
    landing: &mut PreparedPage<'_>,
    (marked, meddles): (&[&str], bool),
) -> Result<(), StoreErrorKind> {
    let candidates = mem::take(&mut landing.candidates);
    if candidates.is_empty() {
        return Ok(());
    }
    gone::restore(transaction, &page.pipeline.table, marked).await?;
    let upsert = match transaction.prepare_cached(&upsert_sql(&page.pipeline.table)).await {
        Ok(upsert) => upsert,
        Err(error) if meddles && refuses_rows(&error) => return Err(altered(page, candidates.len())),
        Err(error) => return Err(error.into()),
    };
    let mut parts = in_statements(&candidates);
    parts.reverse();
    while let Some(part) = parts.pop() {
        match write(transaction, &upsert, page, part).await {
            Ok(written) => {
                let inserted = returned(part, &written)?;
                let doubtful = part.iter().zip(&inserted).filter(|(_, written)| meddles || written.is_none());
                let doubtful: Vec<_> = doubtful.map(|(candidate, _)| *candidate).collect();
                confirm(transaction, page, &doubtful).await?;
                count(landing, part, (&inserted, marked));
            }
            Err(error) if is_about_one_record(&error) => {
                transaction.batch_execute("ROLLBACK TO SAVEPOINT part").await?;
                if let [one] = part {
                    let code = error.code().map_or("", tokio_postgres::error::SqlState::code);
                    landing.put_aside(
                        one.row,
                        format!("the database cannot store the document (SQLSTATE {code})"),
                    );
                } else {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
            Err(error) if meddles && refuses_rows(&error) => return Err(altered(page, part.len())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Checks that documents are stored as they were sent, or in a newer version.
async fn confirm(
    transaction: &Transaction<'_>,
    page: &PageCommit,
    doubtful: &[Candidate<'_>],
) -> Result<(), StoreErrorKind> {
    if doubtful.is_empty() {
        return Ok(());
    }
    let confirm = transaction.prepare_cached(&confirm_sql(&page.pipeline.table)).await?;
    let ids: Vec<&str> = doubtful.iter().map(|c| &*c.row.id).collect();
    let payloads: Vec<Jsonb<'_>> = doubtful.iter().map(|c| Jsonb(&c.row.payload)).collect();
    let updated: Vec<Option<OffsetDateTime>> = doubtful.iter().map(|c| c.row.updated_at).collect();
    let tokens: Vec<Option<i64>> = doubtful.iter().map(|c| c.row.sync_token).collect();
    let stored =
        transaction.query(&confirm, &[&ids, &payloads, &updated, &tokens, &page.answered_at]).await?.len();
    if stored == doubtful.len() { Ok(()) } else { Err(altered(page, doubtful.len().saturating_sub(stored))) }
}

fn altered(page: &PageCommit, rows: usize) -> StoreErrorKind {
    StoreErrorKind::RowsAltered { table: page.pipeline.table.as_str().into(), rows: rows as u64 }
}

/// Whether the server refuses the rows: a table with rules cannot be written with ON CONFLICT (SQLSTATE 0A000), and a row
/// policy does not accept a row (42501).
fn refuses_rows(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| ["0A000", "42501"].contains(&code.code()))
}

/// Splits at [`STATEMENT_BYTES`]; a part has at least one candidate.
pub(in crate::postgres) fn in_statements<'c, 'a>(
    mut candidates: &'c [Candidate<'a>],
) -> Vec<&'c [Candidate<'a>]> {
    let mut parts = Vec::new();
    while !candidates.is_empty() {
        let mut bytes = 0;
        let fits = |candidate: &&Candidate<'_>| {
            bytes += candidate.row.payload.len();
            bytes <= STATEMENT_BYTES
        };
        let len = candidates.iter().take_while(fits).count().max(1);
        let (part, rest) = candidates.split_at(len);
        parts.push(part);
        candidates = rest;
    }
    parts
}

/// Runs the upsert after a savepoint; both are sent together, so the savepoint costs no round trip.
async fn write(
    transaction: &Transaction<'_>,
    upsert: &Statement,
    page: &PageCommit,
    part: &[Candidate<'_>],
) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
    let window = |candidate: &Candidate<'_>| page.windows[candidate.row.window].window;
    let ids: Vec<&str> = part.iter().map(|c| &*c.row.id).collect();
    let payloads: Vec<Jsonb<'_>> = part.iter().map(|c| Jsonb(&c.row.payload)).collect();
    let starts: Vec<OffsetDateTime> = part.iter().map(|c| window(c).start()).collect();
    let ends: Vec<OffsetDateTime> = part.iter().map(|c| window(c).end()).collect();
    let updated: Vec<Option<OffsetDateTime>> = part.iter().map(|c| c.row.updated_at).collect();
    let days: Vec<Option<Date>> = part.iter().map(|c| c.row.updated_on).collect();
    let tokens: Vec<Option<i64>> = part.iter().map(|c| c.row.sync_token).collect();
    let digests: Vec<&[u8]> = part.iter().map(|c| c.digest.as_bytes()).collect();
    let (number, size) = (page.page_number.cast_signed(), page.page_size.cast_signed());
    let request = Jsonb(page.request.as_bytes());
    let parameters: [&(dyn postgres_types::ToSql + Sync); 16] = [
        &ids,
        &payloads,
        &starts,
        &ends,
        &updated,
        &tokens,
        &digests,
        &page.ingested_at,
        &number,
        &size,
        &request,
        &page.answered_at,
        &page.started_at,
        &page.by_content,
        &page.latest_at,
        &days,
    ];
    let written = futures_util::try_join!(
        transaction.batch_execute("SAVEPOINT part"),
        transaction.query(upsert, &parameters),
    )?;
    Ok(written.1)
}

pub(in crate::postgres) fn is_about_one_record(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| ABOUT_ONE_RECORD.contains(&code.code()))
}

/// What the statement returned for a part: for each row that was written, whether it was inserted.
fn returned(
    part: &[Candidate<'_>],
    written: &[tokio_postgres::Row],
) -> Result<Vec<Option<bool>>, StoreErrorKind> {
    let mut inserted: Vec<Option<bool>> = vec![None; part.len()];
    for row in written {
        if let Ok(at) = position(part, row.try_get(0)?) {
            inserted[at] = Some(row.try_get(1)?);
        }
    }
    Ok(inserted)
}

/// Counts a part: a row that was not written is stored already, and has changed only if it has lost its mark.
fn count(
    landing: &mut PreparedPage<'_>,
    part: &[Candidate<'_>],
    (inserted, marked): (&[Option<bool>], &[&str]),
) {
    for (candidate, inserted) in part.iter().zip(inserted) {
        let counts = landing.tally.of(candidate.row);
        match inserted {
            Some(true) => counts.inserted += 1,
            Some(false) => counts.updated += 1,
            None if marked.binary_search(&&*candidate.row.id).is_ok() => counts.updated += 1,
            None => counts.unchanged += 1,
        }
    }
}

fn position(candidates: &[Candidate<'_>], id: &str) -> Result<usize, usize> {
    candidates.binary_search_by(|candidate| (*candidate.row.id).cmp(id))
}

/// Number of rows in a table.
pub(in crate::postgres) async fn count_rows(
    client: &Client,
    table: &TableName,
) -> Result<u64, StoreErrorKind> {
    let rows: i64 = client.query_one(&format!("SELECT count(*) FROM \"{table}\""), &[]).await?.try_get(0)?;
    Ok(rows.cast_unsigned())
}
