//! What a set of edits about one shipment means: which of them count, what the plan is, what the status is, and why.
//!
//! Everything here is a pure function of (edits, roster). The edits are put into one canonical order first, so that the
//! order of their arrival can't be seen from in here.

pub mod effect;
pub mod explain;
pub mod history;
pub mod replay;
pub mod status;
pub mod time;
pub mod view;

pub use effect::Void;
pub use history::History;
pub use view::{Exception, Render, View};

/// The version of the rules in this module. Summaries made under another version are made again.
pub const RULES: u64 = 4;
