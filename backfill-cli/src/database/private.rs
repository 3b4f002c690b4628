//! The private PostgreSQL that is used where no database is named.

use std::path::Path;

use private_postgres::{LocalServer, PostgresError, ServerOptions};
use raw_store::DatabaseOptions;

use crate::config::settings::PrivateServer;
use crate::database::shell;
use crate::output::exit::{self, Exit};

/// Starts the private server with its database, or joins the one that another process runs in its folder.
pub(crate) async fn start(wanted: &PrivateServer) -> Result<LocalServer, Exit> {
    let server = server(wanted).await?;
    server.create_database(&wanted.database).await?;
    Ok(server)
}

/// As [`start`], without its database.
pub(crate) async fn server(wanted: &PrivateServer) -> Result<LocalServer, Exit> {
    let folder = wanted.folder.as_ref().map_err(Exit::clone)?;
    let options = if wanted.temporary {
        ServerOptions::new(folder).not_durable().temporary()
    } else {
        ServerOptions::new(private_postgres::usable_folder(folder))
    };
    Ok(LocalServer::start(&options).await?)
}

/// Starts the server that is in a folder already, or joins it.
pub(crate) async fn start_in(folder: &Path) -> Result<LocalServer, Exit> {
    if !folder.join("data/PG_VERSION").exists() {
        return Err(Exit::usage(
            format!("{} holds no private PostgreSQL", folder.display()),
            "name the folder that the demo or a run has printed",
        ));
    }
    Ok(LocalServer::start(&ServerOptions::new(folder)).await?)
}

/// A line for a shell that opens psql in `database` at any time: it starts the server where it does not run.
pub(crate) fn look(server: &LocalServer, database: &str) -> String {
    let (program, folder) = (shell::program(), shell::word(&server.folder().to_string_lossy()));
    format!("{program} db psql --private {folder} -d {}", shell::word(database))
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
