//! Files that only their owner may touch: checked before reading, replaced whole when writing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use super::{VaultError, VaultErrorKind};

/// The largest file that is read. A vault is a few kilobytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Turns an operating system's refusal into an error about `path`.
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

/// Reads a whole private file.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let refused = |kind| VaultError::new(kind).at(path);
    let named = fs::symlink_metadata(path).map_err(failed(path))?;
    if !named.is_file() {
        return Err(refused(VaultErrorKind::NotAFile));
    }
    check_owner_and_mode(&named, path)?;
    let file = File::open(path).map_err(failed(path))?;
    let opened = file.metadata().map_err(failed(path))?;
    check_owner_and_mode(&opened, path)?;
    if opened.len() > MAX_FILE_BYTES {
        return Err(refused(VaultErrorKind::Undecipherable));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(opened.len()).unwrap_or_default() + 1));
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(failed(path))?;
    Ok(bytes)
}

/// Creates a private file that must not exist yet, durably.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let folder = folder_of(path);
    create_folder(folder).map_err(failed(folder))?;
    write_aside(folder, ".new-", bytes)
        .and_then(|aside| aside.persist_noclobber(path).map_err(|refused| refused.error))
        .and_then(|_| sync_folder(folder))
        .map_err(failed(path))
}

/// Replaces a private file, durably: after a crash at any instant the old one or the new one is there.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let folder = folder_of(path);
    write_aside(folder, &aside_prefix(path), bytes)
        .and_then(|aside| aside.persist(path).map_err(|refused| refused.error))
        .and_then(|_| sync_folder(folder))
        .map_err(failed(path))
}

/// Proves that [`replace`] would work now: the folder is writable and has room for as much again. Also
/// removes what a killed process left behind. The caller holds the vault's lock.
pub(super) fn rehearse(path: &Path) -> Result<(), VaultError> {
    let folder = folder_of(path);
    let prefix = aside_prefix(path);
    let rehearsed = fs::read(path).and_then(|bytes| write_aside(folder, &prefix, &bytes)).map(drop);
    rehearsed.and_then(|()| remove_leftovers(folder, &prefix)).map_err(failed(path))
}

/// Opens the file that is locked in place of `path`, which is replaced and so cannot be.
pub(super) fn open_lock_file(path: &Path) -> Result<File, VaultError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let name = Path::new(&name);
    options.open(name).map_err(failed(name))
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
fn check_owner_and_mode(metadata: &fs::Metadata, path: &Path) -> Result<(), VaultError> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(VaultError::new(VaultErrorKind::Exposed).at(path));
    }
    let own = own_user().map_err(failed(path))?;
    if metadata.uid() != own {
        return Err(VaultError::new(VaultErrorKind::ForeignOwner).at(path));
    }
    Ok(())
}

/// The effective user id, without a system call of our own: Linux shows it as the owner of this process's
/// folder, elsewhere a new file belongs to it.
#[cfg(unix)]
fn own_user() -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt;

    fs::metadata("/proc/self").or_else(|_| tempfile::tempfile()?.metadata()).map(|metadata| metadata.uid())
}

#[cfg(not(unix))]
fn check_owner_and_mode(_: &fs::Metadata, _: &Path) -> Result<(), VaultError> {
    Ok(())
}
