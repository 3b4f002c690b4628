-- One row for each transaction that a bill is linked to, from qb_bills.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW bill_linked_txn AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    source.id AS bill_id,
    CASE WHEN linked.doc ->> 'TxnType' IN ('BillPaymentCheck', 'BillPaymentCreditCard') THEN linked.doc ->> 'TxnId' END AS bill_payment_id,
    (linked.number - 1)::text AS index
FROM qb_bills AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL jsonb_array_elements(as_array(record.doc -> 'LinkedTxn')) WITH ORDINALITY AS linked (doc, number);
