-- qbo-backfill, schema version 5: what is in quarantine is resolved when its window is read to the end without it. Nothing is deleted.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

ALTER TABLE quarantine ADD COLUMN IF NOT EXISTS resolved_at_utc timestamptz;

INSERT INTO schema_version (version, name) VALUES (5, 'quarantine') ON CONFLICT (version) DO NOTHING;
