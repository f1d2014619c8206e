//! What a person or a script sees: results on standard output, everything else on standard error.

use crate::global::Global;
use crate::language::Language;
use anyhow::Result;
pub(crate) use creel_node::export::format::clean;
use owo_colors::{OwoColorize, Style};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// Where results go, and in which form.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Whether results are JSON.
    pub(crate) json: bool,
    /// In which language tables are.
    pub(crate) language: Language,
    /// Whether standard output is a terminal: only there columns are cut to a width, and QR codes drawn.
    pub(crate) terminal: bool,
    colour: bool,
}

/// How a piece of text looks where colours are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Paint {
    /// As it is.
    #[default]
    Plain,
    /// A heading, or what matters most.
    Bold,
    /// What matters least.
    Dim,
    /// Good.
    Green,
    /// To be looked at.
    Yellow,
    /// Wrong.
    Red,
    /// A status, in its workflow's colour.
    Rgb(u8, u8, u8),
}

impl Paint {
    /// A workflow's `#rrggbb`; plain where it is none.
    pub(crate) fn hex(colour: &str) -> Self {
        let part = |from: usize| colour.get(from..from + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (part(1), part(3), part(5)) {
            (Some(red), Some(green), Some(blue)) => Self::Rgb(red, green, blue),
            _ => Self::Plain,
        }
    }
}

impl Screen {
    pub(crate) fn new(global: &Global) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            json: global.json,
            language: global.lang.unwrap_or_else(Language::of_environment),
            terminal,
            colour: terminal && wants_colour(),
        }
    }

    /// A screen without colours, as a test or a pipe has it.
    #[cfg(test)]
    pub(crate) fn plain(language: Language) -> Self {
        Self { json: false, language, terminal: false, colour: false }
    }

    /// A result for a script: on one line, or indented where a person reads along.
    pub(crate) fn value(&self, value: &impl Serialize) -> Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        if self.terminal {
            serde_json::to_writer_pretty(&mut out, value)?;
        } else {
            serde_json::to_writer(&mut out, value)?;
        }
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    /// A piece of a result for a person, whole lines each.
    #[expect(clippy::unused_self, reason = "results go through the screen, as everything a person sees")]
    pub(crate) fn print(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// What a person may want to know besides the result, such as what to do next. A script is spared it.
    pub(crate) fn hint(&self, text: impl Display) {
        if !self.json {
            // A standard error that has gone is no reason to fail.
            let _gone = writeln!(io::stderr(), "{text}");
        }
    }

    /// An error, with what it came from.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        let _gone = if self.json {
            writeln!(io::stderr(), "{}", serde_json::json!({ "error": text }))
        } else if io::stderr().is_terminal() && wants_colour() {
            writeln!(io::stderr(), "{} {}", "error:".red().bold(), clean(&text))
        } else {
            writeln!(io::stderr(), "error: {}", clean(&text))
        };
    }

    /// Text in a colour, where colours are shown.
    pub(crate) fn paint(&self, text: &str, paint: Paint) -> String {
        let style = match paint {
            Paint::Plain => return text.to_owned(),
            Paint::Bold => Style::new().bold(),
            Paint::Dim => Style::new().dimmed(),
            Paint::Green => Style::new().green(),
            Paint::Yellow => Style::new().yellow(),
            Paint::Red => Style::new().red(),
            Paint::Rgb(red, green, blue) => Style::new().truecolor(red, green, blue),
        };
        if self.colour { text.style(style).to_string() } else { text.to_owned() }
    }

    /// The text of a heading in the screen's language.
    pub(crate) fn heading(&self, en: &str, zh: &str) -> String {
        self.paint(self.language.pick(en, zh), Paint::Bold)
    }
}

/// Logs to standard error.
pub(crate) fn log(global: &Global, serves: bool) -> Result<()> {
    let level = global.log_level.as_deref().unwrap_or(if serves { "info" } else { "warn" });
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(level)?)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && wants_colour());
    // Fails only where a logger is set already, and this is the only place that sets one.
    let _set = subscriber.try_init();
    Ok(())
}

/// Whether a command was ended by its reader, as `creel list | head` is: nothing went wrong.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let of_json = |error: &serde_json::Error| error.io_error_kind() == Some(io::ErrorKind::BrokenPipe);
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        || error.downcast_ref::<serde_json::Error>().is_some_and(of_json)
}

/// See <https://no-color.org>.
fn wants_colour() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message from another device can't take over the terminal it is read on.
    #[test]
    fn texts_are_made_harmless() {
        for (text, expect) in
            [("a\u{1b}[31mb", "a [31mb"), ("a\nb", "a\nb"), ("gpj.\u{202e}exe", "gpj.exe"), ("西湖 é", "西湖 é")]
        {
            assert_eq!(clean(text), expect);
        }
    }

    /// A workflow's colour is shown as it is, and a malformed one is no error.
    #[test]
    fn colours() {
        for (hex, expect) in
            [("#0969da", Paint::Rgb(9, 105, 218)), ("", Paint::Plain), ("#09", Paint::Plain), ("西湖渔", Paint::Plain)]
        {
            assert_eq!(Paint::hex(hex), expect, "{hex}");
        }
    }
}
