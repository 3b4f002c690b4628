//! Files that go into an artefact, by their paths in it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Result;

/// A file, with its permissions.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) mode: u32,
    pub(crate) bytes: Vec<u8>,
}

/// Files by path, sorted, without a leading slash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree(BTreeMap<String, File>);

impl Tree {
    /// Adds a file that everybody can read.
    pub(crate) fn add(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), File { mode: 0o644, bytes: bytes.into() });
    }

    /// Adds a file that everybody can execute.
    pub(crate) fn add_program(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), File { mode: 0o755, bytes: bytes.into() });
    }

    /// Adds a file of this machine, with the permission to execute it if it has it.
    pub(crate) fn add_file(&mut self, path: impl Into<String>, file: &Path) -> Result<()> {
        let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        if is_executable(file)? {
            self.add_program(path, bytes);
        } else {
            self.add(path, bytes);
        }
        Ok(())
    }

    /// The same files below a folder.
    pub(crate) fn below(self, folder: &str) -> Self {
        Self(self.0.into_iter().map(|(path, file)| (format!("{folder}/{path}"), file)).collect())
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        self.0.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// Every folder above a file, each once, in an order in which they can be made.
    pub(crate) fn folders(&self) -> Vec<String> {
        let mut folders = std::collections::BTreeSet::new();
        for path in self.0.keys() {
            let above =
                path.char_indices().filter(|(_, letter)| *letter == '/').map(|(at, _)| path[..at].to_owned());
            folders.extend(above);
        }
        folders.into_iter().collect()
    }
}

#[cfg(unix)]
fn is_executable(file: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::metadata(file)?.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &Path) -> Result<bool> {
    Ok(false)
}
