//! What was seen, as a table: a block for each workload, size and road, and creel as a share of each other system.

use crate::Network;
use crate::system::System;
use crate::workload::{Seen, Workload};
use serde::Serialize;
use std::fmt;

/// What is run: a workload of a system, with so many documents, over a road.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Case {
    pub(crate) system: System,
    pub(crate) workload: Workload,
    pub(crate) documents: u32,
    pub(crate) network: Network,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) case: Case,
    pub(crate) outcome: Outcome,
}

/// What became of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Seen(Box<Seen>),
    /// It took more than 180 s.
    Over,
    Failed(String),
    /// It was not tried, and why.
    Left(String),
}

impl Row {
    fn seen(&self) -> Option<&Seen> {
        if let Outcome::Seen(seen) = &self.outcome { Some(seen) } else { None }
    }

    fn block(&self) -> (Workload, u32, Network) {
        (self.case.workload, self.case.documents, self.case.network)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        let name = self.case.system.name();
        match &self.outcome {
            Outcome::Over => write!(f, "{name:15} > 180 s"),
            Outcome::Failed(why) => write!(f, "{name:15} failed: {why}"),
            Outcome::Left(why) => write!(f, "{name:15} not tried: {why}"),
            Outcome::Seen(seen) => {
                let (up, down) = (seen.up, seen.down);
                write!(
                    f,
                    "{name:15} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6} {:>6} {:>6} {:>7} {:>7} {:>6} {:>6}",
                    time(seen.first_ms),
                    time(seen.converged_ms),
                    time(Some(seen.quiet_ms)),
                    up.payload_bytes,
                    down.payload_bytes,
                    up.ip_bytes + down.ip_bytes,
                    up.packets,
                    down.packets,
                    seen.flights,
                    seen.hub.cpu_ms,
                    seen.driver.cpu_ms,
                    seen.hub.rss_kb / 1_024,
                    seen.driver.rss_kb / 1_024,
                )
            }
        }
    }
}

/// Prints all of it.
pub(crate) fn print(rows: &[Row]) {
    let mut blocks: Vec<_> = rows.iter().map(Row::block).collect();
    blocks.sort_unstable();
    blocks.dedup();
    for block in blocks {
        let rows: Vec<_> = rows.iter().filter(|row| row.block() == block).collect();
        let (workload, documents, network) = block;
        println!("\n{workload:?}, {documents} documents, {network:?}");
        println!(
            "{:15} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6} {:>6} {:>6} {:>7} {:>7} {:>6} {:>6}   creel / it: first, converged, payload",
            "",
            "first ms",
            "conv. ms",
            "quiet ms",
            "up B",
            "down B",
            "IP B",
            "up pk",
            "dn pk",
            "flight",
            "hub ms",
            "drv ms",
            "hub MB",
            "drv MB",
        );
        let mut systems: Vec<_> = rows.iter().map(|row| row.case.system).collect();
        systems.sort_unstable();
        systems.dedup();
        let creel = median(&rows, System::Creel);
        for system in systems {
            if let Some(row) = median(&rows, system) {
                println!(
                    "{row}{}",
                    creel.filter(|_| system != System::Creel).map(|creel| ratios(creel, row)).unwrap_or_default()
                );
            }
        }
    }
}

/// Of several runs the middle one, by the time that matters; one that was not seen comes last.
fn median<'a>(rows: &[&'a Row], system: System) -> Option<&'a Row> {
    let mut rows: Vec<&Row> = rows.iter().copied().filter(|row| row.case.system == system).collect();
    let time = |row: &Row| {
        row.seen().map_or(f64::INFINITY, |seen| seen.first_ms.or(seen.converged_ms).unwrap_or(seen.quiet_ms))
    };
    rows.sort_by(|one, other| time(one).total_cmp(&time(other)));
    rows.get(rows.len().saturating_sub(1) / 2).copied()
}

fn ratios(creel: &Row, other: &Row) -> String {
    let (Some(creel), Some(other)) = (creel.seen(), other.seen()) else { return String::new() };
    let ratio = |of: fn(&Seen) -> Option<f64>| match (of(creel), of(other)) {
        (Some(ours), Some(theirs)) if theirs > 0.0 => format!("{:.3}", ours / theirs),
        _ => "-".to_owned(),
    };
    #[allow(clippy::cast_precision_loss, reason = "a ratio is told to three digits")]
    let bytes = |seen: &Seen| Some((seen.up.payload_bytes + seen.down.payload_bytes) as f64);
    format!("   {}, {}, {}", ratio(|seen| seen.first_ms), ratio(|seen| seen.converged_ms), ratio(bytes))
}
