//! What the core needs of a store, as narrow as it can be: ordered keys, read synchronously.
//!
//! Writes leave the core as a [`Batch`] and come back as `Input::Committed`; how they become durable is the engine's
//! affair (see the `creel-storage` crate).

use std::collections::BTreeMap;

/// Why a store could not answer. The core stops acknowledging and says so; it never guesses.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum StoreError {
    /// The disk is full. Free some space and start creel again; nothing that was acknowledged is lost.
    #[error("the disk is full: free some space, then start creel again; nothing acknowledged is lost")]
    Full,
    /// The engine failed: `0` says what was attempted and what went wrong.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// Reads. What an engine was told to apply is visible at once, before it is durable.
pub trait Store {
    /// The value under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// At most `limit` pairs with `from <= key < to`, in ascending order of keys (unsigned bytes).
    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError>;
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Writes that become visible together and durable together: all of them, or none.
///
/// A key is at most 255 bytes. A value may be of any length; engines with a limit chunk it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Whether somebody waits for this to be durable. A batch of caches and bookkeeping need not be synced on its own.
    pub must_be_durable: bool,
}

impl Batch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.insert(key, Some(value));
    }

    /// Removes `key`; removing what is not there is no error.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.writes.insert(key, None);
    }

    /// The writes in ascending order of keys; `None` removes.
    pub fn writes(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> {
        self.writes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// A store seen through a batch that was not handed out yet, so that one step reads its own writes.
#[derive(Debug)]
pub struct Overlay<'a, S> {
    /// What lies under the batch.
    pub store: &'a S,
    /// What this step has written so far.
    pub batch: Batch,
}

impl<'a, S: Store> Overlay<'a, S> {
    /// An empty batch over `store`.
    pub fn new(store: &'a S) -> Self {
        Self { store, batch: Batch::default() }
    }
}

impl<S: Store> Store for Overlay<'_, S> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.batch.writes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.store.get(key),
        }
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        if from >= to || limit == 0 {
            return Ok(Vec::new());
        }
        let ours: BTreeMap<_, _> = self.batch.writes.range(from.to_vec()..to.to_vec()).collect();
        if ours.is_empty() {
            return self.store.scan(from, to, limit);
        }
        // Every removed key may hide one stored pair, so that many more are read.
        let beneath = self.store.scan(from, to, limit.saturating_add(ours.len()))?;
        // Beyond the last key read from a full page we know nothing of what lies beneath.
        let known_to =
            (beneath.len() == limit.saturating_add(ours.len())).then(|| beneath.last().map(|(key, _)| key.clone()));
        let mut merged: BTreeMap<Vec<u8>, Vec<u8>> = beneath.into_iter().collect();
        for (key, value) in ours {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        if let Some(Some(last)) = known_to {
            merged.retain(|key, _| *key <= last);
        }
        Ok(merged.into_iter().take(limit).collect())
    }
}
