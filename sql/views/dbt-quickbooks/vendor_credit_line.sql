-- One row for each line of a vendor credit, from qb_vendor_credits. The package lists item_expense_quantity as text, but appends it to numbers
-- of other tables, which fails on PostgreSQL unless it is a number.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW vendor_credit_line AS
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
    NULL::text AS private_note,
    source.id AS vendor_credit_id
FROM qb_vendor_credits AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL jsonb_array_elements(as_array(record.doc -> 'Line')) WITH ORDINALITY AS line (doc, number);

COMMENT ON COLUMN vendor_credit_line.private_note IS 'Always null: QuickBooks sends no such member of a line; the private note of the record is in vendor_credit.private_note.';
