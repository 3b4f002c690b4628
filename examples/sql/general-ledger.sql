-- A general ledger and trial balances, computed from the views of qbo-backfill views install dbt-quickbooks by the posting rules that
-- docs/analytics.md states. It creates the schema quickbooks_ledger, and can run again at any time:
--
--     qbo-backfill db psql -1 -v ON_ERROR_STOP=1 -f examples/sql/general-ledger.sql
--     qbo-backfill db psql -c "SELECT * FROM quickbooks_ledger.general_ledger ORDER BY month, account_number"
--     qbo-backfill db psql -c "SELECT * FROM quickbooks_ledger.trial_balance('2024-12-31')"
--
-- DROP SCHEMA quickbooks_ledger CASCADE removes it. Amounts are in the home currency; a debit is positive, a credit is negative.

DO $$
BEGIN
    IF to_regnamespace('quickbooks_ledger') IS NOT NULL
        AND obj_description(to_regnamespace('quickbooks_ledger'), 'pg_namespace') IS DISTINCT FROM 'computed by general-ledger.sql of qbo-backfill'
    THEN
        RAISE EXCEPTION 'the schema quickbooks_ledger is not of this script, which has changed nothing';
    END IF;
END
$$;
CREATE SCHEMA IF NOT EXISTS quickbooks_ledger;
COMMENT ON SCHEMA quickbooks_ledger IS 'computed by general-ledger.sql of qbo-backfill';
-- The schema of the views.
SET search_path TO quickbooks, pg_temp;

CREATE OR REPLACE VIEW quickbooks_ledger.account AS
SELECT id, account_number, name, account_type, account_sub_type, classification, currency_id, active
FROM account
WHERE NOT _fivetran_deleted;

-- The accounts that no record names, by their role: of what customers or vendors owe, one in each currency. Where several accounts have a role,
-- it is the active one with the lowest id.
CREATE OR REPLACE VIEW quickbooks_ledger.role_account AS
SELECT DISTINCT ON (role, currency_id) role, currency_id, account_id
FROM (
    SELECT
        CASE
            WHEN account_type = 'Accounts Receivable' THEN 'receivable'
            WHEN account_type = 'Accounts Payable' THEN 'payable'
            WHEN account_sub_type = 'UndepositedFunds' THEN 'undeposited'
            WHEN account_sub_type IN ('GlobalTaxPayable', 'SalesTaxPayable') THEN 'sales tax'
            WHEN account_sub_type = 'ExchangeGainOrLoss' THEN 'exchange'
            WHEN account_sub_type = 'RetainedEarnings' THEN 'retained'
        END AS role,
        CASE WHEN account_type IN ('Accounts Receivable', 'Accounts Payable') THEN coalesce(currency_id, '') ELSE '' END AS currency_id,
        id AS account_id,
        active
    FROM quickbooks_ledger.account
) AS candidate
WHERE role IS NOT NULL
ORDER BY role, currency_id, active DESC NULLS LAST, length(account_id), account_id;

-- The account of each rate of sales tax: the one that is called as its agency is, and Payable.
CREATE OR REPLACE VIEW quickbooks_ledger.tax_account AS
SELECT DISTINCT ON (tax_rate.id) tax_rate.id AS tax_rate_id, account.id AS account_id
FROM tax_rate
JOIN tax_agency ON tax_agency.id = tax_rate.tax_agency_id
JOIN quickbooks_ledger.account ON account.name = tax_agency.display_name || ' Payable'
ORDER BY tax_rate.id, account.active DESC NULLS LAST, length(account.id), account.id;

