//! Installs, describes and drops sets of views in schemas of their own, over the raw tables of one schema.

mod grants;
mod scripts;
mod set;

use deadpool_postgres::{Object, Transaction};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, GenericClient};

use self::scripts::{Scripts, TARGET};
pub use self::set::{UnknownViewSet, ViewSet};
use super::migrate;
use super::scripts::PLACEHOLDER;
use super::version::exists;
use crate::{SchemaName, StoreErrorKind};

/// What a schema has of a set of views.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ViewsStatus {
    /// Version of the installed views; `None` if they are not installed.
    pub installed: Option<i32>,
    /// The version that this program installs.
    pub known: i32,
    /// Version of the package that the installed views serve, or of the one that this program's views serve.
    pub package: Box<str>,
    /// The schema whose raw tables the installed views read.
    pub raw_schema: Option<Box<str>>,
    /// Names of the views that exist, in alphabetical order.
    pub views: Vec<Box<str>>,
    /// Names of the views that this program would install and that do not exist.
    pub missing: Vec<Box<str>>,
    /// Columns that are null in every row.
    pub null_columns: Vec<NullColumn>,
}

/// A column that cannot be derived from the raw rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NullColumn {
    /// View that has the column.
    pub view: Box<str>,
    /// Name of the column.
    pub column: Box<str>,
    /// Reason why it is null, from the comment on the column.
    pub reason: Box<str>,
}

/// Lets one process at a time change the views of a schema; the same lock as that of the schema itself.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('qbo-backfill'), hashtext($1))";

/// The statement with which a member of the role that owns the raw tables becomes that role, so that the views belong to it
/// and may read the tables.
const BECOME_OWNER: &str = "
    SELECT format('SET LOCAL ROLE %I', pg_get_userbyid(nspowner))
    FROM pg_namespace
    WHERE nspname = $1 AND pg_get_userbyid(nspowner) <> current_user AND pg_has_role(current_user, nspowner, 'MEMBER')";

/// What a schema has under the names of a set: relations, then functions.
const SAME_NAMES: &str = "
    SELECT EXISTS (
        SELECT FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relname = ANY ($2)
        UNION ALL
        SELECT FROM pg_proc WHERE pronamespace = to_regnamespace($1) AND proname = ANY ($3))";

const HAS_MARK: &str = "
    SELECT EXISTS (
        SELECT FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relname = 'qbo_backfill_views' AND relkind = 'r')";

/// Who has created the schema is known only when the set is installed for the first time.
const WRITE_MARK: &str = "
    INSERT INTO qbo_backfill_views (view_set, package_version, version, raw_schema, installed_at_utc, created_schema)
    VALUES ($1, $2, $3, $4, clock_timestamp(), $5)
    ON CONFLICT (view_set) DO UPDATE SET package_version = excluded.package_version, version = excluded.version,
        raw_schema = excluded.raw_schema, installed_at_utc = excluded.installed_at_utc";

const VIEWS: &str = "
    SELECT relname::text FROM pg_class
    WHERE relnamespace = to_regnamespace($1) AND relkind = 'v' AND relname = ANY ($2)
    ORDER BY relname";

/// The comments with which the scripts mark columns that are null in every row.
const NULL_COLUMNS: &str = "
    SELECT class.relname::text, column_.attname::text, substr(comment.description, length('Always null: ') + 1)
    FROM pg_class AS class
    JOIN pg_attribute AS column_ ON column_.attrelid = class.oid
    JOIN pg_description AS comment
        ON comment.classoid = 'pg_class'::regclass AND comment.objoid = class.oid AND comment.objsubid = column_.attnum
    WHERE class.relnamespace = to_regnamespace($1) AND class.relname = ANY ($2)
      AND comment.description LIKE 'Always null: %'
    ORDER BY class.relname, column_.attnum";

/// The functions of a schema with these names, as DROP names them.
const FUNCTIONS: &str = "
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE pronamespace = to_regnamespace($1) AND proname = ANY ($2)";

const IS_EMPTY: &str = "
    SELECT NOT EXISTS (
        SELECT FROM pg_depend
        WHERE refclassid = 'pg_namespace'::regclass AND refobjid = to_regnamespace($1)::oid AND deptype = 'n')";

