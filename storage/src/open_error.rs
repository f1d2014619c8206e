//! Why a store does not open, in words for the person who has to do something about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How often opening may time out in a row before the store counts as damaged.
pub(crate) const TIMED_OUT_OPENS_MAX: u32 = 3;

/// Why a store could not be opened. In none of these cases was anything set aside or overwritten.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody else has it open.
    #[error("the store {} is in use by {}: stop that first, or use the creel that is running", dir.display(), holder(*pid))]
    Held {
        /// The store.
        dir: PathBuf,
        /// The process that holds it, where it could be told.
        pid: Option<u32>,
    },
    /// The disk is full.
    #[error("the disk is full, so the store {} could not be opened: free some space, then start creel again; nothing acknowledged is lost", dir.display())]
    Full {
        /// The store.
        dir: PathBuf,
    },
    /// A newer creel wrote it.
    #[error("the store {} has format {found}, and this creel knows formats up to {known}: install the newer creel again", dir.display())]
    NewerFormat {
        /// The store.
        dir: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format this creel knows.
        known: u32,
    },
    /// The options do not fit the store, or no store at all.
    #[error("the store {} cannot be opened with these options: {why}", dir.display())]
    Unsupported {
        /// The store.
        dir: PathBuf,
        /// sled's words.
        why: String,
    },
    /// sled did not answer in time. Nothing else may open the store until this process has ended.
    #[error("the store {} did not open within {} s (time {attempt} in a row): start creel again; it will wait longer, and set the store aside after {TIMED_OUT_OPENS_MAX} times", dir.display(), limit.as_secs())]
    TimedOut {
        /// The store.
        dir: PathBuf,
        /// How long it had.
        limit: Duration,
        /// How many processes in a row gave up, this one included.
        attempt: u32,
    },
    /// The system refused something.
    #[error("the store {} could not be opened: {what} failed: {source}", dir.display())]
    Io {
        /// The store.
        dir: PathBuf,
        /// What was attempted.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Even a fresh, empty store could not be opened.
    #[error("a fresh store in {} could not be opened either: {why}; check the disk", dir.display())]
    Failed {
        /// The store.
        dir: PathBuf,
        /// What went wrong.
        why: String,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
