//! What a person sees of the demo: the story as it goes on, and below it what each participant has on its screen.
//!
//! On a terminal the participants' lines are drawn anew in place; elsewhere they are printed whenever they have changed.

use super::api::Api;
use anyhow::Result;
use creel_protocol::workflow::{CREATED, Label, Workflow};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::{OwoColorize, Style};
use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use unicode_width::UnicodeWidthStr;

/// How long a person gets to read each turn of the story.
const PACE: Duration = Duration::from_millis(1_300);
/// How often the participants' lines are drawn anew.
const FRAME: Duration = Duration::from_millis(100);
/// Columns of a participant's name.
const NAME_WIDTH: usize = 10;

/// One participant, as it is now.
#[derive(Debug)]
pub(super) struct Glimpse<'a> {
    pub(super) name: &'a str,
    pub(super) api: Option<&'a Api>,
    pub(super) has_signal: bool,
}

/// Where the demo is shown.
pub(super) struct Stage {
    zh: bool,
    colour: bool,
    /// Nothing is shown: a script wants the figures only.
    silent: bool,
    live: Option<(MultiProgress, Vec<ProgressBar>)>,
    shown: Vec<String>,
    drawn: Instant,
    steps: Vec<(String, Label)>,
}

impl Stage {
    pub(super) fn new(silent: bool, participants: usize) -> Result<Self> {
        let terminal = std::io::stdout().is_terminal() && !silent;
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let live = terminal.then(|| {
            let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
            let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            let bars = (0..=participants).map(|_| lines.add(ProgressBar::no_length().with_style(style.clone())));
            let bars = bars.collect();
            (lines, bars)
        });
        let workflow = Workflow::parse(Workflow::preset("standard").unwrap_or_default())?;
        Ok(Self {
            zh: speaks_chinese(),
            colour: terminal && !plain,
            silent,
            live,
            shown: Vec::new(),
            drawn: Instant::now(),
            steps: workflow.steps.into_iter().map(|step| (step.key, step.label)).collect(),
        })
    }

    /// The one of two texts that the person at the terminal reads.
    pub(super) fn pick<'a>(&self, en: &'a str, zh: &'a str) -> &'a str {
        if self.zh { zh } else { en }
    }

    /// Whether only a script reads along.
    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    /// A line that stays.
    pub(super) fn print(&self, text: &str) {
        if self.silent {
            return;
        }
        // A reader that has gone is no reason to leave nodes behind; the verdict is told by the exit code too.
        let _gone = match &self.live {
            Some((lines, _)) => lines.println(text),
            None => writeln!(std::io::stdout(), "{text}"),
        };
    }

    /// The story goes on.
    pub(super) fn tell(&self, en: &str, zh: &str) {
        self.print(&format!("{} {}", self.paint("›", Style::new().cyan().bold()), self.pick(en, zh)));
    }

    /// A heading.
    pub(super) fn head(&self, text: &str) {
        self.print(&self.paint(text, Style::new().bold()));
    }

    pub(super) fn paint(&self, text: &str, style: Style) -> String {
        if self.colour { text.style(style).to_string() } else { text.to_owned() }
    }

    /// Draws the participants anew if it is time to.
    pub(super) fn refresh(&mut self, glimpses: &[Glimpse<'_>]) {
        if self.live.is_some() && self.drawn.elapsed() >= FRAME {
            self.draw(glimpses);
        }
    }

    /// The end of a turn: shows the participants, and gives a person time to look.
    pub(super) fn turn(&mut self, glimpses: &[Glimpse<'_>]) -> Result<()> {
        let began = Instant::now();
        self.draw(glimpses);
        while self.live.is_some() && began.elapsed() < PACE {
            super::interrupt::check()?;
            std::thread::sleep(FRAME);
            self.draw(glimpses);
        }
        Ok(())
    }

    /// Leaves the participants' last lines standing.
    pub(super) fn end(&mut self) {
        if let Some((_, bars)) = self.live.take() {
            bars.iter().for_each(ProgressBar::abandon);
        }
    }

    fn draw(&mut self, glimpses: &[Glimpse<'_>]) {
        if self.silent {
            return;
        }
        let lines: Vec<String> = glimpses.iter().map(|glimpse| self.line(glimpse)).collect();
        if let Some((_, bars)) = &self.live {
            // The first line is left empty, between the story and the participants.
            bars.iter().skip(1).zip(&lines).for_each(|(bar, line)| bar.set_message(line.clone()));
        } else {
            let changed = lines.iter().enumerate().filter(|(at, line)| self.shown.get(*at) != Some(*line));
            changed.for_each(|(_, line)| self.print(&format!("    {line}")));
            self.shown = lines;
        }
        self.drawn = Instant::now();
    }

    /// What a participant has on its screen: how it is, how many shipments stand where, what waits, what is to be looked at.
    fn line(&self, glimpse: &Glimpse<'_>) -> String {
        let pick = |en, zh| self.pick(en, zh);
        let name = format!("{}{}", glimpse.name, " ".repeat(NAME_WIDTH.saturating_sub(glimpse.name.width())));
        let name = self.paint(&name, Style::new().bold());
        let seen = glimpse.api.and_then(|api| Some((api.get("/status").ok()?, api.get("/shipments").ok()?)));
        let Some((status, rows)) = seen else {
            return format!("{name} {}", self.paint(pick("✗ no power", "✗ 断电"), Style::new().red()));
        };
        let signal = if glimpse.has_signal {
            self.paint(pick("● signal   ", "● 有信号"), Style::new().green())
        } else {
            self.paint(pick("○ no signal", "○ 无信号"), Style::new().yellow())
        };
        let mut parts = vec![self.counts(&rows)];
        let waiting = status["waiting"].as_u64().unwrap_or_default();
        let waits = format!("✓ {waiting} {}", pick("not at the hub yet", "条尚未到中心"));
        parts.push(if waiting > 0 { self.paint(&waits, Style::new().yellow()) } else { "✓✓".to_owned() });
        let exceptions: u64 = list(&rows).iter().filter_map(|row| row["exceptions"].as_u64()).sum();
        if exceptions > 0 {
            let text = format!("! {exceptions} {}", pick("to be looked at", "项待处理"));
            parts.push(self.paint(&text, Style::new().red().bold()));
        }
        format!("{name} {signal}  {}", parts.join("  "))
    }

    fn counts(&self, rows: &Value) -> String {
        let rows = list(rows);
        let count = |key: &str| rows.iter().filter(|row| row["status"] == key).count();
        let counts: Vec<_> = self
            .steps
            .iter()
            .map(|(key, label)| (key, label, count(key)))
            .filter(|(_, _, count)| *count > 0)
            .map(|(key, label, count)| {
                let text = format!("{} {count}", self.pick(&label.en, &label.zh));
                self.paint(&text, if key == CREATED { Style::new().dimmed() } else { Style::new() })
            })
            .collect();
        if counts.is_empty() { self.pick("no shipments", "暂无货单").to_owned() } else { counts.join(" · ") }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What the environment says, in the order in which POSIX looks.
fn speaks_chinese() -> bool {
    let value = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(|name| std::env::var(name).ok());
    value.into_iter().find(|value| !value.is_empty()).is_some_and(|value| value.starts_with("zh"))
}
