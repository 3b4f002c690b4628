-- One row for each estimate, from qb_estimates.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW estimate AS
SELECT
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    record.doc ->> 'AcceptedBy' AS accepted_by,
    as_time(record.doc ->> 'AcceptedDate') AS accepted_date,
    as_boolean(record.doc ->> 'ApplyTaxAfterDiscount') AS apply_tax_after_discount,
    record.doc #>> '{BillEmail,Address}' AS bill_email,
    record.doc #>> '{BillAddr,Id}' AS billing_address_id,
    record.doc #>> '{ClassRef,value}' AS class_id,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    record.doc #>> '{CustomerRef,value}' AS customer_id,
    record.doc #>> '{CustomerMemo,value}' AS customer_memo,
    record.doc #>> '{DeliveryInfo,DeliveryType}' AS delivery_type,
    record.doc #>> '{DepartmentRef,value}' AS department_id,
    record.doc ->> 'DocNumber' AS doc_number,
    as_date(record.doc ->> 'DueDate') AS due_date,
    record.doc ->> 'EmailStatus' AS email_status,
    as_number(record.doc ->> 'ExchangeRate') AS exchange_rate,
    as_time(record.doc ->> 'ExpirationDate') AS expiration_date,
    record.doc ->> 'GlobalTaxCalculation' AS global_tax_calculation,
    as_number(record.doc ->> 'HomeTotalAmt') AS home_total_amount,
    source.id AS id,
    record.doc ->> 'PrintStatus' AS print_status,
    record.doc ->> 'PrivateNote' AS private_note,
    record.doc #>> '{SalesTermRef,value}' AS sales_term_id,
    as_time(record.doc ->> 'ShipDate') AS ship_date,
    record.doc #>> '{ShipAddr,Id}' AS shipping_address_id,
    record.doc ->> 'SyncToken' AS sync_token,
    record.doc #>> '{TxnTaxDetail,TxnTaxCodeRef,value}' AS tax_code_id,
    as_number(record.doc ->> 'TotalAmt') AS total_amount,
    as_number(record.doc #>> '{TxnTaxDetail,TotalTax}') AS total_tax,
    as_date(record.doc ->> 'TxnDate') AS transaction_date,
    record.doc ->> 'TxnStatus' AS transaction_status,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at
FROM qb_estimates AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
