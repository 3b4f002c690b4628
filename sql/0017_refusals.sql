-- qbo-backfill, schema version 17: which parts of a request the source has refused for an entity, and whether a window was read with all fields.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- A part of a request that the source refused, such as the custom fields. Later runs leave it out, and ask for it again after some time or with
-- another version of the program.
CREATE TABLE IF NOT EXISTS source_refusal (
    entity_name     text NOT NULL,
    part            text NOT NULL,
    refused_at_utc  timestamptz NOT NULL,
    program         text NOT NULL,
    PRIMARY KEY (entity_name, part)
);

-- Whether every page of the line's last attempt was requested with all fields that the source can include. False for lines of earlier versions,
-- because they did not ask for custom fields.
ALTER TABLE backfill_log ADD COLUMN IF NOT EXISTS all_fields boolean NOT NULL DEFAULT false;

INSERT INTO schema_version (version, name) VALUES (17, 'refusals') ON CONFLICT (version) DO NOTHING;
