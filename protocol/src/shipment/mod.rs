//! What a set of edits about one shipment means: which of them count, what the plan is, what the status is.
//!
//! Everything here is a pure function of (edits, roster). The edits are put into one canonical order first, so that the
//! order of their arrival can't be seen from in here. What is found is kinds, edits and numbers; sentences about it are made
//! at a node's edge, so that a better translation changes no view.

mod check;
mod clocks;
pub mod effect;
pub mod exceptions;
pub mod history;
pub mod receiver;
pub mod replay;
pub mod status;
mod text;
pub mod time;
pub mod view;

pub use check::{PHOTOS_MAX, SIGNATURE_BYTES_MAX};
pub use effect::Void;
pub use exceptions::ExceptionKind;
pub use history::History;
pub use text::{LONG_CHARS_MAX, NAME_CHARS_MAX, NUMBER_CHARS_MAX};
pub use view::{Exception, Render, View};

use crate::edit::Edit;
use crate::roster::{Role, Roster};

/// The version of the rules in this module. Summaries made under another version are made again; views are the same on nodes of
/// one version only.
pub const RULES: u64 = 5;

/// What breaks ties between authors: the author's role at the entry that the edit names, and the height of the entry that
/// enrolled it. Lower is weightier.
pub(crate) fn standing_of(edit: &Edit, roster: &Roster) -> (Role, u64) {
    let height = roster.height_of(&edit.statement.roster);
    let member = height.and_then(|height| roster.member_at(&edit.statement.author, height));
    member.map_or((Role::Unknown, u64::MAX), |member| (member.role, member.since))
}
