-- One row for each tax rate, from qb_tax_rates.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW tax_rate AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_boolean(record.doc ->> 'Active') AS active,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc ->> 'Description' AS description,
    record.doc ->> 'DisplayType' AS display_type,
    (SELECT rate.doc ->> 'RateValue'
     FROM jsonb_array_elements(as_array(record.doc -> 'EffectiveTaxRate')) AS rate (doc)
     ORDER BY rate.doc ->> 'EffectiveDate' DESC NULLS LAST
     LIMIT 1) AS effective_tax_rate,
    source.id AS id,
    record.doc ->> 'Name' AS name,
    as_number(record.doc ->> 'RateValue') AS rate_value,
    record.doc ->> 'SpecialTaxType' AS special_tax_type,
    record.doc ->> 'SyncToken' AS sync_token,
    record.doc #>> '{AgencyRef,value}' AS tax_agency_id,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at
FROM qb_tax_rates AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
