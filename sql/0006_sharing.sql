-- qbo-backfill, schema version 6: what the processes of one company share: leases that end by themselves, and one budget of calls.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- Until when the owner is taken to be at work, by this server's clock: it moves on while the owner's process runs, and stands still when the
-- process is frozen or cut off. Null in the leases of older programs, which live as long as their connection.
ALTER TABLE backfill_lease ADD COLUMN IF NOT EXISTS lease_until_utc timestamptz;

-- Makes the epoch part of a key: a page's FOR KEY SHARE then waits for a new owner, and not for the owner's own heartbeat.
CREATE UNIQUE INDEX IF NOT EXISTS backfill_lease_by_owner ON backfill_lease (entity_name, epoch);

-- The state that every call of the company goes by. Each admission moves `admissions` on, so of two that looked at the same state only one is let in.
CREATE TABLE IF NOT EXISTS call_budget (
    only_one           boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    admissions         bigint NOT NULL DEFAULT 0,
    -- Nobody calls before this; `share` of the rate may be used then, and more as time goes by.
    paused_until_utc   timestamptz NOT NULL DEFAULT 'epoch',
    share              double precision NOT NULL DEFAULT 1 CHECK (share > 0 AND share <= 1),
    -- The first and the last refusal since a call was served.
    refused_since_utc  timestamptz,
    refused_at_utc     timestamptz
);
INSERT INTO call_budget DEFAULT VALUES ON CONFLICT (only_one) DO NOTHING;

-- One row for each call of the last minute or still in flight; rows are used again, so there are never more than the limits allow.
CREATE TABLE IF NOT EXISTS call_slot (
    slot                 integer PRIMARY KEY,
    uses                 bigint NOT NULL,
    -- By when the call has been counted at the other end, and until when it is taken to be under way.
    arrived_by_utc       timestamptz NOT NULL,
    in_flight_until_utc  timestamptz NOT NULL,
    backend_pid          integer,
    backend_started_at   timestamptz
) WITH (fillfactor = 50);

-- Calls by month, in UTC: counted when they are let in, and taken back if they were not served.
CREATE TABLE IF NOT EXISTS call_month (
    month_utc  date PRIMARY KEY,
    calls      bigint NOT NULL
);

INSERT INTO schema_version (version, name) VALUES (6, 'sharing') ON CONFLICT (version) DO NOTHING;
