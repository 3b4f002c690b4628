-- One row for each vendor, from qb_vendors.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW vendor AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    record.doc ->> 'AcctNum' AS account_number,
    as_boolean(record.doc ->> 'Active') AS active,
    record.doc #>> '{AlternatePhone,FreeFormNumber}' AS alternate_phone,
    as_number(record.doc ->> 'Balance') AS balance,
    record.doc #>> '{BillAddr,Id}' AS billing_address_id,
    record.doc ->> 'CompanyName' AS company_name,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc #>> '{CurrencyRef,value}' AS currency_id,
    record.doc ->> 'DisplayName' AS display_name,
    record.doc #>> '{PrimaryEmailAddr,Address}' AS email,
    record.doc ->> 'FamilyName' AS family_name,
    record.doc #>> '{Fax,FreeFormNumber}' AS fax_number,
    record.doc ->> 'GivenName' AS given_name,
    source.id AS id,
    record.doc ->> 'MiddleName' AS middle_name,
    record.doc #>> '{Mobile,FreeFormNumber}' AS mobile_phone,
    record.doc ->> 'OtherContactInfo' AS other_contacts,
    record.doc #>> '{PrimaryPhone,FreeFormNumber}' AS primary_phone,
    record.doc ->> 'PrintOnCheckName' AS print_on_check_name,
    record.doc ->> 'Suffix' AS suffix,
    record.doc ->> 'SyncToken' AS sync_token,
    record.doc ->> 'TaxIdentifier' AS tax_identifier,
    record.doc #>> '{TermRef,value}' AS term_id,
    record.doc ->> 'Title' AS title,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at,
    as_boolean(record.doc ->> 'Vendor1099') AS vendor_1099,
    record.doc #>> '{WebAddr,URI}' AS web_url,
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted
FROM qb_vendors AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record;
