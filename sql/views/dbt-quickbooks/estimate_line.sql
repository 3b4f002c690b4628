-- One row for each line of an estimate, and for each part of a bundle in place of the line of the bundle, from qb_estimates.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW estimate_line AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    line.doc #>> '{SalesItemLineDetail,ItemAccountRef,value}' AS account_id,
    as_number(line.doc ->> 'Amount') AS amount,
    line.doc #>> '{GroupLineDetail,GroupItemRef,value}' AS bundle_id,
    as_number(line.doc #>> '{GroupLineDetail,Quantity}') AS bundle_quantity,
    line.doc ->> 'Description' AS description,
    as_time(line.doc #>> '{DescriptionLineDetail,ServiceDate}') AS description_service_date,
    line.doc #>> '{DescriptionLineDetail,TaxCodeRef,value}' AS description_tax_code_id,
    line.doc #>> '{DiscountLineDetail,DiscountAccountRef,value}' AS discount_account_id,
    line.doc #>> '{DiscountLineDetail,ClassRef,value}' AS discount_class_id,
    as_number(line.doc #>> '{DiscountLineDetail,DiscountPercent}') AS discount_discount_percent,
    as_boolean(line.doc #>> '{DiscountLineDetail,PercentBased}') AS discount_percent_based,
    line.doc #>> '{DiscountLineDetail,TaxCodeRef,value}' AS discount_tax_code_id,
    source.id AS estimate_id,
    (line.number - 1)::integer AS index,
    line.doc #>> '{SalesItemLineDetail,ItemRef,value}' AS item_id,
    as_number(line.doc #>> '{SalesItemLineDetail,Qty}') AS quantity,
    line.doc #>> '{SalesItemLineDetail,ItemAccountRef,value}' AS sales_item_account_id,
    line.doc #>> '{SalesItemLineDetail,ClassRef,value}' AS sales_item_class_id,
    as_number(line.doc #>> '{SalesItemLineDetail,DiscountAmt}') AS sales_item_discount_amount,
    as_number(line.doc #>> '{SalesItemLineDetail,DiscountRate}') AS sales_item_discount_rate,
    line.doc #>> '{SalesItemLineDetail,ItemRef,value}' AS sales_item_item_id,
    as_number(line.doc #>> '{SalesItemLineDetail,Qty}') AS sales_item_quantity,
    as_time(line.doc #>> '{SalesItemLineDetail,ServiceDate}') AS sales_item_service_date,
    line.doc #>> '{SalesItemLineDetail,TaxCodeRef,value}' AS sales_item_tax_code_id,
    as_number(line.doc #>> '{SalesItemLineDetail,UnitPrice}') AS sales_item_unit_price,
    line.doc #>> '{SubTotalLineDetail,ItemRef,value}' AS sub_total_item_id,
    line.doc #>> '{SalesItemLineDetail,TaxCodeRef,value}' AS tax_code_id
FROM qb_estimates AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL sales_lines(record.doc) AS line;
