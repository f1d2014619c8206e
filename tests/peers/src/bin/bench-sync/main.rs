//! The sync bench: creel beside the systems people would use instead, over the same link, with the same documents.
//!
//! Each peer is a process of its own in one of two network namespaces; the only way between them is a road of ours, which is
//! slow, lossy, narrow or cut as asked and counts every packet. README.md says what each system was allowed.

mod interrupt;
mod link;
mod peer;
mod process;
mod road;
mod system;
mod table;
mod workload;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use road::Conditions;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use system::System;
use table::{Case, Outcome, Row};
use workload::{LIMIT, Overtime, Pair, Place, Seen, Workload};

/// Compares creel with other sync systems over one and the same bad road.
#[derive(Debug, Parser)]
struct Arguments {
    /// The creel program.
    #[arg(long)]
    creel: PathBuf,
    /// Where the JavaScript peers lie, with their `node_modules`.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/js"))]
    scripts: PathBuf,
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = System::value_variants().to_vec())]
    systems: Vec<System>,
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Workload::value_variants().to_vec())]
    workloads: Vec<Workload>,
    /// Documents held; the larger ones take long.
    #[arg(long, value_delimiter = ',', default_values_t = [200, 2_000])]
    documents: Vec<u32>,
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Network::Ms100])]
    networks: Vec<Network>,
    /// How often each workload is run on a pair. Each run is a row of the JSON; the table shows the median by time.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Write everything seen to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Seconds a pair's first sync over a perfect link may take, where it is only made ready by that.
    #[arg(long, default_value_t = 600)]
    prepare_limit: u64,
    /// Tell of each packet on standard error: milliseconds since the road was joined, way, bytes, payload.
    #[arg(long)]
    trace: bool,
    /// Minutes after which nothing new is begun.
    #[arg(long, default_value_t = 25)]
    minutes: u64,
}

/// A road; its delay is one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
pub(crate) enum Network {
    /// No delay.
    #[value(name = "0ms")]
    #[serde(rename = "0ms")]
    Ms0,
    /// 100 ms.
    #[value(name = "100ms")]
    #[serde(rename = "100ms")]
    Ms100,
    /// 300 ms.
    #[value(name = "300ms")]
    #[serde(rename = "300ms")]
    Ms300,
    /// 100 ms, and one packet in ten is lost.
    #[value(name = "loss")]
    #[serde(rename = "loss")]
    Loss,
    /// 100 ms, and 64 kbit/s each way.
    #[value(name = "narrow")]
    #[serde(rename = "narrow")]
    Narrow,
}

impl Network {
    fn conditions(self) -> Conditions {
        let road = Conditions { delay_ms: 100, ..Conditions::default() };
        match self {
            Self::Ms0 => Conditions::default(),
            Self::Ms100 => road,
            Self::Ms300 => Conditions { delay_ms: 300, ..road },
            Self::Loss => Conditions { loss_percent: 10, ..road },
            Self::Narrow => Conditions { rate_bits_s: 64_000, ..road },
        }
    }
}

fn main() -> Result<()> {
    let mut arguments = Arguments::parse();
    arguments.creel = arguments.creel.canonicalize().context("--creel names no program")?;
    if arguments.systems.iter().any(|system| !matches!(system, System::Creel | System::Samod)) {
        let modules = arguments.scripts.join("node_modules");
        ensure!(
            modules.exists(),
            "{} is not there: run `npm ci` in {}",
            modules.display(),
            arguments.scripts.display()
        );
    }
    arguments.documents.sort_unstable();
    interrupt::catch()?;
    let link = link::Link::open(1)?;
    if arguments.trace {
        link.road.trace();
    }
    let place = Place { link: &link, creel: &arguments.creel, scripts: &arguments.scripts };
    let mut bench =
        Bench { arguments: &arguments, place: &place, began: Instant::now(), rows: Vec::new(), over: BTreeMap::new() };
    for documents in &arguments.documents {
        for system in &arguments.systems {
            bench.system(*system, *documents);
        }
    }
    table::print(&bench.rows);
    if let Some(path) = &arguments.json {
        write(path, &bench.rows)?;
    }
    interrupt::check()
}

fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let json = serde_json::to_vec_pretty(rows)?;
    std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))
}

struct Bench<'a> {
    arguments: &'a Arguments,
    place: &'a Place<'a>,
    began: Instant,
    rows: Vec<Row>,
    /// What took a system too long, with how many documents; with more it is not tried.
    over: BTreeMap<(System, Step), u32>,
}

/// What may take too long: to be made ready for a workload, or a workload on a road.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ready,
    Run(Workload, Network),
}

/// It could not be made ready for the workload within the limit.
#[derive(Debug, thiserror::Error)]
#[error("its first sync over a perfect road took longer than --prepare-limit")]
struct Unready;

impl<'a> Bench<'a> {
    /// All that is asked of one system with so many documents.
    fn system(&mut self, system: System, documents: u32) {
        let mut pair = None;
        for workload in self.arguments.workloads.iter().copied() {
            for network in self.arguments.networks.iter().copied() {
                for _ in 0..self.arguments.rounds {
                    let case = Case { system, workload, documents, network };
                    let outcome = self.outcome(&mut pair, case);
                    if !matches!(outcome, Outcome::Seen(_)) {
                        // Whatever state it is in, it is not what the next workload begins with.
                        pair = None;
                    }
                    let row = Row { case, outcome };
                    eprintln!("{workload:?} {documents} {network:?}: {row}");
                    self.rows.push(row);
                }
            }
        }
    }

    fn outcome(&mut self, pair: &mut Option<Pair<'a>>, case: Case) -> Outcome {
        let minutes = Duration::from_secs(60 * self.arguments.minutes);
        if interrupt::is_asked() || self.began.elapsed() > minutes {
            return Outcome::Left("the bench was to end".to_owned());
        }
        let step = Step::Run(case.workload, case.network);
        for step in [Step::Ready, step] {
            if let Some(fewer) = self.over.get(&(case.system, step)) {
                return Outcome::Left(format!("it took too long with {fewer}"));
            }
        }
        match self.run(pair, case) {
            Ok(seen) => Outcome::Seen(Box::new(seen)),
            Err(error) if error.is::<Overtime>() => {
                self.over.insert((case.system, step), case.documents);
                Outcome::Over
            }
            Err(error) => {
                if error.is::<Unready>() {
                    self.over.insert((case.system, Step::Ready), case.documents);
                }
                Outcome::Failed(format!("{error:#}"))
            }
        }
    }

    fn run(&self, pair: &mut Option<Pair<'a>>, case: Case) -> Result<Seen> {
        let on = case.network.conditions();
        if case.workload == Workload::First {
            // One at a time: the old pair ends before the new one begins.
            *pair = None;
            let (fresh, seen) = Pair::first(self.place, case.system, case.documents, on, LIMIT)?;
            *pair = Some(fresh);
            return Ok(seen);
        }
        let ready = if let Some(ready) = pair { ready } else { pair.insert(self.ready(case)?) };
        match case.workload {
            Workload::First => unreachable!("it has returned above"),
            Workload::Reconnect => ready.reconnect(on),
            Workload::Unchanged => ready.unchanged(on),
            Workload::Live => ready.live(on),
        }
    }

    /// A pair that has synced over a perfect road.
    fn ready(&self, case: Case) -> Result<Pair<'a>> {
        let limit = Duration::from_secs(self.arguments.prepare_limit);
        match Pair::first(self.place, case.system, case.documents, Conditions::default(), limit) {
            Ok((pair, _)) => Ok(pair),
            Err(error) if error.is::<Overtime>() => Err(Unready.into()),
            Err(error) => Err(error),
        }
    }
}
