-- qbo-backfill, schema version 7: what is in quarantine says what its window measures. A window of another time with the same bounds says nothing
-- about it.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- Null in what older programs kept.
ALTER TABLE quarantine ADD COLUMN IF NOT EXISTS time_axis text;

INSERT INTO schema_version (version, name) VALUES (7, 'quarantine_axis') ON CONFLICT (version) DO NOTHING;
