//! The private PostgreSQL that is used where no database is named.

use fixtures::{LocalServer, PostgresError, ServerOptions};
use raw_store::DatabaseOptions;

use crate::exit::{self, Exit};
use crate::settings::PrivateServer;

/// Starts the private server, or joins the one that another process runs in its folder.
pub(crate) async fn start(wanted: &PrivateServer) -> Result<LocalServer, Exit> {
    let folder = wanted.folder.as_ref().map_err(Exit::clone)?;
    let options = if wanted.temporary {
        ServerOptions::new(folder).not_durable().temporary()
    } else {
        ServerOptions::new(fixtures::usable_folder(folder))
    };
    let server = LocalServer::start(&options).await?;
    server.create_database(&wanted.database).await?;
    Ok(server)
}

/// Starts it without the data of an earlier time.
#[cfg(feature = "demo")]
pub(crate) async fn clear(wanted: &PrivateServer) -> Result<(), Exit> {
    let server = start(wanted).await?;
    server.drop_database(&wanted.database).await?;
    Ok(server.stop().await?)
}

/// How the store reaches a database in it.
pub(crate) fn options(server: &LocalServer, database: &str) -> DatabaseOptions {
    let socket = server.socket_dir().to_string_lossy();
    DatabaseOptions::new(&socket, server.port(), database, server.user()).with_password(server.password())
}

impl From<PostgresError> for Exit {
    fn from(error: PostgresError) -> Self {
        let next = match &error {
            PostgresError::NotInstalled { install } => {
                format!("install it ({install}), or name your own with --database postgres://user@host/db")
            }
            _ => "name a database of your own with --database postgres://user@host/db".into(),
        };
        Self::new(exit::DESTINATION, exit::chain(&error), next)
    }
}
