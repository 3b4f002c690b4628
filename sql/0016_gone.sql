-- qbo-backfill, schema version 16: a row says when its record was found to be gone at the source. The columns, their index and the view of the
-- live records come from complete_raw_table (version 3).

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- Tables that were there before. A partition gets its columns from the table that it is part of.
DO $$
DECLARE
    table_name text;
BEGIN
    FOR table_name IN
        SELECT relname FROM pg_class AS class
        WHERE relnamespace = to_regnamespace(current_schema()) AND relkind IN ('r', 'p') AND NOT relispartition
          AND EXISTS (
              SELECT FROM pg_attribute WHERE attrelid = class.oid AND attname = 'payload_digest' AND NOT attisdropped)
    LOOP
        PERFORM complete_raw_table(table_name);
    END LOOP;
END
$$;

INSERT INTO schema_version (version, name) VALUES (16, 'gone') ON CONFLICT (version) DO NOTHING;
