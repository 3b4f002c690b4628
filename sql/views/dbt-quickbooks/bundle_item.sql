-- One row for each item of a bundle, from qb_items.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW bundle_item AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    source.id AS bundle_id,
    part.doc #>> '{ItemRef,value}' AS item_id,
    as_number(part.doc ->> 'Qty') AS item_quantity
FROM qb_items AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL jsonb_array_elements(as_array(record.doc #> '{ItemGroupDetail,ItemGroupLine}')) AS part (doc)
WHERE record.doc ->> 'Type' = 'Group';
