//! The key with which people sign in to the console: named, mounted, or made once in the data folder.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use qbo_auth::{ExposeSecret as _, SecretString, Unlock};

use crate::config::settings::{Settings, data_folder};
use crate::config::trusted;
use crate::output::exit::Exit;
use crate::output::print::say;
use crate::secrets::mounts::mounted;

/// Name of a mounted key: a Docker secret or a systemd credential.
const MOUNTED_NAME: &str = "qbo-console-key";

/// A shorter key could be guessed.
const SHORTEST: usize = 16;

/// Reads the key, and makes it in the data folder if there is none and none was named.
pub(super) fn read_or_make(settings: &Settings, named: Option<&Path>) -> Result<SecretString, Exit> {
    let path = place(settings, named)?;
    if named.is_none() && !path.exists() {
        make(&path)?;
    }
    read(&path)
}

/// Reads the key of a console that runs elsewhere with the same files.
pub(super) fn read_existing(settings: &Settings, named: Option<&Path>) -> Result<SecretString, Exit> {
    let path = place(settings, named)?;
    if !path.exists() {
        return Err(Exit::usage(
            format!("there is no console key at {}", path.display()),
            "start a console first, which makes one: qbo-backfill console",
        ));
    }
    read(&path)
}

/// Where the key is: as named, as mounted, or in the data folder.
fn place(settings: &Settings, named: Option<&Path>) -> Result<PathBuf, Exit> {
    match named.map(Path::to_owned).or_else(|| mounted(settings, MOUNTED_NAME)) {
        Some(path) => Ok(path),
        None => Ok(data_folder()?.join("console.key")),
    }
}

fn read(path: &Path) -> Result<SecretString, Exit> {
    let text = trusted::read_secret(path)
        .map_err(|error| Exit::usage(format!("{}: {error}", path.display()), error.remedy(path)))?;
    let key = text.trim();
    if key.len() < SHORTEST {
        return Err(Exit::usage(
            format!("{}: the key has fewer than {SHORTEST} characters", path.display()),
            "remove the file, and a console makes a new one",
        ));
    }
    Ok(SecretString::from(key))
}

/// Writes a new key for this user alone. If another process makes one at the same time, that one stays.
pub(crate) fn make(path: &Path) -> Result<(), Exit> {
    let refused = |error: std::io::Error| {
        Exit::usage(
            format!("the console key {} cannot be written: {}", path.display(), error.kind()),
            "name a file with --console-key-file, or make the folder writable",
        )
    };
    let key = Unlock::generate_key_text()?;
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(refused)?;
    }
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(refused(error)),
    };
    writeln!(file, "{}", key.expose_secret()).and_then(|()| file.sync_all()).map_err(refused)?;
    say(&format!("the key to sign in is {}; whoever can read it can sign in", path.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/console.key");
        make(&path).unwrap();
        let key = read(&path).unwrap().expose_secret().to_owned();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        make(&path).unwrap();
        assert_eq!(read(&path).unwrap().expose_secret(), key);
        std::fs::write(&path, "short\n").unwrap();
        assert!(read(&path).is_err());
    }
}
