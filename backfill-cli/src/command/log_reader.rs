//! Opens the log for commands that need neither a vault in the database nor an existing schema.

use std::num::NonZeroUsize;

use backfill_core::EntitySpec;
use raw_store::{StoreError, StoreErrorKind};

use crate::app::{Database, open_database};
use crate::config::settings::Settings;
use crate::output::exit::Exit;
use crate::secrets::Secrets;

/// Opens the database for a command that only reads the log or creates the schema. It does not need a vault in this
/// database, which may not exist yet.
pub(in crate::command) async fn reader(settings: &Settings) -> Result<Database, Exit> {
    Ok(reader_and_secrets(settings).await?.0)
}

/// Opens the database like [`reader`], and also returns the secrets that this needed.
pub(in crate::command) async fn reader_and_secrets(settings: &Settings) -> Result<(Database, Secrets), Exit> {
    let secrets = secrets_for_reading(settings).await?;
    Ok((open_database(settings, &secrets, NonZeroUsize::MIN).await?, secrets))
}

/// The secrets that connecting to the database may need. A vault in that database is not opened.
pub(in crate::command) async fn secrets_for_reading(settings: &Settings) -> Result<Secrets, Exit> {
    if settings.vault.is_shared() {
        Secrets::handed_over(settings).await
    } else {
        Secrets::open(settings).await
    }
}

/// Whether an entity was requested. If none is named, all are, including those that are no longer in the catalogue.
pub(in crate::command) fn is_wanted(wanted: &[EntitySpec], entity_name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|spec| spec.entity_name() == entity_name)
}

/// Treats a missing log as an empty one.
pub(in crate::command) fn or_nothing<T: Default>(answer: Result<T, StoreError>) -> Result<T, Exit> {
    match answer {
        Err(error) if matches!(error.kind, StoreErrorKind::NotSetUp(_)) => Ok(T::default()),
        answer => Ok(answer?),
    }
}
