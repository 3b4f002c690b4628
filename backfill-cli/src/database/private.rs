//! Starts the private PostgreSQL, which is used if no database is named.

use std::path::Path;

use private_postgres::{LocalServer, PostgresError, ServerOptions};
use raw_store::DatabaseOptions;

use crate::config::settings::PrivateServer;
use crate::database::shell;
use crate::output::exit::{self, Exit};

/// Starts the private server and creates its database, or joins the server that another process runs in the same folder.
pub(crate) async fn start(wanted: &PrivateServer) -> Result<LocalServer, Exit> {
    let server = server(wanted).await?;
    server.create_database(&wanted.database).await?;
    Ok(server)
}

/// Starts or joins the server like [`start`], without creating the database.
pub(crate) async fn server(wanted: &PrivateServer) -> Result<LocalServer, Exit> {
    let folder = wanted.folder.as_ref().map_err(Exit::clone)?;
    let options = if wanted.temporary {
        ServerOptions::new(folder).not_durable().temporary()
    } else {
        ServerOptions::new(private_postgres::usable_folder(folder))
    };
    Ok(LocalServer::start(&options).await?)
}

/// Starts or joins the server whose data is in an existing folder.
pub(crate) async fn start_in(folder: &Path) -> Result<LocalServer, Exit> {
    if !folder.join("data/PG_VERSION").exists() {
        return Err(Exit::usage(
            format!("{} holds no private PostgreSQL", folder.display()),
            "name the folder that the demo or a run printed",
        ));
    }
    Ok(LocalServer::start(&ServerOptions::new(folder)).await?)
}

/// A shell command that opens psql on `database`, and starts the server if it is not running.
pub(crate) fn look(server: &LocalServer, database: &str) -> String {
    let (program, folder) = (shell::program(), shell::word(&server.folder().to_string_lossy()));
    format!("{program} db psql --private {folder} -d {}", shell::word(database))
}

/// The store's options for a database of this server.
pub(crate) fn options(server: &LocalServer, database: &str) -> DatabaseOptions {
    let socket = server.socket_dir().to_string_lossy();
    DatabaseOptions::new(&socket, server.port(), database, server.user()).with_password(server.password())
}

impl From<PostgresError> for Exit {
    fn from(error: PostgresError) -> Self {
        let next = match &error {
            PostgresError::NotInstalled { install } => {
                format!(
                    "install it ({install}), or name your own database with --database postgres://user@host/db"
                )
            }
            _ => "name your own database with --database postgres://user@host/db".into(),
        };
        Self::new(exit::DESTINATION, exit::chain(&error), next)
    }
}
