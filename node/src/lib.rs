//! A running participant's edges: QUIC, timers, the store's thread, the HTTP API.
//!
//! Everything two nodes must agree on is in `creel-protocol`; this crate gives its core a clock, a disk and sockets. Read
//! `store_thread` first (the thread that owns the core and the store), then `quic` (connections to peers), `serve` (how it is all
//! put together), `http`.
//!
//! Deliberately absent: decisions about edits. What is admitted, counted, sent or acknowledged is the core's to say.

mod error;
pub mod export;
mod folder;
mod http;
mod init;
mod people;
mod photos;
mod quic;
mod serve;
mod store_thread;

pub use error::NodeError;
pub use folder::{API_TOKEN_FILE, Folder, HTTP_ADDRESS_FILE, RECOVERY_FILE};
pub use http::{Https, HttpsOptions};
pub use init::{Initialised, init};
pub use photos::wanted::PhotoPolicy;
pub use quic::enrol::{Joined, join};
pub use serve::{Running, ServeOptions, serve};
