//! Where creel's batches are kept: [`SledEngine`] on a disk, [`MemoryEngine`] for tests and the simulator.
//!
//! An engine promises two things. A batch is visible whole or not at all, at once. And when [`Engine::sync`] has
//! returned, everything applied before it survives a pulled battery: that is what "durable before acknowledged" rests
//! on, and the power-cut test (`tests/power_cut.rs`) fails when it is broken.
//!
//! Read `sled_engine` first, then `log` (durability, with the format byte by byte), `tree` (sled behind its doors), `opening`
//! (what happens between two runs) and `guards` (what sled leaves undone).
//!
//! What is left out, on purpose:
//! - knowledge of what the keys mean: that is the core's, in `creel-protocol`;
//! - threads and queues: an engine is owned by one thread, the store's thread in `creel-node`;
//! - photos, which are plain files;
//! - reading the past: the only history is the edits themselves, and they are values like any other;
//! - repair: a damaged store is set aside whole, and its successor is filled again from its log and from peers.

mod chunk;
mod guards;
mod holder;
mod log;
mod memory;
mod open_error;
mod opening;
mod recent;
mod sled_engine;
mod tree;

pub use guards::Guards;
pub use memory::MemoryEngine;
pub use open_error::OpenError;
pub use opening::{Opened, Options};
pub use sled_engine::SledEngine;

use creel_protocol::store::{Batch, Store, StoreError};

/// The longest key an engine takes, in bytes. [`Batch`] states it; engines refuse a longer one and write nothing.
pub const KEY_BYTES_MAX: usize = 255;

/// A [`Store`] that is written to.
pub trait Engine: Store {
    /// Makes the writes of `batch` visible, all of them or none. They are not durable yet.
    ///
    /// After [`StoreError::Full`], and after any failure of the engine itself, every later `apply` and `sync` is refused
    /// with the same error: what was acknowledged is safe on the disk, what came after it is not known. A batch with a
    /// key longer than [`KEY_BYTES_MAX`] is refused alone.
    fn apply(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// Returns when everything applied so far survives a power cut. If it fails, nothing applied since the last `sync`
    /// that succeeded may be acknowledged.
    fn sync(&mut self) -> Result<(), StoreError>;
}

/// Refuses a batch that breaks the one rule there is about its keys, before anything of it is written.
fn check_keys(batch: &Batch) -> Result<(), StoreError> {
    match batch.writes().find(|(key, _)| key.len() > KEY_BYTES_MAX) {
        Some((key, _)) => Err(StoreError::Failed(format!(
            "apply: a key of {} bytes was refused; a key is at most {KEY_BYTES_MAX} bytes",
            key.len()
        ))),
        None => Ok(()),
    }
}
