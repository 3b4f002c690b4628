-- One row for each bill payment, from qb_bill_payments.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW bill_payment AS
SELECT
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    record.doc #>> '{CheckPayment,BankAccountRef,value}' AS check_bank_account_id,
    record.doc #>> '{CheckPayment,PrintStatus}' AS check_print_status,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc #>> '{CreditCardPayment,CCAccountRef,value}' AS credit_card_account_id,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    record.doc #>> '{DepartmentRef,value}' AS department_id,
    record.doc ->> 'DocNumber' AS doc_number,
    as_number(record.doc ->> 'ExchangeRate') AS exchange_rate,
    source.id AS id,
    record.doc ->> 'PayType' AS pay_type,
    record.doc #>> '{APAccountRef,value}' AS payable_account_id,
    record.doc ->> 'PrivateNote' AS private_note,
    NULL::boolean AS process_bill_payment,
    record.doc ->> 'SyncToken' AS sync_token,
    as_number(record.doc ->> 'TotalAmt') AS total_amount,
    as_date(record.doc ->> 'TxnDate') AS transaction_date,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at,
    record.doc #>> '{VendorRef,value}' AS vendor_id
FROM qb_bill_payments AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;

COMMENT ON COLUMN bill_payment.process_bill_payment IS 'Always null: QuickBooks sends no such member.';
