//! How two nodes come to hold the same edits. Knows edits and documents, and nothing of what they mean.
//!
//! On contact, and at once whenever something new is durable, each side pushes from its journal what the other has not
//! acknowledged (`session`). Then the dialling side proves that both hold the same by one digest over the documents both may
//! see; where it differs, a flat list of documents and the digests of their heads finds what to send.

pub mod frame;
pub mod journal;
pub mod session;

pub use frame::{Frame, FrameError};
pub use journal::JournalEntry;
pub use session::{Holding, Scope, Session, heads_frame, roster_frames};
