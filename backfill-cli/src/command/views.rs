//! The command `views`: installs, describes and drops views of a shape that other programs read.

use backfill_report::table::Table;
use backfill_report::untrusted::Untrusted;
use raw_store::{PgStore, ViewsStatus};
use serde_json::{Value, json};

use super::log_reader::reader;
use crate::args::{Output, Views, ViewsArgs};
use crate::config::settings::Settings;
use crate::output::exit::{DONE, Exit};
use crate::output::print::{out, out_json, say};
use crate::output::screen_width;

/// `views`: installs, shows or drops a set of views.
pub(crate) async fn views(settings: &Settings, command: &Views) -> Result<u8, Exit> {
    let database = reader(settings).await?;
    let result = match command {
        Views::Install { views, grant_to } => {
            install(settings, &database.store, views, grant_to.as_deref()).await
        }
        Views::Status(views) => status(settings, &database.store, views).await,
        Views::Drop(views) => drop(settings, &database.store, views).await,
    };
    let closed = database.close().await;
    result.and_then(|code| closed.map(|()| code))
}

async fn install(
    settings: &Settings,
    store: &PgStore,
    views: &ViewsArgs,
    grant_to: Option<&str>,
) -> Result<u8, Exit> {
    store.install_views(views.set, &views.target_schema, grant_to).await?;
    let status = store.views_status(views.set, &views.target_schema).await?;
    if settings.output == Output::Json {
        let mut value = as_json(settings, views, &status);
        value["granted_to"] = json!(grant_to);
        out_json(&value);
        return Ok(DONE);
    }
    let target = &views.target_schema;
    say(&format!(
        "schema {target} has {} views over schema {}, version {}",
        status.views.len(),
        settings.schema,
        status.known
    ));
    say(&grant_to.map_or_else(
        || {
            "they show the records; only their owner may read them, and each role named with --grant-to"
                .into()
        },
        |role| format!("role {} may read them", Untrusted(role)),
    ));
    Ok(DONE)
}

async fn status(settings: &Settings, store: &PgStore, views: &ViewsArgs) -> Result<u8, Exit> {
    let status = store.views_status(views.set, &views.target_schema).await?;
    if settings.output == Output::Json {
        out_json(&as_json(settings, views, &status));
        return Ok(DONE);
    }
    let (set, target) = (views.set, &views.target_schema);
    let Some(installed) = status.installed else {
        out(&format!(
            "schema {target} has no views of {set}; to install them: qbo-backfill views install {set}"
        ));
        return Ok(DONE);
    };
    out(&format!(
        "schema {target}: {} views of {set} over schema {}, version {installed} (this program installs {}), for \
         package version {}",
        status.views.len(),
        Untrusted(status.raw_schema.as_deref().unwrap_or_default()),
        status.known,
        Untrusted(&status.package)
    ));
    if !status.missing.is_empty() {
        let missing = status.missing.join(", ");
        out(&format!("missing: {missing}; to restore them: qbo-backfill views install {set}"));
    }
    let mut table = Table::new(&["view", "column that is always null", "reason"]);
    for one in &status.null_columns {
        table.row([one.view.to_string(), one.column.to_string(), Untrusted(&one.reason).to_string()]);
    }
    out(&table.fitted(screen_width::of_stdout()));
    Ok(DONE)
}

async fn drop(settings: &Settings, store: &PgStore, views: &ViewsArgs) -> Result<u8, Exit> {
    let dropped = store.drop_views(views.set, &views.target_schema).await?;
    let target = &views.target_schema;
    if settings.output == Output::Json {
        out_json(&json!({"set": views.set.as_str(), "target_schema": target.as_str(), "dropped": dropped}));
        return Ok(DONE);
    }
    say(&if dropped {
        format!(
            "the views of schema {target} are dropped; all records are still in schema {}",
            settings.schema
        )
    } else {
        format!("schema {target} has no views of {}; nothing was changed", views.set)
    });
    Ok(DONE)
}

fn as_json(settings: &Settings, views: &ViewsArgs, status: &ViewsStatus) -> Value {
    let nulls = status
        .null_columns
        .iter()
        .map(|one| json!({"view": one.view, "column": one.column, "reason": one.reason}));
    json!({"set": views.set.as_str(), "target_schema": views.target_schema.as_str(),
           "schema": status.raw_schema.as_deref().unwrap_or(settings.schema.as_str()),
           "package_version": status.package, "installed": status.installed, "known": status.known,
           "views": status.views, "missing": status.missing, "null_columns": nulls.collect::<Vec<_>>()})
}
