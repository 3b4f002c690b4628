//! Reads files that this program trusts. Before reading, it checks on the opened file which users may have written it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use qbo_auth::{FileError, Links, RegularFile};
use zeroize::Zeroizing;

use crate::config::file_system::is_mount_point;

/// The largest settings file, catalogue or file of triggers.
const LARGEST_TEXT: u64 = 4 * 1024 * 1024;

/// The largest secret in a file.
const LARGEST_SECRET: u64 = 64 * 1024;

/// Why a file is not trusted. The text follows the file's name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Distrusted {
    #[error(transparent)]
    Unread(#[from] FileError),
    #[error("it belongs to another user")]
    Foreign,
    #[error("other users may write to it")]
    Writable,
    #[error("other users may read it")]
    Readable,
    #[error("other users may put files into its folder")]
    OpenFolder,
    #[error("another user created the link that leads to it")]
    ForeignLink,
}

impl Distrusted {
    /// The next step for a person.
    pub(crate) fn remedy(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Unread(_) => "name a file that this user may read".into(),
            Self::Foreign => {
                format!("check its content; if it is yours, run: chown \"$(id -u)\" {path}, or copy it")
            }
            Self::Writable => format!("run: chmod go-w {path}"),
            Self::Readable => format!("run: chmod go= {path}"),
            Self::OpenFolder | Self::ForeignLink => {
                "keep it in a folder that only you may write to, such as ~/.config/qbo-backfill".into()
            }
        }
    }
}

/// Reads a file of instructions, such as settings or a catalogue. It must belong to this user or root, no other user may be
/// able to write to it, and no other user may have put it, or a link to it, into a folder open to all users.
pub(crate) fn read_settings(path: &Path) -> Result<Zeroizing<String>, Distrusted> {
    let file = RegularFile::open(path, Links::Followed)?;
    let own = own_uid();
    let is_mounted = || is_mounted(path);
    // A file that a container engine mounts may belong to any user, but only root can mount.
    if !is_own_or_roots(file.metadata()) && !is_mounted() {
        return Err(Distrusted::Foreign);
    }
    if strangers_may(0o022, file.metadata()) {
        return Err(Distrusted::Writable);
    }
    if let Ok(named) = fs::symlink_metadata(path)
        && named.is_symlink()
        && !is_own_or_roots(&named)
    {
        return Err(Distrusted::ForeignLink);
    }
    if is_open(folder_of(path)) && file.metadata().uid() != own && !is_mounted() {
        return Err(Distrusted::OpenFolder);
    }
    Ok(file.read_text(LARGEST_TEXT)?)
}

/// Reads a text file that the user has named, without checking its owner.
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, FileError> {
    RegularFile::open(path, Links::Followed)?.read_text(LARGEST_TEXT)
}

/// Checks that no other user may put files into a folder of secrets, unless the folder is a mount point: Kubernetes mounts
/// folders with write permission for all users, although they are read-only.
pub(crate) fn check_secret_folder(folder: &Path) -> Result<(), Distrusted> {
    if is_open(folder) && !is_mount_point(folder) { Err(Distrusted::OpenFolder) } else { Ok(()) }
}

/// Reads a file that holds a secret. No other user may be able to write to it, nor to read it if it is this user's own.
/// Container engines mount secrets as files of root, readable by every user of the container, or as files of the host's user.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<String>, Distrusted> {
    let file = RegularFile::open(path, Links::Followed)?;
    let metadata = file.metadata();
    if strangers_may(0o022, metadata) {
        return Err(Distrusted::Writable);
    }
    if metadata.uid() != 0 && !is_mounted(path) {
        if metadata.uid() != own_uid() {
            return Err(Distrusted::Foreign);
        }
        if strangers_may(0o044, metadata) {
            return Err(Distrusted::Readable);
        }
    }
    Ok(file.read_text(LARGEST_SECRET)?)
}

