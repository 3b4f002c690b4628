-- One row for each transaction that a purchase order is linked to, from qb_purchase_orders.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW purchase_order_linked_txn AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    CASE WHEN linked.doc ->> 'TxnType' = 'Bill' THEN linked.doc ->> 'TxnId' END AS bill_id,
    (linked.number - 1)::text AS index,
    CASE WHEN linked.doc ->> 'TxnType' = 'Purchase' THEN linked.doc ->> 'TxnId' END AS purchase_id,
    source.id AS purchase_order_id,
    CASE WHEN linked.doc ->> 'TxnType' = 'VendorCredit' THEN linked.doc ->> 'TxnId' END AS vendor_credit_id
FROM qb_purchase_orders AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL jsonb_array_elements(as_array(record.doc -> 'LinkedTxn')) WITH ORDINALITY AS linked (doc, number);
