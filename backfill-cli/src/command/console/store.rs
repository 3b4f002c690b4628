//! Opens the store of one company for the console, and keeps it open.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use backfill_console::{OpenCompany, OpenStore, Problem};
use raw_store::{Access, PgStore, Tables as _};
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

    async fn store(&self) -> Result<Arc<PgStore>, Exit> {
        let mut held = self.database.lock().await;
        if let Some(database) = held.as_ref() {
            return Ok(Arc::clone(&database.store));
        }
        let database = self.connect().await?;
        let store = Arc::clone(&database.store);
        *held = Some(database);
        Ok(store)
    }

    /// Opens the database anew the next time, unless that has happened: its password may have been replaced. A private server
    /// has no password that a person could replace, and stays.
    async fn forget(&self, store: &Arc<PgStore>) {
        let mut held = self.database.lock().await;
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(&held.store, store) && !held.is_private()) {
            *held = None;
        }
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
        // Not held while the database is asked: other views and acts need not wait for this one.
        let store = self.store().await.map_err(problem)?;
        match or_nothing(store.identity().await) {
            Ok(identity) => Ok(Arc::new(OpenCompany { identity, store })),
            Err(exit) => {
                self.forget(&store).await;
                Err(problem(exit))
            }
        }
    }
}

/// The command's own sentences for a page.
pub(super) fn problem(exit: Exit) -> Problem {
    Problem::new(exit.what, exit.next)
}
