//! How two nodes come to hold the same edits. Knows edits and documents, and nothing of what they mean.
//!
//! On contact, and at once whenever something new is durable, each side pushes from its journal what the other has not
//! acknowledged (`session`). Then the dialling side proves that both hold the same by one fingerprint of the documents both
//! may see (`fingerprint`); where it differs, both tell of ever smaller ranges until what to send is found (`ranges`).

pub mod fingerprint;
pub mod frame;
pub mod journal;
pub mod packed;
pub mod ranges;
pub mod session;

pub use fingerprint::Tree;
pub use frame::{Frame, FrameError};
pub use journal::JournalEntry;
pub use session::{Holding, Scope, Session, roster_frames};
