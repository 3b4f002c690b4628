-- One row for each line of a payment, from qb_payments.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW payment_line AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_number(line.doc ->> 'Amount') AS amount,
    linked_id(line.doc, 'Check') AS check_id,
    linked_id(line.doc, 'CreditCardCharge') AS credit_card_charge_id,
    linked_id(line.doc, 'CreditCardCredit') AS credit_card_credit_id,
    linked_id(line.doc, 'CreditMemo') AS credit_memo_id,
    linked_id(line.doc, 'Deposit') AS deposit_id,
    linked_id(line.doc, 'Expense') AS expense_id,
    (line.number - 1)::integer AS index,
    linked_id(line.doc, 'Invoice') AS invoice_id,
    linked_id(line.doc, 'JournalEntry') AS journal_entry_id,
    source.id AS payment_id
FROM qb_payments AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL jsonb_array_elements(as_array(record.doc -> 'Line')) WITH ORDINALITY AS line (doc, number);
