-- One row for each line inside a bundle of an invoice, from qb_invoices.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_catalog, pg_temp;

CREATE OR REPLACE VIEW invoice_line_bundle AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    part.doc #>> '{SalesItemLineDetail,ItemAccountRef,value}' AS account_id,
    as_number(part.doc ->> 'Amount') AS amount,
    part.doc #>> '{SalesItemLineDetail,ClassRef,value}' AS class_id,
    part.doc ->> 'Description' AS description,
    as_number(part.doc #>> '{SalesItemLineDetail,DiscountAmt}') AS discount_amount,
    as_number(part.doc #>> '{SalesItemLineDetail,DiscountRate}') AS discount_rate,
    (part.number - 1)::text AS index,
    source.id AS invoice_id,
    (line.number - 1)::text AS invoice_line_index,
    part.doc #>> '{SalesItemLineDetail,ItemRef,value}' AS item_id,
    part.doc ->> 'LineNum' AS line_num,
    as_number(part.doc #>> '{SalesItemLineDetail,Qty}') AS quantity,
    NULL::text AS sales_item_account_id,
    NULL::text AS sales_item_item_id,
    NULL::numeric AS sales_item_quantity,
    NULL::text AS sales_item_tax_code_id,
    as_time(part.doc #>> '{SalesItemLineDetail,ServiceDate}') AS service_date,
    part.doc #>> '{SalesItemLineDetail,TaxCodeRef,value}' AS tax_code_id,
    as_number(part.doc #>> '{SalesItemLineDetail,UnitPrice}') AS unit_price
FROM qb_invoices AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL jsonb_array_elements(as_array(record.doc -> 'Line')) WITH ORDINALITY AS line (doc, number)
CROSS JOIN LATERAL jsonb_array_elements(as_array(line.doc #> '{GroupLineDetail,Line}')) WITH ORDINALITY AS part (doc, number);

COMMENT ON COLUMN invoice_line_bundle.sales_item_account_id IS 'Always null: the same as account_id, which has the value.';
COMMENT ON COLUMN invoice_line_bundle.sales_item_item_id IS 'Always null: the same as item_id, which has the value.';
COMMENT ON COLUMN invoice_line_bundle.sales_item_quantity IS 'Always null: the same as quantity, which has the value.';
COMMENT ON COLUMN invoice_line_bundle.sales_item_tax_code_id IS 'Always null: the same as tax_code_id, which has the value.';
