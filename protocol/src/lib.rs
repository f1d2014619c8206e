//! The pure engine of creel: everything that two nodes must agree on.
//!
//! Read in this order: `id` and `cbor` (names and bytes), `cose` (a signed statement), `edit` (one statement about one
//! shipment), `roster` (who may make one), `workflow` (the steps of a firm), `shipment` (what a set of edits means),
//! `sync` (how two nodes come to hold the same set), `core` (the state machine that ties them together).
//!
//! Deliberately absent: sockets, files, clocks, threads, randomness, async. Time and randomness are arguments; reads go
//! through [`store::Store`], writes leave as batches. A phone's replica in WebAssembly will be this very crate.

pub mod cbor;
pub mod core;
pub mod cose;
pub mod edit;
pub mod id;
pub mod kind;
pub mod planted;
pub mod proof;
pub mod roster;
pub mod shipment;
pub mod store;
pub mod sync;
pub mod workflow;
