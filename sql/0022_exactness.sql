-- qbo-backfill, schema version 22: a row says how exact the time of its last change is: to the instant (source_updated_at_utc), to the day
-- (source_updated_on, where the source names no time, or one without its zone), or not at all. The column comes from complete_raw_table (version 3).

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- Tables that were there before. A partition gets its columns from the table that it is part of. Rows without a time are few, but for companies
-- that name days alone, where it takes as long as reading all of them. A day that no calendar has stays unknown.
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
        -- One whose columns somebody has changed is told by the check of the schema, and left as it is.
        CONTINUE WHEN NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = to_regclass(format('%I.%I', current_schema(), table_name)) AND attname = 'payload'
              AND atttypid = 'jsonb'::regtype AND NOT attisdropped);
        EXECUTE format(
            'WITH dated AS (
                SELECT id, regexp_match(payload #>> ''{MetaData,LastUpdatedTime}'',
                    ''^([1-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(?:[TZ+-].*)?$'')::integer[] AS part
                FROM %1$I WHERE source_updated_at_utc IS NULL AND source_updated_on IS NULL
            ), days AS (
                SELECT id, part, make_date(part[1], part[2], 1) + part[3] - 1 AS day FROM dated WHERE part IS NOT NULL
            )
            UPDATE %1$I AS stored SET source_updated_on = days.day
            FROM days WHERE days.id = stored.id AND extract(month FROM days.day) = days.part[2]', table_name);
    END LOOP;
END
$$;

INSERT INTO schema_version (version, name) VALUES (22, 'exactness') ON CONFLICT (version) DO NOTHING;