/// The line about an installed set: version, package, raw schema, and whether installing it has created its schema.
struct Mark {
    version: i32,
    package: Box<str>,
    raw_schema: Box<str>,
    created_schema: bool,
}

/// Installs or upgrades a set in one transaction, and lets a role read it. The session's settings are changed afterwards, so it
/// must not be used again.
pub(super) async fn install(
    client: &mut Object,
    set: ViewSet,
    (raw, target): (&SchemaName, &SchemaName),
    reader: Option<&str>,
) -> Result<(), StoreErrorKind> {
    if raw == target {
        let text = format!("the views need a schema of their own, and {target} has the raw tables");
        return Err(StoreErrorKind::Configuration(text.into()));
    }
    let scripts = set.scripts();
    let transaction = migrate::locked(client, raw).await?;
    transaction.execute(LOCK, &[&target.as_str()]).await?;
    if let Some(row) = transaction.query_opt(BECOME_OWNER, &[&raw.as_str()]).await? {
        transaction.batch_execute(row.try_get(0)?).await?;
    }
    check_target(&transaction, set, raw, target).await?;
    let is_new = transaction.query_one("SELECT to_regnamespace($1) IS NULL", &[&target.as_str()]).await?;
    let created_schema: bool = is_new.try_get(0)?;
    let before = existing(&*transaction, target, &names(scripts)).await?;
    // A view cannot be made over a table that does not exist. An empty table, made as a run makes it, will be filled by a later
    // run without anything to install again.
    for table in scripts.raw_tables() {
        if !exists(&*transaction, table).await? {
            transaction.execute("SELECT create_raw_table($1)", &[&table]).await?;
        }
    }
    let all = [scripts.setup].into_iter().chain(scripts.views.iter().map(|(_, sql)| *sql));
    for sql in all {
        let sql = sql.replace(PLACEHOLDER, &format!("\"{raw}\"")).replace(TARGET, &format!("\"{target}\""));
        transaction.batch_execute(&sql).await?;
    }
    let mark = [set.as_str(), scripts.package, raw.as_str()];
    transaction
        .execute(WRITE_MARK, &[&mark[0], &mark[1], &scripts.version, &mark[2], &created_schema])
        .await?;
    let mut added = names(scripts);
    added.retain(|name| !before.iter().any(|existing| **existing == **name));
    grants::repeat(&transaction, target, &added, scripts.functions).await?;
    if let Some(reader) = reader {
        let mut readable = names(scripts);
        readable.push("qbo_backfill_views");
        grants::give(&transaction, target, reader, (&readable, scripts.functions)).await?;
    }
    Ok(transaction.commit().await?)
}

/// Checks that the schema is new, or holds this set over the same raw tables, or nothing of the names that the set has.
async fn check_target(
    transaction: &Transaction<'_>,
    set: ViewSet,
    raw: &SchemaName,
    target: &SchemaName,
) -> Result<(), StoreErrorKind> {
    let scripts = set.scripts();
    match mark(&**transaction, set, target).await? {
        Some(mark) if *mark.raw_schema != *raw.as_str() => {
            let reason = format!("the views over schema {}", mark.raw_schema);
            Err(StoreErrorKind::SchemaTaken { schema: target.as_str().into(), reason: reason.into() })
        }
        Some(mark) if mark.version > scripts.version => {
            Err(StoreErrorKind::Newer { found: mark.version, known: scripts.version })
        }
        Some(_) => Ok(()),
        None => {
            let mut names = names(scripts);
            names.push("qbo_backfill_views");
            let taken =
                transaction.query_one(SAME_NAMES, &[&target.as_str(), &names, &scripts.functions]).await?;
            if !taken.try_get::<_, bool>(0)? {
                return Ok(());
            }
            let reason = "objects with the names of the views".into();
            Err(StoreErrorKind::SchemaTaken { schema: target.as_str().into(), reason })
        }
    }
}

