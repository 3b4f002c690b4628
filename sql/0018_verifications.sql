-- qbo-backfill, schema version 18: what each verification has shown.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- One line per verification and pipeline. Nothing is replaced: the newest line counts. A verification is no run, and its id is in no other table.
CREATE TABLE IF NOT EXISTS backfill_verification (
    verification_id  text NOT NULL,
    entity_name      text NOT NULL,
    method           text NOT NULL CHECK (method IN ('compared', 'count')),
    span_start_utc   timestamptz NOT NULL,
    span_end_utc     timestamptz NOT NULL,
    result           text NOT NULL CHECK (result IN ('confirmed', 'differs', 'incomplete')),
    records_counted  bigint NOT NULL,
    records_same     bigint NOT NULL,
    records_missing  bigint NOT NULL,
    records_changed  bigint NOT NULL,
    rows_gone        bigint NOT NULL,
    rows_marked      bigint NOT NULL,
    calls            bigint NOT NULL,
    verified_at_utc  timestamptz NOT NULL,
    PRIMARY KEY (verification_id, entity_name),
    CHECK (span_start_utc < span_end_utc)
);

INSERT INTO schema_version (version, name) VALUES (18, 'verifications') ON CONFLICT (version) DO NOTHING;
