-- qbo-backfill, schema version 3: a loader that may not create anything can still have a table for a new pipeline, and the rights that each
-- role of roles.sql has on such a table.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- What qbo_loader and qbo_reader may do with a raw table, where these roles exist. A reader sees what was read when, and no payload.
CREATE OR REPLACE FUNCTION grant_on_raw_table(table_name text) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    target text := format('%I.%I', current_schema(), table_name);
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'qbo_loader') THEN
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %s TO qbo_loader', target);
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'qbo_reader') THEN
        EXECUTE format(
            'GRANT SELECT (id, ingested_at_utc, extract_window_start_utc, extract_window_end_utc, page_number, page_size,
                 source_updated_at_utc, source_sync_token, source_answered_at_utc) ON %s TO qbo_reader', target);
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION grant_on_raw_table(text) FROM PUBLIC;

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
    PERFORM grant_on_raw_table(table_name);
END
$$;
REVOKE EXECUTE ON FUNCTION create_raw_table(text) FROM PUBLIC;

INSERT INTO schema_version (version, name) VALUES (3, 'grants') ON CONFLICT (version) DO NOTHING;
