//! Opens the store of one company for the console, and keeps it open.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use backfill_console::{CompanyStore, OpenCompany, OpenStore, Problem};
use raw_store::{Access, Tables as _};
use tokio::sync::Mutex;

use super::super::log_reader::{or_nothing, secrets_for_reading};
use crate::app::{Database, create_where_missing, open_database_for};
use crate::config::settings::Settings;
use crate::output::exit::Exit;

/// Connections for pages, beside those of a worker in the same process.
const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(2).expect("two");

/// The store of one profile. It is opened with the first page, because vault and database may be away when the console starts.
#[derive(Debug)]
pub(super) struct ProfileStore {
    settings: Settings,
    look_only: bool,
    database: Mutex<Option<Database>>,
}

impl ProfileStore {
    pub(super) fn new(settings: Settings, look_only: bool) -> Self {
        Self { settings, look_only, database: Mutex::default() }
    }

    async fn connect(&self) -> Result<Database, Exit> {
        let secrets = secrets_for_reading(&self.settings).await?;
        let access = if self.look_only { Access::ReadOnly } else { Access::Viewing };
        let database = open_database_for(&self.settings, &secrets, CONNECTIONS, access).await?;
        if !self.look_only {
            create_where_missing(&database.store).await?;
        }
        Ok(database)
    }

    /// Closes the connections, and stops the private server if this process started it.
    pub(super) async fn close(&self) -> Result<(), Exit> {
        match self.database.lock().await.take() {
            Some(database) => database.close().await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl OpenStore for ProfileStore {
    async fn open(&self) -> Result<Arc<OpenCompany>, Problem> {
        let mut held = self.database.lock().await;
        if held.is_none() {
            *held = Some(self.connect().await.map_err(problem)?);
        }
        let Some(database) = held.as_ref() else {
            return Err(Problem::new("the database is not open", "open the page again"));
        };
        let store: Arc<dyn CompanyStore> = database.store.clone();
        let identity = or_nothing(database.store.identity().await).map_err(problem)?;
        Ok(Arc::new(OpenCompany { identity, store }))
    }
}

/// The command's own sentences for a page.
pub(super) fn problem(exit: Exit) -> Problem {
    Problem::new(exit.what, exit.next)
}
