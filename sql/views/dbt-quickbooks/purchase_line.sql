-- One row for each line of a purchase, from qb_purchases.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW purchase_line AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    line.doc #>> '{AccountBasedExpenseLineDetail,AccountRef,value}' AS account_expense_account_id,
    line.doc #>> '{AccountBasedExpenseLineDetail,BillableStatus}' AS account_expense_billable_status,
    line.doc #>> '{AccountBasedExpenseLineDetail,ClassRef,value}' AS account_expense_class_id,
    line.doc #>> '{AccountBasedExpenseLineDetail,CustomerRef,value}' AS account_expense_customer_id,
    as_number(line.doc #>> '{AccountBasedExpenseLineDetail,TaxAmount}') AS account_expense_tax_amount,
    line.doc #>> '{AccountBasedExpenseLineDetail,TaxCodeRef,value}' AS account_expense_tax_code_id,
    as_number(line.doc ->> 'Amount') AS amount,
    line.doc ->> 'Description' AS description,
    (line.number - 1)::integer AS index,
    line.doc #>> '{ItemBasedExpenseLineDetail,BillableStatus}' AS item_expense_billable_status,
    line.doc #>> '{ItemBasedExpenseLineDetail,ClassRef,value}' AS item_expense_class_id,
    line.doc #>> '{ItemBasedExpenseLineDetail,CustomerRef,value}' AS item_expense_customer_id,
    line.doc #>> '{ItemBasedExpenseLineDetail,ItemRef,value}' AS item_expense_item_id,
    as_number(line.doc #>> '{ItemBasedExpenseLineDetail,Qty}') AS item_expense_quantity,
    line.doc #>> '{ItemBasedExpenseLineDetail,TaxCodeRef,value}' AS item_expense_tax_code_id,
    as_number(line.doc #>> '{ItemBasedExpenseLineDetail,UnitPrice}') AS item_expense_unit_price,
    source.id AS purchase_id
FROM qb_purchases AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL jsonb_array_elements(as_array(record.doc -> 'Line')) WITH ORDINALITY AS line (doc, number);
