//! The command `db`: creates, checks and describes the schema, and opens `psql`.

#[cfg(feature = "embedded")]
use std::path::Path;

use backfill_report::style::{Style, paint};
use backfill_report::table::Table;
use backfill_report::untrusted::Untrusted;
use raw_store::{DatabaseOptions, PgStore, StoreError, StoreErrorKind};
use serde_json::json;

use super::log_reader::reader;
use crate::app::Database;
use crate::args::{Db, Output};
#[cfg(feature = "embedded")]
use crate::config::settings::PrivateServer;
use crate::config::settings::Settings;
use crate::interrupt::{self, Interrupts};
use crate::output::exit::{DESTINATION, DONE, Exit, INTERRUPTED};
use crate::output::print::{out, out_json, say};
use crate::output::screen_width;

/// The roles that `db init --roles` creates.
const ROLES: [&str; 3] = ["qbo_owner", "qbo_loader", "qbo_reader"];

/// `db`: creates, checks and shows the schema, or opens psql.
pub(crate) async fn db(settings: &Settings, command: &Db) -> Result<u8, Exit> {
    let database = reader(settings).await?;
    let result = match command {
        Db::Init { roles } => init(settings, &database.store, *roles).await,
        Db::Check => check(settings, &database.store).await,
        Db::Status => status(settings, &database).await,
        Db::Psql { arguments, .. } => psql(&database.options, arguments).await,
    };
    let closed = database.close().await;
    result.and_then(|code| closed.map(|()| code))
}

async fn init(settings: &Settings, store: &PgStore, roles: bool) -> Result<u8, Exit> {
    store.migrate().await?;
    if roles {
        store.create_roles().await.map_err(|error| match error.kind {
            StoreErrorKind::Forbidden(_) => Exit::new(
                DESTINATION,
                error.to_string(),
                "run it as a superuser, or as an owner of the database with CREATEROLE",
            ),
            _ => error.into(),
        })?;
    }
    let (schema, version) = (&settings.schema, store.schema_status().await?.known);
    if settings.output == Output::Json {
        out_json(&json!({"schema": schema.as_str(), "version": version, "roles": roles.then_some(ROLES)}));
        return Ok(DONE);
    }
    if roles {
        let names = ROLES.join(", ");
        say(&format!("the roles exist: {names}; set their passwords: psql -c '\\password qbo_loader'"));
    }
    say(&format!("schema {schema} has version {version}"));
    Ok(DONE)
}

async fn check(settings: &Settings, store: &PgStore) -> Result<u8, Exit> {
    // A role without rights would see an empty schema.
    let missing = store.missing_grants().await?;
    let differences =
        if missing.iter().any(|one| one.contains("ON SCHEMA")) { Vec::new() } else { store.check().await? };
    let found = differences
        .iter()
        .map(ToString::to_string)
        .chain(missing.iter().map(|one| format!("missing: {one}")));
    let found: Vec<_> = found.collect();
    match settings.output {
        Output::Json => out_json(&found.iter().map(|one| json!(one)).collect()),
        Output::Text if found.is_empty() => out(&format!("schema {} is as expected", settings.schema)),
        Output::Text => found.iter().for_each(|one| out(&Untrusted(one).to_string())),
    }
    if found.is_empty() {
        return Ok(DONE);
    }
    if differences.is_empty() {
        return Err(StoreError::new(
            "checking the role's rights",
            StoreErrorKind::Lacks(missing.join("; ").into()),
        )
        .into());
    }
    Err(Exit::new(
        DESTINATION,
        format!("schema {} differs from what is expected in {} places", settings.schema, differences.len()),
        "run: qbo-backfill db init, which restores what is missing; undo by hand what others have changed",
    ))
}

async fn status(settings: &Settings, database: &Database) -> Result<u8, Exit> {
    let status = database.store.schema_status().await?;
    let company = status.identity.as_ref().map(ToString::to_string);
    if settings.output == Output::Json {
        let tables = status.tables.iter().map(|table| json!({"table": table.0, "rows_estimated": table.1}));
        out_json(&json!({"schema": settings.schema.as_str(), "version": status.found, "known": status.known,
                         "company": company, "lz4": status.lz4, "tables": tables.collect::<Vec<_>>()}));
        return Ok(DONE);
    }
    out(&format!(
        "schema {}, version {} (this program knows {})",
        settings.schema,
        status.found.map_or_else(|| "none: qbo-backfill db init".into(), |version| version.to_string()),
        status.known
    ));
    out(&format!("company: {}", Untrusted(company.as_deref().unwrap_or("none yet; the first run binds it"))));
    out(&format!("lz4 compression: {}", if status.lz4 { "yes" } else { "no (loading is slower)" }));
    let mut table = Table::new(&["table", "rows (estimate)#"]);
    for (name, rows) in &status.tables {
        table.row([name.to_string(), rows.to_string()]);
    }
    out(&table.fitted(screen_width::of_stdout()));
    out(&format!("look at the data: {}", paint(Style::Command, &database.look)));
    Ok(DONE)
}

/// Runs psql on the private server of a folder, independently of settings, vault and other databases.
#[cfg(feature = "embedded")]
pub(crate) async fn psql_in(folder: &Path, arguments: &[String]) -> Result<u8, Exit> {
    use crate::database::private;
    let server = private::start_in(folder).await?;
    let result = psql(&private::options(&server, PrivateServer::DATABASE), arguments).await;
    server.stop().await?;
    result
}

/// Runs psql on the database with the options of the store. A private server runs while psql does.
async fn psql(database: &DatabaseOptions, arguments: &[String]) -> Result<u8, Exit> {
    // Ctrl-C belongs to psql, where it ends a query, and ends neither psql nor this process. Other signals end both.
    let mut interrupts = Interrupts::listen()?;
    interrupt::mark_heard();
    let missing = || Exit::new(DESTINATION, "psql cannot be started", "install the PostgreSQL client");
    let mut psql = std::process::Command::new("psql");
    psql.args(arguments);
    database.tell_libpq(&mut psql);
    let mut psql = tokio::process::Command::from(psql).spawn().map_err(|_| missing())?;
    let status = loop {
        tokio::select! {
            status = psql.wait() => break status.map_err(|_| missing())?,
            code = interrupts.next() => if code != INTERRUPTED {
                // psql may have ended already, because a closing terminal signals both processes.
                let _ = psql.kill().await;
                return Err(Exit::new(code, "stopped", "run the same command again"));
            },
        }
    };
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(DESTINATION))
}
