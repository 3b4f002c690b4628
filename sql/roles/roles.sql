-- qbo-backfill: three roles, each with what it needs and nothing more. Can be run again at any time, and must be after a new version of the
-- schema. Wants a superuser, or a role with CREATEROLE that owns database and schema:
--
--   qbo-backfill db init --roles --database postgres://admin@host/db        (or psql -f, after the numbered scripts)
--   psql -c '\password qbo_loader'
--
-- qbo_owner    owns the schema; nobody logs in as it
-- qbo_loader   what qbo-backfill runs as: reads, inserts and updates, and never deletes or changes the schema
-- qbo_reader   for people and dashboards: the log, and what was read when. Payloads only where somebody grants them:
--              GRANT SELECT ON raw.qb_invoices, raw.v_qb_invoices_live TO qbo_reader
--
-- The rights that PUBLIC has in the database by default (temporary tables, creating in schema public) are taken away: give other
-- programs in the same database what they need by name.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'qbo_owner') THEN
        CREATE ROLE qbo_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'qbo_loader') THEN
        CREATE ROLE qbo_loader LOGIN CONNECTION LIMIT 80;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'qbo_reader') THEN
        CREATE ROLE qbo_reader LOGIN;
    END IF;
    IF NOT pg_has_role(current_user, 'qbo_owner', 'USAGE') THEN
        EXECUTE format('GRANT qbo_owner TO %I', current_user);
    END IF;
    EXECUTE format('GRANT CREATE, CONNECT ON DATABASE %I TO qbo_owner', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO qbo_loader, qbo_reader', current_database());
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    IF to_regnamespace('public') IS NOT NULL THEN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    END IF;
END
$$;

-- A session that is stuck frees its locks by itself.
ALTER ROLE qbo_loader SET statement_timeout = '60s';
ALTER ROLE qbo_loader SET lock_timeout = '10s';
ALTER ROLE qbo_loader SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE qbo_reader SET default_transaction_read_only = on;

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

DO $$
DECLARE
    relation record;
    target text;
    live text;
    ledger text[] := ARRAY[
        'schema_version', 'source_identity', 'backfill_run', 'backfill_run_pipeline', 'backfill_log', 'backfill_page',
        'backfill_lease', 'quarantine', 'consent_witness', 'sealed_vault', 'call_budget', 'call_slot', 'call_month',
        'backfill_trigger', 'backfill_trigger_history', 'backfill_validation', 'backfill_finding', 'source_refusal',
        'backfill_verification', 'qb_report_journal_report', 'qb_report_transaction_list',
        'qb_report_trial_balance', 'attachment_file', 'backfill_event', 'backfill_worker'];
    views text[] := ARRAY['v_backfill_coverage', 'v_backfill_daily', 'v_backfill_findings'];
BEGIN
    EXECUTE format('ALTER SCHEMA %I OWNER TO qbo_owner', current_schema());
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', current_schema());
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO qbo_loader, qbo_reader', current_schema());
    FOR relation IN
        SELECT class.relname,
            EXISTS (SELECT FROM pg_attribute WHERE attrelid = class.oid AND attname = 'payload_digest') AS is_raw
        FROM pg_class AS class
        WHERE class.relnamespace = to_regnamespace(current_schema()) AND class.relkind IN ('r', 'p')
    LOOP
        -- What others keep in this schema is theirs.
        CONTINUE WHEN NOT relation.is_raw AND relation.relname <> ALL (ledger);
        target := format('%I.%I', current_schema(), relation.relname);
        EXECUTE format('ALTER TABLE %s OWNER TO qbo_owner', target);
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, qbo_loader', target);
        IF relation.is_raw THEN
            live := format('%I.%I', current_schema(), 'v_' || relation.relname || '_live');
            IF to_regclass(live) IS NOT NULL THEN
                EXECUTE format('ALTER VIEW %s OWNER TO qbo_owner', live);
                EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, qbo_loader', live);
            END IF;
            -- What somebody granted to the reader, payloads perhaps, stays.
            PERFORM grant_on_raw_table(relation.relname::text);
            CONTINUE;
        END IF;
        EXECUTE format('REVOKE ALL ON %s FROM qbo_reader', target);
        IF relation.relname = 'schema_version' THEN
            EXECUTE format('GRANT SELECT ON %s TO qbo_loader, qbo_reader', target);
        ELSIF relation.relname = 'source_identity' THEN
            EXECUTE format('GRANT SELECT, INSERT ON %s TO qbo_loader', target);
            EXECUTE format('GRANT SELECT ON %s TO qbo_reader', target);
        ELSE
            EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %s TO qbo_loader', target);
        END IF;
        -- Of quarantine, whose bytes are payload, everything else; nothing about the consent.
        IF relation.relname IN ('backfill_run', 'backfill_run_pipeline', 'backfill_log', 'backfill_page', 'backfill_lease', 'call_month',
            'backfill_trigger', 'backfill_trigger_history', 'backfill_validation', 'backfill_finding', 'source_refusal',
            'backfill_verification', 'backfill_event', 'backfill_worker', 'call_budget') THEN
            EXECUTE format('GRANT SELECT ON %s TO qbo_reader', target);
        ELSIF relation.relname = 'quarantine' THEN
            EXECUTE format(
                'GRANT SELECT (entity_name, digest, record_id, reason, window_start_utc, window_end_utc, run_id, page_number,
                     first_seen_at_utc, last_seen_at_utc, resolved_at_utc, time_axis, accepted_at_utc, accepted_by, accepted_reason,
                     has_row) ON %s TO qbo_reader', target);
        END IF;
    END LOOP;
    -- Views read with the rights of their owner: nothing in them says more than the tables that the reader may see.
    FOR relation IN
        SELECT relname FROM pg_class
        WHERE relnamespace = to_regnamespace(current_schema()) AND relkind = 'v' AND relname = ANY (views)
    LOOP
        target := format('%I.%I', current_schema(), relation.relname);
        EXECUTE format('ALTER VIEW %s OWNER TO qbo_owner', target);
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', target);
        EXECUTE format('GRANT SELECT ON %s TO qbo_reader', target);
    END LOOP;
END
$$;

ALTER FUNCTION grant_on_raw_table(text) OWNER TO qbo_owner;
ALTER FUNCTION complete_raw_table(text) OWNER TO qbo_owner;
ALTER FUNCTION create_raw_table(text) OWNER TO qbo_owner;
ALTER FUNCTION remove_old_events() OWNER TO qbo_owner;
REVOKE EXECUTE ON FUNCTION grant_on_raw_table(text), create_raw_table(text), remove_old_events() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_raw_table(text), remove_old_events() TO qbo_loader;
