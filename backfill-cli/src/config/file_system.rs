//! Finds out on which kind of file system a path lies.

use std::path::{Path, PathBuf};

/// File systems whose locks may not exclude other hosts: network file systems, and folders that a virtual machine or a
/// container engine shares with its host.
const SHARED: [&str; 10] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "vboxsf", "prl_fs", "afs"];

/// The kind of the shared file system that `path` lies on. `None` for a local file system, or if it is unknown.
pub(crate) fn shared(path: &Path) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    // The file itself may not be there yet.
    let known = path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok())?;
    kind(&mounts, &known).filter(|kind| SHARED.contains(&kind.as_str()) || kind.starts_with("fuse."))
}

/// Whether a path is a mount point. Only root can mount, so its content was chosen by root.
pub(crate) fn is_mount_point(path: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    path.canonicalize().is_ok_and(|path| points(&mounts).any(|point| point == path))
}

fn points(mounts: &str) -> impl Iterator<Item = PathBuf> {
    mounts.lines().filter_map(|line| Some(PathBuf::from(unescaped(line.split(' ').nth(4)?))))
}

/// The type of the innermost mount that contains `path`. By proc(5), the mount point is the fifth field, and the type is the
/// first field after a lone dash. The last of several mounts on one point counts.
fn kind(mounts: &str, path: &Path) -> Option<String> {
    let mount = |line: &str| {
        let (mount, source) = line.split_once(" - ")?;
        Some((PathBuf::from(unescaped(mount.split(' ').nth(4)?)), source.split(' ').next()?.to_owned()))
    };
    let holding = mounts.lines().filter_map(mount).filter(|(point, _)| path.starts_with(point));
    holding.max_by_key(|(point, _)| point.components().count()).map(|(_, kind)| kind)
}

/// Decodes a mount point, in which blanks and backslashes are written in octal.
fn unescaped(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_decides() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      30 22 0:40 / /home rw - nfs4 server:/home rw\n\
                      31 30 0:41 / /home/a\\040b rw shared:7 - xfs /dev/sdb1 rw\n";
        let check = |path: &str, wanted| assert_eq!(kind(mounts, Path::new(path)).as_deref(), Some(wanted));
        check("/srv/vault", "ext4");
        check("/home/vault", "nfs4");
        check("/home/a b/vault", "xfs");
        check("/homeless/vault", "ext4");
        assert!(points(mounts).eq(["/", "/home", "/home/a b"].map(PathBuf::from)));
    }
}
