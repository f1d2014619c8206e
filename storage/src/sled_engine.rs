//! The engine on a disk: sled, entered only through doors that catch its panics and finish its syncs.

use std::any::Any;
use std::cell::OnceCell;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use creel_protocol::store::{Batch, Pair, Store, StoreError};

use crate::chunk::{self, Entry};
use crate::guards::{self, Guards};
use crate::holder::Holder;
use crate::opening::{Options, suspect_mark};
use crate::{Engine, check_keys};

/// Syncs between two looks into `blobs/`: often enough to be heard of within minutes, seldom enough to cost nothing.
const SYNCS_PER_BLOB_CHECK: u32 = 256;

/// A store on a disk. Made by [`SledEngine::open`]; owned by one thread.
#[derive(Debug)]
pub struct SledEngine {
    /// `None` only while it is dropped.
    db: Option<sled::Db>,
    /// Our own handle on the file that holds sled's log, to sync by.
    db_file: File,
    dir: PathBuf,
    guards: Guards,
    segment_bytes: i64,
    entry_bytes_max: usize,
    /// sled's log sequence number (a count of bytes) up to which everything is durable.
    synced_to: i64,
    /// Whether anything was applied since the last sync.
    unsynced: bool,
    syncs: u32,
    /// Set by the first failure; from then on the engine refuses.
    broken: OnceCell<StoreError>,
    /// Last, so that the lock is released after sled is closed.
    _holder: Holder,
}

impl SledEngine {
    pub(crate) fn new(db: sled::Db, db_file: File, holder: Holder, dir: PathBuf, options: &Options) -> Self {
        // What blobs the guard is against are larger than a quarter of a segment; `chunk` has the sum.
        let entry_bytes_max = if options.guards.chunk_values { options.segment_bytes / 128 } else { usize::MAX };
        let engine = Self {
            synced_to: db.context.pagecache.log.stable_offset(),
            db: Some(db),
            db_file,
            dir,
            guards: options.guards,
            segment_bytes: i64::try_from(options.segment_bytes).unwrap_or(i64::MAX),
            entry_bytes_max,
            unsynced: false,
            syncs: 0,
            broken: OnceCell::new(),
            _holder: holder,
        };
        engine.raise_alarm_about_blobs();
        engine
    }

    /// How many files sled keeps outside its log, in `blobs/`. They are never synced, so any number but 0 is a fault of
    /// ours: an entry that was not chunked small enough.
    pub fn blobs_in_use(&self) -> Result<usize, StoreError> {
        guards::blobs_in(&self.dir).map_err(|error| StoreError::Failed(format!("counting sled's blobs: {error}")))
    }

    fn raise_alarm_about_blobs(&self) {
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
            Ok(Err(sled::Error::Io(error))) if is_full(&error) => Err(self.break_with(StoreError::Full)),
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

    fn break_with(&self, error: StoreError) -> StoreError {
        tracing::error!(store = %self.dir.display(), %error, "the store takes no more writes until creel is started again");
        self.broken.get_or_init(|| error).clone()
    }

    fn refuse_when_broken(&self) -> Result<(), StoreError> {
        self.broken.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// A full disk hinders no reading; after any other failure sled may be in the middle of anything.
    fn refuse_reads_when_broken(&self) -> Result<(), StoreError> {
        match self.broken.get() {
            None | Some(StoreError::Full) => Ok(()),
            Some(error) => Err(error.clone()),
        }
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
        let entry = self.enter("apply", |db| db.get(chunk::data_key(key)))?;
        match entry.as_deref().and_then(chunk::decode) {
            Some(Entry::Chunked { chunks, .. }) => Ok(chunks),
            Some(Entry::Whole(_)) | None => Ok(0),
        }
    }

    /// sled's own batch: entries and chunks to write, and the chunks that nothing refers to any more to remove.
    fn translate(&self, batch: &Batch) -> Result<sled::Batch, StoreError> {
        let mut translated = sled::Batch::default();
        for (key, value) in batch.writes() {
            let chunks_before = self.chunks_of(key)?;
            let mut chunks_now = 0;
            match value {
                None => translated.remove(chunk::data_key(key)),
                Some(value) => {
                    let (entry, chunks) = chunk::encode(value, self.entry_bytes_max).ok_or_else(|| {
                        StoreError::Failed(format!("apply: a value of {} bytes is too long", value.len()))
                    })?;
                    translated.insert(chunk::data_key(key), entry);
                    for bytes in chunks {
                        translated.insert(chunk::chunk_key(key, chunks_now), bytes);
                        chunks_now += 1;
                    }
                }
            }
            for stale in chunks_now..chunks_before {
                translated.remove(chunk::chunk_key(key, stale));
            }
        }
        Ok(translated)
    }

    /// Each segment of sled's log begins with how far the log was *written* when it was begun. On open, sled takes all
    /// segments before that point for whole: a message in them that it can't read it skips, with the rest of that
    /// segment, and goes on, so that half a batch stays. It also reuses segments by that mark. So the mark must never run
    /// ahead of what is durable: before a batch begins, what was written since the last sync is made durable if it has
    /// reached another segment. (Within a batch of any length the mark stands still, at the batch's beginning.)
    fn sync_at_segment_end(&mut self) -> Result<(), StoreError> {
        if !self.unsynced || !self.guards.sync_each_segment {
            return Ok(());
        }
        // sled begins a batch with writing out what came before it, so this flush costs no write of its own.
        let written_to = self.enter("apply", flush)?;
        if written_to / self.segment_bytes > self.synced_to / self.segment_bytes {
            self.sync()?;
        }
        Ok(())
    }
}

/// Writes out everything, and tells how far the log reaches then.
fn flush(db: &sled::Db) -> sled::Result<i64> {
    db.flush()?;
    Ok(db.context.pagecache.log.stable_offset())
}

impl Store for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.refuse_reads_when_broken()?;
        match self.enter("get", |db| db.get(chunk::data_key(key)))? {
            Some(entry) => self.value_of("get", key, &entry).map(Some),
            None => Ok(None),
        }
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.refuse_reads_when_broken()?;
        if from >= to {
            return Ok(Vec::new());
        }
        let range = chunk::data_key(from)..chunk::data_key(to);
        let entries: Vec<_> = self.enter("scan", |db| db.range(range).take(limit).collect())?;
        entries
            .into_iter()
            .filter_map(|(data_key, entry)| {
                let key = chunk::plain_key(&data_key)?;
                Some(self.value_of("scan", key, &entry).map(|value| (key.to_vec(), value)))
            })
            .collect()
    }
}

impl Engine for SledEngine {
    fn apply(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.refuse_when_broken()?;
        check_keys(batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        self.sync_at_segment_end()?;
        let translated = self.translate(batch)?;
        self.unsynced = true;
        self.enter("apply", |db| db.apply_batch(translated))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.refuse_when_broken()?;
        if !self.unsynced {
            return Ok(());
        }
        let written_to = self.enter("sync", flush)?;
        if self.guards.sync_data {
            // A failed sync is never tried again: the system may have dropped the pages, and would then report success.
            self.db_file.sync_data().map_err(|error| {
                self.break_with(if is_full(&error) {
                    StoreError::Full
                } else {
                    StoreError::Failed(format!("sync: {error}"))
                })
            })?;
        }
        self.synced_to = written_to;
        self.unsynced = false;
        self.syncs = self.syncs.wrapping_add(1);
        if self.syncs.is_multiple_of(SYNCS_PER_BLOB_CHECK) {
            self.raise_alarm_about_blobs();
        }
        Ok(())
    }
}

impl Drop for SledEngine {
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
