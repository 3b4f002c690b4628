-- One row for each payment, from qb_payments.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW payment AS
SELECT
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    as_number(record.doc #>> '{CreditCardPayment,CreditChargeInfo,Amount}') AS credit_card_amount,
    record.doc #>> '{CreditCardPayment,CreditChargeResponse,AuthCode}' AS credit_card_auth_code,
    record.doc #>> '{CreditCardPayment,CreditChargeInfo,BillAddrStreet}' AS credit_card_billing_address_street,
    record.doc #>> '{CreditCardPayment,CreditChargeInfo,CcExpiryMonth}' AS credit_card_cc_expiry_month,
    record.doc #>> '{CreditCardPayment,CreditChargeInfo,CcExpiryYear}' AS credit_card_cc_expiry_year,
    record.doc #>> '{CreditCardPayment,CreditChargeResponse,CCTransId}' AS credit_card_cctrans_id,
    record.doc #>> '{CreditCardPayment,CreditChargeInfo,NameOnAcct}' AS credit_card_name_on_account,
    record.doc #>> '{CreditCardPayment,CreditChargeInfo,PostalCode}' AS credit_card_postal_code,
    as_boolean(record.doc #>> '{CreditCardPayment,CreditChargeInfo,ProcessPayment}') AS credit_card_process_payment,
    record.doc #>> '{CreditCardPayment,CreditChargeResponse,Status}' AS credit_card_status,
    as_time(record.doc #>> '{CreditCardPayment,CreditChargeResponse,TxnAuthorizationTime}') AS credit_card_transaction_authorization_time,
    record.doc #>> '{CreditCardPayment,CreditChargeInfo,Type}' AS credit_card_type,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    record.doc #>> '{CustomerRef,value}' AS customer_id,
    record.doc #>> '{DepositToAccountRef,value}' AS deposit_to_account_id,
    as_number(record.doc ->> 'ExchangeRate') AS exchange_rate,
    source.id AS id,
    record.doc #>> '{PaymentMethodRef,value}' AS payment_method_id,
    record.doc ->> 'PrivateNote' AS private_note,
    as_boolean(record.doc ->> 'ProcessPayment') AS process_payment,
    record.doc #>> '{ARAccountRef,value}' AS receivable_account_id,
    record.doc ->> 'PaymentRefNum' AS reference_number,
    record.doc ->> 'SyncToken' AS sync_token,
    as_number(record.doc ->> 'TotalAmt') AS total_amount,
    as_date(record.doc ->> 'TxnDate') AS transaction_date,
    record.doc ->> 'TxnSource' AS transaction_source,
    record.doc ->> 'TxnStatus' AS transaction_status,
    as_number(record.doc ->> 'UnappliedAmt') AS unapplied_amount,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at
FROM qb_payments AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
