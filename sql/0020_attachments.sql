-- qbo-backfill, schema version 20: which files of attachments were downloaded.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- One line per attachment whose file was downloaded, or that has no file because it is a note. The content is not in the database: file_name is
-- the file's name in the folder of the download, size_bytes and sha256 say what it contained then.
CREATE TABLE IF NOT EXISTS attachment_file (
    id                 text PRIMARY KEY,
    file_name          text,
    size_bytes         bigint CHECK (size_bytes >= 0),
    sha256             text CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    source_sync_token  bigint,
    recorded_at_utc    timestamptz NOT NULL,
    CHECK ((file_name IS NULL) = (size_bytes IS NULL) AND (file_name IS NULL) = (sha256 IS NULL))
);

INSERT INTO schema_version (version, name) VALUES (20, 'attachments') ON CONFLICT (version) DO NOTHING;
