-- One row for each purchase order, from qb_purchase_orders.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW purchase_order AS
SELECT
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    record.doc #>> '{ClassRef,value}' AS class_id,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    custom_field(record.doc, 'customer_type') AS custom_customer_type,
    custom_field(record.doc, 'p_o_number', 'po_number') AS custom_po_number,
    record.doc ->> 'DocNumber' AS doc_number,
    as_date(record.doc ->> 'DueDate') AS due_date,
    as_number(record.doc ->> 'ExchangeRate') AS exchange_rate,
    record.doc ->> 'GlobalTaxCalculation' AS global_tax_calculation,
    source.id AS id,
    record.doc ->> 'Memo' AS memo,
    record.doc #>> '{APAccountRef,value}' AS payable_account_id,
    record.doc ->> 'PrivateNote' AS private_note,
    record.doc #>> '{SalesTermRef,value}' AS sales_term_id,
    record.doc #>> '{ShipAddr,Id}' AS shipping_address_id,
    record.doc ->> 'POStatus' AS status,
    record.doc ->> 'SyncToken' AS sync_token,
    record.doc #>> '{TxnTaxDetail,TxnTaxCodeRef,value}' AS tax_code_id,
    as_number(record.doc ->> 'TotalAmt') AS total_amount,
    as_number(record.doc #>> '{TxnTaxDetail,TotalTax}') AS total_tax,
    as_date(record.doc ->> 'TxnDate') AS transaction_date,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at,
    record.doc #>> '{VendorAddr,Id}' AS vendor_address_id,
    record.doc #>> '{VendorRef,value}' AS vendor_id
FROM qb_purchase_orders AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
