//! Describes the expected tables, indexes, constraints and functions, and reports how a schema differs from them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tokio_postgres::{Client, GenericClient};

use super::identity;
use super::scripts::KNOWN;
use super::version::found_version;
use crate::{StoreErrorKind, StoreIdentity, TableName};

/// The tables of the ledger: name, columns (`!` for NOT NULL), primary key.
const LEDGER: [(&str, &str, &str); 25] = [
    ("schema_version", "version integer!, name text!, applied_at_utc timestamptz!", "version"),
    (
        "source_identity",
        "only_one boolean!, realm_id text!, environment text!, bound_at_utc timestamptz!",
        "only_one",
    ),
    (
        "backfill_run",
        "run_id text!, realm_id text!, environment text!, seed bigint!, chunk text!, range_start_utc timestamptz!, \
         range_end_utc timestamptz!, status text!, message text, started_at_utc timestamptz!, \
         finished_at_utc timestamptz, calls bigint!, retries bigint!, waited_seconds float8!, \
         stop_requested_at_utc timestamptz, error_code text, stop_requested_by text",
        "run_id",
    ),
    (
        "backfill_run_pipeline",
        "run_id text!, entity_name text!, time_axis text!, records_inserted bigint!, records_updated bigint!, \
         records_unchanged bigint!, records_quarantined bigint!, pages_read bigint!, windows_opened bigint!, \
         windows_completed bigint!, windows_provisional bigint!, windows_failed bigint!, \
         windows_unavailable bigint!",
        "run_id, entity_name",
    ),
    (
        "backfill_log",
        "entity_name text!, time_axis text!, window_start_utc timestamptz!, window_end_utc timestamptz!, \
         status text!, records_read bigint!, records_inserted bigint!, records_updated bigint!, \
         records_unchanged bigint!, records_quarantined bigint!, pages_read bigint!, duration_seconds float8!, \
         started_at_utc timestamptz, finished_at_utc timestamptz, error_message text, run_id text, \
         attempts integer!, cursor_utc timestamptz, cursor_ids text[], counted_at_utc timestamptz, \
         page_number integer!, all_fields boolean!, error_code text",
        "entity_name, time_axis, window_start_utc, window_end_utc",
    ),
    (
        "backfill_page",
        "run_id text!, entity_name text!, page_number integer!, request_payload jsonb!, records_inserted bigint!, \
         records_updated bigint!, records_unchanged bigint!, records_quarantined bigint!, outcome jsonb!, \
         answered_at_utc timestamptz!, committed_at_utc timestamptz!",
        "run_id, entity_name, page_number",
    ),
    (
        "backfill_lease",
        "entity_name text!, epoch bigint!, holder text!, backend_pid integer, backend_started_at timestamptz, \
         taken_at_utc timestamptz!, lease_until_utc timestamptz",
        "entity_name",
    ),
    (
        "quarantine",
        "entity_name text!, digest bytea!, record_id text, reason text!, raw bytea!, window_start_utc timestamptz!, \
         window_end_utc timestamptz!, run_id text, page_number integer!, request_payload jsonb!, \
         first_seen_at_utc timestamptz!, last_seen_at_utc timestamptz!, resolved_at_utc timestamptz, time_axis text, \
         accepted_at_utc timestamptz, accepted_by text, accepted_reason text, has_row boolean!",
        "entity_name, digest",
    ),
    (
        "consent_witness",
        "lineage text!, generation bigint!, fingerprint text!, host text!, seen_at_utc timestamptz!",
        "lineage",
    ),
    (
        "sealed_vault",
        "only_one boolean!, sealed bytea!, revision bigint!, changed_at_utc timestamptz!",
        "only_one",
    ),
    (
        "call_budget",
        "only_one boolean!, admissions bigint!, paused_until_utc timestamptz!, share float8!, \
         refused_since_utc timestamptz, refused_at_utc timestamptz, down_until_utc timestamptz",
        "only_one",
    ),
    (
        "call_slot",
        "slot integer!, uses bigint!, arrived_by_utc timestamptz!, in_flight_until_utc timestamptz!, \
         backend_pid integer, backend_started_at timestamptz, served_at_utc timestamptz",
        "slot",
    ),
    ("call_month", "month_utc date!, calls bigint!", "month_utc"),
    (
        "backfill_trigger",
        "trigger_name text!, status text!, fire_at_utc timestamptz!, if_missed text!, entity_names text[]!, \
         time_axis text!, range_start_utc timestamptz!, range_end_utc timestamptz!, chunk text!, chain text, \
         chain_position integer, run_id text, armings integer!, stop_requested_at_utc timestamptz, \
         changed_at_utc timestamptz!, message text, what text!, error_code text, stop_requested_by text",
        "trigger_name",
    ),
    (
        "backfill_trigger_history",
        "entry bigint!, trigger_name text!, happened_at_utc timestamptz!, event text!, run_id text, detail text, \
         by_whom text",
        "entry",
    ),
    (
        "backfill_validation",
        "run_id text!, entity_name text!, validated_at_utc timestamptz!, time_axis text!, rows_examined bigint!",
        "run_id, entity_name, validated_at_utc",
    ),
    (
        "backfill_finding",
        "run_id text!, entity_name text!, validated_at_utc timestamptz!, number integer!, kind text!, severity text!, \
         span_start_utc timestamptz, span_end_utc timestamptz, amount bigint!, detail text!",
        "run_id, entity_name, validated_at_utc, number",
    ),
    (
        "source_refusal",
        "entity_name text!, part text!, refused_at_utc timestamptz!, program text!",
        "entity_name, part",
    ),
    (
        "backfill_verification",
        "verification_id text!, entity_name text!, method text!, span_start_utc timestamptz!, span_end_utc timestamptz!, \
         result text!, records_counted bigint!, records_same bigint!, records_missing bigint!, records_changed bigint!, \
         rows_gone bigint!, rows_marked bigint!, calls bigint!, verified_at_utc timestamptz!",
        "verification_id, entity_name",
    ),
    ("qb_report_journal_report", REPORT_COLUMNS, "question"),
    ("qb_report_transaction_list", REPORT_COLUMNS, "question"),
    ("qb_report_trial_balance", REPORT_COLUMNS, "question"),
    (
        "attachment_file",
        "id text!, file_name text, size_bytes bigint, sha256 text, source_sync_token bigint, \
         recorded_at_utc timestamptz!",
        "id",
    ),
    (
        "backfill_event",
        "event_id bigint!, happened_at_utc timestamptz!, level text!, phase text!, event text!, run_id text, \
         entity_name text, trigger_name text, by_whom text, error_code text, detail text",
        "event_id",
    ),
    (
        "backfill_worker",
        "worker text!, version text!, profile text, activity text!, running text[]!, resting jsonb!, \
         started_at_utc timestamptz!, seen_at_utc timestamptz!",
        "worker",
    ),
];

