-- One row for each department, from qb_departments.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW department AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_boolean(record.doc ->> 'Active') AS active,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc ->> 'FullyQualifiedName' AS fully_qualified_name,
    source.id AS id,
    record.doc ->> 'Name' AS name,
    record.doc #>> '{ParentRef,value}' AS parent_department_id,
    as_boolean(record.doc ->> 'SubDepartment') AS sub_department,
    record.doc ->> 'SyncToken' AS sync_token,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at,
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted
FROM qb_departments AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
