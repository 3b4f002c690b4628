-- qbo-backfill, schema version 2: which copy of a consent is the living one, and the sealed vault of hosts that share one.
-- No token and no key is ever here: a hash under the app's secret, which the database does not have, and bytes that only the vault's key opens.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog;

-- What was last seen of each line of tokens. A vault that is behind, or that went another way, is a second copy: its token is dead, and
-- using it could kill the living one.
CREATE TABLE IF NOT EXISTS consent_witness (
    lineage      text PRIMARY KEY,
    generation   bigint NOT NULL,
    fingerprint  text NOT NULL,
    host         text NOT NULL,
    seen_at_utc  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The vault of `--vault postgres`. Bytes replace only those of the revision that they were made from. Restoring an older backup of this
-- table brings back a dead token.
CREATE TABLE IF NOT EXISTS sealed_vault (
    only_one       boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    sealed         bytea NOT NULL,
    revision       bigint NOT NULL,
    changed_at_utc timestamptz NOT NULL DEFAULT clock_timestamp()
);

INSERT INTO schema_version (version, name) VALUES (2, 'consent') ON CONFLICT (version) DO NOTHING;
