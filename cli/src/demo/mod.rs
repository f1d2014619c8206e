//! The demo: a made-up day of a made-up firm, with real nodes on real disks, bad networks and dead batteries.
//!
//! `story` is what happens, `judge` who says whether it went well, `firm` and `node` the processes, `relay` the network,
//! `stage` what a person sees, `page` where they try it themselves. The tests with real processes use the same nodes, relays and judge.

pub mod api;
pub mod day;
pub mod firm;
mod interrupt;
pub mod judge;
pub mod node;
mod page;
pub mod relay;
mod stage;
mod story;
mod summary;

use anyhow::{Context, Result, bail};
use firm::Firm;
use stage::Stage;
use std::path::{Path, PathBuf};
use std::time::Instant;
use story::Story;

/// The made-up firm.
const ORGANISATION: &str = "鹭湖渔具 Heron Lake Tackle (虚构 made up)";
/// The hub, two drivers and two shops.
const PARTICIPANTS: usize = 5;

/// What the demo is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the nodes' folders are kept afterwards; a temporary folder that is removed, where none is given.
    pub keep: Option<PathBuf>,
    /// Whether the verdict is told as JSON, for scripts.
    pub json: bool,
    /// What the made-up day and the cuts are drawn from.
    pub seed: u64,
    /// Whether the participants' screens are shown side by side, for whoever wants to try it, instead of the day's story.
    pub screens: bool,
}

/// Runs the demo; an error means that it could not be run, that an acknowledged edit is missing, or that views differ.
pub fn run(options: &Options) -> Result<()> {
    let began = Instant::now();
    interrupt::listen();
    let creel = std::env::current_exe().context("this program can't be found on the disk")?;
    let temporary;
    let folder = if let Some(keep) = &options.keep {
        empty(keep)?
    } else {
        temporary = tempfile::Builder::new().prefix("creel-demo-").tempdir().context("there is no temporary folder")?;
        temporary.path().to_owned()
    };
    let mut stage = Stage::new(options.json, PARTICIPANTS)?;
    stage.head("creel demo · 演示 — 虚构数据 made-up data");
    stage.tell(
        "A hub, two drivers and two shops start: five processes, five stores.",
        "一个中心、两位司机、两家门店启动：五个进程，五份数据。",
    );
    if options.screens {
        return page::show(&creel, &folder, options.seed, &mut stage);
    }
    let firm = Firm::found(&creel, &folder, ORGANISATION, options.seed)?;
    let mut story =
        Story::begin(firm, &mut stage, options.seed, day::made_up_day(options.seed, story::SHIPMENTS, story::DAY))?;
    let verdict = story.play()?;
    let summary = summary::Summary::of(&story, verdict, options, began.elapsed());
    if options.keep.is_some() {
        // What is kept is looked into later: it is left as a clean end leaves it.
        story.firm.hub.stop()?;
        story.members.iter_mut().try_for_each(|member| member.node.stop().map(drop))?;
    }
    drop(story);
    stage.end();
    summary.show(&stage)?;
    if !summary.passed {
        bail!(
            "the judge found {} thing(s) wrong; run it again with --seed {} --keep DIR to look into it",
            summary.verdict.wrong.len(),
            options.seed
        );
    }
    stage.tell(
        "Try it yourself, with everybody's screens side by side: creel demo --screens",
        "自己动手：creel demo --screens，所有人的屏幕并排显示。",
    );
    Ok(())
}

/// A folder to keep things in, which must hold nothing yet.
fn empty(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut inside = folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))?;
    if inside.next().is_some() {
        bail!("{} is not empty: name a folder that is new or empty with --keep", folder.display());
    }
    std::path::absolute(folder).with_context(|| format!("cannot use {}", folder.display()))
}