-- One row for each side of each document, in the document's currency and with the rate that it is converted at.
CREATE OR REPLACE VIEW quickbooks_ledger.side AS
WITH
role_account AS MATERIALIZED (SELECT * FROM quickbooks_ledger.role_account),
tax_account AS MATERIALIZED (SELECT * FROM quickbooks_ledger.tax_account),
item_account AS MATERIALIZED (
    SELECT id AS item_id, income_account_id, CASE WHEN type = 'Inventory' THEN asset_account_id ELSE expense_account_id END AS purchase_account_id
    FROM item
),
-- Sales, and with the sign -1 their opposites.
sale AS (
    SELECT 'Invoice' AS transaction_type, id, transaction_date, currency_id, exchange_rate, total_amount, NULL AS money_account_id, 1 AS sign
    FROM invoice WHERE NOT _fivetran_deleted
    UNION ALL
    SELECT 'CreditMemo', id, transaction_date, currency_id, exchange_rate, total_amount, NULL, -1
    FROM credit_memo WHERE NOT _fivetran_deleted
    UNION ALL
    SELECT 'SalesReceipt', id, transaction_date, currency_id, exchange_rate, total_amount,
        coalesce(deposit_to_account_id, (SELECT account_id FROM role_account WHERE role = 'undeposited')), 1
    FROM sales_receipt WHERE NOT _fivetran_deleted
    UNION ALL
    SELECT 'RefundReceipt', id, transaction_date, currency_id, exchange_rate, total_amount, deposit_to_account_id, -1
    FROM refund_receipt WHERE NOT _fivetran_deleted
),
sale_line AS (
    SELECT 'Invoice' AS transaction_type, invoice_id AS id, amount, sales_item_account_id, sales_item_item_id, bundle_id, discount_account_id,
        discount_percent_based
    FROM invoice_line
    UNION ALL
    SELECT 'CreditMemo', credit_memo_id, amount, sales_item_account_id, sales_item_item_id, bundle_id, discount_account_id, discount_percent_based
    FROM credit_memo_line
    UNION ALL
    SELECT 'SalesReceipt', sales_receipt_id, amount, sales_item_account_id, sales_item_item_id, bundle_id, discount_account_id, discount_percent_based
    FROM sales_receipt_line
    UNION ALL
    SELECT 'RefundReceipt', refund_id, amount, sales_item_account_id, sales_item_item_id, bundle_id, discount_account_id, discount_percent_based
    FROM refund_receipt_line
),
-- Purchases on credit and at once, and with the sign -1 their opposites.
expense AS (
    SELECT 'Bill' AS transaction_type, id, transaction_date, currency_id, exchange_rate, total_amount, payable_account_id AS account_id, 1 AS sign
    FROM bill WHERE NOT _fivetran_deleted
    UNION ALL
    SELECT 'VendorCredit', id, transaction_date, currency_id, exchange_rate, total_amount, payable_account_id, -1
    FROM vendor_credit WHERE NOT _fivetran_deleted
    UNION ALL
    SELECT 'Purchase', id, transaction_date, currency_id, exchange_rate, total_amount, account_id, CASE WHEN credit THEN -1 ELSE 1 END
    FROM purchase WHERE NOT _fivetran_deleted
),
expense_line AS (
    SELECT 'Bill' AS transaction_type, bill_id AS id, amount, account_expense_account_id, item_expense_item_id FROM bill_line
    UNION ALL
    SELECT 'VendorCredit', vendor_credit_id, amount, account_expense_account_id, item_expense_item_id FROM vendor_credit_line
    UNION ALL
    SELECT 'Purchase', purchase_id, amount, account_expense_account_id, item_expense_item_id FROM purchase_line
),
tax_line AS (
    SELECT 'Invoice' AS transaction_type, invoice_id AS id, amount, tax_rate_id FROM invoice_tax_line
    UNION ALL
    SELECT 'CreditMemo', credit_memo_id, amount, tax_rate_id FROM credit_memo_tax_line
    UNION ALL
    SELECT 'SalesReceipt', sales_receipt_id, amount, tax_rate_id FROM sales_receipt_tax_line
    UNION ALL
    SELECT 'RefundReceipt', refund_receipt_id, amount, tax_rate_id FROM refund_receipt_tax_line
    UNION ALL
    SELECT 'Bill', bill_id, amount, tax_rate_id FROM bill_tax_line
    UNION ALL
    SELECT 'Purchase', purchase_id, amount, tax_rate_id FROM purchase_tax_line
),
-- Payments of invoices, and with the sign -1 of bills.
payment_of AS (
    SELECT 'Payment' AS transaction_type, id, transaction_date, currency_id, coalesce(exchange_rate, 1) AS exchange_rate, total_amount,
        coalesce(deposit_to_account_id, (SELECT account_id FROM role_account WHERE role = 'undeposited')) AS money_account_id,
        receivable_account_id AS owed_account_id, 'receivable' AS role, 1 AS sign
    FROM payment WHERE NOT _fivetran_deleted
    UNION ALL
    SELECT 'BillPayment', id, transaction_date, currency_id, coalesce(exchange_rate, 1), total_amount,
        coalesce(check_bank_account_id, credit_card_account_id), payable_account_id, 'payable', -1
    FROM bill_payment WHERE NOT _fivetran_deleted
),
-- What they settle, and with the sign -1 the credits that they apply, at the rate of that document.
settled AS (
    SELECT 'Payment' AS transaction_type, line.payment_id AS id, line.amount, CASE WHEN line.invoice_id IS NULL THEN -1 ELSE 1 END AS sign,
        coalesce(invoice.exchange_rate, credit_memo.exchange_rate) AS exchange_rate
    FROM payment_line AS line
    LEFT JOIN invoice ON invoice.id = line.invoice_id
    LEFT JOIN credit_memo ON credit_memo.id = line.credit_memo_id AND line.invoice_id IS NULL
    WHERE line.invoice_id IS NOT NULL OR line.credit_memo_id IS NOT NULL
    UNION ALL
    SELECT 'BillPayment', line.bill_payment_id, line.amount, CASE WHEN line.bill_id IS NULL THEN -1 ELSE 1 END,
        coalesce(bill.exchange_rate, vendor_credit.exchange_rate)
    FROM bill_payment_line AS line
    LEFT JOIN bill ON bill.id = line.bill_id
    LEFT JOIN vendor_credit ON vendor_credit.id = line.vendor_credit_id AND line.bill_id IS NULL
    WHERE line.bill_id IS NOT NULL OR line.vendor_credit_id IS NOT NULL
),
owed AS (
    SELECT payment_of.*, coalesce(payment_of.owed_account_id, role_account.account_id) AS account_id
    FROM payment_of
    LEFT JOIN role_account ON role_account.role = payment_of.role AND role_account.currency_id = coalesce(payment_of.currency_id, '')
),
left_over AS (
    SELECT owed.transaction_type, owed.id, owed.total_amount - coalesce(sum(settled.sign * settled.amount), 0) AS amount
    FROM owed
    LEFT JOIN settled USING (transaction_type, id)
    GROUP BY owed.transaction_type, owed.id, owed.total_amount
),
side AS (
    -- What a sale is owed or paid.
    SELECT sale.transaction_type, sale.id, sale.transaction_date, coalesce(sale.money_account_id, role_account.account_id) AS account_id,
        sale.exchange_rate, sale.sign * sale.total_amount AS amount
    FROM sale
    LEFT JOIN role_account ON role_account.role = 'receivable' AND role_account.currency_id = coalesce(sale.currency_id, '')
        AND sale.transaction_type IN ('Invoice', 'CreditMemo')
    -- What was sold: the account of the line, or else of the item. A part of a bundle is a line of its own.
    UNION ALL
    SELECT sale.transaction_type, sale.id, sale.transaction_date, coalesce(line.sales_item_account_id, item_account.income_account_id),
        sale.exchange_rate, -sale.sign * line.amount
    FROM sale
    JOIN sale_line AS line USING (transaction_type, id)
    LEFT JOIN item_account ON item_account.item_id = line.sales_item_item_id
    WHERE line.sales_item_item_id IS NOT NULL OR line.sales_item_account_id IS NOT NULL OR line.bundle_id IS NOT NULL
    -- Discounts.
    UNION ALL
    SELECT sale.transaction_type, sale.id, sale.transaction_date, line.discount_account_id, sale.exchange_rate, sale.sign * line.amount
    FROM sale
    JOIN sale_line AS line USING (transaction_type, id)
    WHERE line.discount_account_id IS NOT NULL OR line.discount_percent_based IS NOT NULL
    -- Sales tax.
    UNION ALL
    SELECT sale.transaction_type, sale.id, sale.transaction_date,
        coalesce(tax_account.account_id, (SELECT account_id FROM role_account WHERE role = 'sales tax')), sale.exchange_rate, -sale.sign * line.amount
    FROM sale
    JOIN tax_line AS line USING (transaction_type, id)
    LEFT JOIN tax_account ON tax_account.tax_rate_id = line.tax_rate_id
    -- What a purchase is owed or paid with.
    UNION ALL
    SELECT expense.transaction_type, expense.id, expense.transaction_date, coalesce(expense.account_id, role_account.account_id),
        expense.exchange_rate, -expense.sign * expense.total_amount
    FROM expense
    LEFT JOIN role_account ON role_account.role = 'payable' AND role_account.currency_id = coalesce(expense.currency_id, '')
        AND expense.transaction_type <> 'Purchase'
    -- What was bought: the account of the line, or the item's account of stock or of expenses.
    UNION ALL
    SELECT expense.transaction_type, expense.id, expense.transaction_date,
        coalesce(line.account_expense_account_id, item_account.purchase_account_id), expense.exchange_rate, expense.sign * line.amount
    FROM expense
    JOIN expense_line AS line USING (transaction_type, id)
    LEFT JOIN item_account ON item_account.item_id = line.item_expense_item_id
    WHERE line.account_expense_account_id IS NOT NULL OR line.item_expense_item_id IS NOT NULL
    -- Tax on purchases.
    UNION ALL
    SELECT expense.transaction_type, expense.id, expense.transaction_date,
        coalesce(tax_account.account_id, (SELECT account_id FROM role_account WHERE role = 'sales tax')), expense.exchange_rate,
        expense.sign * line.amount
    FROM expense
    JOIN tax_line AS line USING (transaction_type, id)
    LEFT JOIN tax_account ON tax_account.tax_rate_id = line.tax_rate_id
    -- What was paid.
    UNION ALL
    SELECT transaction_type, id, transaction_date, money_account_id, exchange_rate, sign * total_amount
    FROM payment_of
    -- What was settled by it.
    UNION ALL
    SELECT owed.transaction_type, owed.id, owed.transaction_date, owed.account_id, coalesce(settled.exchange_rate, owed.exchange_rate),
        -owed.sign * settled.sign * settled.amount
    FROM owed
    JOIN settled USING (transaction_type, id)
    -- What was paid beside it.
    UNION ALL
    SELECT owed.transaction_type, owed.id, owed.transaction_date, owed.account_id, owed.exchange_rate, -owed.sign * left_over.amount
    FROM owed
    JOIN left_over USING (transaction_type, id)
    WHERE left_over.amount <> 0
    -- Deposits: what reaches the bank, cash that was kept, and where it comes from.
    UNION ALL
    SELECT 'Deposit', id, transaction_date, account_id, exchange_rate, total_amount FROM deposit WHERE NOT _fivetran_deleted
    UNION ALL
    SELECT 'Deposit', id, transaction_date, cash_back_account_id, exchange_rate, cash_back_amount
    FROM deposit WHERE NOT _fivetran_deleted AND cash_back_amount IS NOT NULL
    UNION ALL
    SELECT 'Deposit', deposit.id, deposit.transaction_date,
        coalesce(line.deposit_account_id, (SELECT account_id FROM role_account WHERE role = 'undeposited')), deposit.exchange_rate, -line.amount
    FROM deposit
    JOIN deposit_line AS line ON line.deposit_id = deposit.id
    WHERE NOT deposit._fivetran_deleted
    -- Movements between accounts.
    UNION ALL
    SELECT 'Transfer', id, transaction_date, from_account_id, exchange_rate, -amount FROM transfer WHERE NOT _fivetran_deleted
    UNION ALL
    SELECT 'Transfer', id, transaction_date, to_account_id, exchange_rate, amount FROM transfer WHERE NOT _fivetran_deleted
    UNION ALL
    SELECT 'CreditCardPayment', id, transaction_date, bank_account_id, exchange_rate, -amount
    FROM credit_card_payment_txn WHERE NOT _fivetran_deleted
    UNION ALL
    SELECT 'CreditCardPayment', id, transaction_date, credit_card_account_id, exchange_rate, amount
    FROM credit_card_payment_txn WHERE NOT _fivetran_deleted
    UNION ALL
    SELECT 'JournalEntry', entry.id, entry.transaction_date, line.account_id, entry.exchange_rate,
        CASE line.posting_type WHEN 'Debit' THEN line.amount WHEN 'Credit' THEN -line.amount END
    FROM journal_entry AS entry
    JOIN journal_entry_line AS line ON line.journal_entry_id = entry.id
    WHERE NOT entry._fivetran_deleted AND line.posting_type IS NOT NULL
)
SELECT transaction_type, id AS transaction_id, transaction_date, account_id, coalesce(exchange_rate, 1) AS exchange_rate, coalesce(amount, 0) AS amount
FROM side;

