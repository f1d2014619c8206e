//! Photos: `files` (on the disk), `transfer` (between devices), `wanted` (which to fetch, from whom, and when).

pub(crate) mod files;
pub(crate) mod transfer;
pub(crate) mod wanted;
