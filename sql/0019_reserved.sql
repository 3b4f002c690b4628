-- qbo-backfill, schema version 19: nothing. The number belongs to a change that is developed at the same time, whose script takes the place of
-- this one.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

INSERT INTO schema_version (version, name) VALUES (19, 'reserved') ON CONFLICT (version) DO NOTHING;