-- The postings of all documents. What the conversion of a document leaves, whose sides balance in its own currency, is a gain or loss of exchange.
-- Compiling the hundreds of expressions below it takes PostgreSQL longer than computing them, so that is turned off here.
CREATE OR REPLACE FUNCTION quickbooks_ledger.postings()
RETURNS TABLE (transaction_type text, transaction_id text, transaction_date date, account_id text, amount numeric)
LANGUAGE sql STABLE ROWS 100000 SET jit = off AS $$
    WITH converted AS MATERIALIZED (
        SELECT side.*, round(side.amount * side.exchange_rate, 2) AS home_amount
        FROM quickbooks_ledger.side
    )
    SELECT transaction_type, transaction_id, transaction_date, account_id, home_amount
    FROM converted
    UNION ALL
    SELECT transaction_type, transaction_id, transaction_date, (SELECT account_id FROM quickbooks_ledger.role_account WHERE role = 'exchange'), -sum(home_amount)
    FROM converted
    GROUP BY transaction_type, transaction_id, transaction_date
    HAVING sum(amount) = 0 AND sum(home_amount) <> 0
$$;

-- One row for each posting.
CREATE OR REPLACE VIEW quickbooks_ledger.posting AS
SELECT * FROM quickbooks_ledger.postings();

