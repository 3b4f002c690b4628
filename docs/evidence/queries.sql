-- rows per entity
SELECT 'invoices' AS entity_name, count(*) FROM raw.qb_invoices
UNION ALL SELECT 'customers', count(*) FROM raw.qb_customers
UNION ALL SELECT 'items', count(*) FROM raw.qb_items;

-- duplicates: no rows
SELECT id, COUNT(*) FROM raw.qb_invoices GROUP BY id HAVING COUNT(*) > 1;

-- the log
SELECT entity_name, window_start_utc, window_end_utc, records_inserted, records_updated, status, duration_seconds
FROM raw.backfill_log
ORDER BY window_start_utc;

-- sums per entity
SELECT entity_name, SUM(records_read) AS records_read, SUM(records_inserted) AS records_inserted,
       SUM(records_updated) AS records_updated, SUM(duration_seconds) AS duration_seconds
FROM raw.backfill_log
WHERE status = 'completed'
GROUP BY entity_name
ORDER BY entity_name;

-- the last five lines of one entity; windows of one page start together
SELECT *
FROM raw.backfill_log
WHERE entity_name = 'invoices'
ORDER BY started_at_utc DESC NULLS LAST, window_start_utc DESC
LIMIT 5;

-- records per day
SELECT extract_window_start_utc::date AS day, COUNT(*)
FROM raw.qb_invoices
GROUP BY day
ORDER BY day;
