-- qbo-backfill, schema version 9: one-time triggers. Each arming creates one run, in the transaction that spends it.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- The run is named and not referred to: deleting history changes nothing about a trigger.
CREATE TABLE IF NOT EXISTS backfill_trigger (
    trigger_name           text PRIMARY KEY,
    status                 text NOT NULL DEFAULT 'armed'
                           CHECK (status IN ('armed', 'running', 'done', 'failed', 'cancelled', 'expired')),
    fire_at_utc            timestamptz NOT NULL,
    if_missed              text NOT NULL CHECK (if_missed IN ('run', 'skip')),
    entity_names           text[] NOT NULL CHECK (cardinality(entity_names) > 0),
    time_axis              text NOT NULL,
    range_start_utc        timestamptz NOT NULL,
    range_end_utc          timestamptz NOT NULL,
    chunk                  text NOT NULL,
    -- Triggers of a chain run one after another, and stop behind one that is not done.
    chain                  text,
    chain_position         integer,
    run_id                 text UNIQUE,
    armings                integer NOT NULL DEFAULT 1,
    stop_requested_at_utc  timestamptz,
    changed_at_utc         timestamptz NOT NULL DEFAULT clock_timestamp(),
    message                text,
    UNIQUE (chain, chain_position),
    CHECK (range_start_utc < range_end_utc),
    CHECK ((chain IS NULL) = (chain_position IS NULL)),
    CHECK ((status = 'armed') <= (run_id IS NULL))
);
-- What a worker looks for twice a second.
CREATE INDEX IF NOT EXISTS backfill_trigger_open ON backfill_trigger (fire_at_utc) WHERE status IN ('armed', 'running');

CREATE TABLE IF NOT EXISTS backfill_trigger_history (
    entry            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trigger_name     text NOT NULL,
    happened_at_utc  timestamptz NOT NULL DEFAULT clock_timestamp(),
    event            text NOT NULL,
    run_id           text,
    detail           text
);
CREATE INDEX IF NOT EXISTS backfill_trigger_history_by_name ON backfill_trigger_history (trigger_name, entry);

-- When somebody asked a run to stop; its process looks every few seconds.
ALTER TABLE backfill_run ADD COLUMN IF NOT EXISTS stop_requested_at_utc timestamptz;

INSERT INTO schema_version (version, name) VALUES (9, 'triggers') ON CONFLICT (version) DO NOTHING;
