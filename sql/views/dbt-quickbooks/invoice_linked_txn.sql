-- One row for each transaction that an invoice is linked to, from qb_invoices.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW invoice_linked_txn AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    CASE WHEN linked.doc ->> 'TxnType' = 'ChargeCredit' THEN linked.doc ->> 'TxnId' END AS charge_credit_id,
    CASE WHEN linked.doc ->> 'TxnType' = 'Estimate' THEN linked.doc ->> 'TxnId' END AS estimate_id,
    (linked.number - 1)::text AS index,
    source.id AS invoice_id,
    CASE WHEN linked.doc ->> 'TxnType' = 'Payment' THEN linked.doc ->> 'TxnId' END AS payment_id,
    CASE WHEN linked.doc ->> 'TxnType' = 'ReimburseCharge' THEN linked.doc ->> 'TxnId' END AS reimburse_charge_id,
    CASE WHEN linked.doc ->> 'TxnType' = 'StatementCharge' THEN linked.doc ->> 'TxnId' END AS statement_charge_id,
    CASE WHEN linked.doc ->> 'TxnType' = 'TimeActivity' THEN linked.doc ->> 'TxnId' END AS time_activity_id
FROM qb_invoices AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL jsonb_array_elements(as_array(record.doc -> 'LinkedTxn')) WITH ORDINALITY AS linked (doc, number);
