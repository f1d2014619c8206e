//! What stands between a store and a power cut: what sled 0.34.7 leaves undone, and what our own log rests on.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The guards, each of which a test switches off to show what it is for. creel runs with all of them.
#[doc(hidden)]
#[allow(clippy::struct_excessive_bools)] // One switch for each guard is what this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// Before open, remove `snap.*.generating`. sled takes a half-written snapshot for its newest one.
    pub remove_half_snapshots: bool,
    /// After open, fsync every file and directory. sled does not sync what it created, renamed and zeroed while opening.
    pub sync_after_open: bool,
    /// At a checkpoint, after sled's `flush`, `sync_data` on the `db` file, and only then let go of the log. sled itself only calls `sync_file_range`, which says nothing
    /// of the file's length or the disk's own cache.
    pub sync_data: bool,
    /// Cut values into chunks that sled keeps in its log. It never syncs the files it puts larger ones into.
    pub chunk_values: bool,
    /// At a checkpoint, sync before sled begins another segment of its log. It takes what it has written for stable.
    pub fence_segments: bool,
    /// `fdatasync` of the log before anything is acknowledged. A record that is only written is lost with the power.
    pub sync_log: bool,
    /// Take a record of the log only if its check is right. The last one may be there in part.
    pub check_records: bool,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            remove_half_snapshots: true,
            sync_after_open: true,
            sync_data: true,
            chunk_values: true,
            fence_segments: true,
            sync_log: true,
            check_records: true,
        }
    }
}

/// Removes the snapshots a dying process left half-written. sled sorts all names that begin with `snap.` and reads the
/// last, which such a leftover is, and then refuses to open.
pub(crate) fn remove_half_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::info!(file = %entry.path().display(), "removing a snapshot that was never finished");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// In a store whose first open has not yet succeeded. sled can't read what is left when that is cut short.
const CREATING: &str = "creating";

/// Marks an empty directory as one in which a store is being created. Where it is marked already, the last attempt was
/// cut short and nothing was ever acknowledged: its files are removed, and it begins anew.
pub(crate) fn begin_creation(dir: &Path) -> io::Result<()> {
    let mark = dir.join(CREATING);
    if mark.exists() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() && entry.file_name() != CREATING {
                fs::remove_file(entry.path())?;
            }
        }
    } else if fs::read_dir(dir)?.next().is_none() {
        File::create(mark)?;
        sync_directory(dir)?;
    }
    Ok(())
}

/// Takes the mark away, durably: what is acknowledged from now on must never be taken for the rest of an attempt.
pub(crate) fn end_creation(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(CREATING)) {
        Ok(()) => sync_directory(dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Syncs every file in `dir`, in its sub-directories, and the directories themselves.
pub(crate) fn sync_all_in(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_all_in(&entry.path())?;
        } else if kind.is_file() {
            // Some systems sync only through a handle that may write.
            File::options().read(true).write(true).open(entry.path())?.sync_all()?;
        }
    }
    sync_directory(dir)
}

/// Makes the names in `dir` durable. Windows has no such call, and keeps names durable by itself.
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// Creates `dir` and what is missing above it, each name durable in its parent. Returns whether `dir` was created.
pub(crate) fn create_directory(dir: &Path) -> io::Result<bool> {
    if dir.is_dir() {
        return Ok(false);
    }
    let parent = parent_of(dir);
    if !parent.is_dir() {
        create_directory(parent)?;
    }
    fs::create_dir(dir)?;
    sync_directory(parent)?;
    Ok(true)
}

/// The directory that holds `path`'s name; a bare name lies in the current one.
pub(crate) fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How many files sled keeps outside its log. It never syncs them, so there must be none.
pub(crate) fn blobs_in(dir: &Path) -> io::Result<usize> {
    Ok(fs::read_dir(dir.join("blobs"))?.count())
}
