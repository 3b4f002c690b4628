-- One row for each address, from all records that have addresses. Several records share one; the newest record has its present text.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW address AS
SELECT DISTINCT ON (address.doc ->> 'Id')
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    address.doc ->> 'City' AS city,
    address.doc ->> 'Country' AS country,
    address.doc ->> 'CountrySubDivisionCode' AS country_sub_division_code,
    address.doc ->> 'Id' AS id,
    address.doc ->> 'Lat' AS latitude,
    address.doc ->> 'Line1' AS line_1,
    address.doc ->> 'Line2' AS line_2,
    address.doc ->> 'Line3' AS line_3,
    address.doc ->> 'Line4' AS line_4,
    address.doc ->> 'Line5' AS line_5,
    address.doc ->> 'Long' AS longitude,
    address.doc ->> 'PostalCode' AS postal_code
FROM (
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_customers
    UNION ALL
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_vendors
    UNION ALL
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_employees
    UNION ALL
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_company_info
    UNION ALL
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_invoices
    UNION ALL
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_estimates
    UNION ALL
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_credit_memos
    UNION ALL
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_sales_receipts
    UNION ALL
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_refund_receipts
    UNION ALL
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_bills
    UNION ALL
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_vendor_credits
    UNION ALL
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_purchases
    UNION ALL
    SELECT payload, ingested_at_utc, gone_found_at_utc, source_updated_at_utc FROM qb_purchase_orders
) AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
CROSS JOIN LATERAL (
    VALUES (record.doc -> 'BillAddr'),
        (record.doc -> 'ShipAddr'),
        (record.doc -> 'ShipFromAddr'),
        (record.doc -> 'VendorAddr'),
        (record.doc -> 'RemitToAddr'),
        (record.doc -> 'OtherAddr'),
        (record.doc -> 'CompanyAddr'),
        (record.doc -> 'CustomerCommunicationAddr'),
        (record.doc -> 'LegalAddr'),
        (record.doc -> 'PrimaryAddr')
) AS address (doc)
WHERE address.doc ->> 'Id' IS NOT NULL
ORDER BY address.doc ->> 'Id', source.source_updated_at_utc DESC NULLS LAST, source.ingested_at_utc DESC;
