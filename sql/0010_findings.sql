-- qbo-backfill, schema version 10: what was found when the rows were looked over after a run, and views for people who look with pgAdmin.

CREATE SCHEMA IF NOT EXISTS raw /*schema*/;
SET search_path TO raw /*schema*/, pg_catalog, pg_temp;

-- One line per run, pipeline and examination, also where nothing was found. Nothing is replaced: the newest line counts.
CREATE TABLE IF NOT EXISTS backfill_validation (
    run_id            text NOT NULL REFERENCES backfill_run (run_id) ON DELETE CASCADE,
    entity_name       text NOT NULL,
    validated_at_utc  timestamptz NOT NULL,
    time_axis         text NOT NULL,
    rows_examined     bigint NOT NULL,
    PRIMARY KEY (run_id, entity_name, validated_at_utc)
);

-- Days and numbers, never the text of a document.
CREATE TABLE IF NOT EXISTS backfill_finding (
    run_id            text NOT NULL,
    entity_name       text NOT NULL,
    validated_at_utc  timestamptz NOT NULL,
    number            integer NOT NULL,
    kind              text NOT NULL,
    severity          text NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
    -- What it is about; null if it is about all that was examined.
    span_start_utc    timestamptz,
    span_end_utc      timestamptz,
    amount            bigint NOT NULL,
    detail            text NOT NULL,
    PRIMARY KEY (run_id, entity_name, validated_at_utc, number),
    FOREIGN KEY (run_id, entity_name, validated_at_utc)
        REFERENCES backfill_validation (run_id, entity_name, validated_at_utc) ON DELETE CASCADE,
    CHECK ((span_start_utc IS NULL) = (span_end_utc IS NULL) AND (span_start_utc IS NULL OR span_start_utc < span_end_utc))
);

-- How far each pipeline is: windows by state, and how much of the time between its first and last window is read.
CREATE OR REPLACE VIEW v_backfill_coverage AS
SELECT
    entity_name,
    time_axis,
    min(first_start) AS first_window_utc,
    max(last_end) AS last_window_utc,
    sum(lines)::bigint AS windows,
    coalesce(sum(lines) FILTER (WHERE status = 'completed'), 0)::bigint AS completed,
    coalesce(sum(lines) FILTER (WHERE status = 'provisional'), 0)::bigint AS provisional,
    coalesce(sum(lines) FILTER (WHERE status = 'failed'), 0)::bigint AS failed,
    coalesce(sum(lines) FILTER (WHERE status = 'unavailable'), 0)::bigint AS unavailable,
    coalesce(sum(lines) FILTER (WHERE status IN ('pending', 'running')), 0)::bigint AS open,
    coalesce(sum(empty_lines) FILTER (WHERE status = 'completed'), 0)::bigint AS empty,
    round((100 * coalesce(extract(epoch FROM sum(fresh) FILTER (WHERE status = 'completed')), 0)
        / extract(epoch FROM max(last_end) - min(first_start)))::numeric, 2) AS percent_completed,
    min(first_start) FILTER (WHERE status NOT IN ('completed', 'unavailable')) AS first_open_window_utc,
    sum(read)::bigint AS records_read,
    sum(quarantined)::bigint AS records_quarantined,
    max(last_finished) AS last_finished_at_utc
FROM (
    SELECT entity_name, time_axis, status, min(window_start_utc) AS first_start, max(window_end_utc) AS last_end, count(*) AS lines,
        count(*) FILTER (WHERE records_read = 0) AS empty_lines, sum(records_read) AS read, sum(records_quarantined) AS quarantined,
        max(finished_at_utc) AS last_finished,
        sum(window_end_utc - least(window_end_utc, greatest(window_start_utc, done_before))) AS fresh
    FROM (
        -- The same time may have been read in windows of several sizes: what they cover together is counted once. In the order of the
        -- primary key, so that no line has to be sorted.
        SELECT entity_name, time_axis, status, window_start_utc, window_end_utc, records_read, records_quarantined, finished_at_utc,
            max(window_end_utc) FILTER (WHERE status = 'completed') OVER (
                PARTITION BY entity_name, time_axis ORDER BY window_start_utc, window_end_utc
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS done_before
        FROM backfill_log
    ) AS line
    GROUP BY entity_name, time_axis, status
) AS part
GROUP BY entity_name, time_axis;

-- A line per pipeline and day, in UTC. A day that lies in a longer window has its state, and no number of its own. A window of at most a day
-- that crosses midnight, as one that begins with the day of a time zone, has its numbers on the day in which its middle lies.
CREATE OR REPLACE VIEW v_backfill_daily AS
SELECT
    entity_name,
    time_axis,
    day::date AS day_utc,
    CASE
        WHEN bool_or(status = 'failed') THEN 'failed'
        WHEN bool_or(status IN ('pending', 'running')) THEN 'open'
        WHEN bool_or(status = 'provisional') THEN 'provisional'
        WHEN bool_or(status = 'unavailable') THEN 'unavailable'
        ELSE 'completed'
    END AS status,
    count(*) AS windows,
    (sum(records_read) FILTER (WHERE has_numbers))::bigint AS records_read,
    (sum(records_inserted) FILTER (WHERE has_numbers))::bigint AS records_inserted,
    (sum(records_updated) FILTER (WHERE has_numbers))::bigint AS records_updated,
    max(attempts) AS attempts
FROM (
    SELECT log.*, day, window_end_utc - window_start_utc <= interval '1 day'
        AND day = date_trunc('day', (window_start_utc + (window_end_utc - window_start_utc) / 2) AT TIME ZONE 'UTC') AS has_numbers
    FROM backfill_log AS log
    CROSS JOIN LATERAL generate_series(
        date_trunc('day', window_start_utc AT TIME ZONE 'UTC'),
        (window_end_utc - interval '1 microsecond') AT TIME ZONE 'UTC',
        interval '1 day') AS day
) AS line
GROUP BY entity_name, time_axis, day;

-- What the last examination of each pipeline found, the most serious first.
CREATE OR REPLACE VIEW v_backfill_findings AS
SELECT
    finding.severity,
    finding.entity_name,
    finding.kind,
    (finding.span_start_utc AT TIME ZONE 'UTC')::date AS day_utc,
    finding.span_start_utc,
    finding.span_end_utc,
    finding.amount,
    finding.detail,
    finding.run_id,
    finding.validated_at_utc
FROM backfill_finding AS finding
JOIN (
    SELECT DISTINCT ON (entity_name) run_id, entity_name, validated_at_utc
    FROM backfill_validation
    ORDER BY entity_name, validated_at_utc DESC, run_id DESC
) AS newest USING (run_id, entity_name, validated_at_utc)
ORDER BY array_position(ARRAY['error', 'warning', 'info'], finding.severity), entity_name, span_start_utc, number;

INSERT INTO schema_version (version, name) VALUES (10, 'findings') ON CONFLICT (version) DO NOTHING;