/// The columns of every table of reports.
const REPORT_COLUMNS: &str = "question text!, answer json!, first_day date!, last_day date!, basis text, answered_at_utc timestamptz, \
     received_at_utc timestamptz!, verification_id text!";

/// The constraints of the ledger beside its primary keys: table and name of each.
const GUARDS: [(&str, &str); 36] = [
    ("backfill_trigger", "backfill_trigger_chain_chain_position_key"),
    ("backfill_trigger", "backfill_trigger_run_id_key"),
    ("source_identity", "source_identity_realm_id_environment_key"),
    ("attachment_file", "attachment_file_check"),
    ("attachment_file", "attachment_file_sha256_check"),
    ("attachment_file", "attachment_file_size_bytes_check"),
    ("backfill_event", "backfill_event_level_check"),
    ("backfill_finding", "backfill_finding_check"),
    ("backfill_finding", "backfill_finding_severity_check"),
    ("backfill_log", "backfill_log_check"),
    ("backfill_log", "backfill_log_check1"),
    ("backfill_log", "backfill_log_status_check"),
    ("backfill_run", "backfill_run_check"),
    ("backfill_run", "backfill_run_status_check"),
    ("backfill_trigger", "backfill_trigger_check"),
    ("backfill_trigger", "backfill_trigger_check1"),
    ("backfill_trigger", "backfill_trigger_check2"),
    ("backfill_trigger", "backfill_trigger_entity_names_check"),
    ("backfill_trigger", "backfill_trigger_if_missed_check"),
    ("backfill_trigger", "backfill_trigger_status_check"),
    ("backfill_trigger", "backfill_trigger_what_check"),
    ("backfill_verification", "backfill_verification_check"),
    ("backfill_verification", "backfill_verification_method_check"),
    ("backfill_verification", "backfill_verification_result_check"),
    ("backfill_worker", "backfill_worker_activity_check"),
    ("call_budget", "call_budget_only_one_check"),
    ("call_budget", "call_budget_share_check"),
    ("sealed_vault", "sealed_vault_only_one_check"),
    ("source_identity", "source_identity_only_one_check"),
    ("backfill_finding", "backfill_finding_run_id_entity_name_validated_at_utc_fkey"),
    ("backfill_log", "backfill_log_run_id_fkey"),
    ("backfill_page", "backfill_page_run_id_fkey"),
    ("backfill_run", "backfill_run_realm_id_environment_fkey"),
    ("backfill_run_pipeline", "backfill_run_pipeline_run_id_fkey"),
    ("backfill_validation", "backfill_validation_run_id_fkey"),
    ("quarantine", "quarantine_run_id_fkey"),
];

