-- One row for each bill, from qb_bills.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW bill AS
SELECT
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_number(record.doc ->> 'Balance') AS balance,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    record.doc #>> '{DepartmentRef,value}' AS department_id,
    record.doc ->> 'DocNumber' AS doc_number,
    as_date(record.doc ->> 'DueDate') AS due_date,
    as_number(record.doc ->> 'ExchangeRate') AS exchange_rate,
    record.doc ->> 'GlobalTaxCalculation' AS global_tax_calculation,
    as_number(record.doc ->> 'HomeBalance') AS home_balance,
    source.id AS id,
    record.doc #>> '{APAccountRef,value}' AS payable_account_id,
    record.doc ->> 'PrivateNote' AS private_note,
    record.doc #>> '{SalesTermRef,value}' AS sales_term_id,
    record.doc ->> 'SyncToken' AS sync_token,
    as_number(record.doc ->> 'TotalAmt') AS total_amount,
    as_date(record.doc ->> 'TxnDate') AS transaction_date,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at,
    record.doc #>> '{VendorRef,value}' AS vendor_id
FROM qb_bills AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
