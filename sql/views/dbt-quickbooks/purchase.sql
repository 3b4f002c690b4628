-- One row for each purchase, from qb_purchases.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW purchase AS
SELECT
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    record.doc #>> '{AccountRef,value}' AS account_id,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    coalesce(as_boolean(record.doc ->> 'Credit'), false) AS credit,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    CASE WHEN lower(record.doc #>> '{EntityRef,type}') = 'customer' THEN record.doc #>> '{EntityRef,value}' END AS customer_id,
    record.doc #>> '{DepartmentRef,value}' AS department_id,
    record.doc ->> 'DocNumber' AS doc_number,
    CASE WHEN lower(record.doc #>> '{EntityRef,type}') = 'employee' THEN record.doc #>> '{EntityRef,value}' END AS employee_id,
    as_number(record.doc ->> 'ExchangeRate') AS exchange_rate,
    record.doc ->> 'GlobalTaxCalculation' AS global_tax_calculation,
    source.id AS id,
    record.doc #>> '{PaymentMethodRef,value}' AS payment_method_id,
    record.doc ->> 'PaymentType' AS payment_type,
    record.doc ->> 'PrintStatus' AS print_status,
    record.doc ->> 'PrivateNote' AS private_note,
    record.doc #>> '{RemitToAddr,Id}' AS remit_to_address_id,
    record.doc ->> 'SyncToken' AS sync_token,
    record.doc #>> '{TxnTaxDetail,TxnTaxCodeRef,value}' AS tax_code_id,
    as_number(record.doc ->> 'TotalAmt') AS total_amount,
    as_number(record.doc #>> '{TxnTaxDetail,TotalTax}') AS total_tax,
    as_date(record.doc ->> 'TxnDate') AS transaction_date,
    record.doc ->> 'TxnSource' AS transaction_source,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at,
    CASE WHEN lower(record.doc #>> '{EntityRef,type}') = 'vendor' THEN record.doc #>> '{EntityRef,value}' END AS vendor_id
FROM qb_purchases AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