/// Indexes that find lines, and the one that makes the epoch of a lease a key.
const INDEXES: [(&str, &str); 9] = [
    ("backfill_log", "backfill_log_by_start"),
    ("backfill_lease", "backfill_lease_by_owner"),
    ("backfill_trigger", "backfill_trigger_open"),
    ("backfill_trigger_history", "backfill_trigger_history_by_name"),
    ("backfill_trigger_history", "backfill_trigger_history_by_time"),
    ("backfill_log", "backfill_log_not_completed"),
    ("backfill_page", "backfill_page_by_commit"),
    ("backfill_event", "backfill_event_by_time"),
    ("backfill_verification", "backfill_verification_newest"),
];

const FUNCTIONS: [&str; 4] =
    ["complete_raw_table", "create_raw_table", "grant_on_raw_table", "remove_old_events"];

const VIEWS: [&str; 3] = ["v_backfill_coverage", "v_backfill_daily", "v_backfill_findings"];

/// Constraints, valid indexes, views, and functions with one text parameter or none, in this order; each with its table, where it has
/// one.
const OBJECTS: &str = "
    SELECT class.relname::text, constraint_.conname::text
    FROM pg_constraint AS constraint_ JOIN pg_class AS class ON class.oid = constraint_.conrelid
    WHERE class.relnamespace = to_regnamespace(current_schema())
    UNION ALL
    SELECT class.relname::text, made.relname::text
    FROM pg_index AS index JOIN pg_class AS class ON class.oid = index.indrelid JOIN pg_class AS made ON made.oid = index.indexrelid
    WHERE class.relnamespace = to_regnamespace(current_schema()) AND index.indisvalid
    UNION ALL
    SELECT relname::text, 'a view' FROM pg_class
    WHERE relnamespace = to_regnamespace(current_schema()) AND relkind = 'v'
    UNION ALL
    SELECT proname::text, 'a function' FROM pg_proc
    WHERE pronamespace = to_regnamespace(current_schema()) AND oidvectortypes(proargtypes) IN ('text', '')";

