-- qbo-backfill, schema version 1: the ledger of runs, pages and windows, and the raw tables of the first three pipelines.
--
-- Every script here can be run again at any time, by qbo-backfill (db init), by psql -f, or by a PostgreSQL container as an init script.
-- The schema's name stands only in the two lines marked /*schema*/; qbo-backfill puts another name there when --schema asks for one.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog;

CREATE TABLE IF NOT EXISTS schema_version (
    version        integer PRIMARY KEY,
    name           text NOT NULL,
    applied_at_utc timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The one company whose rows this schema holds. QuickBooks ids of different companies collide, so the database itself refuses a second
-- one: the primary key can only be true, and every run refers to this row.
CREATE TABLE IF NOT EXISTS source_identity (
    only_one     boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    realm_id     text NOT NULL,
    environment  text NOT NULL,
    bound_at_utc timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (realm_id, environment)
);

CREATE TABLE IF NOT EXISTS backfill_run (
    run_id           text PRIMARY KEY,
    realm_id         text NOT NULL,
    environment      text NOT NULL,
    seed             bigint NOT NULL,
    chunk            text NOT NULL,
    range_start_utc  timestamptz NOT NULL,
    range_end_utc    timestamptz NOT NULL,
    status           text NOT NULL CHECK (status IN ('running', 'completed', 'incomplete', 'failed', 'stopped')),
    message          text,
    started_at_utc   timestamptz NOT NULL,
    finished_at_utc  timestamptz,
    calls            bigint NOT NULL DEFAULT 0,
    retries          bigint NOT NULL DEFAULT 0,
    waited_seconds   double precision NOT NULL DEFAULT 0,
    CHECK (range_start_utc < range_end_utc),
    FOREIGN KEY (realm_id, environment) REFERENCES source_identity (realm_id, environment)
);

-- Totals per run and pipeline, added to in the transaction of each page: exact for a killed run too, and kept when a later run reads
-- the same windows again.
CREATE TABLE IF NOT EXISTS backfill_run_pipeline (
    run_id               text NOT NULL REFERENCES backfill_run (run_id) ON DELETE CASCADE,
    entity_name          text NOT NULL,
    time_axis            text NOT NULL,
    records_inserted     bigint NOT NULL DEFAULT 0,
    records_updated      bigint NOT NULL DEFAULT 0,
    records_unchanged    bigint NOT NULL DEFAULT 0,
    records_quarantined  bigint NOT NULL DEFAULT 0,
    pages_read           bigint NOT NULL DEFAULT 0,
    windows_opened       bigint NOT NULL DEFAULT 0,
    windows_completed    bigint NOT NULL DEFAULT 0,
    windows_provisional  bigint NOT NULL DEFAULT 0,
    windows_failed       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, entity_name)
);

-- One line per pipeline, time axis and window. The totals of its last attempt; history is in backfill_run_pipeline and backfill_page.
CREATE TABLE IF NOT EXISTS backfill_log (
    entity_name          text NOT NULL,
    time_axis            text NOT NULL,
    window_start_utc     timestamptz NOT NULL,
    window_end_utc       timestamptz NOT NULL,
    status               text NOT NULL DEFAULT 'pending'
                         CHECK (status IN ('pending', 'running', 'completed', 'provisional', 'failed')),
    records_read         bigint NOT NULL DEFAULT 0,
    records_inserted     bigint NOT NULL DEFAULT 0,
    records_updated      bigint NOT NULL DEFAULT 0,
    records_unchanged    bigint NOT NULL DEFAULT 0,
    records_quarantined  bigint NOT NULL DEFAULT 0,
    pages_read           bigint NOT NULL DEFAULT 0,
    duration_seconds     double precision NOT NULL DEFAULT 0,
    started_at_utc       timestamptz,
    finished_at_utc      timestamptz,
    error_message        text,
    run_id               text REFERENCES backfill_run (run_id) ON DELETE SET NULL,
    attempts             integer NOT NULL DEFAULT 0,
    -- How far a scan has read inside the window, and the ids already landed at that instant.
    cursor_utc           timestamptz,
    cursor_ids           text[],
    PRIMARY KEY (entity_name, time_axis, window_start_utc, window_end_utc),
    CHECK (window_start_utc < window_end_utc),
    CHECK (records_read = records_inserted + records_updated + records_unchanged + records_quarantined)
);
CREATE INDEX IF NOT EXISTS backfill_log_by_start ON backfill_log (window_start_utc);