-- What each account received in each month.
CREATE OR REPLACE VIEW quickbooks_ledger.general_ledger AS
SELECT
    date_trunc('month', posting.transaction_date)::date AS month,
    posting.account_id,
    account.account_number,
    account.name AS account_name,
    sum(posting.amount) FILTER (WHERE posting.amount > 0) AS debit,
    -sum(posting.amount) FILTER (WHERE posting.amount < 0) AS credit,
    sum(posting.amount) AS amount
FROM quickbooks_ledger.posting
LEFT JOIN quickbooks_ledger.account ON account.id = posting.account_id
GROUP BY 1, 2, 3, 4;

-- The balance of each account at the end of a day. Income and expenses begin every fiscal year at zero; what they were before is in retained earnings.
CREATE OR REPLACE FUNCTION quickbooks_ledger.trial_balance(day date, first_month_of_fiscal_year integer DEFAULT 1)
RETURNS TABLE (account_id text, account_number text, account_name text, balance numeric)
LANGUAGE sql STABLE AS $$
    WITH balance AS (
        SELECT
            CASE
                WHEN account.classification IN ('Revenue', 'Expense') AND posting.transaction_date < year.start
                    THEN (SELECT role_account.account_id FROM quickbooks_ledger.role_account WHERE role = 'retained')
                ELSE posting.account_id
            END AS account_id,
            sum(posting.amount) AS amount
        FROM quickbooks_ledger.posting
        CROSS JOIN (
            SELECT (date_trunc('month', day) - make_interval(months => (extract(month FROM day)::integer - first_month_of_fiscal_year + 12) % 12))::date
                AS start
        ) AS year
        LEFT JOIN quickbooks_ledger.account ON account.id = posting.account_id
        WHERE posting.transaction_date <= day
        GROUP BY 1
    )
    SELECT balance.account_id, account.account_number, account.name, balance.amount
    FROM balance
    LEFT JOIN quickbooks_ledger.account ON account.id = balance.account_id
    WHERE balance.amount <> 0
    ORDER BY account.account_number, balance.account_id
