-- qbo-backfill, schema version 11: a source that is down is tried by one call at a time, over all processes.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- Set while the source keeps failing: before this nobody tries it, and then one call does, which moves it on. A call that is served ends it.
ALTER TABLE call_budget ADD COLUMN IF NOT EXISTS down_until_utc timestamptz;
-- When a call of this place was served last: whoever cannot reach a source that serves others has a trouble of its own.
ALTER TABLE call_slot ADD COLUMN IF NOT EXISTS served_at_utc timestamptz;

INSERT INTO schema_version (version, name) VALUES (11, 'outage') ON CONFLICT (version) DO NOTHING;
