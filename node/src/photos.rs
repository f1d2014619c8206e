//! Photos: plain files named by their BLAKE3 hash, durable before anything names them.

use crate::error::NodeError;
use crate::folder::Folder;
use creel_protocol::id::FileHash;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

/// Bytes of a photo.
pub(crate) const PHOTO_BYTES_MAX: usize = 20 * 1024 * 1024;

/// Keeps a photo: written, synced, renamed to its name, the directory synced.
pub(crate) fn keep(folder: &Folder, bytes: &[u8]) -> Result<FileHash, NodeError> {
    let hash = FileHash(*blake3::hash(bytes).as_bytes());
    let (directory, path) = (folder.photos(), path(folder, &hash));
    let there = matches!(load(folder, &hash), Ok(Some(_)));
    let written = || -> std::io::Result<()> {
        if !there {
            fs::create_dir_all(&directory)?;
            let part = directory.join(format!("{hash}.part"));
            let mut file = File::create(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
        }
        // Also for one that was there: whoever wrote it may have died before these.
        File::open(&directory)?.sync_all()?;
        File::open(folder.path())?.sync_all()
    };
    written().map_err(NodeError::file("write", &path))?;
    Ok(hash)
}

/// A photo's bytes, if it is here and still what its name says.
pub(crate) fn load(folder: &Folder, hash: &FileHash) -> Result<Option<Vec<u8>>, NodeError> {
    let path = path(folder, hash);
    match fs::read(&path) {
        Ok(bytes) if blake3::hash(&bytes).as_bytes() == &hash.0 => Ok(Some(bytes)),
        Ok(_) => Err(NodeError::Damaged { path, why: "its content is not what its name says".to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(NodeError::file("read", &path)(error)),
    }
}

fn path(folder: &Folder, hash: &FileHash) -> PathBuf {
    folder.photos().join(hash.to_string())
}
