//! sled, entered only through doors that catch its panics, chunk its values and finish its syncs.

use std::any::Any;
use std::cell::OnceCell;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use creel_protocol::store::{Pair, StoreError};

use crate::KEY_BYTES_MAX;
use crate::chunk::{self, Entry};
use crate::guards;
use crate::opening::{Options, suspect_mark};
use crate::recent::{self, Recent};

/// How many entries a leaf of sled's may have before it is split.
const LEAF_ENTRIES_MAX: usize = 17;
/// What messages without meaning are said to be about. Recovery does not look.
const FILLER_PAGE: sled::PageId = 0;

/// An open sled.
#[derive(Debug)]
pub(crate) struct Tree {
    /// `None` only while it is dropped.
    db: Option<sled::Db>,
    /// Our own handle on the file that holds sled's log, to sync by.
    db_file: File,
    pub(crate) dir: PathBuf,
    sync_data: bool,
    fence: bool,
    segment_bytes: i64,
    /// The most that one `put` adds to sled's log.
    write_bytes_max: i64,
    entry_bytes_max: usize,
    /// Set by the first failure; from then on the engine refuses.
    broken: OnceCell<StoreError>,
}

impl Tree {
    pub(crate) fn new(db: sled::Db, db_file: File, dir: PathBuf, options: &Options) -> Self {
        // What blobs the guard is against are larger than a quarter of a segment; `chunk` has the sum.
        let entry_bytes_max = options.segment_bytes / 128;
        // A leaf is written whole when it is consolidated, and again as two when it is split.
        let write_bytes_max = 2 * LEAF_ENTRIES_MAX * (entry_bytes_max + KEY_BYTES_MAX + 16);
        Self {
            db: Some(db),
            db_file,
            dir,
            sync_data: options.guards.sync_data,
            fence: options.guards.fence_segments,
            segment_bytes: i64::try_from(options.segment_bytes).unwrap_or(i64::MAX),
            write_bytes_max: i64::try_from(write_bytes_max).unwrap_or(i64::MAX),
            entry_bytes_max: if options.guards.chunk_values { entry_bytes_max } else { usize::MAX },
            broken: OnceCell::new(),
        }
    }

    pub(crate) fn raise_alarm_about_blobs(&self) {
        match guards::blobs_in(&self.dir) {
            Ok(0) => {}
            Ok(blobs) => tracing::error!(store = %self.dir.display(), blobs,
                "sled keeps entries in files that it never syncs; they may not survive a power cut"),
            Err(error) => tracing::warn!(store = %self.dir.display(), %error, "could not count sled's blobs"),
        }
    }

