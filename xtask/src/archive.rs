//! Archives whose bytes depend on the files in them alone.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};

use crate::Result;
use crate::tree::Tree;

/// A compressed tar archive: sorted, owned by root, all of one time.
pub(crate) fn tar_gz(files: &Tree, time: u64) -> Result<Vec<u8>> {
    // Neither a name nor a time in the head.
    let mut packed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    packed.write_all(&tar(files, time)?)?;
    Ok(packed.finish()?)
}

/// A tar archive; its folders are in it as well.
pub(crate) fn tar(files: &Tree, time: u64) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for folder in files.folders() {
        let mut header = header(tar::EntryType::Directory, 0o755, 0, time);
        archive.append_data(&mut header, format!("{folder}/"), std::io::empty())?;
    }
    for (path, file) in files.files() {
        let mut header = header(tar::EntryType::Regular, file.mode, file.bytes.len() as u64, time);
        archive.append_data(&mut header, path, file.bytes.as_slice())?;
    }
    Ok(archive.into_inner()?)
}

/// Bytes as `gzip -9n` packs them.
pub(crate) fn gz(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    packed.write_all(bytes)?;
    Ok(packed.finish()?)
}

fn header(kind: tar::EntryType, mode: u32, size: u64, time: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header
}
