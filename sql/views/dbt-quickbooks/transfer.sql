-- One row for each transfer, from qb_transfers.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW transfer AS
SELECT
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_number(record.doc ->> 'Amount') AS amount,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    as_number(record.doc ->> 'ExchangeRate') AS exchange_rate,
    record.doc #>> '{FromAccountRef,value}' AS from_account_id,
    source.id AS id,
    record.doc ->> 'PrivateNote' AS private_note,
    record.doc ->> 'SyncToken' AS sync_token,
    record.doc #>> '{ToAccountRef,value}' AS to_account_id,
    as_date(record.doc ->> 'TxnDate') AS transaction_date,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at
FROM qb_transfers AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