/// The views of live records that are missing. A partition has none of its own.
const MISSING_LIVE: &str = "
    SELECT 'v_' || class.relname || '_live'
    FROM pg_class AS class
    WHERE class.relnamespace = to_regnamespace(current_schema()) AND class.relkind IN ('r', 'p') AND NOT class.relispartition
      AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = class.oid AND attname = 'payload_digest' AND NOT attisdropped)
      AND to_regclass(format('%I.%I', current_schema(), 'v_' || class.relname || '_live')) IS NULL";

/// Whether the role may read the budget, and then whether it has its line.
const MAY_LOOK: &str = "
    SELECT coalesce(has_table_privilege(to_regclass('call_budget'), 'SELECT'), false)";
const BUDGET: &str = "SELECT count(*) FROM call_budget";

/// The columns of every raw table.
const RAW_COLUMNS: &str = "id text!, payload jsonb!, ingested_at_utc timestamptz!, \
     extract_window_start_utc timestamptz!, extract_window_end_utc timestamptz!, page_number integer!, \
     page_size integer!, request_payload jsonb!, source_updated_at_utc timestamptz, source_sync_token bigint, \
     source_answered_at_utc timestamptz!, payload_digest bytea!, gone_found_at_utc timestamptz, \
     source_deleted_at_utc timestamptz, source_updated_on date";

/// The raw tables that the scripts create.
const RAW_TABLES: [&str; 3] = ["qb_invoices", "qb_customers", "qb_items"];

/// Any other table with this column is a raw table, made by `prepare`.
const RAW_MARK: &str = "extract_window_start_utc";

/// All columns of the schema. From the catalog and not from `information_schema`, which hides what the role may not use. The
/// last column says whether a row needs no value for it.
const COLUMNS: &str = "
    SELECT class.relname::text, column_.attname::text, format_type(column_.atttypid, NULL), column_.attnotnull,
        column_.atthasdef OR column_.attidentity <> ''
    FROM pg_class AS class
    JOIN pg_attribute AS column_ ON column_.attrelid = class.oid
    WHERE class.relnamespace = to_regnamespace(current_schema()) AND class.relkind IN ('r', 'p')
      AND column_.attnum > 0 AND NOT column_.attisdropped";

/// The columns of every unconditional unique index, in their order.
const KEYS: &str = "
    SELECT class.relname::text,
        (SELECT string_agg(column_.attname, ', ' ORDER BY part.position)
         FROM unnest(index.indkey::int2[]) WITH ORDINALITY AS part (number, position)
         JOIN pg_attribute AS column_ ON column_.attrelid = class.oid AND column_.attnum = part.number
         WHERE part.position <= index.indnkeyatts)
    FROM pg_class AS class
    JOIN pg_index AS index ON index.indrelid = class.oid
    WHERE class.relnamespace = to_regnamespace(current_schema())
      AND index.indisunique AND index.indisvalid AND index.indpred IS NULL AND index.indexprs IS NULL";

const TABLES: &str = "
    SELECT relname::text, pg_stat_get_live_tuples(oid)
    FROM pg_class
    WHERE relnamespace = to_regnamespace(current_schema()) AND relkind IN ('r', 'p')
    ORDER BY relname";

const LZ4: &str = "SELECT coalesce(bool_or('lz4' = ANY(enumvals)), false) FROM pg_settings WHERE name = 'default_toast_compression'";

/// What a schema contains.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaStatus {
    /// The schema's version; `None` if it is not set up.
    pub found: Option<i32>,
    /// The version that this program needs.
    pub known: i32,
    /// The company that the schema is bound to, if any yet.
    pub identity: Option<StoreIdentity>,
    /// Tables of the schema by name, each with the server's estimate of its rows.
    pub tables: Vec<(Box<str>, u64)>,
    /// Whether the server can compress with lz4, with which loading is almost twice as fast as with its default.
    pub lz4: bool,
    /// The server's version, such as `16.4`.
    pub server_version: Box<str>,
}

