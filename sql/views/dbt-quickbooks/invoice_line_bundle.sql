-- No row. The package joins the parts of bundles with every line of their invoice, which would count an invoice that has a bundle beside other
-- lines several times, so each part is a row of invoice_line instead.
SET search_path TO quickbooks /*target*/, raw /*schema*/, pg_temp;

CREATE OR REPLACE VIEW invoice_line_bundle AS
SELECT
    NULL::timestamp AS _fivetran_synced,
    NULL::text AS account_id,
    NULL::numeric AS amount,
    NULL::text AS class_id,
    NULL::text AS description,
    NULL::numeric AS discount_amount,
    NULL::numeric AS discount_rate,
    NULL::integer AS index,
    NULL::text AS invoice_id,
    NULL::text AS invoice_line_index,
    NULL::text AS item_id,
    NULL::text AS line_num,
    NULL::numeric AS quantity,
    NULL::text AS sales_item_account_id,
    NULL::text AS sales_item_item_id,
    NULL::numeric AS sales_item_quantity,
    NULL::text AS sales_item_tax_code_id,
    NULL::timestamp AS service_date,
    NULL::text AS tax_code_id,
    NULL::numeric AS unit_price
WHERE false;

COMMENT ON COLUMN invoice_line_bundle._fivetran_synced IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.account_id IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.amount IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.class_id IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.description IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.discount_amount IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.discount_rate IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.index IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.invoice_id IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.invoice_line_index IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.item_id IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.line_num IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.quantity IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.sales_item_account_id IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.sales_item_item_id IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.sales_item_quantity IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.sales_item_tax_code_id IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.service_date IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.tax_code_id IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
COMMENT ON COLUMN invoice_line_bundle.unit_price IS 'Always null: the view has no row; each part of a bundle is a row of invoice_line.';
