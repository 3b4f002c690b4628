-- One row for each line of a deposit, from qb_deposits.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW deposit_line AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_number(line.doc ->> 'Amount') AS amount,
    linked_id(line.doc, 'Bill') AS bill_id,
    line.doc #>> '{DepositLineDetail,AccountRef,value}' AS deposit_account_id,
    line.doc #>> '{DepositLineDetail,CheckNum}' AS deposit_check_number,
    line.doc #>> '{DepositLineDetail,ClassRef,value}' AS deposit_class_id,
    CASE WHEN lower(coalesce(line.doc #>> '{DepositLineDetail,Entity,type}', 'customer')) = 'customer'
        THEN line.doc #>> '{DepositLineDetail,Entity,value}' END AS deposit_customer_id,
    source.id AS deposit_id,
    line.doc #>> '{DepositLineDetail,PaymentMethodRef,value}' AS deposit_payment_method_id,
    line.doc #>> '{DepositLineDetail,TaxApplicableOn}' AS deposit_tax_applicable_on,
    line.doc #>> '{DepositLineDetail,TaxCodeRef,value}' AS deposit_tax_code_id,
    line.doc #>> '{DepositLineDetail,TxnType}' AS deposit_transaction_type,
    line.doc ->> 'Description' AS description,
    line.doc ->> 'DetailType' AS detail_type,
    linked_id(line.doc, 'Expense') AS expense_id,
    (line.number - 1)::integer AS index,
    linked_id(line.doc, 'Invoice') AS invoice_id,
    linked_id(line.doc, 'JournalEntry') AS journal_entry_id,
    linked_id(line.doc, 'Payment') AS payment_id,
    linked_id(line.doc, 'Purchase') AS purchase_id,
    linked_id(line.doc, 'RefundReceipt') AS refund_receipt_id,
    linked_id(line.doc, 'SalesReceipt') AS sales_receipt_id,
    linked_id(line.doc, 'Transfer') AS transfer_id,
    linked_id(line.doc, 'VendorCredit') AS vendor_credit_id
FROM qb_deposits AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL jsonb_array_elements(as_array(record.doc -> 'Line')) WITH ORDINALITY AS line (doc, number);
