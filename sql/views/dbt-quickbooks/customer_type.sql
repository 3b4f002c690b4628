-- One row for each customer type, from qb_customer_types.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW customer_type AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_boolean(record.doc ->> 'Active') AS active,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    source.id AS id,
    record.doc ->> 'Name' AS name,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at,
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted
FROM qb_customer_types AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
