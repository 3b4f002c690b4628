//! Reserves a database in the private server for one demo, locked against other demos.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use private_postgres::LocalServer;

use crate::config::settings::PrivateServer;
use crate::database::private;
use crate::output::exit::{DESTINATION, Exit};
use crate::output::print::say;

/// Name of the database of a demo that runs alone.
const FIRST: &str = "demo";

/// A database that no other demo, in any process, uses while the value lives.
#[derive(Debug)]
pub(super) struct OwnDatabase {
    pub(super) name: String,
    /// The server, which runs until the end, so that it starts only once.
    server: LocalServer,
    _lock: File,
}

impl OwnDatabase {
    /// Takes the first free database of the private server, and removes the data of an earlier demo, which is of another
    /// company.
    pub(super) async fn take(private: &PrivateServer) -> Result<Self, Exit> {
        let server = private::server(private).await?;
        let (name, lock) = first_free(server.folder())?;
        if name != FIRST {
            say(&format!("another demo keeps its data here now; this demo uses the database {name}"));
        }
        server.drop_database(&name).await?;
        Ok(Self { name, server, _lock: lock })
    }

    /// The file for the report of this demo, beside its data.
    pub(super) fn page(&self) -> PathBuf {
        self.server.folder().join(format!("{}-report.html", self.name))
    }

    /// Releases the database, and keeps its data.
    pub(super) async fn leave(self) -> Result<(), Exit> {
        Ok(self.server.stop().await?)
    }
}

/// The first free name, and its lock.
fn first_free(folder: &Path) -> Result<(String, File), Exit> {
    let mut number = 1_u32;
    loop {
        let name = if number == 1 { FIRST.to_owned() } else { format!("{FIRST}_{number}") };
        let file = folder.join(format!("{name}.lock"));
        let unusable = |error: &std::io::Error| {
            let what = format!("{}: {error}", file.display());
            Exit::new(DESTINATION, what, "make room, or check who may write there")
        };
        let lock = File::create(&file).map_err(|error| unusable(&error))?;
        match lock.try_lock() {
            Ok(()) => return Ok((name, lock)),
            Err(TryLockError::WouldBlock) => number += 1,
            Err(TryLockError::Error(error)) => return Err(unusable(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_demo_has_a_name_of_its_own_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let take = || first_free(folder.path()).unwrap();
        let (one, two) = (take(), take());
        assert_eq!((one.0.as_str(), two.0.as_str()), ("demo", "demo_2"));
        drop(one);
        assert_eq!(take().0, "demo");
        drop(two);
    }
}
