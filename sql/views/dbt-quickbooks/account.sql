-- One row for each account, from qb_accounts.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW account AS
SELECT
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted,
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    record.doc ->> 'AcctNum' AS account_number,
    record.doc ->> 'AccountSubType' AS account_sub_type,
    record.doc ->> 'AccountType' AS account_type,
    as_boolean(record.doc ->> 'Active') AS active,
    as_number(record.doc ->> 'CurrentBalance') AS balance,
    as_number(record.doc ->> 'CurrentBalanceWithSubAccounts') AS balance_with_sub_accounts,
    record.doc ->> 'Classification' AS classification,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    record.doc ->> 'Description' AS description,
    record.doc ->> 'FullyQualifiedName' AS fully_qualified_name,
    source.id AS id,
    record.doc ->> 'Name' AS name,
    record.doc #>> '{ParentRef,value}' AS parent_account_id,
    as_boolean(record.doc ->> 'SubAccount') AS sub_account,
    record.doc ->> 'SyncToken' AS sync_token,
    record.doc #>> '{TaxCodeRef,value}' AS tax_code_id,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at
FROM qb_accounts AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
