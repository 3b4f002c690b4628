-- One row for each credit card payment, from qb_credit_card_payments.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW credit_card_payment_txn AS
SELECT
    source.id AS id,
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_number(record.doc ->> 'Amount') AS amount,
    record.doc #>> '{BankAccountRef,value}' AS bank_account_id,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc #>> '{CreditCardAccountRef,value}' AS credit_card_account_id,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    as_number(record.doc ->> 'ExchangeRate') AS exchange_rate,
    record.doc ->> 'SyncToken' AS sync_token,
    as_date(record.doc ->> 'TxnDate') AS transaction_date,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at
FROM qb_credit_card_payments AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
