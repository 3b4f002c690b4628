-- qbo-backfill, schema version 8: whether a count at QuickBooks has confirmed what a window holds. A run that is stopped between its last page and its
-- count leaves that to the next one, and no window is counted together with one that was confirmed before: edits since would hide what it lacks.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = to_regclass('backfill_log') AND attname = 'counted_at_utc' AND NOT attisdropped
    ) THEN
        ALTER TABLE backfill_log ADD COLUMN counted_at_utc timestamptz;
        -- Older programs counted at the end of every run.
        UPDATE backfill_log SET counted_at_utc = finished_at_utc WHERE status = 'completed';
    END IF;
END
$$;

INSERT INTO schema_version (version, name) VALUES (8, 'counted') ON CONFLICT (version) DO NOTHING;