/// Drops what [`install`] has created except raw tables; the schema too, unless something else is in it. Returns whether there
/// was anything to drop.
pub(super) async fn drop(
    client: &mut Object,
    set: ViewSet,
    (raw, target): (&SchemaName, &SchemaName),
) -> Result<bool, StoreErrorKind> {
    let scripts = set.scripts();
    let transaction = migrate::locked(client, target).await?;
    let created_schema = match mark(&*transaction, set, target).await? {
        None => return Ok(false),
        Some(mark) if *mark.raw_schema != *raw.as_str() => {
            let reason = format!("the views over schema {}", mark.raw_schema);
            return Err(StoreErrorKind::SchemaTaken {
                schema: target.as_str().into(),
                reason: reason.into(),
            });
        }
        Some(mark) => mark.created_schema,
    };
    let names =
        names(scripts).iter().map(|name| format!("\"{target}\".\"{name}\"")).collect::<Vec<_>>().join(", ");
    let dropped = transaction.batch_execute(&format!("DROP VIEW IF EXISTS {names}")).await;
    dropped.map_err(|error| in_use(error, target))?;
    for row in transaction.query(FUNCTIONS, &[&target.as_str(), &scripts.functions]).await? {
        let dropped =
            transaction.batch_execute(&format!("DROP FUNCTION {}", row.try_get::<_, String>(0)?)).await;
        dropped.map_err(|error| in_use(error, target))?;
    }
    transaction.batch_execute(&format!("DROP TABLE \"{target}\".qbo_backfill_views")).await?;
    if created_schema && transaction.query_one(IS_EMPTY, &[&target.as_str()]).await?.try_get(0)? {
        transaction.batch_execute(&format!("DROP SCHEMA \"{target}\"")).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Describes what a schema has of a set.
pub(super) async fn status(
    client: &Client,
    set: ViewSet,
    target: &SchemaName,
) -> Result<ViewsStatus, StoreErrorKind> {
    let scripts = set.scripts();
    let mark = mark(client, set, target).await?;
    let mut status = ViewsStatus {
        installed: mark.as_ref().map(|mark| mark.version),
        known: scripts.version,
        package: mark.as_ref().map_or(scripts.package, |mark| &mark.package).into(),
        raw_schema: mark.map(|mark| mark.raw_schema),
        views: Vec::new(),
        missing: Vec::new(),
        null_columns: Vec::new(),
    };
    let mut missing = names(scripts);
    if status.installed.is_some() {
        status.views = existing(client, target, &missing).await?;
        for row in client.query(NULL_COLUMNS, &[&target.as_str(), &missing]).await? {
            let text = |at: usize| row.try_get::<_, String>(at).map(Into::into);
            status.null_columns.push(NullColumn { view: text(0)?, column: text(1)?, reason: text(2)? });
        }
    }
    missing.retain(|name| !status.views.iter().any(|view| **view == **name));
    status.missing = missing.into_iter().map(Into::into).collect();
    Ok(status)
}

async fn mark(
    client: &impl GenericClient,
    set: ViewSet,
    target: &SchemaName,
) -> Result<Option<Mark>, StoreErrorKind> {
    if !client.query_one(HAS_MARK, &[&target.as_str()]).await?.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let read = format!(
        "SELECT version, package_version, raw_schema, created_schema FROM \"{target}\".qbo_backfill_views WHERE view_set = $1"
    );
    let Some(row) = client.query_opt(&read, &[&set.as_str()]).await? else { return Ok(None) };
    let text = |at: usize| row.try_get::<_, String>(at).map(Into::into);
    Ok(Some(Mark {
        version: row.try_get(0)?,
        package: text(1)?,
        raw_schema: text(2)?,
        created_schema: row.try_get(3)?,
    }))
}

/// The views of these names that exist, in alphabetical order.
async fn existing(
    client: &impl GenericClient,
    target: &SchemaName,
    names: &[&str],
) -> Result<Vec<Box<str>>, StoreErrorKind> {
    let rows = client.query(VIEWS, &[&target.as_str(), &names]).await?;
    rows.iter().map(|row| Ok(row.try_get::<_, String>(0)?.into())).collect()
}

fn names(scripts: &Scripts) -> Vec<&'static str> {
    scripts.views.iter().map(|(name, _)| *name).collect()
}

fn in_use(error: tokio_postgres::Error, target: &SchemaName) -> StoreErrorKind {
    match error.code() {
        Some(code) if *code == SqlState::DEPENDENT_OBJECTS_STILL_EXIST => {
            StoreErrorKind::ViewsInUse(target.as_str().into())
        }
        _ => error.into(),
    }
}
