-- One row for each journal entry, from qb_journal_entries.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW journal_entry AS
SELECT
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_boolean(record.doc ->> 'Adjustment') AS adjustment,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    record.doc ->> 'DocNumber' AS doc_number,
    as_number(record.doc ->> 'ExchangeRate') AS exchange_rate,
    as_number(record.doc ->> 'HomeTotalAmt') AS home_total_amount,
    source.id AS id,
    record.doc ->> 'PrivateNote' AS private_note,
    record.doc ->> 'SyncToken' AS sync_token,
    record.doc #>> '{TxnTaxDetail,TxnTaxCodeRef,value}' AS tax_code_id,
    as_number(record.doc ->> 'TotalAmt') AS total_amount,
    as_number(record.doc #>> '{TxnTaxDetail,TotalTax}') AS total_tax,
    as_date(record.doc ->> 'TxnDate') AS transaction_date,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at
FROM qb_journal_entries AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
