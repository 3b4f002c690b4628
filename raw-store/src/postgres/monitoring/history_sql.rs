//! Builds the statement that reads the history: one part for each kind of entry, of which each reads only as many rows as are shown.

use crate::{HistoryFilter, HistoryKind, HistoryOrder, HistoryPhase, Severity};

/// One kind of entry, what it may have at most, and its columns, which all parts have in common. What cannot match is not read.
struct Part {
    kind: HistoryKind,
    phase: Option<HistoryPhase>,
    knows_who: bool,
    worst: Severity,
    has_text: bool,
    sql: &'static str,
}

/// The columns of every part: `at, key, level, phase, event, run_id, entity_name, trigger_name, by_whom, error_code, span_start,
/// span_end, records, detail`.
const PARTS: [Part; 8] = [
    Part {
        kind: HistoryKind::Event,
        phase: None,
        knows_who: true,
        worst: Severity::Error,
        has_text: true,
        sql: "SELECT happened_at_utc AS at, lpad(event_id::text, 20, '0') AS key, level, phase, event, run_id, entity_name,
            trigger_name, by_whom, error_code, NULL::timestamptz AS span_start, NULL::timestamptz AS span_end, NULL::bigint AS records,
            detail
        FROM backfill_event",
    },
    Part {
        kind: HistoryKind::Finding,
        phase: Some(HistoryPhase::Validate),
        knows_who: false,
        worst: Severity::Error,
        has_text: true,
        sql: "SELECT validated_at_utc AS at, entity_name || ' ' || lpad(number::text, 10, '0') || ' ' || run_id AS key,
            severity AS level, 'validate' AS phase, kind AS event, run_id, entity_name, NULL AS trigger_name, NULL AS by_whom,
            NULL AS error_code, span_start_utc AS span_start, span_end_utc AS span_end, amount AS records, detail
        FROM backfill_finding",
    },
    Part {
        kind: HistoryKind::Page,
        phase: Some(HistoryPhase::Load),
        knows_who: false,
        worst: Severity::Warning,
        has_text: false,
        sql: "SELECT committed_at_utc AS at, run_id || ' ' || entity_name || ' ' || lpad(page_number::text, 10, '0') AS key,
            CASE WHEN records_quarantined > 0 THEN 'warning' ELSE 'info' END AS level, 'load' AS phase, page_number::text AS event,
            run_id, entity_name, NULL AS trigger_name, NULL AS by_whom, NULL AS error_code, NULL::timestamptz AS span_start,
            NULL::timestamptz AS span_end, records_inserted + records_updated + records_unchanged + records_quarantined AS records,
            NULL AS detail
        FROM backfill_page",
    },
    Part {
        kind: HistoryKind::RunAskedToStop,
        phase: Some(HistoryPhase::Run),
        knows_who: true,
        worst: Severity::Info,
        has_text: true,
        sql: "SELECT stop_requested_at_utc AS at, run_id AS key, 'info' AS level, 'run' AS phase, 'stop requested' AS event, run_id,
            NULL AS entity_name, NULL AS trigger_name, stop_requested_by AS by_whom, NULL AS error_code,
            NULL::timestamptz AS span_start, NULL::timestamptz AS span_end, NULL::bigint AS records, NULL AS detail
        FROM backfill_run",
    },
    Part {
        kind: HistoryKind::RunBegun,
        phase: Some(HistoryPhase::Run),
        knows_who: false,
        worst: Severity::Info,
        has_text: true,
        sql: "SELECT started_at_utc AS at, run_id AS key, 'info' AS level, 'run' AS phase, 'running' AS event, run_id,
            NULL AS entity_name, NULL AS trigger_name, NULL AS by_whom, NULL AS error_code, range_start_utc AS span_start,
            range_end_utc AS span_end, NULL::bigint AS records, NULL AS detail
        FROM backfill_run",
    },
    Part {
        kind: HistoryKind::RunEnded,
        phase: Some(HistoryPhase::Run),
        knows_who: false,
        worst: Severity::Error,
        has_text: true,
        sql: "SELECT finished_at_utc AS at, run_id AS key,
            CASE WHEN status = 'failed' THEN 'error' WHEN status IN ('incomplete', 'stopped') THEN 'warning' ELSE 'info' END AS level,
            'run' AS phase, status AS event, run_id, NULL AS entity_name, NULL AS trigger_name, NULL AS by_whom, error_code,
            range_start_utc AS span_start, range_end_utc AS span_end, NULL::bigint AS records, message AS detail
        FROM backfill_run",
    },
    Part {
        kind: HistoryKind::Trigger,
        phase: Some(HistoryPhase::Trigger),
        knows_who: true,
        worst: Severity::Error,
        has_text: true,
        sql: "SELECT happened_at_utc AS at, trigger_name || ' ' || lpad(entry::text, 20, '0') AS key,
            CASE event WHEN 'failed' THEN 'error' WHEN 'expired' THEN 'warning' ELSE 'info' END AS level, 'trigger' AS phase, event,
            run_id, NULL AS entity_name, trigger_name, by_whom, NULL AS error_code, NULL::timestamptz AS span_start,
            NULL::timestamptz AS span_end, NULL::bigint AS records, detail
        FROM backfill_trigger_history",
    },
    Part {
        kind: HistoryKind::Verification,
        phase: Some(HistoryPhase::Verify),
        knows_who: false,
        worst: Severity::Error,
        has_text: true,
        sql: "SELECT verified_at_utc AS at, verification_id || ' ' || entity_name AS key,
            CASE result WHEN 'differs' THEN 'error' WHEN 'incomplete' THEN 'warning' ELSE 'info' END AS level, 'verify' AS phase,
            result AS event, verification_id AS run_id, entity_name, NULL AS trigger_name, NULL AS by_whom, NULL AS error_code,
            span_start_utc AS span_start, span_end_utc AS span_end, records_counted + records_same AS records, method AS detail
        FROM backfill_verification",
    },
];

