//! The writes since the last checkpoint: visible, and not yet in sled.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use creel_protocol::store::Batch;

/// Writes that lie over what sled holds; `None` hides a key.
#[derive(Debug, Default)]
pub(crate) struct Recent(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

/// Where a pair of a scan comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pair<'a, S> {
    Recent(&'a [u8], &'a [u8]),
    Stored(S),
}

impl Recent {
    pub(crate) fn apply(&mut self, batch: &Batch) {
        for (key, value) in batch.writes() {
            // Looked up first, because an overwritten key then need not be allocated again.
            match self.0.get_mut(key) {
                Some(before) => *before = value.map(<[u8]>::to_vec),
                None => drop(self.0.insert(key.to_vec(), value.map(<[u8]>::to_vec))),
            }
        }
    }

    /// What was written under `key`; `None` when nothing was, and sled knows.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.0.get(key)
    }

    pub(crate) fn writes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The first `limit` pairs of both, where `stored` comes in ascending order of what `key_of` says and lies in the same
    /// range. It is asked for no more than is needed.
    pub(crate) fn over<'a, S, E>(
        &'a self,
        (from, to): (&[u8], &[u8]),
        stored: impl Iterator<Item = Result<S, E>>,
        key_of: impl Fn(&S) -> &[u8],
        limit: usize,
    ) -> Result<Vec<Pair<'a, S>>, E> {
        let mut recent = self.0.range(from.to_vec()..to.to_vec()).peekable();
        let mut stored = stored.peekable();
        let mut pairs = Vec::new();
        while pairs.len() < limit {
            let order = match (recent.peek(), stored.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) | (Some(_), Some(Err(_))) => Ordering::Greater,
                (Some((key, _)), Some(Ok(beneath))) => key.as_slice().cmp(key_of(beneath)),
            };
            if order == Ordering::Equal {
                stored.next();
            }
            if order == Ordering::Greater {
                pairs.extend(stored.next().transpose()?.map(Pair::Stored));
            } else if let Some((key, Some(value))) = recent.next() {
                pairs.push(Pair::Recent(key, value));
            }
        }
        Ok(pairs)
    }
}
