-- qbo-backfill, schema version 3: a loader that may not create anything can still have a table for a new pipeline, and the rights that each
-- role of roles.sql has on such a table.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- What qbo_loader and qbo_reader may do with a raw table, where these roles exist. A reader sees what was read when, and no payload, in the
-- table and in its view of live records.
CREATE OR REPLACE FUNCTION grant_on_raw_table(table_name text) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    target text := format('%I.%I', current_schema(), table_name);
    relation text;
    columns text;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'qbo_loader') THEN
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %s TO qbo_loader', target);
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'qbo_reader') THEN
        FOREACH relation IN ARRAY ARRAY[target, format('%I.%I', current_schema(), 'v_' || table_name || '_live')] LOOP
            SELECT string_agg(attname, ', ') INTO columns FROM pg_attribute
            WHERE attrelid = to_regclass(relation) AND NOT attisdropped AND attname = ANY (ARRAY[
                'id', 'ingested_at_utc', 'extract_window_start_utc', 'extract_window_end_utc', 'page_number', 'page_size',
                'source_updated_at_utc', 'source_sync_token', 'source_answered_at_utc', 'gone_found_at_utc',
                'source_deleted_at_utc', 'source_updated_on']);
            IF columns IS NOT NULL THEN
                EXECUTE format('GRANT SELECT (%s) ON %s TO qbo_reader', columns, relation);
            END IF;
        END LOOP;
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION grant_on_raw_table(text) FROM PUBLIC;

-- Adds to a raw table what an earlier version created it without. It has the rights of its caller, so that any role may call it.
CREATE OR REPLACE FUNCTION complete_raw_table(table_name text) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    target text := format('%I.%I', current_schema(), table_name);
    live text := format('%I.%I', current_schema(), 'v_' || table_name || '_live');
    options text;
BEGIN
    -- Version 16: when the source was found to have the record no longer, and when it was deleted there, if the source still knew. ALTER TABLE
    -- waits for all readers of the table even if there is nothing to do.
    IF (SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(target) AND NOT attisdropped
            AND attname IN ('gone_found_at_utc', 'source_deleted_at_utc')) < 2 THEN
        EXECUTE format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS gone_found_at_utc timestamptz,
            ADD COLUMN IF NOT EXISTS source_deleted_at_utc timestamptz', target);
    END IF;
    -- Version 22: the day of the last change, where the source names a day and no time.
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(target) AND NOT attisdropped AND attname = 'source_updated_on') THEN
        EXECUTE format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS source_updated_on date', target);
    END IF;
    -- By it the marked rows of a stretch of time are counted. Few rows are marked.
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %s (gone_found_at_utc, source_updated_at_utc) WHERE gone_found_at_utc IS NOT NULL',
        table_name || '_gone', target);
    -- The records that the source still has, as far as verifications have looked.
    IF to_regclass(live) IS NULL THEN
        EXECUTE format('CREATE VIEW %s AS SELECT * FROM %s WHERE gone_found_at_utc IS NULL', live, target);
    ELSIF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(live) AND attname = 'source_updated_on') THEN
        -- With the options that an administrator has given it. A view that somebody has changed stays as it is.
        SELECT 'WITH (' || array_to_string(reloptions, ', ') || ')' INTO options FROM pg_class WHERE oid = to_regclass(live);
        BEGIN
            EXECUTE format('CREATE OR REPLACE VIEW %s %s AS SELECT * FROM %s WHERE gone_found_at_utc IS NULL',
                live, coalesce(options, ''), target);
        EXCEPTION WHEN invalid_table_definition OR wrong_object_type OR insufficient_privilege THEN
            RAISE NOTICE '% is not the view that this program has made, and stays as it is', live;
        END;
    END IF;
    PERFORM grant_on_raw_table(table_name);
END
$$;

-- Creates the raw table of one pipeline, with the rights of its owner. lz4 loads almost twice as fast as the default compression; servers
-- built without it keep the default.
CREATE OR REPLACE FUNCTION create_raw_table(table_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    target text := format('%I.%I', current_schema(), table_name);
BEGIN
    IF to_regclass(target) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format(
        'CREATE TABLE %s (
            id                       text PRIMARY KEY,
            payload                  jsonb NOT NULL,
            ingested_at_utc          timestamptz NOT NULL,
            extract_window_start_utc timestamptz NOT NULL,
            extract_window_end_utc   timestamptz NOT NULL,
            page_number              integer NOT NULL,
            page_size                integer NOT NULL,
            request_payload          jsonb NOT NULL,
            source_updated_at_utc    timestamptz,
            source_sync_token        bigint,
            source_answered_at_utc   timestamptz NOT NULL,
            payload_digest           bytea NOT NULL
        )', target);
    BEGIN
        EXECUTE format('ALTER TABLE %s ALTER COLUMN payload SET COMPRESSION lz4', target);
    EXCEPTION WHEN feature_not_supported OR syntax_error THEN
        RAISE DEBUG 'this server has no lz4; payload keeps the default compression';
    END;
    -- By it the rows of a window are counted. Tables that were there before get theirs from version 12.
    EXECUTE format('CREATE INDEX %I ON %s (source_updated_at_utc)', table_name || '_by_update', target);
    PERFORM complete_raw_table(table_name);
END
$$;
REVOKE EXECUTE ON FUNCTION create_raw_table(text) FROM PUBLIC;

INSERT INTO schema_version (version, name) VALUES (3, 'grants') ON CONFLICT (version) DO NOTHING;
