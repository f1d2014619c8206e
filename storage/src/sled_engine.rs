//! The engine on a disk: a log that makes batches durable, sled that keeps them, and between the two what is recent.
//!
//! | | `apply` | `sync` | checkpoint |
//! |---|---|---|---|
//! | recent, in memory | gets the batch, so it is visible | | emptied |
//! | log | | one record of all batches since the last | starts over |
//! | sled | | | gets everything, and is synced |
//!
//! After a power cut a store is what sled held at its last checkpoint with every whole record of the log over it: exactly
//! what was synced, and of what was applied after that either all up to the sync that was cut, or nothing.

use creel_protocol::store::{Batch, Pair, Store, StoreError};

use crate::holder::Holder;
use crate::log::{self, Log};
use crate::recent::Recent;
use crate::tree::Tree;
use crate::{Engine, check_keys, guards};

/// A store on a disk. Made by [`SledEngine::open`]; owned by one thread.
///
/// When it is dropped it syncs and makes a checkpoint, so that the next start has nothing to replay. One `apply` in a
/// thousand makes a checkpoint too and takes tenths of a second for it.
#[derive(Debug)]
pub struct SledEngine {
    tree: Tree,
    log: Log,
    recent: Recent,
    /// The writes applied since the last sync, as they will lie in the log.
    unsynced: Vec<u8>,
    checkpoint_bytes: u64,
    /// Last, so that the lock is released after sled is closed.
    _holder: Holder,
}

impl SledEngine {
    pub(crate) fn new(tree: Tree, log: Log, recent: Recent, checkpoint_bytes: u64, holder: Holder) -> Self {
        tree.raise_alarm_about_blobs();
        Self { tree, log, recent, unsynced: Vec::new(), checkpoint_bytes, _holder: holder }
    }

    /// How many files sled keeps outside its log, in `blobs/`. They are never synced, so any number but 0 is a fault of
    /// ours: an entry that was not chunked small enough.
    pub fn blobs_in_use(&self) -> Result<usize, StoreError> {
        guards::blobs_in(&self.tree.dir).map_err(|error| StoreError::Failed(format!("counting sled's blobs: {error}")))
    }

    /// Hands everything to sled, and only when sled has it durably lets go of the log. Everything must be synced: sled
    /// never sees what is not in the log.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.tree.write(&self.recent, &self.log.next_mark().encode())?;
        self.log.switch().map_err(|error| self.tree.break_by("checkpoint", &error))?;
        self.recent.clear();
        Ok(())
    }
}

impl Store for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.tree.refuse_reads_when_broken()?;
        match self.recent.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.tree.get(key),
        }
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.tree.refuse_reads_when_broken()?;
        if from >= to {
            return Ok(Vec::new());
        }
        self.tree.scan(&self.recent, from, to, limit)
    }
}

impl Engine for SledEngine {
    fn apply(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.tree.refuse_when_broken()?;
        check_keys(batch)?;
        let length: usize = batch.writes().map(|(key, value)| 5 + key.len() + value.map_or(0, <[u8]>::len)).sum();
        if length > log::WRITES_BYTES_MAX {
            return Err(StoreError::Failed(format!("apply: a batch of {length} bytes was refused; it is too long")));
        }
        // What nobody ever syncs must not pile up either.
        if !self.unsynced.is_empty() && (self.unsynced.len() + length) as u64 > self.checkpoint_bytes {
            self.sync()?;
        }
        // Now and not at the end of `sync`, so that nobody who waits for that waits for this as well.
        if self.unsynced.is_empty() && self.log.bytes() >= self.checkpoint_bytes {
            self.checkpoint()?;
        }
        log::encode(batch, &mut self.unsynced);
        self.recent.apply(batch);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.tree.refuse_when_broken()?;
        if self.unsynced.is_empty() {
            return Ok(());
        }
        self.log.append(&self.unsynced).map_err(|error| self.tree.break_by("sync", &error))?;
        self.unsynced.clear();
        Ok(())
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        // A store that failed has said so already; what was acknowledged is in its log.
        let closed = self.sync().and_then(|()| if self.recent.is_empty() { Ok(()) } else { self.checkpoint() });
        if let Err(error) = closed {
            tracing::warn!(store = %self.tree.dir.display(), %error, "closed without a checkpoint");
        }
    }
}
