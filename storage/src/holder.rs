//! Who holds a store: a lock of our own, taken before anything in the directory is touched.
//!
//! sled locks its file too, but only in the middle of opening it, and says so in an error that looks like any other.
//! Ours is a file beside the directory, `<directory>.holder`, so that it stays locked while a damaged directory is
//! renamed. The system releases the lock when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A store held by this process.
#[derive(Debug)]
pub(crate) struct Holder {
    file: File,
    /// How many processes in a row gave up waiting for sled to open this store.
    pub(crate) timed_out_opens: u32,
}

/// Why a store could not be held.
#[derive(Debug)]
pub(crate) enum HolderError {
    /// Another process, or another engine in this one, holds it; `0` is its process id where it can be read.
    Held(Option<u32>),
    Io(io::Error),
}

impl Holder {
    pub(crate) fn take(dir: &Path) -> Result<Self, HolderError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(beside(dir, "holder"))
            .map_err(HolderError::Io)?;
        let locked = file.try_lock();
        // The holder's text is read with or without the lock; it is advice for a person, so damage in it is no error.
        let mut text = String::new();
        let _unreadable = file.read_to_string(&mut text);
        match locked {
            Ok(()) => {
                let mut holder = Self { file, timed_out_opens: number_after(&text, "timed-out-opens ").unwrap_or(0) };
                holder.write().map_err(HolderError::Io)?;
                Ok(holder)
            }
            Err(TryLockError::WouldBlock) => Err(HolderError::Held(number_after(&text, "pid "))),
            Err(TryLockError::Error(error)) => Err(HolderError::Io(error)),
        }
    }

    /// Remembers for the next process how often opening has timed out.
    pub(crate) fn remember_timed_out_opens(&mut self, count: u32) -> io::Result<()> {
        self.timed_out_opens = count;
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
        let text = format!("pid {}\ntimed-out-opens {}\n", std::process::id(), self.timed_out_opens);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Closing the file would not do: a child that another thread has just forked has a copy of it until it runs its
        // own program, and with it the lock.
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "could not release the store's lock");
        }
    }
}

/// `<dir>.<ending>`, in the same parent directory.
pub(crate) fn beside(dir: &Path, ending: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn number_after(text: &str, label: &str) -> Option<u32> {
    text.lines().find_map(|line| line.strip_prefix(label))?.trim().parse().ok()
}
