//! The folder of a download. A file appears in it whole, under its name, or not at all.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use backfill_report::hex;
use raw_store::{AttachmentFile, StoreIdentity};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::file_name::is_plain;
use crate::output::exit::{Exit, HELD, OUTPUT};

/// Held by the process that downloads into the folder. It names the company whose files are in it.
const LOCK: &str = ".qbo-backfill.lock";

/// Beginning and end of the names of files that are not complete.
const PART: (&str, &str) = (".qbo-backfill-", ".part");

/// The number of bytes that are read of a file at once.
const AT_ONCE: usize = 64 << 10;

/// The folder of a download, held by this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    /// Creates the folder if it is missing, takes it, and removes what a process that was killed left incomplete.
    pub(super) fn open(path: &Path) -> Result<Self, Exit> {
        let failed = |error: &io::Error| unusable(path, error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed(&error))?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600).custom_flags(flags());
        let lock = options.open(path.join(LOCK)).map_err(|error| failed(&error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Exit::new(
                HELD,
                format!("another process downloads into {}", path.display()),
                "wait for it to end, then run the same command again",
            ),
            TryLockError::Error(error) => failed(&error),
        })?;
        let folder = Self { path: path.to_owned(), lock };
        folder.remove_incomplete().map_err(|error| failed(&error))?;
        Ok(folder)
    }

    /// Makes the folder that of a company, and refuses the folder of another one: the ids of two companies are the same numbers, so
    /// they would replace each other's files.
    pub(super) fn bind(&self, identity: &StoreIdentity) -> Result<(), Exit> {
        let failed = |error: &io::Error| unusable(&self.path, error);
        let own = format!("{} {}\n", identity.environment, identity.realm_id);
        let mut found = Vec::new();
        (&self.lock).rewind().map_err(|error| failed(&error))?;
        let most = 2 * own.len() as u64;
        (&self.lock).take(most).read_to_end(&mut found).map_err(|error| failed(&error))?;
        if found == own.as_bytes() {
            return Ok(());
        }
        // Without its end of line, it was not written to its end, before any file was downloaded.
        if found.contains(&b'\n') || found.len() as u64 == most {
            return Err(Exit::usage(
                format!("{} holds the files of another company; nothing was changed", self.path.display()),
                "name another folder for this company",
            ));
        }
        let write = || {
            (&self.lock).rewind()?;
            self.lock.set_len(0)?;
            (&self.lock).write_all(own.as_bytes())?;
            self.lock.sync_all()
        };
        write().map_err(|error| failed(&error))
    }

    fn remove_incomplete(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_part =
                name.to_str().is_some_and(|name| name.starts_with(PART.0) && name.ends_with(PART.1));
            if is_part && entry.file_type()?.is_file() {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Whether the folder has a file with this name, length and content. It reads the whole file.
    pub(super) fn holds(&self, file: &AttachmentFile) -> Result<bool, Exit> {
        if !is_plain(&file.name) {
            return Ok(false);
        }
        let path = self.path.join(&*file.name);
        match content(&path, file.size) {
            Ok(found) => Ok(found.as_deref() == Some(&*file.sha256)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    /// Creates a file that is removed unless it is kept. Only this user can read it.
    pub(super) fn part(&self) -> Result<NamedTempFile, Exit> {
        let part = tempfile::Builder::new().prefix(PART.0).suffix(PART.1).tempfile_in(&self.path);
        part.map_err(|error| unusable(&self.path, &error))
    }

    /// Gives a complete file its name, in place of an older file of that name. Afterwards it survives a loss of power.
    pub(super) fn keep(&self, part: NamedTempFile, name: &str) -> Result<(), Exit> {
        let path = self.path.join(name);
        let kept = || {
            part.as_file().sync_all()?;
            part.persist(&path).map_err(|error| error.error)?;
            File::open(&self.path)?.sync_all()
        };
        kept().map_err(|error| unusable(&path, &error))
    }

    /// An error for a file in this folder that cannot be written.
    pub(super) fn unwritten(&self, error: &io::Error) -> Exit {
        unusable(&self.path, error)
    }
}

/// The SHA-256 of a file of this length; `None` if it has another length or is not a file.
fn content(path: &Path, size: u64) -> io::Result<Option<String>> {
    let file = match OpenOptions::new().read(true).custom_flags(flags()).open(path) {
        // A symbolic link.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Ok(None);
        }
        file => file?,
    };
    let found = file.metadata()?;
    if !found.is_file() || found.len() != size {
        return Ok(None);
    }
    let (mut hash, mut buffer, mut content) = (Sha256::new(), vec![0; AT_ONCE], file.take(size));
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(Some(hex(&hash.finalize()))),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// No symbolic link is followed, and nothing blocks, as a pipe would.
fn flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

fn unusable(path: &Path, error: &io::Error) -> Exit {
    use std::io::ErrorKind;
    let what = format!("{}: {error}; files that were downloaded are complete", path.display());
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::NotADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::IsADirectory
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename => Exit::usage(what, "name a folder that this user can write to"),
        _ => Exit::new(OUTPUT, what, "make room, or name another folder, then run the same command again"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(name: &str, content: &[u8]) -> AttachmentFile {
        let sha256 = hex(&Sha256::digest(content)).into();
        AttachmentFile { name: name.into(), size: content.len() as u64, sha256 }
    }

    #[test]
    fn a_file_is_there_only_with_its_recorded_content() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(&home.path().join("a/b")).unwrap();
        let mut part = folder.part().unwrap();
        part.write_all(b"receipt").unwrap();
        folder.keep(part, "1-x").unwrap();
        drop(folder.part().unwrap());
        assert!(folder.holds(&file("1-x", b"receipt")).unwrap());
        assert!(!folder.holds(&file("1-x", b"receiqt")).unwrap());
        assert!(!folder.holds(&file("1-x", b"receipts")).unwrap());
        assert!(!folder.holds(&file("2-x", b"receipt")).unwrap());
        assert!(!folder.holds(&file("../b/1-x", b"receipt")).unwrap());
        std::os::unix::fs::symlink("1-x", folder.path.join("3-x")).unwrap();
        assert!(!folder.holds(&file("3-x", b"receipt")).unwrap());
        let names: Vec<_> =
            std::fs::read_dir(&folder.path).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }

    #[test]
    fn one_process_has_a_folder_and_removes_what_another_left_incomplete() {
        let home = tempfile::tempdir().unwrap();
        let left = home.path().join(".qbo-backfill-x7.part");
        std::fs::write(&left, "half").unwrap();
        let held = Folder::open(home.path()).unwrap();
        assert!(!left.exists());
        assert_eq!(Folder::open(home.path()).unwrap_err().code, HELD);
        drop(held);
        assert!(Folder::open(home.path()).is_ok());
    }

    #[test]
    fn a_folder_is_that_of_one_company() {
        let home = tempfile::tempdir().unwrap();
        let company = |realm: &str, environment: &str| StoreIdentity {
            realm_id: realm.into(),
            environment: environment.into(),
        };
        // A process that was killed while it named the company.
        std::fs::write(home.path().join(LOCK), "sandbox 1").unwrap();
        for _ in 0..2 {
            let folder = Folder::open(home.path()).unwrap();
            folder.bind(&company("17", "sandbox")).unwrap();
        }
        for other in [company("18", "sandbox"), company("17", "production"), company("1", "sandbox")] {
            let refused = Folder::open(home.path()).unwrap().bind(&other).unwrap_err();
            assert_eq!(refused.code, crate::output::exit::USAGE, "{}", refused.what);
        }
        Folder::open(home.path()).unwrap().bind(&company("17", "sandbox")).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = Folder::open(&file.join("folder")).unwrap_err();
        assert_eq!(refused.code, crate::output::exit::USAGE, "{}", refused.what);
    }
}
