//! Records events, and removes old ones.

use time::OffsetDateTime;
use tokio_postgres::Client;

use crate::postgres::rows::kept;
use crate::{NewEvent, RunId, StoreErrorKind, TriggerName};

/// In one statement: all of them, or none.
const RECORD: &str = "
    INSERT INTO backfill_event (happened_at_utc, level, phase, event, run_id, entity_name, trigger_name, by_whom, error_code,
        detail)
    SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::text[])";

const REMOVE: &str = "SELECT remove_old_events()";

pub(super) async fn record(client: &Client, events: &[NewEvent]) -> Result<(), StoreErrorKind> {
    if events.is_empty() {
        return Ok(());
    }
    let times: Vec<OffsetDateTime> = events.iter().map(|event| event.at).collect();
    let texts = |text: fn(&NewEvent) -> Option<&str>| events.iter().map(text).collect::<Vec<_>>();
    let written = client
        .execute(
            RECORD,
            &[
                &times,
                &texts(|event| Some(event.level.as_str())),
                &texts(|event| Some(event.phase.as_str())),
                &texts(|event| Some(&event.event)),
                &texts(|event| event.run.as_ref().map(RunId::as_str)),
                &texts(|event| event.entity_name.as_deref()),
                &texts(|event| event.trigger.as_ref().map(TriggerName::as_str)),
                &texts(|event| event.who.as_deref()),
                &texts(|event| event.code.as_deref()),
                &texts(|event| event.detail.as_deref()),
            ],
        )
        .await?;
    kept("backfill_event", written, events.len())
}

pub(super) async fn remove_old(client: &Client) -> Result<u64, StoreErrorKind> {
    Ok(client.query_one(REMOVE, &[]).await?.try_get::<_, i64>(0)?.cast_unsigned())
}
