-- qbo-backfill, schema version 4: windows of an entity that the company does not have, by its plan, its country or the rights of who
-- consented. They have not failed, and they are not empty.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

DO $$
BEGIN
    -- Exchanging the constraint reads the whole log under an exclusive lock, so it is done once.
    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = to_regclass('backfill_log') AND conname = 'backfill_log_status_check'
          AND pg_get_constraintdef(oid) LIKE '%unavailable%'
    ) THEN
        ALTER TABLE backfill_log DROP CONSTRAINT IF EXISTS backfill_log_status_check;
        ALTER TABLE backfill_log ADD CONSTRAINT backfill_log_status_check
            CHECK (status IN ('pending', 'running', 'completed', 'provisional', 'failed', 'unavailable'));
    END IF;
END
$$;

ALTER TABLE backfill_run_pipeline ADD COLUMN IF NOT EXISTS windows_unavailable bigint NOT NULL DEFAULT 0;

INSERT INTO schema_version (version, name) VALUES (4, 'unavailable') ON CONFLICT (version) DO NOTHING;
