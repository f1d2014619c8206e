//! What every command that acts has in common: who acts, which tap it is, and what is said afterwards.

use super::list::named;
use crate::answer::Made;
use crate::client::{Broken, Client, fresh_tap};
use crate::describe::short;
use crate::screen::{Paint, Screen, clean};
use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Characters of an idempotency key, as the node limits them.
const TAP_CHARS_MAX: usize = 200;
/// Made edits that are listed for a person; a bulk change of thousands is counted.
const LISTED_MAX: usize = 10;

/// Who acts, and which tap it is.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Acting {
    /// The person at this device, where several use it
    #[arg(long, value_name = "PERSON")]
    by: Option<String>,
    /// Name this act: the same again is answered with the first edit instead of making another
    #[arg(long, value_name = "HEX", value_parser = tap)]
    tap: Option<String>,
}

impl Acting {
    /// The person, for the request.
    pub(crate) fn by(&self) -> Option<&str> {
        self.by.as_deref()
    }

    /// Acts. Where the connection breaks before there is an answer, the same tap is tried once more, which can't make a
    /// second edit.
    pub(crate) fn post<T: DeserializeOwned>(&self, node: &Client, path: &str, body: &impl Serialize) -> Result<T> {
        let tap = match &self.tap {
            Some(tap) => tap.clone(),
            None => fresh_tap()?,
        };
        let first = node.post(path, &tap, body);
        match first {
            Err(error) if error.is::<Broken>() => node.post(path, &tap, body).with_context(|| {
                format!(
                    "whether it was recorded is not known (run the same command with --tap {tap}, which records it once)"
                )
            }),
            answer => answer,
        }
    }
}

/// Says what was made.
pub(crate) fn report(made: &[Made], what: &str, screen: &Screen) -> Result<()> {
    for one in made.iter().take(if made.len() > LISTED_MAX { 0 } else { LISTED_MAX }) {
        screen.print(&format!(
            "{} {}  {what}  {}",
            screen.paint("✓", Paint::Green),
            clean(&named(&one.number, &one.id)),
            screen.paint(&short(&one.edit), Paint::Dim)
        ))?;
    }
    if made.len() > LISTED_MAX {
        screen.print(&format!("{} {} shipments  {what}", screen.paint("✓", Paint::Green), made.len()))?;
    }
    Ok(())
}

fn tap(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty() && text.len() <= TAP_CHARS_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { Ok(text.to_owned()) } else { Err("a tap has 32 hexadecimal digits".to_owned()) }
}
