//! A store in memory that can lose power.

use std::collections::BTreeMap;

use creel_protocol::store::{Batch, Pair, Store, StoreError};

use crate::{Engine, check_keys};

/// Keeps batches in memory, and tells what was applied from what is durable.
///
/// The simulator cuts its power thousands of times, so the durable state is no second map: it is the visible one with
/// the writes since the last sync undone. A clone is a second device with the same disk, as when a phone is restored
/// from another's backup.
#[derive(Debug, Clone, Default)]
pub struct MemoryEngine {
    visible: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What each write since the last sync has overwritten, oldest first; `None` where the key was not there.
    undo: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl MemoryEngine {
    /// Pulls the battery: drops everything applied since the last sync. The engine goes on as one opened anew.
    pub fn crash(&mut self) {
        // Newest first, so that a key written twice ends with what it held before the first of the two.
        for (key, before) in self.undo.drain(..).rev() {
            match before {
                Some(value) => self.visible.insert(key, value),
                None => self.visible.remove(&key),
            };
        }
    }
}

impl Store for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.visible.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        // `BTreeMap::range` panics on a range that ends before it begins; to a store that range is empty.
        if from >= to {
            return Ok(Vec::new());
        }
        let range = self.visible.range(from.to_vec()..to.to_vec());
        Ok(range.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

impl Engine for MemoryEngine {
    fn apply(&mut self, batch: &Batch) -> Result<(), StoreError> {
        check_keys(batch)?;
        for (key, value) in batch.writes() {
            let before = match value {
                Some(value) => self.visible.insert(key.to_vec(), value.to_vec()),
                None => self.visible.remove(key),
            };
            self.undo.push((key.to_vec(), before));
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.undo.clear();
        Ok(())
    }
}
