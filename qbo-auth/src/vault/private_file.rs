//! Files that only their owner may access: checked before reading, replaced whole when writing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use failpoint::point;
use zeroize::Zeroizing;

use super::bytes::LARGEST;
use super::{VaultError, VaultErrorKind};
use crate::regular_file::{FileError, Links, RegularFile};

/// The largest file that is read.
const MAX_FILE_BYTES: u64 = LARGEST as u64;

/// Suffix of the state before the last change.
const PREVIOUS: &str = ".1";

/// Suffix of a state that could not be read and was replaced by the previous one.
const DAMAGED: &str = ".damaged";

/// Turns an error of the operating system into an error about `path`.
pub(super) fn failed(path: &Path) -> impl Fn(io::Error) -> VaultError + '_ {
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => VaultErrorKind::Missing,
            io::ErrorKind::AlreadyExists => VaultErrorKind::AlreadyExists,
            _ => VaultErrorKind::Io,
        };
        VaultError::new(kind).at(path).because(error)
    }
}

/// Who may own a file, and who may access it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Owned by this user, and inaccessible to all others. A link is refused.
    OwnerOnly,
    /// Owned by this user or root, and writable by no other user. Links are followed: Kubernetes mounts secrets as links.
    Mounted,
}

/// Reads a whole private file.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    read_trusting(path, Trust::OwnerOnly)
}

/// Reads a whole file that is as private as `trust` requires.
pub(super) fn read_trusting(path: &Path, trust: Trust) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let links = match trust {
        Trust::OwnerOnly => Links::Refused,
        Trust::Mounted => Links::Followed,
    };
    let file = match RegularFile::open(path, links) {
        Ok(file) => file,
        Err(error) => {
            // The owner of the file says more than that it cannot be read.
            if let Ok(named) = fs::symlink_metadata(path)
                && named.is_file()
            {
                check_owner_and_mode(&named, trust, path)?;
            }
            return Err(unread(error, path));
        }
    };
    check_owner_and_mode(file.metadata(), trust, path)?;
    file.read(MAX_FILE_BYTES).map_err(|error| unread(error, path))
}

fn unread(error: FileError, path: &Path) -> VaultError {
    match error {
        FileError::Io(error) => failed(path)(error),
        FileError::NotAFile => VaultError::new(VaultErrorKind::NotAFile).at(path),
        FileError::TooLarge(_) | FileError::NotText => {
            VaultError::new(VaultErrorKind::Undecipherable).at(path)
        }
    }
}

/// Creates a private file durably. The file must not exist yet.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let folder = folder_of(path);
    create_folder(folder).map_err(failed(folder))?;
    write_aside(folder, ".new-", bytes)
        .and_then(|aside| aside.persist_noclobber(path).map_err(|refused| refused.error))
        .and_then(|_| sync_folder(folder))
        .map_err(failed(path))
}

/// Replaces a private file durably: after a crash at any instant the old one or the new one is there. The old one stays beside
/// it as `<path>.1`.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let folder = folder_of(path);
    point!("vault.write");
    let written =
        write_aside(folder, &aside_prefix(path), bytes).map(tempfile::NamedTempFile::into_temp_path);
    point!("vault.written");
    // If nothing more can be written, the blocks of the spare file are already allocated.
    let aside =
        written.or_else(|full| write_over_spare(path, bytes).map_err(|_| full)).map_err(failed(path))?;
    // Best effort: the old state is a convenience, the new one is not.
    let _ = keep_previous(path);
    point!("vault.rename");
    aside.persist(path).map_err(|refused| refused.error).map_err(failed(path))?;
    point!("vault.renamed");
    sync_folder(folder).map_err(failed(path))?;
    point!("vault.durable");
    Ok(())
}

/// Proves that [`replace`] would work now: the directory is writable and has room for another copy, and a spare file is
/// reserved in case the room is gone when it is needed. It also removes what a killed process left behind. The caller holds the
/// lock of `path`.
pub(super) fn check_writable(path: &Path) -> Result<(), VaultError> {
    let folder = folder_of(path);
    let prefix = aside_prefix(path);
    let bytes = read(path)?;
    let rehearsed = remove_leftovers(folder, &prefix).and_then(|()| {
        write_aside(folder, &prefix, &bytes)?;
        lay_by_spare(path, bytes.len())
    });
    rehearsed.map_err(failed(path))
}

