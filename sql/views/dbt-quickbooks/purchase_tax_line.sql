-- One row for each tax line of a purchase, from qb_purchases.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW purchase_tax_line AS
SELECT
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_number(tax.doc ->> 'Amount') AS amount,
    (tax.number - 1)::integer AS index,
    as_number(tax.doc #>> '{TaxLineDetail,NetAmountTaxable}') AS net_amount_taxable,
    as_number(tax.doc #>> '{TaxLineDetail,OverrideDeltaAmount}') AS override_delta_amount,
    as_boolean(tax.doc #>> '{TaxLineDetail,PercentBased}') AS percent_based,
    source.id AS purchase_id,
    as_number(tax.doc #>> '{TaxLineDetail,TaxInclusiveAmount}') AS tax_inclusive_amount,
    as_number(tax.doc #>> '{TaxLineDetail,TaxPercent}') AS tax_percent,
    tax.doc #>> '{TaxLineDetail,TaxRateRef,value}' AS tax_rate_id
FROM qb_purchases AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL jsonb_array_elements(as_array(record.doc #> '{TxnTaxDetail,TaxLine}')) WITH ORDINALITY AS tax (doc, number);
