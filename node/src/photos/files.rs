//! Photos: plain files named by their BLAKE3 hash, durable before anything names them.

use crate::error::NodeError;
use crate::folder::Folder;
use creel_protocol::id::FileHash;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

/// The suffix of a photo's file while it is fetched.
const PARTIAL_SUFFIX: &str = ".fetch";
/// The most bytes that a photo may have.
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
        // Also for a photo that was there: the process that wrote it may have been killed before syncing.
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

/// The file that a photo is fetched into; makes its folder.
pub(crate) fn fetched_part(folder: &Folder, hash: &FileHash) -> PathBuf {
    // If it can't be made, opening the file tells why.
    let _ = fs::create_dir_all(folder.photos());
    folder.photos().join(format!("{hash}{PARTIAL_SUFFIX}"))
}

/// Renames a fetched photo to its hash and returns its size in bytes. A file with another hash is removed.
pub(crate) fn complete(folder: &Folder, hash: &FileHash) -> Result<u64, NodeError> {
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
    named().map_err(NodeError::file("write", &path))?;
    Ok(bytes.len() as u64)
}

/// A file in the photos' folder: when it was last written, its photo, and its size in bytes.
pub(crate) type StoredFile = (SystemTime, FileHash, u64);

/// The files in the photos' folder, the least recently written first.
#[derive(Debug, Default)]
pub(crate) struct StoredPhotos {
    /// Whole photos.
    pub(crate) photos: Vec<StoredFile>,
    /// Parts of photos that are being fetched, or were.
    pub(crate) parts: Vec<StoredFile>,
}

impl StoredPhotos {
    /// Lists the folder.
    pub(crate) fn read(folder: &Folder) -> std::io::Result<Self> {
        let entries = match fs::read_dir(folder.photos()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut held = Self::default();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let (name, among) = match name.strip_suffix(PARTIAL_SUFFIX) {
                Some(name) => (name, &mut held.parts),
                None => (&*name, &mut held.photos),
            };
            if let Ok(hash) = FileHash::parse(name) {
                // A part that was completed meanwhile has another name, and is counted the next time.
                let Ok(about) = entry.metadata() else { continue };
                among.push((about.modified()?, hash, about.len()));
            }
        }
        held.photos.sort_unstable();
        held.parts.sort_unstable();
        Ok(held)
    }

    /// The size of all files, parts included.
    pub(crate) fn bytes(&self) -> u64 {
        self.photos.iter().chain(&self.parts).map(|(_, _, bytes)| bytes).sum()
    }

    /// Removes the parts for which `is_stale` holds.
    pub(crate) fn remove_parts(
        &mut self,
        folder: &Folder,
        is_stale: impl Fn(&StoredFile) -> bool,
    ) -> std::io::Result<()> {
        let (stale, left) = std::mem::take(&mut self.parts).into_iter().partition(is_stale);
        self.parts = left;
        let stale: Vec<StoredFile> = stale;
        stale.iter().try_for_each(|(_, hash, _)| fs::remove_file(fetched_part(folder, hash)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A part counts with its size and is removed when its photo is no longer wanted; parts of wanted photos and whole photos stay.
    #[test]
    fn parts_count_and_are_removed() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::open(Path::new(place.path())).expect("a data folder");
        let whole = keep(&folder, &[7; 300]).expect("it is kept");
        let (wanted, stale) = (FileHash([1; 32]), FileHash([2; 32]));
        fs::write(fetched_part(&folder, &wanted), [0; 100]).expect("it is written");
        fs::write(fetched_part(&folder, &stale), [0; 20]).expect("it is written");
        let mut held = StoredPhotos::read(&folder).expect("it is there");
        assert_eq!(held.bytes(), 420);
        held.remove_parts(&folder, |(_, photo, _)| *photo != wanted).expect("they are removed");
        assert_eq!(held.bytes(), 400);
        let held = StoredPhotos::read(&folder).expect("it is there");
        let hashes = |kept: &[StoredFile]| kept.iter().map(|(_, hash, _)| *hash).collect::<Vec<_>>();
        assert_eq!((hashes(&held.photos), hashes(&held.parts)), (vec![whole], vec![wanted]));
    }
}