-- Every committed page. Its key makes a repeated commit (after an answer that was lost) a no-op.
CREATE TABLE IF NOT EXISTS backfill_page (
    run_id               text NOT NULL REFERENCES backfill_run (run_id) ON DELETE CASCADE,
    entity_name          text NOT NULL,
    page_number          integer NOT NULL,
    request_payload      jsonb NOT NULL,
    records_inserted     bigint NOT NULL,
    records_updated      bigint NOT NULL,
    records_unchanged    bigint NOT NULL,
    records_quarantined  bigint NOT NULL,
    -- What became of the records of each window: [[inserted, updated, unchanged, quarantined], ...]. The answer to a repeated commit.
    outcome              jsonb NOT NULL,
    answered_at_utc      timestamptz NOT NULL,
    committed_at_utc     timestamptz NOT NULL,
    PRIMARY KEY (run_id, entity_name, page_number)
);

-- Who may write for a pipeline. The epoch grows with every owner and is checked in every page transaction. The owner is known by the
-- server process of a connection that it keeps open: when it dies, however it dies, that connection goes and the pipeline is free.
CREATE TABLE IF NOT EXISTS backfill_lease (
    entity_name          text PRIMARY KEY,
    epoch                bigint NOT NULL,
    holder               text NOT NULL,
    backend_pid          integer,
    backend_started_at   timestamptz,
    taken_at_utc         timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Documents that cannot be rows of their table: kept with their bytes as received, and the reason.
CREATE TABLE IF NOT EXISTS quarantine (
    entity_name          text NOT NULL,
    digest               bytea NOT NULL,
    record_id            text,
    reason               text NOT NULL,
    raw                  bytea NOT NULL,
    window_start_utc     timestamptz NOT NULL,
    window_end_utc       timestamptz NOT NULL,
    run_id               text REFERENCES backfill_run (run_id) ON DELETE SET NULL,
    page_number          integer NOT NULL,
    request_payload      jsonb NOT NULL,
    first_seen_at_utc    timestamptz NOT NULL,
    last_seen_at_utc     timestamptz NOT NULL,
    PRIMARY KEY (entity_name, digest)
);

-- Creates the raw table of one pipeline. lz4 loads almost twice as fast as the default compression; servers built without it keep the default.
-- Version 3 makes it safe to give to a loader; running this script again must not take that back.
DO $guard$
BEGIN
    IF to_regprocedure('create_raw_table(text)') IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE $create$
CREATE FUNCTION create_raw_table(table_name text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    target text := format('%I.%I', current_schema(), table_name);
BEGIN
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %s (
            id                       text PRIMARY KEY,
            payload                  jsonb NOT NULL,
            ingested_at_utc          timestamptz NOT NULL,
            extract_window_start_utc timestamptz NOT NULL,
            extract_window_end_utc   timestamptz NOT NULL,
            page_number              integer NOT NULL,
            page_size                integer NOT NULL,
            request_payload          jsonb NOT NULL,
            source_updated_at_utc    timestamptz,
            source_sync_token        bigint,
            source_answered_at_utc   timestamptz NOT NULL,
            payload_digest           bytea NOT NULL
        )', target);
    BEGIN
        EXECUTE format('ALTER TABLE %s ALTER COLUMN payload SET COMPRESSION lz4', target);
    EXCEPTION WHEN feature_not_supported OR syntax_error THEN
        RAISE DEBUG 'this server has no lz4; payload keeps the default compression';
    END;
END
$$;
    $create$;
END
$guard$;

SELECT create_raw_table('qb_invoices');
SELECT create_raw_table('qb_customers');
SELECT create_raw_table('qb_items');

INSERT INTO schema_version (version, name) VALUES (1, 'ledger') ON CONFLICT (version) DO NOTHING;
