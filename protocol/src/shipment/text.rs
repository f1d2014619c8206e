//! What a text may be. A text that breaks this makes its edit void.
//!
//! White space around a text, an empty text and control characters are refused everywhere, because two texts that look alike
//! must be alike, and because control characters dress up terminals and sheets.

use super::effect::Void;

/// Characters of a shipment's number and of a line's name.
pub const NUMBER_CHARS_MAX: usize = 64;
/// Characters of a name, a reason and the like.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters of a message or a note.
pub const LONG_CHARS_MAX: usize = 4_000;

/// The separator between the fields of a scanned GS1 code.
const GROUP_SEPARATOR: char = '\u{1d}';

/// What a text may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One line, at most so many characters.
    Line(usize),
    /// Line feeds and tabs too, and up to [`LONG_CHARS_MAX`] characters.
    Long,
    /// A scanned code: group separators too.
    Scan,
}

/// Checks a text that must say something.
pub(super) fn text(name: &str, value: &str, form: Form) -> Result<(), Void> {
    if value.is_empty() { Err(Void::Field(format!("{name} is empty"))) } else { may_be_empty(name, value, form) }
}

/// Checks a text that is there.
pub(super) fn optional(name: &str, value: Option<&String>, form: Form) -> Result<(), Void> {
    value.map_or(Ok(()), |value| text(name, value, form))
}

/// Checks a text that is empty where a value is taken back.
pub(super) fn may_be_empty(name: &str, value: &str, form: Form) -> Result<(), Void> {
    let (max, allowed): (usize, &[char]) = match form {
        Form::Line(max) => (max, &[]),
        Form::Long => (LONG_CHARS_MAX, &['\n', '\t']),
        Form::Scan => (NAME_CHARS_MAX, &[GROUP_SEPARATOR]),
    };
    let wrong = |why: String| Err(Void::Field(format!("{name} {why}")));
    if value.chars().any(|letter| letter.is_control() && !allowed.contains(&letter)) {
        return wrong("contains a control character".to_owned());
    }
    if value.trim() != value {
        return wrong("begins or ends with a space".to_owned());
    }
    if value.chars().count() > max { wrong(format!("is longer than {max} characters")) } else { Ok(()) }
}
