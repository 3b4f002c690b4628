-- qbo-backfill, schema version 15: what somebody has dropped comes back: columns that rows can do without a value for, keys and checks. Indexes,
-- functions, views and the line of the budget come back with the scripts that made them. On a schema that has lost a key this script has to
-- run before the others, which rely on it; qbo-backfill db init does so.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

ALTER TABLE IF EXISTS schema_version
    ADD COLUMN IF NOT EXISTS applied_at_utc timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE IF EXISTS source_identity
    ADD COLUMN IF NOT EXISTS bound_at_utc timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE IF EXISTS backfill_run
    ADD COLUMN IF NOT EXISTS message text,
    ADD COLUMN IF NOT EXISTS finished_at_utc timestamptz,
    ADD COLUMN IF NOT EXISTS calls bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS retries bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS waited_seconds double precision NOT NULL DEFAULT 0;
ALTER TABLE IF EXISTS backfill_run_pipeline
    ADD COLUMN IF NOT EXISTS records_inserted bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS records_updated bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS records_unchanged bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS records_quarantined bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS pages_read bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS windows_opened bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS windows_completed bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS windows_provisional bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS windows_failed bigint NOT NULL DEFAULT 0;
-- A window whose state is not known any more is read again.
ALTER TABLE IF EXISTS backfill_log
    ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'pending',
    ADD COLUMN IF NOT EXISTS records_read bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS records_inserted bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS records_updated bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS records_unchanged bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS records_quarantined bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS pages_read bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS duration_seconds double precision NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS started_at_utc timestamptz,
    ADD COLUMN IF NOT EXISTS finished_at_utc timestamptz,
    ADD COLUMN IF NOT EXISTS error_message text,
    ADD COLUMN IF NOT EXISTS run_id text,
    ADD COLUMN IF NOT EXISTS attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS cursor_utc timestamptz,
    ADD COLUMN IF NOT EXISTS cursor_ids text[];
ALTER TABLE IF EXISTS backfill_lease
    ADD COLUMN IF NOT EXISTS backend_pid integer,
    ADD COLUMN IF NOT EXISTS backend_started_at timestamptz,
    ADD COLUMN IF NOT EXISTS taken_at_utc timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE IF EXISTS quarantine
    ADD COLUMN IF NOT EXISTS record_id text,
    ADD COLUMN IF NOT EXISTS run_id text;
ALTER TABLE IF EXISTS consent_witness
    ADD COLUMN IF NOT EXISTS seen_at_utc timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE IF EXISTS sealed_vault
    ADD COLUMN IF NOT EXISTS changed_at_utc timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE IF EXISTS call_budget
    ADD COLUMN IF NOT EXISTS admissions bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS paused_until_utc timestamptz NOT NULL DEFAULT 'epoch',
    ADD COLUMN IF NOT EXISTS share double precision NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS refused_since_utc timestamptz,
    ADD COLUMN IF NOT EXISTS refused_at_utc timestamptz;
ALTER TABLE IF EXISTS call_slot
    ADD COLUMN IF NOT EXISTS backend_pid integer,
    ADD COLUMN IF NOT EXISTS backend_started_at timestamptz;
-- Not the state of a trigger: nobody knows which were spent.
ALTER TABLE IF EXISTS backfill_trigger
    ADD COLUMN IF NOT EXISTS chain text,
    ADD COLUMN IF NOT EXISTS chain_position integer,
    ADD COLUMN IF NOT EXISTS run_id text,
    ADD COLUMN IF NOT EXISTS armings integer NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS stop_requested_at_utc timestamptz,
    ADD COLUMN IF NOT EXISTS changed_at_utc timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN IF NOT EXISTS message text,
    ADD COLUMN IF NOT EXISTS what text NOT NULL DEFAULT 'open';
ALTER TABLE IF EXISTS backfill_trigger_history
    ADD COLUMN IF NOT EXISTS happened_at_utc timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN IF NOT EXISTS run_id text,
    ADD COLUMN IF NOT EXISTS detail text;

DO $$
BEGIN
    IF to_regclass('backfill_log') IS NOT NULL THEN
        UPDATE backfill_log SET records_read = records_inserted + records_updated + records_unchanged + records_quarantined
        WHERE records_read <> records_inserted + records_updated + records_unchanged + records_quarantined;
    END IF;
END
$$;

-- Keys first: references need them. What is checked again holds for whatever is written from now on, whatever came in meanwhile.
DO $$
DECLARE
    guard record;
