//! A running participant's edges: QUIC, timers, the store's thread, the HTTP API.
//!
//! Everything two nodes must agree on is in `creel-protocol`; this crate gives its core a clock, a disk and sockets. Read
//! `shell` first (the thread that owns the core and the store), then `link` (a connection to a peer), `serve` (how it is all put
//! together), `http`.
//!
//! Deliberately absent: decisions about edits. What is admitted, counted, sent or acknowledged is the core's to say.

mod abreast;
mod enrol;
mod error;
mod fixed;
mod folder;
mod framing;
mod http;
mod lan;
mod link;
mod pause;
mod photo_link;
mod photos;
mod road;
mod serve;
mod sheet;
mod shell;
mod tickets;
mod tls;
mod wanted;
pub mod written;

pub use enrol::{Initialised, Joined, init, join};
pub use error::NodeError;
pub use folder::{API_TOKEN_FILE, Folder, HTTP_ADDRESS_FILE, RECOVERY_FILE};
pub use http::{Https, HttpsOptions};
pub use serve::{Running, ServeOptions, serve};
pub use wanted::PhotoPolicy;
