//! A person who shares this device, as the data folder keeps them. How they log in is in `http/people.rs`.

use creel_protocol::roster::Role;
use serde::{Deserialize, Serialize};

/// A person who shares this device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) role: Role,
    /// The hash of the PIN: Argon2id, in the PHC string format.
    pub(crate) pin: String,
}
