//! Compares a vault's token with the newest one recorded for its lineage, so that an outdated copy is noticed.

use tokio_postgres::Client;

use crate::{LineageCheck, StoreErrorKind, TokenFingerprint};

/// Records a newer token, and returns the line. Two hosts take turns on the row; the one whose condition no longer holds then
/// returns nothing.
const TESTIFY: &str = "
    INSERT INTO consent_witness AS noted (lineage, generation, fingerprint, host) VALUES ($1, $2, $3, $4)
    ON CONFLICT (lineage) DO UPDATE SET
        generation = EXCLUDED.generation,
        fingerprint = EXCLUDED.fingerprint,
        host = EXCLUDED.host,
        seen_at_utc = clock_timestamp()
    WHERE noted.generation < EXCLUDED.generation
    RETURNING generation, fingerprint, host";

const NOTED: &str = "SELECT generation, fingerprint, host FROM consent_witness WHERE lineage = $1";

/// Compares a token with the recorded one, and records it if it is newer.
pub(super) async fn testify(
    client: &Client,
    seen: &TokenFingerprint,
) -> Result<LineageCheck, StoreErrorKind> {
    let generation = i64::try_from(seen.generation)
        .map_err(|_| StoreErrorKind::Configuration("the generation of the consent is absurd".into()))?;
    let (lineage, fingerprint, host) = (&*seen.lineage, &*seen.fingerprint, &*seen.host);
    let row = match client.query_opt(TESTIFY, &[&lineage, &generation, &fingerprint, &host]).await? {
        Some(row) => row,
        None => client.query_one(NOTED, &[&lineage]).await?,
    };
    let (generation, fingerprint, host): (i64, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let noted = TokenFingerprint {
        lineage: seen.lineage.clone(),
        generation: generation.cast_unsigned(),
        fingerprint: fingerprint.into(),
        host: host.into(),
    };
    Ok(LineageCheck::of(seen, noted))
}