$$;

-- The balance sheet at the end of a day, by account, with a total for each part. Assets are what remains of debits, liabilities and equity of
-- credits; the income of the fiscal year until then, less its expenses, stands beside equity. Assets are as much as the other parts together.
CREATE OR REPLACE FUNCTION quickbooks_ledger.balance_sheet(day date, first_month_of_fiscal_year integer DEFAULT 1)
RETURNS TABLE (part text, account text, balance numeric)
LANGUAGE sql STABLE AS $$
    WITH trial AS MATERIALIZED (
        SELECT coalesce(account.classification, 'Unknown') AS part, trial.account_number, trial.account_name, trial.balance
        FROM quickbooks_ledger.trial_balance(day, first_month_of_fiscal_year) AS trial
        LEFT JOIN quickbooks_ledger.account ON account.id = trial.account_id
    ), line AS (
        SELECT part, account_number, account_name AS account, CASE WHEN part IN ('Liability', 'Equity') THEN -balance ELSE balance END AS balance
        FROM trial
        WHERE part NOT IN ('Revenue', 'Expense')
        UNION ALL
        SELECT 'Equity', NULL, 'Net income', coalesce(-sum(balance), 0)
        FROM trial
        WHERE part IN ('Revenue', 'Expense')
    )
    SELECT part, CASE WHEN grouping(account) = 1 THEN 'Total' ELSE coalesce(account, 'an account that is not known') END, sum(balance)
    FROM line
    GROUP BY GROUPING SETS ((part, account_number, account), (part))
    ORDER BY array_position(ARRAY['Asset', 'Liability', 'Equity', 'Unknown'], part), grouping(account), account_number, account
$$;

-- Documents that the rules do not cover: their postings do not balance, or one has no account.
CREATE OR REPLACE VIEW quickbooks_ledger.not_covered AS
SELECT transaction_type, transaction_id, transaction_date, sum(amount) AS open, count(*) FILTER (WHERE account_id IS NULL) AS without_account
FROM quickbooks_ledger.posting
GROUP BY transaction_type, transaction_id, transaction_date
HAVING sum(amount) <> 0 OR count(*) FILTER (WHERE account_id IS NULL) > 0;
