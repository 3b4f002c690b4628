//! Remembers which parts of a request the source refuses.

use time::OffsetDateTime;
use tokio_postgres::Client;

use crate::{SourceRefusal, StoreErrorKind};

const ALL: &str =
    "SELECT entity_name, part, refused_at_utc, program FROM source_refusal ORDER BY entity_name, part";

const KEEP: &str = "
    INSERT INTO source_refusal (entity_name, part, refused_at_utc, program)
    SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[])
    ON CONFLICT (entity_name, part) DO UPDATE SET
        refused_at_utc = EXCLUDED.refused_at_utc,
        program = EXCLUDED.program";

/// Lists all refusals.
pub(super) async fn all(client: &Client) -> Result<Vec<SourceRefusal>, StoreErrorKind> {
    let rows = client.query(ALL, &[]).await?;
    let refusal = |row: &tokio_postgres::Row| {
        let text = |at| row.try_get::<_, String>(at).map(Into::into);
        Ok(SourceRefusal {
            entity_name: text(0)?,
            part: text(1)?,
            refused_at: row.try_get(2)?,
            program: text(3)?,
        })
    };
    rows.iter().map(refusal).collect()
}

/// Remembers refusals; a part that was refused before is refused anew.
pub(super) async fn keep(client: &Client, refusals: &[SourceRefusal]) -> Result<(), StoreErrorKind> {
    let texts = |text: fn(&SourceRefusal) -> &str| refusals.iter().map(text).collect::<Vec<_>>();
    let at: Vec<OffsetDateTime> = refusals.iter().map(|one| one.refused_at).collect();
    let names = texts(|one| &one.entity_name);
    client.execute(KEEP, &[&names, &texts(|one| &one.part), &at, &texts(|one| &one.program)]).await?;
    Ok(())
}
