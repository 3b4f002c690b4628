//! Records which files of attachments were downloaded.

use time::OffsetDateTime;
use tokio_postgres::{Client, Row};

use super::rows::kept;
use super::version::exists;
use crate::{AttachmentFile, AttachmentRecord, AttachmentState, StoreErrorKind, TableName};

/// Without an edit counter, a document counts as older than one with it.
fn all_sql(table: &TableName) -> String {
    format!(
        "SELECT stored.id, recorded_at_utc, file_name, size_bytes, sha256, known.source_sync_token,
             coalesce(known.source_sync_token, -1) >= coalesce(stored.source_sync_token, -1)
         FROM \"{table}\" AS stored LEFT JOIN attachment_file AS known ON known.id = stored.id
         WHERE stored.id > $1 AND gone_found_at_utc IS NULL
         ORDER BY stored.id LIMIT $2"
    )
}

const KEEP: &str = "
    INSERT INTO attachment_file (id, file_name, size_bytes, sha256, source_sync_token, recorded_at_utc)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (id) DO UPDATE SET
        file_name = EXCLUDED.file_name,
        size_bytes = EXCLUDED.size_bytes,
        sha256 = EXCLUDED.sha256,
        source_sync_token = EXCLUDED.source_sync_token,
        recorded_at_utc = EXCLUDED.recorded_at_utc";

/// Lists stored documents with their downloads.
pub(super) async fn all(
    client: &Client,
    table: &TableName,
    after: &str,
    limit: u32,
) -> Result<Vec<AttachmentState>, StoreErrorKind> {
    if !exists(client, table.as_str()).await? {
        return Ok(Vec::new());
    }
    let rows = client.query(&all_sql(table), &[&after, &i64::from(limit)]).await?;
    rows.iter().map(state).collect()
}

/// Records a download, in place of an earlier one.
pub(super) async fn keep(client: &Client, record: &AttachmentRecord) -> Result<(), StoreErrorKind> {
    let file = record.file.as_ref();
    let written = client
        .execute(
            KEEP,
            &[
                &&*record.id,
                &file.map(|file| &*file.name),
                &file.map(|file| file.size.cast_signed()),
                &file.map(|file| &*file.sha256),
                &record.sync_token,
                &record.recorded_at,
            ],
        )
        .await?;
    kept("attachment_file", written, 1)
}

fn state(row: &Row) -> Result<AttachmentState, StoreErrorKind> {
    let id: Box<str> = row.try_get::<_, &str>(0)?.into();
    let text = |at| row.try_get::<_, Option<&str>>(at).map(|text| text.map(Box::from));
    let file = match (text(2)?, row.try_get::<_, Option<i64>>(3)?, text(4)?) {
        (Some(name), Some(size), Some(sha256)) => {
            Some(AttachmentFile { name, size: size.cast_unsigned(), sha256 })
        }
        _ => None,
    };
    let (recorded_at, sync_token): (Option<OffsetDateTime>, _) = (row.try_get(1)?, row.try_get(5)?);
    let record =
        recorded_at.map(|recorded_at| AttachmentRecord { id: id.clone(), file, sync_token, recorded_at });
    let is_current = record.is_some() && row.try_get(6)?;
    Ok(AttachmentState { id, record, is_current })
}