    /// Runs one call into sled. Any failure of it breaks the engine: sled's state is unknown from then on.
    fn enter<T>(&self, doing: &str, call: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, StoreError> {
        let db = self.db.as_ref().ok_or_else(|| StoreError::Failed(format!("{doing}: the store is closed")))?;
        // `AssertUnwindSafe` because after a panic the engine is broken, and nothing enters sled again.
        match catch_unwind(AssertUnwindSafe(|| call(db))) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(sled::Error::Io(error))) => Err(self.break_by(doing, &error)),
            Ok(Err(error @ sled::Error::Corruption { .. })) => Err(self.suspect(format!("{doing}: {error}"))),
            Ok(Err(error)) => Err(self.break_with(StoreError::Failed(format!("{doing}: {error}")))),
            Err(panic) => Err(self.suspect(format!("{doing}: sled panicked: {}", panic_text(&*panic)))),
        }
    }

    /// Breaks the engine, and asks the next open for a full check: sled may find damage only when it reads a page, and
    /// would otherwise open the same damage again and again.
    fn suspect(&self, why: String) -> StoreError {
        if let Err(error) = File::create(suspect_mark(&self.dir)) {
            tracing::warn!(store = %self.dir.display(), %error, "could not mark the store as suspect");
        }
        self.break_with(StoreError::Failed(why))
    }

    /// Breaks the engine for what the system said while `doing` something. A failed sync is never tried again: the system
    /// may have dropped the pages, and would then report success.
    pub(crate) fn break_by(&self, doing: &str, error: &io::Error) -> StoreError {
        self.break_with(if is_full(error) { StoreError::Full } else { StoreError::Failed(format!("{doing}: {error}")) })
    }

    fn break_with(&self, error: StoreError) -> StoreError {
        tracing::error!(store = %self.dir.display(), %error, "the store takes no more writes until creel is started again");
        self.broken.get_or_init(|| error).clone()
    }

    pub(crate) fn refuse_when_broken(&self) -> Result<(), StoreError> {
        self.broken.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// A full disk hinders no reading; after any other failure sled may be in the middle of anything.
    pub(crate) fn refuse_reads_when_broken(&self) -> Result<(), StoreError> {
        match self.broken.get() {
            None | Some(StoreError::Full) => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.enter("get", |db| db.get(chunk::data_key(key)))? {
            Some(entry) => self.value_of("get", key, &entry).map(Some),
            None => Ok(None),
        }
    }

    /// Scans what sled holds with `recent` over it; `from` comes before `to`.
    pub(crate) fn scan(&self, recent: &Recent, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        let range = chunk::data_key(from)..chunk::data_key(to);
        let pairs = self.enter("scan", |db| recent.over((from, to), db.range(range), stored_key, limit))?;
        let whole = pairs.into_iter().map(|pair| match pair {
            recent::Pair::Recent(key, value) => Ok((key.to_vec(), value.to_vec())),
            recent::Pair::Stored(pair) => {
                let key = stored_key(&pair);
                Ok((key.to_vec(), self.value_of("scan", key, &pair.1)?))
            }
        });
        whole.collect()
    }

    fn value_of(&self, doing: &str, key: &[u8], entry: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (length, chunks) = match chunk::decode(entry) {
            Some(Entry::Whole(value)) => return Ok(value.to_vec()),
            Some(Entry::Chunked { length, chunks }) => (length, chunks),
            None => return Err(self.suspect(format!("{doing}: an entry is not in the store's format"))),
        };
        let mut value = Vec::new();
        for number in 0..chunks {
            match self.enter(doing, |db| db.get(chunk::chunk_key(key, number)))? {
                Some(bytes) => value.extend_from_slice(&bytes),
                None => return Err(self.suspect(format!("{doing}: chunk {number} of {chunks} of a value is missing"))),
            }
        }
        if value.len() == length {
            Ok(value)
        } else {
            Err(self.suspect(format!("{doing}: a value has {} bytes in its chunks, not {length}", value.len())))
        }
    }

    /// How many chunks the value now under `key` has.
    fn chunks_of(&self, key: &[u8]) -> Result<u32, StoreError> {
        let entry = self.enter("checkpoint", |db| db.get(chunk::data_key(key)))?;
        match entry.as_deref().and_then(chunk::decode) {
            Some(Entry::Chunked { chunks, .. }) => Ok(chunks),
            Some(Entry::Whole(_)) | None => Ok(0),
        }
    }

    /// Writes everything in `recent`, and after it the log's mark, durable on return.
    ///
    /// sled takes what it has *written* for stable: it frees the segments whose pages it has written anew elsewhere, cuts
    /// them off the file's end, and on open believes a segment's header in how far everything before is whole. It draws
    /// these conclusions about a segment when it begins to write the next. So before that everything is synced, by a fence;
    /// then what it believes is the truth. Without it, stores were left that did not open (a file cut off while the pages moved out of it were
    /// not yet durable) or had lost what they had long held.
    pub(crate) fn write(&self, recent: &Recent, mark: &[u8]) -> Result<(), StoreError> {
        for (key, value) in recent.writes() {
            let chunks_before = self.chunks_of(key)?;
            let mut chunks_now = 0;
            let mut entry = None;
            if let Some(value) = value {
                let (whole, chunks) = chunk::encode(value, self.entry_bytes_max).ok_or_else(|| {
                    StoreError::Failed(format!("checkpoint: a value of {} bytes is too long", value.len()))
                })?;
                for bytes in chunks {
                    self.put(chunk::chunk_key(key, chunks_now), Some(bytes))?;
                    chunks_now += 1;
                }
                entry = Some(whole);
            }
            self.put(chunk::data_key(key), entry.as_deref())?;
            for stale in chunks_now..chunks_before {
                self.put(chunk::chunk_key(key, stale), None)?;
            }
        }
        self.put(chunk::meta_key("log"), Some(mark))?;
        self.make_durable()?;
        self.raise_alarm_about_blobs();
        Ok(())
    }

    fn put(&self, key: Vec<u8>, value: Option<&[u8]>) -> Result<(), StoreError> {
        if self.fence {
            let left = self.segment_bytes - self.enter("checkpoint", |db| fill(db, 0))? % self.segment_bytes;
            if left < self.write_bytes_max {
                self.make_durable()?;
                self.enter("checkpoint", |db| begin_next_segment(db, self.segment_bytes))?;
            }
        }
        self.enter("checkpoint", |db| match value {
            Some(value) => db.insert(key, value),
            None => db.remove(key),
        })?;
        Ok(())
    }

    fn make_durable(&self) -> Result<(), StoreError> {
        self.enter("checkpoint", |db| db.flush())?;
        if self.sync_data {
            self.db_file.sync_data().map_err(|error| self.break_by("checkpoint", &error))?;
        }
        Ok(())
    }
}

/// Writes a message without meaning and with `bytes` bytes, and tells where in sled's log it lies.
fn fill(db: &sled::Db, bytes: usize) -> sled::Result<i64> {
    let guard = sled::pin();
    let nothing = sled::IVec::from(vec![0; bytes]);
    let message = db.context.pagecache.log.reserve(sled::LogKind::Link, FILLER_PAGE, &nothing, &guard)?;
    message.abort().map(|(place, _)| place)
}

/// Fills the rest of a segment with what may be lost.
fn begin_next_segment(db: &sled::Db, segment_bytes: i64) -> sled::Result<()> {
    let piece = usize::try_from(segment_bytes / 64).unwrap_or_default();
    let segment = fill(db, piece)? / segment_bytes;
    while fill(db, piece)? / segment_bytes == segment {}
    Ok(())
}

/// The key that `pair`, from the range of data keys, was stored under.
fn stored_key(pair: &(sled::IVec, sled::IVec)) -> &[u8] {
    chunk::plain_key(&pair.0).unwrap_or_default()
}

impl Drop for Tree {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        if let Some(StoreError::Failed(_)) = self.broken.get() {
            // Closing sled flushes, which after a panic may wait for ever; the process is about to end anyway.
            std::mem::forget(db);
        } else if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(db))) {
            tracing::warn!(store = %self.dir.display(), "sled panicked while closing: {}", panic_text(&*panic));
        }
    }
}

/// Whether the disk, or this person's share of it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