/// One difference between a schema and what this program expects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaDifference {
    /// Table concerned.
    pub table: Box<str>,
    /// Column concerned; `None` if the difference is about the table.
    pub column: Option<Box<str>>,
    /// What this program expects.
    pub expected: Box<str>,
    /// What was found; `None` if nothing was.
    pub found: Option<Box<str>>,
}

/// Formats the difference as `table.column: expected …, found …`.
impl fmt::Display for SchemaDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table)?;
        if let Some(column) = &self.column {
            write!(f, ".{column}")?;
        }
        write!(f, ": expected {}, found {}", self.expected, self.found.as_deref().unwrap_or("nothing"))
    }
}

/// The tables of the ledger.
pub(super) fn ledger() -> Vec<&'static str> {
    LEDGER.iter().map(|(name, ..)| *name).collect()
}

/// Whether a table belongs to the ledger.
pub(super) fn is_ledger_table(table: &TableName) -> bool {
    LEDGER.iter().any(|(name, ..)| *name == table.as_str())
}

/// Texts and JSON are sent as UTF-8; a database of another encoding would refuse or lose characters.
pub(super) async fn check_encoding(client: &Client) -> Result<(), StoreErrorKind> {
    let encoding: String = client.query_one("SHOW server_encoding", &[]).await?.try_get(0)?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(StoreErrorKind::Differs(format!("the encoding of the database is {encoding}, needed is UTF8").into()))
}

/// Reads the status of a schema, whatever its state.
pub(super) async fn status(client: &Client) -> Result<SchemaStatus, StoreErrorKind> {
    let found = found_version(client).await?;
    let identity = if found.is_some() { identity::bound(client).await? } else { None };
    let mut tables = Vec::new();
    for row in client.query(TABLES, &[]).await? {
        let (name, rows): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        tables.push((name.into(), rows.cast_unsigned()));
    }
    let lz4 = client.query_one(LZ4, &[]).await?.try_get(0)?;
    let server: String = client.query_one("SHOW server_version", &[]).await?.try_get(0)?;
    Ok(SchemaStatus { found, known: KNOWN, identity, tables, lz4, server_version: server.into() })
}

/// The columns and the primary key of a table, as found or as expected.
#[derive(Debug, Default)]
struct Table {
    columns: BTreeMap<String, Column>,
    keys: Vec<String>,
}

/// The type and the constraints of one column.
#[derive(Debug)]
struct Column {
    ty: String,
    not_null: bool,
    has_default: bool,
}

/// Compares a schema with what is expected.
pub(super) async fn differences(
    client: &impl GenericClient,
) -> Result<Vec<SchemaDifference>, StoreErrorKind> {
    let found = read(client).await?;
    let mut differences = Vec::new();
    for (name, columns, key) in LEDGER {
        compare(name, found.get(name), (columns, key), &mut differences);
    }
    for name in RAW_TABLES {
        compare(name, found.get(name), (RAW_COLUMNS, "id"), &mut differences);
    }
    let others = found
        .iter()
        .filter(|(name, table)| table.columns.contains_key(RAW_MARK) && !RAW_TABLES.contains(&name.as_str()));
    for (name, table) in others {
        compare(name, Some(table), (RAW_COLUMNS, "id"), &mut differences);
    }
    for (table, column, expected, found) in missing_objects(client, &found).await? {
        differences.push(SchemaDifference { table, column, expected: expected.into(), found });
    }
    differences.sort_unstable();
    Ok(differences)
}

/// A difference that is about no column.
type Missing = (Box<str>, Option<Box<str>>, String, Option<Box<str>>);

