-- One row for each credit memo, from qb_credit_memos.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW credit_memo AS
SELECT
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_boolean(record.doc ->> 'ApplyTaxAfterDiscount') AS apply_tax_after_discount,
    as_number(record.doc ->> 'Balance') AS balance,
    record.doc #>> '{BillEmail,Address}' AS bill_email,
    record.doc #>> '{BillAddr,Id}' AS billing_address_id,
    record.doc #>> '{ClassRef,value}' AS class_id,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    custom_field(record.doc, 'p_o_number', 'po_number') AS custom_p_o_number,
    record.doc #>> '{CustomerRef,value}' AS customer_id,
    record.doc #>> '{CustomerMemo,value}' AS customer_memo,
    record.doc #>> '{DepartmentRef,value}' AS department_id,
    record.doc ->> 'DocNumber' AS doc_number,
    record.doc ->> 'EmailStatus' AS email_status,
    as_number(record.doc ->> 'ExchangeRate') AS exchange_rate,
    record.doc ->> 'GlobalTaxCalculation' AS global_tax_calculation,
    as_number(record.doc ->> 'HomeBalance') AS home_balance,
    as_number(record.doc ->> 'HomeTotalAmt') AS home_total_amount,
    source.id AS id,
    record.doc #>> '{PaymentMethodRef,value}' AS payment_method_id,
    record.doc ->> 'PrintStatus' AS print_status,
    record.doc ->> 'PrivateNote' AS private_note,
    as_number(record.doc ->> 'RemainingCredit') AS remaining_credit,
    record.doc #>> '{SalesTermRef,value}' AS sales_term_id,
    record.doc #>> '{ShipAddr,Id}' AS shipping_address_id,
    record.doc ->> 'SyncToken' AS sync_token,
    as_number(record.doc ->> 'TotalAmt') AS total_amount,
    record.doc #>> '{TxnTaxDetail,TotalTax}' AS total_tax,
    as_date(record.doc ->> 'TxnDate') AS transaction_date,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at
FROM qb_credit_memos AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
