//! Reading the log for commands that need neither a vault that lies in the database nor a schema that is there.

use std::num::NonZeroUsize;

use backfill_core::EntitySpec;
use raw_store::{StoreError, StoreErrorKind};

use crate::app::{Database, open_database};
use crate::config::settings::Settings;
use crate::output::exit::Exit;
use crate::secrets::Secrets;

/// Opens the database for a command that only reads the log, or creates the schema. A vault that lies in this database
/// cannot say how to reach it, and may not be there yet.
pub(in crate::command) async fn reader(settings: &Settings) -> Result<Database, Exit> {
    Ok(reader_and_secrets(settings).await?.0)
}

/// As [`reader`], with the secrets that were needed for it.
pub(in crate::command) async fn reader_and_secrets(settings: &Settings) -> Result<(Database, Secrets), Exit> {
    let secrets = if settings.vault.is_shared() {
        Secrets::handed_over(settings).await?
    } else {
        Secrets::open(settings).await?
    };
    Ok((open_database(settings, &secrets, NonZeroUsize::MIN).await?, secrets))
}

/// Whether something of this entity was asked for; no entity named stands for all, also those that the catalogue does
/// not know any more.
pub(in crate::command) fn is_wanted(wanted: &[EntitySpec], entity_name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|spec| spec.entity_name() == entity_name)
}

/// A log that is not there yet is an empty one.
pub(in crate::command) fn or_nothing<T: Default>(answer: Result<T, StoreError>) -> Result<T, Exit> {
    match answer {
        Err(error) if matches!(error.kind, StoreErrorKind::NotSetUp(_)) => Ok(T::default()),
        answer => Ok(answer?),
    }
}