BEGIN
    FOR guard IN
        SELECT to_regclass(table_name) AS relation, name, definition FROM (VALUES
            ('attachment_file', 'attachment_file_pkey',
                'PRIMARY KEY (id)'),
            ('backfill_event', 'backfill_event_pkey',
                'PRIMARY KEY (event_id)'),
            ('backfill_finding', 'backfill_finding_pkey',
                'PRIMARY KEY (run_id, entity_name, validated_at_utc, number)'),
            ('backfill_lease', 'backfill_lease_pkey',
                'PRIMARY KEY (entity_name)'),
            ('backfill_log', 'backfill_log_pkey',
                'PRIMARY KEY (entity_name, time_axis, window_start_utc, window_end_utc)'),
            ('backfill_page', 'backfill_page_pkey',
                'PRIMARY KEY (run_id, entity_name, page_number)'),
            ('backfill_run', 'backfill_run_pkey',
                'PRIMARY KEY (run_id)'),
            ('backfill_run_pipeline', 'backfill_run_pipeline_pkey',
                'PRIMARY KEY (run_id, entity_name)'),
            ('backfill_trigger', 'backfill_trigger_pkey',
                'PRIMARY KEY (trigger_name)'),
            ('backfill_trigger_history', 'backfill_trigger_history_pkey',
                'PRIMARY KEY (entry)'),
            ('backfill_validation', 'backfill_validation_pkey',
                'PRIMARY KEY (run_id, entity_name, validated_at_utc)'),
            ('backfill_verification', 'backfill_verification_pkey',
                'PRIMARY KEY (verification_id, entity_name)'),
            ('backfill_worker', 'backfill_worker_pkey',
                'PRIMARY KEY (worker)'),
            ('call_budget', 'call_budget_pkey',
                'PRIMARY KEY (only_one)'),
            ('call_month', 'call_month_pkey',
                'PRIMARY KEY (month_utc)'),
            ('call_slot', 'call_slot_pkey',
                'PRIMARY KEY (slot)'),
            ('consent_witness', 'consent_witness_pkey',
                'PRIMARY KEY (lineage)'),
            ('quarantine', 'quarantine_pkey',
                'PRIMARY KEY (entity_name, digest)'),
            ('schema_version', 'schema_version_pkey',
                'PRIMARY KEY (version)'),
            ('sealed_vault', 'sealed_vault_pkey',
                'PRIMARY KEY (only_one)'),
            ('source_identity', 'source_identity_pkey',
                'PRIMARY KEY (only_one)'),
            ('source_refusal', 'source_refusal_pkey',
                'PRIMARY KEY (entity_name, part)'),
            ('backfill_trigger', 'backfill_trigger_chain_chain_position_key',
                'UNIQUE (chain, chain_position)'),
            ('backfill_trigger', 'backfill_trigger_run_id_key',
                'UNIQUE (run_id)'),
            ('source_identity', 'source_identity_realm_id_environment_key',
                'UNIQUE (realm_id, environment)'),
            ('attachment_file', 'attachment_file_check',
                'CHECK ((((file_name IS NULL) = (size_bytes IS NULL)) AND ((file_name IS NULL) = (sha256 IS NULL)))) NOT VALID'),
            ('attachment_file', 'attachment_file_sha256_check',
                'CHECK ((sha256 ~ ''^[0-9a-f]{64}$''::text)) NOT VALID'),
            ('attachment_file', 'attachment_file_size_bytes_check',
                'CHECK ((size_bytes >= 0)) NOT VALID'),
            ('backfill_event', 'backfill_event_level_check',
                'CHECK ((level = ANY (ARRAY[''info''::text, ''warning''::text, ''error''::text]))) NOT VALID'),
            ('backfill_finding', 'backfill_finding_check',
                'CHECK ((((span_start_utc IS NULL) = (span_end_utc IS NULL)) AND ((span_start_utc IS NULL) OR (span_start_utc < span_end_utc)))) NOT VALID'),
            ('backfill_finding', 'backfill_finding_severity_check',
                'CHECK ((severity = ANY (ARRAY[''info''::text, ''warning''::text, ''error''::text]))) NOT VALID'),
            ('backfill_log', 'backfill_log_check',
                'CHECK ((window_start_utc < window_end_utc)) NOT VALID'),
            ('backfill_log', 'backfill_log_check1',
                'CHECK ((records_read = (((records_inserted + records_updated) + records_unchanged) + records_quarantined))) NOT VALID'),
            ('backfill_log', 'backfill_log_status_check',
                'CHECK ((status = ANY (ARRAY[''pending''::text, ''running''::text, ''completed''::text, ''provisional''::text, ''failed''::text, ''unavailable''::text]))) NOT VALID'),
            ('backfill_run', 'backfill_run_check',
                'CHECK ((range_start_utc < range_end_utc)) NOT VALID'),
            ('backfill_run', 'backfill_run_status_check',
                'CHECK ((status = ANY (ARRAY[''running''::text, ''completed''::text, ''incomplete''::text, ''failed''::text, ''stopped''::text]))) NOT VALID'),
            ('backfill_trigger', 'backfill_trigger_check',
                'CHECK ((range_start_utc < range_end_utc)) NOT VALID'),
            ('backfill_trigger', 'backfill_trigger_check1',
                'CHECK (((chain IS NULL) = (chain_position IS NULL))) NOT VALID'),
            ('backfill_trigger', 'backfill_trigger_check2',
                'CHECK (((status = ''armed''::text) <= (run_id IS NULL))) NOT VALID'),
            ('backfill_trigger', 'backfill_trigger_entity_names_check',
                'CHECK ((cardinality(entity_names) > 0)) NOT VALID'),
            ('backfill_trigger', 'backfill_trigger_if_missed_check',
                'CHECK ((if_missed = ANY (ARRAY[''run''::text, ''skip''::text]))) NOT VALID'),
            ('backfill_trigger', 'backfill_trigger_status_check',
                'CHECK ((status = ANY (ARRAY[''armed''::text, ''running''::text, ''done''::text, ''failed''::text, ''cancelled''::text, ''expired''::text]))) NOT VALID'),
            ('backfill_trigger', 'backfill_trigger_what_check',
                'CHECK ((what = ANY (ARRAY[''open''::text, ''failed''::text, ''again''::text]))) NOT VALID'),
            ('backfill_verification', 'backfill_verification_check',
                'CHECK ((span_start_utc < span_end_utc)) NOT VALID'),
            ('backfill_verification', 'backfill_verification_method_check',
                'CHECK ((method = ANY (ARRAY[''compared''::text, ''count''::text]))) NOT VALID'),
            ('backfill_verification', 'backfill_verification_result_check',
                'CHECK ((result = ANY (ARRAY[''confirmed''::text, ''differs''::text, ''incomplete''::text]))) NOT VALID'),
            ('backfill_worker', 'backfill_worker_activity_check',
                'CHECK ((activity = ANY (ARRAY[''waiting''::text, ''running''::text, ''ended''::text]))) NOT VALID'),
            ('call_budget', 'call_budget_only_one_check',
                'CHECK (only_one) NOT VALID'),
            ('call_budget', 'call_budget_share_check',
                'CHECK (((share > (0)::double precision) AND (share <= (1)::double precision))) NOT VALID'),
            ('sealed_vault', 'sealed_vault_only_one_check',
                'CHECK (only_one) NOT VALID'),
            ('source_identity', 'source_identity_only_one_check',
                'CHECK (only_one) NOT VALID'),
            ('backfill_finding', 'backfill_finding_run_id_entity_name_validated_at_utc_fkey',
                'FOREIGN KEY (run_id, entity_name, validated_at_utc) REFERENCES backfill_validation(run_id, entity_name, validated_at_utc) ON DELETE CASCADE NOT VALID'),
            ('backfill_log', 'backfill_log_run_id_fkey',
                'FOREIGN KEY (run_id) REFERENCES backfill_run(run_id) ON DELETE SET NULL NOT VALID'),
            ('backfill_page', 'backfill_page_run_id_fkey',
                'FOREIGN KEY (run_id) REFERENCES backfill_run(run_id) ON DELETE CASCADE NOT VALID'),
            ('backfill_run', 'backfill_run_realm_id_environment_fkey',
                'FOREIGN KEY (realm_id, environment) REFERENCES source_identity(realm_id, environment) NOT VALID'),
            ('backfill_run_pipeline', 'backfill_run_pipeline_run_id_fkey',
                'FOREIGN KEY (run_id) REFERENCES backfill_run(run_id) ON DELETE CASCADE NOT VALID'),
            ('backfill_validation', 'backfill_validation_run_id_fkey',
                'FOREIGN KEY (run_id) REFERENCES backfill_run(run_id) ON DELETE CASCADE NOT VALID'),
            ('quarantine', 'quarantine_run_id_fkey',
                'FOREIGN KEY (run_id) REFERENCES backfill_run(run_id) ON DELETE SET NULL NOT VALID')
        ) AS guards (table_name, name, definition)
    LOOP
        CONTINUE WHEN guard.relation IS NULL OR EXISTS (
            SELECT FROM pg_constraint
            WHERE conrelid = guard.relation
              AND (conname = guard.name OR (contype = 'p' AND guard.definition LIKE 'PRIMARY KEY%')));
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', guard.relation, guard.name, guard.definition);
    END LOOP;
END
$$;

-- What was created again belongs to whoever created it; the roles get back what roles.sql gives them.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'qbo_loader') AND to_regprocedure('create_raw_table(text)') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION create_raw_table(text) TO qbo_loader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'qbo_reader')
        AND to_regclass('v_backfill_coverage') IS NOT NULL AND to_regclass('v_backfill_daily') IS NOT NULL
        AND to_regclass('v_backfill_findings') IS NOT NULL
    THEN
        GRANT SELECT ON v_backfill_coverage, v_backfill_daily, v_backfill_findings TO qbo_reader;
    END IF;
END
$$;

INSERT INTO schema_version (version, name) VALUES (15, 'guards') ON CONFLICT (version) DO NOTHING;
