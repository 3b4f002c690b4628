-- qbo-backfill, schema version 19: reports of QuickBooks, as sent, and a third way to verify: reconciling with them.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- A table for each report. A request has one row: its newest answer replaces the one before. The answer is json and not jsonb, so that it stays
-- as sent. Its lines name customers, vendors and amounts: these tables hold payload, as the raw tables do.
CREATE TABLE IF NOT EXISTS qb_report_journal_report (
    question          text PRIMARY KEY,
    answer            json NOT NULL,
    first_day         date NOT NULL,
    last_day          date NOT NULL,
    basis             text,
    answered_at_utc   timestamptz,
    received_at_utc   timestamptz NOT NULL,
    verification_id   text NOT NULL
);

CREATE TABLE IF NOT EXISTS qb_report_transaction_list (
    question          text PRIMARY KEY,
    answer            json NOT NULL,
    first_day         date NOT NULL,
    last_day          date NOT NULL,
    basis             text,
    answered_at_utc   timestamptz,
    received_at_utc   timestamptz NOT NULL,
    verification_id   text NOT NULL
);

CREATE TABLE IF NOT EXISTS qb_report_trial_balance (
    question          text PRIMARY KEY,
    answer            json NOT NULL,
    first_day         date NOT NULL,
    last_day          date NOT NULL,
    basis             text,
    answered_at_utc   timestamptz,
    received_at_utc   timestamptz NOT NULL,
    verification_id   text NOT NULL
);

-- A verification may have compared with the reports.
ALTER TABLE backfill_verification DROP CONSTRAINT IF EXISTS backfill_verification_method_check;
ALTER TABLE backfill_verification ADD CONSTRAINT backfill_verification_method_check
    CHECK (method IN ('compared', 'count', 'report'));

INSERT INTO schema_version (version, name) VALUES (19, 'reports') ON CONFLICT (version) DO NOTHING;
