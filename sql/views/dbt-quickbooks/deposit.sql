-- One row for each deposit, from qb_deposits.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW deposit AS
SELECT
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    record.doc #>> '{DepositToAccountRef,value}' AS account_id,
    record.doc #>> '{CashBack,AccountRef,value}' AS cash_back_account_id,
    as_number(record.doc #>> '{CashBack,Amount}') AS cash_back_amount,
    record.doc #>> '{CashBack,Memo}' AS cash_back_memo,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    record.doc #>> '{DepartmentRef,value}' AS department_id,
    as_number(record.doc ->> 'ExchangeRate') AS exchange_rate,
    record.doc ->> 'GlobalTaxCalculation' AS global_tax_calculation,
    as_number(record.doc ->> 'HomeTotalAmt') AS home_total_amount,
    source.id AS id,
    record.doc ->> 'PrivateNote' AS private_note,
    record.doc ->> 'SyncToken' AS sync_token,
    as_number(record.doc ->> 'TotalAmt') AS total_amount,
    as_date(record.doc ->> 'TxnDate') AS transaction_date,
    record.doc ->> 'TxnSource' AS transaction_source,
    record.doc ->> 'TxnStatus' AS transaction_status,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at
FROM qb_deposits AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