/// Reads a password file. Like libpq, it requires that other users have no access; it also requires that the file belongs to
/// this user or root.
pub(crate) fn read_passfile(path: &Path) -> Result<Zeroizing<String>, Distrusted> {
    let file = RegularFile::open(path, Links::Followed)?;
    if file.metadata().mode() & 0o077 != 0 {
        return Err(Distrusted::Readable);
    }
    if !is_own_or_roots(file.metadata()) {
        return Err(Distrusted::Foreign);
    }
    Ok(file.read_text(LARGEST_TEXT)?)
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn is_own_or_roots(metadata: &Metadata) -> bool {
    metadata.uid() == own_uid() || metadata.uid() == 0
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether the file itself or its folder is a mount point.
fn is_mounted(path: &Path) -> bool {
    is_mount_point(path) || is_mount_point(folder_of(path))
}

/// Whether other users may put files into a folder.
fn is_open(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|folder| strangers_may(0o022, &folder))
}

/// Whether other users have one of these rights, given as mode bits of group and others. The group does not count if this
/// user is its only member: many systems give every user such a group, with write permission by default.
fn strangers_may(rights: u32, metadata: &Metadata) -> bool {
    let open = metadata.mode() & rights;
    open & 0o007 != 0 || (open & 0o070 != 0 && !is_private_group(metadata.gid()))
}

fn is_private_group(gid: u32) -> bool {
    let read = |path: &str| Some(read_text(&PathBuf::from(path)).ok()?.to_string());
    match (read("/etc/passwd"), read("/etc/group")) {
        (Some(users), Some(groups)) => is_alone_in(gid, own_uid(), &users, &groups),
        _ => false,
    }
}

/// Whether a user is the only member of a group, by the texts of `/etc/passwd` and `/etc/group` (passwd(5), group(5)). `false`
/// for a user or group that is not listed.
fn is_alone_in(gid: u32, uid: u32, users: &str, groups: &str) -> bool {
    let number = |field: Option<&str>| field.and_then(|field| field.parse::<u32>().ok());
    let users = users.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, number(fields.nth(1))?, number(fields.next())?))
    });
    let (own, others): (Vec<_>, Vec<_>) = users.partition(|(_, user, _)| *user == uid);
    let mut members = groups.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let group = number(fields.nth(2))?;
        (group == gid).then(|| fields.next().unwrap_or_default())
    });
    let is_own = |name: &str| name.is_empty() || own.iter().any(|(own, ..)| *own == name);
    let Some(first) = members.next() else { return false };
    own.iter().any(|(.., group)| *group == gid)
        && others.iter().all(|(.., group)| *group != gid)
        && std::iter::once(first).chain(members).all(|names| names.split(',').all(is_own))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn file(folder: &Path, mode: u32) -> PathBuf {
        let path = folder.join(format!("{mode:o}"));
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Gives a file away, which only root can.
    fn given_away(path: &Path) -> bool {
        own_uid() == 0 && std::os::unix::fs::chown(path, Some(4711), None).is_ok()
    }

    #[test]
    fn settings_that_others_may_write_or_have_laid_are_not_obeyed() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o644, 0o400] {
            assert!(read_settings(&file(folder.path(), mode)).is_ok(), "{mode:o}");
        }
        let open = file(folder.path(), 0o646);
        assert!(matches!(read_settings(&open), Err(Distrusted::Writable)));

        let link = folder.path().join("link");
        let sound = file(folder.path(), 0o640);
        symlink(&sound, &link).unwrap();
        assert!(read_settings(&link).is_ok());
        if given_away(&sound) {
            assert!(
                matches!(read_settings(&link), Err(Distrusted::Foreign)),
                "the file decides, not its link"
            );
            assert!(matches!(read_settings(&sound), Err(Distrusted::Foreign)));
            std::os::unix::fs::lchown(&link, Some(4711), None).unwrap();
            std::os::unix::fs::chown(&sound, Some(0), None).unwrap();
            assert!(matches!(read_settings(&link), Err(Distrusted::ForeignLink)));
        }
    }

    #[test]
    fn secrets_that_others_may_write_or_lay_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_secret(&file(folder.path(), 0o400)).is_ok());
        assert!(check_secret_folder(folder.path()).is_ok());
        for mode in [0o602, 0o666, 0o646] {
            assert!(matches!(read_secret(&file(folder.path(), mode)), Err(Distrusted::Writable)), "{mode:o}");
        }
        // As container engines mount them: root's, and readable by every user of the container.
        let mounted = read_secret(&file(folder.path(), 0o444));
        assert_eq!(mounted.is_ok(), own_uid() == 0);
        let foreign = file(folder.path(), 0o604);
        if given_away(&foreign) {
            assert!(matches!(read_secret(&foreign), Err(Distrusted::Foreign)));
        }
        for mode in [0o777, 0o1777] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(check_secret_folder(folder.path()), Err(Distrusted::OpenFolder)), "{mode:o}");
        }
    }

    #[test]
    fn a_group_of_ones_own_is_no_stranger() {
        let users =
            "root:x:0:0::/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\nben:x:1001:1001::/:/bin/sh\n";
        let alone = |groups: &str| is_alone_in(1000, 1000, users, groups);
        assert!(alone("root:x:0:\nana:x:1000:\n") && alone("ana:x:1000:ana\n"));
        assert!(
            !alone("ana:x:1000:ben\n")
                && !alone("ana:x:1000:ana,ben\n")
                && !alone("ana:x:1000:\nx:x:1000:ben\n")
        );
        assert!(!alone("root:x:0:\n"), "a group that nobody knows");
        assert!(!is_alone_in(1000, 1001, users, "ana:x:1000:\n"), "the group of somebody else");
        let shared = "ana:x:1000:100::/:/bin/sh\nben:x:1001:100::/:/bin/sh\n";
        assert!(!is_alone_in(100, 1000, shared, "users:x:100:\n"));
    }
}