/// The windows, whose key is long: it is made only for those that are shown. They are sorted by the columns that the key consists of,
/// which is the order of the key, because a space sorts before everything that a name may contain.
const WINDOWS: Part = Part {
    kind: HistoryKind::Window,
    phase: Some(HistoryPhase::Load),
    knows_who: false,
        worst: Severity::Error,
        has_text: true,
    sql: "SELECT finished_at_utc AS at, NULL AS key,
        CASE status WHEN 'failed' THEN 'error' WHEN 'unavailable' THEN 'warning' ELSE 'info' END AS level, 'load' AS phase,
        status AS event, run_id, entity_name, NULL AS trigger_name, NULL AS by_whom, error_code, window_start_utc AS span_start,
        window_end_utc AS span_end, records_read AS records, error_message AS detail, time_axis
    FROM backfill_log",
};

/// The key of a window.
const WINDOW_KEY: &str = "entity_name || ' ' || time_axis || ' '
    || to_char(span_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') || ' '
    || to_char(span_end AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";

/// The columns of an entry behind its key.
const COLUMNS: &str = "level, phase, event, run_id, entity_name, trigger_name, by_whom, error_code, span_start, span_end, records, detail";

/// Builds the statement. Its parameters: start and end of the span, run, pipeline, who, text, the time, kind and key behind which it goes
/// on, and the limit. What was given is bound; the text consists of our own words alone.
pub(super) fn statement(filter: &HistoryFilter, order: HistoryOrder, goes_on: bool) -> Option<String> {
    let parts: Vec<String> = PARTS
        .iter()
        .chain([&WINDOWS])
        .filter(|part| part.may_match(filter))
        .map(|part| part.statement(filter, order, goes_on))
        .collect();
    if parts.is_empty() {
        return None;
    }
    let direction = direction(order);
    Some(format!(
        "SELECT at, kind, key, {COLUMNS} FROM ({}) AS entry
         WHERE ($3::text IS NULL OR true) AND ($4::text IS NULL OR true) AND ($5::text IS NULL OR true)
           AND ($6::text IS NULL OR true) AND ($7::timestamptz IS NULL OR true) AND ($8::text IS NULL OR true)
           AND ($9::text IS NULL OR true)
         ORDER BY at {direction}, kind COLLATE \"C\" {direction}, key COLLATE \"C\" {direction} LIMIT $10",
        parts.join(" UNION ALL ")
    ))
}

fn direction(order: HistoryOrder) -> &'static str {
    match order {
        HistoryOrder::NewestFirst => "DESC",
        HistoryOrder::OldestFirst => "ASC",
    }
}

impl Part {
    /// Whether entries of this kind can match the filter at all.
    fn may_match(&self, filter: &HistoryFilter) -> bool {
        let phase = filter.phase.is_none_or(|phase| self.phase.is_none_or(|own| own == phase));
        phase
            && (filter.who.is_none() || self.knows_who)
            && (filter.text.is_none() || self.has_text)
            && filter.level.is_none_or(|level| level <= self.worst)
    }

    fn statement(&self, filter: &HistoryFilter, order: HistoryOrder, goes_on: bool) -> String {
        let kind = self.kind.as_str();
        let is_windows = self.kind == HistoryKind::Window;
        let key = if is_windows { WINDOW_KEY } else { "key" };
        let mut conditions = "at >= $1 AND at < $2".to_owned();
        let mut add = |condition: &str| {
            conditions.push_str(" AND ");
            conditions.push_str(condition);
        };
        match filter.level {
            None | Some(Severity::Info) => {}
            Some(Severity::Warning) => add("level IN ('warning', 'error')"),
            Some(Severity::Error) => add("level = 'error'"),
        }
        // The index of the few windows that are not completed serves these.
        if is_windows && filter.level.is_some_and(|level| level > Severity::Info) {
            add("event <> 'completed'");
        }
        if let (Some(phase), None) = (filter.phase, self.phase) {
            add(&format!("phase = '{}'", phase.as_str()));
        }
        if filter.run.is_some() {
            add("run_id = $3");
        }
        if filter.entity_name.is_some() {
            add("entity_name = $4");
        }
        if filter.who.is_some() {
            add("by_whom = $5");
        }
        if filter.text.is_some() {
            add("(position(lower($6) IN lower(event)) > 0 OR position(lower($6) IN lower(error_code)) > 0
                OR position(lower($6) IN lower(detail)) > 0)");
        }
        if goes_on {
            let (behind, at_most) = match order {
                HistoryOrder::NewestFirst => ("<", "<="),
                HistoryOrder::OldestFirst => (">", ">="),
            };
            add(&format!(
                "at {at_most} $7 AND (at {behind} $7 OR '{kind}' COLLATE \"C\" {behind} $8
                 OR ('{kind}' = $8 AND ({key}) COLLATE \"C\" {behind} $9))"
            ));
        }
        let direction = direction(order);
        let place = if is_windows {
            format!(
                "entity_name COLLATE \"C\" {direction}, time_axis COLLATE \"C\" {direction}, span_start {direction}, span_end {direction}"
            )
        } else {
            format!("key COLLATE \"C\" {direction}")
        };
        let columns =
            if is_windows { format!("at, time_axis, {COLUMNS}") } else { format!("at, key, {COLUMNS}") };
        format!(
            "(SELECT at, '{kind}'::text AS kind, {key} AS key, {COLUMNS} FROM (
                SELECT {columns} FROM ({}) AS one WHERE {conditions} ORDER BY at {direction}, {place} LIMIT $10) AS shown)",
            self.sql
        )
    }
}