/// Reads the state before the last change.
pub(super) fn read_previous(path: &Path) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    read(&beside(path, PREVIOUS))
}

/// Restores the previous state in place of a damaged one, which is kept beside it. The caller holds the lock of `path`.
pub(super) fn restore_previous(path: &Path) -> Result<(), VaultError> {
    let folder = folder_of(path);
    let bytes = read_previous(path)?;
    let damaged = beside(path, DAMAGED);
    drop(fs::remove_file(&damaged));
    // Best effort: it is only kept for inspection.
    let _ = fs::hard_link(path, &damaged);
    write_aside(folder, &aside_prefix(path), &bytes)
        .and_then(|aside| aside.persist(path).map_err(|refused| refused.error))
        .and_then(|_| sync_folder(folder))
        .map_err(failed(path))
}

/// Removes the previous states: what was removed from the vault must not be found beside it.
pub(super) fn forget_previous(path: &Path) -> Result<(), VaultError> {
    for name in [PREVIOUS, DAMAGED] {
        match fs::remove_file(beside(path, name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(path)(error)),
            _ => {}
        }
    }
    sync_folder(folder_of(path)).map_err(failed(path))
}

/// Opens the file that is locked in place of `path`, which is replaced and so cannot be locked.
pub(super) fn open_lock_file(path: &Path) -> Result<File, VaultError> {
    let name = beside(path, ".lock");
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // A link could lead to a file that another user can replace, or keep locked; a pipe would wait for its reader.
    let file = RegularFile::checked(&mut options, &name, Links::Refused);
    file.map(RegularFile::into_file).map_err(|error| unread(error, &name))
}

/// Links the current state under a second name, so that a file that is damaged later has a previous state.
fn keep_previous(path: &Path) -> io::Result<()> {
    let named = beside(path, PREVIOUS);
    let linking = beside(path, ".1.new");
    drop(fs::remove_file(&linking));
    fs::hard_link(path, &linking)?;
    fs::rename(&linking, &named)
}

/// Reserves blocks for a file somewhat larger than the present one.
fn lay_by_spare(path: &Path, length: usize) -> io::Result<()> {
    const ROOM: usize = 16 * 1024;
    let spare = beside(path, ".spare");
    let wanted = length.next_multiple_of(ROOM) + ROOM;
    match fs::symlink_metadata(&spare) {
        Ok(found) if found.is_file() && found.len() >= wanted as u64 => return Ok(()),
        Ok(_) => fs::remove_file(&spare)?,
        Err(_) => {}
    }
    // Not zeros: some file systems allocate no blocks for those.
    let filling = vec![0x5a; wanted];
    write_aside(folder_of(path), &aside_prefix(path), &filling)?
        .persist(spare)
        .map_err(|refused| refused.error)?;
    Ok(())
}

fn write_over_spare(path: &Path, bytes: &[u8]) -> io::Result<tempfile::TempPath> {
    let spare = beside(path, ".spare");
    if !fs::symlink_metadata(&spare)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = OpenOptions::new().write(true).open(&spare)?;
    let spare = tempfile::TempPath::try_from_path(spare)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()?;
    Ok(spare)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn write_aside(folder: &Path, prefix: &str, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    // On Unix the file is created with mode 0600, and never through a link.
    let mut aside = tempfile::Builder::new().prefix(prefix).tempfile_in(folder)?;
    aside.write_all(bytes)?;
    aside.as_file().sync_all()?;
    Ok(aside)
}

fn aside_prefix(path: &Path) -> String {
    format!(".{}.new-", path.file_name().unwrap_or_default().to_string_lossy())
}

fn remove_leftovers(folder: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes a rename durable. Windows has no such call; its renames are journalled.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
fn check_owner_and_mode(metadata: &fs::Metadata, trust: Trust, path: &Path) -> Result<(), VaultError> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let (forbidden, root_may) = match trust {
        Trust::OwnerOnly => (0o077, false),
        Trust::Mounted => (0o022, true),
    };
    if metadata.permissions().mode() & forbidden != 0 {
        return Err(VaultError::new(VaultErrorKind::Exposed).at(path));
    }
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own && !(root_may && metadata.uid() == 0) {
        return Err(VaultError::new(VaultErrorKind::ForeignOwner).at(path));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner_and_mode(_: &fs::Metadata, _: Trust, _: &Path) -> Result<(), VaultError> {
    Ok(())
}
