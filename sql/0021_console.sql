-- qbo-backfill, schema version 21: what people who watch the runs want to know: who did what, which workers are alive, and why something failed.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- What no other table holds: waits, retries, refusals, and acts of people. Never a secret, and never the text of a document.
CREATE TABLE IF NOT EXISTS backfill_event (
    event_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at_utc  timestamptz NOT NULL,
    level            text NOT NULL CHECK (level IN ('info', 'warning', 'error')),
    phase            text NOT NULL,
    event            text NOT NULL,
    run_id           text,
    entity_name      text,
    trigger_name     text,
    by_whom          text,
    error_code       text,
    detail           text
);
CREATE INDEX IF NOT EXISTS backfill_event_by_time ON backfill_event (happened_at_utc, event_id);

-- One line per process that waits for triggers; it writes its line every few seconds. resting: the triggers whose runs it delays, each with
-- the time at which it tries again, and the reason.
CREATE TABLE IF NOT EXISTS backfill_worker (
    worker          text PRIMARY KEY,
    version         text NOT NULL,
    profile         text,
    activity        text NOT NULL CHECK (activity IN ('waiting', 'running', 'ended')),
    running         text[] NOT NULL DEFAULT '{}',
    resting         jsonb NOT NULL DEFAULT '[]',
    started_at_utc  timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at_utc     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A word that programs can sort failures by, beside the sentence that people read.
ALTER TABLE backfill_log ADD COLUMN IF NOT EXISTS error_code text;
ALTER TABLE backfill_run ADD COLUMN IF NOT EXISTS error_code text;
ALTER TABLE backfill_trigger ADD COLUMN IF NOT EXISTS error_code text;

-- Who asked for it.
ALTER TABLE backfill_run ADD COLUMN IF NOT EXISTS stop_requested_by text;
ALTER TABLE backfill_trigger ADD COLUMN IF NOT EXISTS stop_requested_by text;
ALTER TABLE backfill_trigger_history ADD COLUMN IF NOT EXISTS by_whom text;

-- Which windows of its range a trigger's run reads: those that are not completed when it fires, those that have failed by then, or all.
ALTER TABLE backfill_trigger ADD COLUMN IF NOT EXISTS what text NOT NULL DEFAULT 'open'
    CONSTRAINT backfill_trigger_what_check CHECK (what IN ('open', 'failed', 'again'));

CREATE INDEX IF NOT EXISTS backfill_page_by_commit ON backfill_page (committed_at_utc);
CREATE INDEX IF NOT EXISTS backfill_trigger_history_by_time ON backfill_trigger_history (happened_at_utc);
-- Few windows are not completed, and these are what people look for.
CREATE INDEX IF NOT EXISTS backfill_log_not_completed ON backfill_log (entity_name, time_axis, window_start_utc, window_end_utc)
    WHERE status <> 'completed';
CREATE INDEX IF NOT EXISTS backfill_verification_newest
    ON backfill_verification (entity_name, method, verified_at_utc DESC, verification_id DESC);

-- A loader deletes nothing; this function, with the rights of its owner, removes only what is too old to be looked at, and returns the number of
-- the events.
CREATE OR REPLACE FUNCTION remove_old_events() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    WITH workers AS (
        DELETE FROM backfill_worker WHERE seen_at_utc < clock_timestamp() - interval '180 days'
    ), events AS (
        DELETE FROM backfill_event WHERE happened_at_utc < clock_timestamp() - interval '180 days'
        RETURNING 1
    )
    SELECT count(*) FROM events
$$;
REVOKE EXECUTE ON FUNCTION remove_old_events() FROM PUBLIC;

-- A reader may see all of this, the budget of calls, and of quarantine everything but the documents and what brought them.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'qbo_loader') THEN
        GRANT SELECT, INSERT, UPDATE ON backfill_event, backfill_worker TO qbo_loader;
        GRANT EXECUTE ON FUNCTION remove_old_events() TO qbo_loader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'qbo_reader') THEN
        GRANT SELECT ON backfill_event, backfill_worker, call_budget TO qbo_reader;
        GRANT SELECT (entity_name, digest, record_id, reason, window_start_utc, window_end_utc, run_id, page_number, first_seen_at_utc,
                last_seen_at_utc, resolved_at_utc, time_axis, accepted_at_utc, accepted_by, accepted_reason, has_row)
            ON quarantine TO qbo_reader;
    END IF;
END
$$;

INSERT INTO schema_version (version, name) VALUES (21, 'console') ON CONFLICT (version) DO NOTHING;
