-- One row for each bundle, which is an item of the type Group, from qb_items.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW bundle AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_boolean(record.doc ->> 'Active') AS active,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc ->> 'Description' AS description,
    record.doc ->> 'FullyQualifiedName' AS fully_qualified_name,
    source.id AS id,
    record.doc ->> 'Name' AS name,
    as_boolean(record.doc ->> 'PrintGroupedItems') AS print_grouped_items,
    as_number(record.doc ->> 'PurchaseCost') AS purchase_cost,
    record.doc ->> 'SyncToken' AS sync_token,
    as_boolean(record.doc ->> 'Taxable') AS taxable,
    as_number(record.doc ->> 'UnitPrice') AS unit_price,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at,
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted
FROM qb_items AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
WHERE record.doc ->> 'Type' = 'Group';