/// What a run needs beside tables. An object of a missing table is not reported separately.
async fn missing_objects(
    client: &impl GenericClient,
    tables: &BTreeMap<String, Table>,
) -> Result<Vec<Missing>, StoreErrorKind> {
    let mut found: BTreeSet<(String, String)> = BTreeSet::new();
    for row in client.query(OBJECTS, &[]).await? {
        found.insert((row.try_get(0)?, row.try_get(1)?));
    }
    let is_there = |of: &str, name: &str| found.contains(&(of.to_owned(), name.to_owned()));
    let mut missing: Vec<Missing> = Vec::new();
    for (what, expected) in [("constraint", &GUARDS[..]), ("index", &INDEXES[..])] {
        let gone = expected.iter().filter(|(of, name)| tables.contains_key(*of) && !is_there(of, name));
        missing.extend(gone.map(|(of, name)| ((*of).into(), None, format!("{what} {name}"), None)));
    }
    for (what, names) in [("a view", &VIEWS[..]), ("a function", &FUNCTIONS[..])] {
        let gone = names.iter().filter(|name| !is_there(name, what));
        missing.extend(gone.map(|name| ((*name).into(), None, what.to_owned(), None)));
    }
    for row in client.query(MISSING_LIVE, &[]).await? {
        missing.push((row.try_get::<_, String>(0)?.into(), None, "a view".into(), None));
    }
    if client.query_one(MAY_LOOK, &[]).await?.try_get(0)? {
        let lines: i64 = client.query_one(BUDGET, &[]).await?.try_get(0)?;
        if lines != 1 {
            missing.push(("call_budget".into(), None, "one line".into(), Some(lines.to_string().into())));
        }
    }
    Ok(missing)
}

async fn read(client: &impl GenericClient) -> Result<BTreeMap<String, Table>, StoreErrorKind> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for row in client.query(COLUMNS, &[]).await? {
        let column = Column { ty: row.try_get(2)?, not_null: row.try_get(3)?, has_default: row.try_get(4)? };
        tables.entry(row.try_get(0)?).or_default().columns.insert(row.try_get(1)?, column);
    }
    for row in client.query(KEYS, &[]).await? {
        let key: Option<String> = row.try_get(1)?;
        tables.entry(row.try_get(0)?).or_default().keys.extend(key);
    }
    Ok(tables)
}

fn compare(
    name: &str,
    found: Option<&Table>,
    expected: (&str, &str),
    differences: &mut Vec<SchemaDifference>,
) {
    let mut differs = |column: Option<&str>, expected: String, found: Option<String>| {
        let column = column.map(Into::into);
        differences.push(SchemaDifference {
            table: name.into(),
            column,
            expected: expected.into(),
            found: found.map(Into::into),
        });
    };
    let Some(table) = found else {
        return differs(None, "a table".into(), None);
    };
    let mut unexpected = table.columns.keys().collect::<Vec<_>>();
    for (column, ty) in expected.0.split(", ").filter_map(|column| column.split_once(' ')) {
        unexpected.retain(|name| *name != column);
        let expected = Column::shown(full_name(ty.trim_end_matches('!')), ty.ends_with('!'));
        let found = table.columns.get(column).map(|found| Column::shown(&found.ty, found.not_null));
        if found.as_ref() != Some(&expected) {
            differs(Some(column), expected, found);
        }
    }
    // A user's own column is accepted as long as rows need no value for it.
    for column in unexpected
        .into_iter()
        .filter(|name| table.columns[*name].not_null && !table.columns[*name].has_default)
    {
        differs(Some(column), "a default, or null".into(), Some("neither".into()));
    }
    if !table.keys.iter().any(|key| key == expected.1) {
        differs(
            None,
            format!("primary key ({})", expected.1),
            Some(format!("keys ({})", table.keys.join("), ("))),
        );
    }
}

impl Column {
    fn shown(ty: &str, not_null: bool) -> String {
        format!("{ty}{}", if not_null { " not null" } else { "" })
    }
}

/// The name that `format_type` has for a type.
fn full_name(ty: &str) -> &str {
    match ty {
        "timestamptz" => "timestamp with time zone",
        "float8" => "double precision",
        other => other,
    }
}
