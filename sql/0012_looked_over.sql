-- qbo-backfill, schema version 12: the rows of a window are counted by an index. (The view v_backfill_daily of version 10 has changed, too.)

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- The index by the time of the last change, which create_raw_table (version 3) gives to each new table, for those that were there before. To build
-- one keeps everybody from writing; for a large table qbo-backfill (db init) does it while others write.
DO $$
DECLARE
    table_name text;
BEGIN
    FOR table_name IN
        SELECT relname FROM pg_class AS class
        WHERE relnamespace = to_regnamespace(current_schema()) AND relkind = 'r' AND pg_relation_size(oid) < 64 * 1024 * 1024
          AND EXISTS (
              SELECT FROM pg_attribute WHERE attrelid = class.oid AND attname = 'payload_digest' AND NOT attisdropped)
          AND NOT EXISTS (
              SELECT FROM pg_index AS index
              JOIN pg_attribute AS column_ ON column_.attrelid = class.oid AND column_.attnum = index.indkey[0]
              WHERE index.indrelid = class.oid AND column_.attname = 'source_updated_at_utc')
    LOOP
        EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %I.%I (source_updated_at_utc)',
            table_name || '_by_update', current_schema(), table_name);
    END LOOP;
END
$$;

INSERT INTO schema_version (version, name) VALUES (12, 'looked over') ON CONFLICT (version) DO NOTHING;
