-- qbo-backfill, schema version 14: a page is entered only on top of the page before it.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- The page of its run that changed the line last; 0 since it was opened. Each page says what has to stand here, so a database that forgot a
-- page, because it was put back or a standby that lagged behind took over, takes none that comes behind it.
ALTER TABLE backfill_log ADD COLUMN IF NOT EXISTS page_number integer NOT NULL DEFAULT 0;

INSERT INTO schema_version (version, name) VALUES (14, 'chain') ON CONFLICT (version) DO NOTHING;
