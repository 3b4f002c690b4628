-- One row for each tax agency, from qb_tax_agencies.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW tax_agency AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc ->> 'DisplayName' AS display_name,
    source.id AS id,
    record.doc ->> 'SyncToken' AS sync_token,
    record.doc ->> 'TaxRegistrationNumber' AS tax_registration_number,
    as_boolean(record.doc ->> 'TaxTrackedOnPurchases') AS tax_tracked_on_purchases,
    as_boolean(record.doc ->> 'TaxTrackedOnSales') AS tax_tracked_on_sales,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at
FROM qb_tax_agencies AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
