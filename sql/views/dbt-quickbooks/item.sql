-- One row for each item that is no bundle, from qb_items.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW item AS
SELECT
    greatest(source.ingested_at_utc, source.gone_found_at_utc) AT TIME ZONE 'UTC' AS _fivetran_synced,
    as_boolean(record.doc ->> 'Active') AS active,
    record.doc #>> '{AssetAccountRef,value}' AS asset_account_id,
    as_time(record.doc #>> '{MetaData,CreateTime}') AS created_at,
    record.doc ->> 'Description' AS description,
    record.doc #>> '{ExpenseAccountRef,value}' AS expense_account_id,
    record.doc ->> 'FullyQualifiedName' AS fully_qualified_name,
    source.id AS id,
    record.doc #>> '{IncomeAccountRef,value}' AS income_account_id,
    as_date(record.doc ->> 'InvStartDate') AS inventory_start_date,
    record.doc ->> 'Level' AS level,
    record.doc ->> 'Name' AS name,
    record.doc #>> '{ParentRef,value}' AS parent_item_id,
    as_number(record.doc ->> 'PurchaseCost') AS purchase_cost,
    record.doc ->> 'PurchaseDesc' AS purchase_description,
    record.doc #>> '{PurchaseTaxCodeRef,value}' AS purchase_tax_code_id,
    as_boolean(record.doc ->> 'PurchaseTaxIncluded') AS purchase_tax_included,
    as_number(record.doc ->> 'QtyOnHand') AS quantity_on_hand,
    record.doc #>> '{SalesTaxCodeRef,value}' AS sales_tax_code_id,
    as_boolean(record.doc ->> 'SalesTaxIncluded') AS sales_tax_included,
    record.doc ->> 'Sku' AS stock_keeping_unit,
    as_boolean(record.doc ->> 'SubItem') AS sub_item,
    record.doc ->> 'SyncToken' AS sync_token,
    as_boolean(record.doc ->> 'Taxable') AS taxable,
    as_boolean(record.doc ->> 'TrackQtyOnHand') AS track_quantity_on_hand,
    record.doc ->> 'Type' AS type,
    as_number(record.doc ->> 'UnitPrice') AS unit_price,
    as_time(record.doc #>> '{MetaData,LastUpdatedTime}') AS updated_at,
    source.gone_found_at_utc IS NOT NULL AS _fivetran_deleted
FROM qb_items AS source
CROSS JOIN LATERAL (SELECT source.payload || '{}' AS doc OFFSET 0) AS record
WHERE record.doc ->> 'Type' IS DISTINCT FROM 'Group';
