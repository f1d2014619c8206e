//! Connections between devices over QUIC.
//!
//! Read in this order: `raw_keys` (who is at the other end), `tickets` (early data), `transport` (parameters, and what a handshake has
//! proven), `framing` (frames on a stream), `connection` (accepting, and a session's frames both ways), `contacts` (where peers were
//! last heard), `liveness` (whether a device still answers), `dial` (the connection to the hub), `backoff` (delays between attempts),
//! `replaced` (an older connection of a device that dialled again), `static_peers` (devices at configured addresses), `discovery`
//! (devices on the same network), `enrol` (how a device becomes a member).

pub(crate) mod backoff;
pub(crate) mod connection;
pub(crate) mod contacts;
pub(crate) mod dial;
pub(crate) mod discovery;
pub(crate) mod enrol;
pub(crate) mod framing;
pub(crate) mod liveness;
pub(crate) mod raw_keys;
pub(crate) mod replaced;
pub(crate) mod static_peers;
pub(crate) mod tickets;
pub(crate) mod transport;
