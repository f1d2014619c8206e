//! Photos: plain files named by their BLAKE3 hash, durable before anything names them.

use crate::error::NodeError;
use crate::folder::Folder;
use creel_protocol::id::FileHash;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

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

pub(crate) fn path(folder: &Folder, hash: &FileHash) -> PathBuf {
    folder.photos().join(hash.to_string())
}

/// Where a photo that is being fetched grows; its folder is there afterwards.
pub(crate) fn fetched_part(folder: &Folder, hash: &FileHash) -> PathBuf {
    // If it can't be made, opening the file tells why.
    let _ = fs::create_dir_all(folder.photos());
    folder.photos().join(format!("{hash}.fetch"))
}

/// Gives a photo that was fetched its name, if it is what the name says; if not, nothing of it is kept.
pub(crate) fn complete(folder: &Folder, hash: &FileHash) -> Result<(), NodeError> {
    let (part, path) = (fetched_part(folder, hash), path(folder, hash));
    let bytes = fs::read(&part).map_err(NodeError::file("read", &part))?;
    if blake3::hash(&bytes).as_bytes() != &hash.0 {
        fs::remove_file(&part).map_err(NodeError::file("remove", &part))?;
        return Err(NodeError::Damaged { path: part, why: "what was fetched is another photo".to_owned() });
    }
    let named = || -> std::io::Result<()> {
        fs::rename(&part, &path)?;
        File::open(folder.photos())?.sync_all()?;
        File::open(folder.path())?.sync_all()
    };
    named().map_err(NodeError::file("write", &path))
}

/// The photos, those first that were written longest ago, with their sizes.
pub(crate) fn by_age(folder: &Folder) -> std::io::Result<Vec<(SystemTime, FileHash, u64)>> {
    let entries = match fs::read_dir(folder.photos()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut photos = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(hash) = FileHash::parse(&entry.file_name().to_string_lossy()) {
            let about = entry.metadata()?;
            photos.push((about.modified()?, hash, about.len()));
        }
    }
    photos.sort_unstable();
    Ok(photos)
}
