-- qbo-backfill, schema version 13: what is in quarantine is open until its record becomes sound or somebody accepts it. Nothing is deleted.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- A decision that the record may stay out of its table: when, by whom, and why. It holds for these bytes; other bytes are another entry.
ALTER TABLE quarantine ADD COLUMN IF NOT EXISTS accepted_at_utc timestamptz;
ALTER TABLE quarantine ADD COLUMN IF NOT EXISTS accepted_by text;
ALTER TABLE quarantine ADD COLUMN IF NOT EXISTS accepted_reason text;

-- Whether the record has its row: these bytes are then kept because the row cannot say all of them, and nobody has to decide anything.
ALTER TABLE quarantine ADD COLUMN IF NOT EXISTS has_row boolean NOT NULL DEFAULT false;
UPDATE quarantine SET has_row = true WHERE NOT has_row AND reason LIKE 'a key stands twice in one object: the row has the last one%';

-- A reader may see what is open, and nothing of its content.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'qbo_reader') THEN
        GRANT SELECT (entity_name, time_axis, window_start_utc, window_end_utc, resolved_at_utc, accepted_at_utc, has_row)
            ON quarantine TO qbo_reader;
    END IF;
END
$$;

INSERT INTO schema_version (version, name) VALUES (13, 'accepted') ON CONFLICT (version) DO NOTHING;
