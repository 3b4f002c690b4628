//! Reads a file that another user may have put there: it never blocks, and never reads without a limit.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

/// An open regular file. A pipe, a device, a socket or a directory is never accepted, and all checks apply to the file that was
/// opened, not to a path that may lead elsewhere meanwhile.
#[derive(Debug)]
pub struct RegularFile {
    file: File,
    metadata: Metadata,
}

/// Whether the path may be a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Links are followed.
    Followed,
    /// A path whose last part is a link is refused.
    Refused,
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused.
    #[error("{}", .0.kind())]
    Io(#[from] io::Error),
    /// It is a directory, a pipe, a device, a socket, or a link where none is followed.
    #[error("it is not a file")]
    NotAFile,
    /// The file has more than this many bytes.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The file is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
}

impl RegularFile {
    /// Opens a file for reading, without waiting for another process, such as the writer of a pipe.
    ///
    /// # Errors
    ///
    /// [`FileError::NotAFile`], or the error of the operating system.
    pub fn open(path: &Path, links: Links) -> Result<Self, FileError> {
        let mut options = OpenOptions::new();
        options.read(true);
        Self::checked(&mut options, path, links)
    }

    /// Opens a file with `options`, under the same conditions.
    pub(crate) fn checked(options: &mut OpenOptions, path: &Path, links: Links) -> Result<Self, FileError> {
        #[cfg(unix)]
        {
            use rustix::fs::OFlags;
            // Opening a pipe would wait for a writer, and a terminal would become this process's own.
            let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
            if links == Links::Refused {
                flags |= OFlags::NOFOLLOW;
            }
            std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits().cast_signed());
        }
        #[cfg(not(unix))]
        if links == Links::Refused && std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
            return Err(FileError::NotAFile);
        }
        let file = options.open(path).map_err(refused)?;
        let metadata = file.metadata()?;
        if metadata.is_file() { Ok(Self { file, metadata }) } else { Err(FileError::NotAFile) }
    }

    /// Metadata of the file that was opened.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The file itself.
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Reads the whole file, if it has at most `limit` bytes. The length that the system reports is not trusted: some files are
    /// generated while they are read.
    ///
    /// # Errors
    ///
    /// [`FileError::TooLarge`], or the error of the operating system.
    pub fn read(self, limit: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let told = self.metadata.len().min(limit);
        // Room for one more: a buffer that grows leaves a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(told).unwrap_or_default() + 1));
        self.file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit { Err(FileError::TooLarge(limit)) } else { Ok(bytes) }
    }

    /// Reads the whole file as a text, if it has at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// As [`RegularFile::read`], and [`FileError::NotText`].
    pub fn read_text(self, limit: u64) -> Result<Zeroizing<String>, FileError> {
        let bytes = self.read(limit)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| FileError::NotText)?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// Maps what the system reports for a path that is no regular file to one kind of error.
fn refused(error: io::Error) -> FileError {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        // A link where none is followed, a socket, a pipe without a reader, or a directory opened for writing.
        let no_file = [Errno::LOOP, Errno::NXIO, Errno::OPNOTSUPP, Errno::ISDIR];
        if Errno::from_io_error(&error).is_some_and(|errno| no_file.contains(&errno)) {
            return FileError::NotAFile;
        }
    }
    FileError::Io(error)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn read(path: &Path, links: Links) -> Result<usize, FileError> {
        Ok(RegularFile::open(path, links)?.read(4)?.len())
    }

    #[test]
    fn only_a_file_is_read_and_only_to_its_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for (text, read_as) in [("", Some(0)), ("1234", Some(4)), ("12345", None)] {
            std::fs::write(at("file"), text).expect("written");
            let found = read(&at("file"), Links::Refused);
            assert_eq!(found.as_ref().ok().copied(), read_as, "{found:?}");
        }
        std::os::unix::fs::symlink(at("file"), at("link")).expect("linked");
        std::fs::write(at("file"), "12").expect("written");
        assert!(matches!(read(&at("link"), Links::Refused), Err(FileError::NotAFile)));
        assert!(matches!(read(&at("link"), Links::Followed), Ok(2)));
        assert!(matches!(read(&at("none"), Links::Followed), Err(FileError::Io(_))));
    }

    #[test]
    fn what_would_wait_or_never_end_is_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().expect("mkfifo");
        assert!(made.success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("a socket");
        for path in [at("pipe"), at("socket"), folder.path().into(), "/dev/zero".into(), "/dev/null".into()] {
            for links in [Links::Followed, Links::Refused] {
                assert!(matches!(read(&path, links), Err(FileError::NotAFile)), "{}", path.display());
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_tells_no_length_is_read_to_its_limit_too() {
        assert!(matches!(read(Path::new("/proc/self/status"), Links::Followed), Err(FileError::TooLarge(4))));
    }
}
