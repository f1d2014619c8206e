//! The workloads, and how each is measured. They know no system: every peer is told the same and tells the same.

use crate::link::{HUB, Link};
use crate::peer::{Peer, Start};
use crate::process::{Used, used};
use crate::road::{Conditions, Sent};
use crate::system::System;
use anyhow::{Result, ensure};
use clap::ValueEnum;
use creel_peers::clock::now_ns;
use creel_peers::lines::{Command, Said};
use creel_peers::orders;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than this, and a system is recorded so.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);
/// Loading is not measured, and may take longer.
const LOAD_LIMIT: Duration = Duration::from_secs(3_600);
/// Documents with two edits at the driver, and others with one at the hub.
const EDITED: u32 = 20;
const EDITS: u32 = 2;
/// Edits of the live workload, one after the other.
const LIVE: u32 = 10;
/// Silence that ends an exchange, beside ten one-way delays.
const SILENCE: Duration = Duration::from_millis(1_500);
/// How long a pair may take to fall silent after it has converged; what it still says then is left out.
const SETTLE_LIMIT: Duration = Duration::from_secs(90);
/// What closing a connection takes on a perfect road.
const LEAVE: Duration = Duration::from_millis(300);
/// How often processor time is looked at, and how much of it in that time is work: below it are timers.
const SAMPLE: Duration = Duration::from_millis(200);
const WORK_MS: u64 = 40;
const PORT: u16 = 7_700;
const SEED: u64 = 1;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Workload {
    /// A driver that holds nothing gets all documents.
    First,
    /// After offline work at both sides.
    Reconnect,
    /// Nothing has changed on either side.
    Unchanged,
    /// An edit at a driver that is connected.
    Live,
}

/// It took longer than the limit.
#[derive(Debug, thiserror::Error)]
#[error("it took longer than the limit")]
pub(crate) struct Overtime;

/// What was seen of one workload.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Seen {
    /// From the link being up to the first of the driver's edits at the hub; for live edits from edit to hub, the median.
    pub(crate) first_ms: Option<f64>,
    /// Until everything was where it should be, at both sides.
    pub(crate) converged_ms: Option<f64>,
    /// Until the last packet with payload before silence.
    pub(crate) quiet_ms: f64,
    pub(crate) up: Sent,
    pub(crate) down: Sent,
    pub(crate) flights: u64,
    /// CPU time is that of this workload, memory that at its end.
    pub(crate) hub: Used,
    pub(crate) driver: Used,
}

/// A hub and a driver of one system that hold the same documents.
pub(crate) struct Pair<'a> {
    link: &'a Link,
    hub: Peer,
    driver: Peer,
    documents: u32,
    /// Records each document has by now.
    records: Vec<u32>,
    /// The road on which they were connected last.
    road: Conditions,
    /// Documents that were chosen for edits so far.
    chosen: u32,
    // Dropped last: the peers write there until they end.
    _folder: TempDir,
}

/// What is the same for every pair of a bench.
pub(crate) struct Place<'a> {
    pub(crate) link: &'a Link,
    pub(crate) creel: &'a Path,
    pub(crate) scripts: &'a Path,
}

impl<'a> Pair<'a> {
    /// Starts both, and syncs all documents for the first time under these conditions.
    pub(crate) fn first(
        place: &Place<'a>,
        system: System,
        documents: u32,
        on: Conditions,
        limit: Duration,
    ) -> Result<(Self, Seen)> {
        let folder = tempfile::Builder::new().prefix("creel-bench-").tempdir()?;
        orders::write(&folder.path().join("orders.jsonl"), documents, SEED)?;
        let program = system.program(place.scripts)?;
        let peer = |side, namespace| {
            let hub = std::net::SocketAddr::from((HUB, PORT));
            Peer::start(namespace, &Start { program: &program, side, folder: folder.path(), hub, creel: place.creel })
        };
        place.link.road.set(Conditions::default());
        place.link.road.join();
        let (mut hub, mut driver) = (peer("hub", &place.link.hub)?, peer("driver", &place.link.driver)?);
        hub.order(&Command::Serve, LIMIT)?;
        driver.order(&Command::Meet, LIMIT)?;
        let records = vec![0; usize::try_from(documents)?];
        let mut pair = Self {
            link: place.link,
            hub,
            driver,
            documents,
            records,
            road: Conditions::default(),
            chosen: 0,
            _folder: folder,
        };
        pair.part()?;
        pair.hub.order(&Command::Load, LOAD_LIMIT)?;
        pair.driver.order(&Command::Held { count: documents }, LIMIT)?;
        pair.settle(Conditions::default())?;
        let began = pair.join(on)?;
        let held = pair.wait(limit, |pair| {
            pair.driver.events.iter().find_map(|said| match said {
                Said::Held { at, .. } => Some(*at),
                _ => None,
            })
        })?;
        let mut seen = pair.measure(&began, on)?;
        seen.converged_ms = Some(ms(began.at, held));
        Ok((pair, seen))
    }

    /// Edits at both sides while there is no road; then there is one again.
    pub(crate) fn reconnect(&mut self, on: Conditions) -> Result<Seen> {
        self.get_used_to(on)?;
        self.part()?;
        let (at_driver, at_hub) = (self.choose(EDITED), self.choose(EDITED));
        self.watch(&at_driver, &at_hub)?;
        self.hub.order(&Command::Edit { documents: at_hub.clone(), times: 1 }, LIMIT)?;
        self.driver.order(&Command::Edit { documents: at_driver.clone(), times: EDITS }, LIMIT)?;
        self.expect(&at_hub, 1);
        self.expect(&at_driver, EDITS);
        self.settle(Conditions::default())?;
        let began = self.join(on)?;
        let arrived = self.wait(LIMIT, |pair| {
            let there = arrival(&pair.hub.events, &at_driver, &pair.records)?;
            Some(there.max(arrival(&pair.driver.events, &at_hub, &pair.records)?))
        })?;
        let first = self.hub.events.iter().filter_map(|said| match said {
            // A hub may also tell of a document that it only took from its disk.
            Said::Seen { seen, records, at }
                if at_driver.contains(seen) && records + EDITS > self.records[*seen as usize] =>
            {
                Some(*at)
            }
            _ => None,
        });
        let first = first.min();
        let mut seen = self.measure(&began, on)?;
        seen.first_ms = first.map(|at| ms(began.at, at));
        seen.converged_ms = Some(ms(began.at, arrived));
        Ok(seen)
    }

    /// Nothing happens while there is no road.
    pub(crate) fn unchanged(&mut self, on: Conditions) -> Result<Seen> {
        self.get_used_to(on)?;
        self.part()?;
        let began = self.join(on)?;
        let spoke = |pair: &mut Self| {
            let ways = pair.link.road.counts().ways;
            ways.iter().all(|sent| sent.payload_bytes > 0).then_some(())
        };
        self.wait(LIMIT, spoke)?;
        self.measure_within(&began, on, LIMIT)
    }

    /// One edit after the other at a driver that is connected and quiet.
    pub(crate) fn live(&mut self, on: Conditions) -> Result<Seen> {
        self.get_used_to(on)?;
        let documents = self.choose(LIVE);
        self.watch(&documents, &[])?;
        let began = self.begin()?;
        let mut took = Vec::new();
        for document in documents {
            self.hub.events.clear();
            let edited = now_ns();
            self.driver.order(&Command::Edit { documents: vec![document], times: 1 }, LIMIT)?;
            self.expect(&[document], 1);
            let at = self.wait(LIMIT, |pair| arrival(&pair.hub.events, &[document], &pair.records))?;
            took.push(ms(edited, at));
            // The acknowledgement of one is not to be in the way of the next.
            std::thread::sleep(Duration::from_millis(200 + 3 * on.delay_ms));
        }
        took.sort_by(f64::total_cmp);
        let mut seen = self.measure(&began, on)?;
        seen.first_ms = took.get(took.len() / 2).copied();
        for sent in [&mut seen.up, &mut seen.down] {
            // Per edit, as the time is.
            *sent = sent.part_of(u64::from(LIVE));
        }
        Ok(seen)
    }

    /// Has them connected on this road for a while: what a system or the kernel remembers of a road is remembered of this one.
    fn get_used_to(&mut self, on: Conditions) -> Result<()> {
        if self.road != on {
            self.part()?;
            self.join(on)?;
            self.settle(on)?;
        }
        Ok(())
    }

    /// Takes leave over a perfect road, where a system does that, cuts it, and lets both sides come to rest: a hub that unloads
    /// thousands of documents, or holds half a connection, is not what is measured.
    fn part(&mut self) -> Result<()> {
        self.settle(self.road)?;
        self.link.road.set(Conditions::default());
        self.driver.order(&Command::Disconnect, LIMIT)?;
        std::thread::sleep(LEAVE);
        self.link.road.cut();
        self.settle(Conditions::default())?;
        Ok(())
    }

    fn watch(&mut self, at_hub: &[u32], at_driver: &[u32]) -> Result<()> {
        self.hub.order(&Command::Watch { documents: at_hub.to_vec() }, LIMIT)?;
        self.driver.order(&Command::Watch { documents: at_driver.to_vec() }, LIMIT)?;
        Ok(())
    }

    /// The road is there from now on, and the driver is told so.
    fn join(&mut self, on: Conditions) -> Result<Began> {
        self.link.road.set(on);
        self.road = on;
        let began = self.begin()?;
        self.driver.tell(&Command::Connect)?;
        Ok(began)
    }

    fn begin(&mut self) -> Result<Began> {
        self.hub.listen()?;
        self.driver.listen()?;
        self.hub.events.clear();
        self.driver.events.clear();
        let (hub, driver) = (used(self.hub.pid)?, used(self.driver.pid)?);
        Ok(Began { at: self.link.road.join(), hub, driver })
    }

    fn wait<T>(&mut self, limit: Duration, mut look: impl FnMut(&mut Self) -> Option<T>) -> Result<T> {
        let until = Instant::now() + limit;
        loop {
            self.hub.hear(Duration::from_millis(2))?;
            self.driver.hear(Duration::from_millis(2))?;
            self.hub.listen()?;
            self.driver.listen()?;
            if let Some(found) = look(self) {
                return Ok(found);
            }
            ensure!(Instant::now() < until, Overtime);
        }
    }

    /// Waits until neither side sends or works any more.
    fn settle(&mut self, on: Conditions) -> Result<bool> {
        self.settle_within(on, SETTLE_LIMIT)
    }

    fn settle_within(&mut self, on: Conditions, limit: Duration) -> Result<bool> {
        let silence = SILENCE + Duration::from_millis(10 * on.delay_ms);
        let cpu = |pair: &Self| -> Result<u64> { Ok(used(pair.hub.pid)?.cpu_ms + used(pair.driver.pid)?.cpu_ms) };
        let (began, mut worked, mut before) = (Instant::now(), Instant::now(), cpu(self)?);
        while began.elapsed() < limit {
            std::thread::sleep(SAMPLE);
            self.hub.listen()?;
            self.driver.listen()?;
            let after = cpu(self)?;
            if after - before >= WORK_MS {
                worked = Instant::now();
            }
            before = after;
            let said = Duration::from_nanos(now_ns().saturating_sub(self.link.road.counts().last_ns));
            if said > silence && worked.elapsed() > silence && self.link.road.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn measure(&mut self, began: &Began, on: Conditions) -> Result<Seen> {
        self.measure_within(began, on, SETTLE_LIMIT)
    }

    fn measure_within(&mut self, began: &Began, on: Conditions, limit: Duration) -> Result<Seen> {
        let settled = self.settle_within(on, limit)?;
        // Where there is nothing else to wait for, silence is what was asked for.
        ensure!(settled || limit < LIMIT, Overtime);
        let counts = self.link.road.counts();
        let since = |pid, before: Used| -> Result<Used> {
            let now = used(pid)?;
            Ok(Used { cpu_ms: now.cpu_ms - before.cpu_ms, ..now })
        };
        let (hub, driver) = (since(self.hub.pid, began.hub)?, since(self.driver.pid, began.driver)?);
        let [up, down] = counts.ways;
        let quiet_ms = ms(began.at, counts.last_ns);
        Ok(Seen { quiet_ms, up, down, flights: counts.flights, hub, driver, ..Seen::default() })
    }

    /// Documents that were not edited before, spread over all of them; once all were, it begins again.
    fn choose(&mut self, count: u32) -> Vec<u32> {
        let all = u64::from(self.documents);
        let mut stride = all * 618 / 1_000 + 1;
        while common_divisor(stride, all) != 1 {
            stride += 1;
        }
        let from = u64::from(self.chosen);
        self.chosen += count;
        (from..from + u64::from(count)).filter_map(|turn| u32::try_from(turn * stride % all).ok()).collect()
    }

    fn expect(&mut self, documents: &[u32], times: u32) {
        for document in documents {
            self.records[*document as usize] += times;
        }
    }
}

struct Began {
    at: u64,
    hub: Used,
    driver: Used,
}

/// When the last of these documents had all its records, if they all have.
fn arrival(events: &[Said], documents: &[u32], expected: &[u32]) -> Option<u64> {
    let (mut there, mut last) = (BTreeSet::new(), 0);
    for said in events {
        if let Said::Seen { seen, records, at } = said
            && documents.contains(seen)
            && *records >= expected[*seen as usize]
            && there.insert(*seen)
        {
            last = last.max(*at);
        }
    }
    (there.len() == documents.len()).then_some(last)
}

fn common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { common_divisor(other, one % other) }
}

/// Milliseconds between two moments.
fn ms(from: u64, to: u64) -> f64 {
    Duration::from_nanos(to.saturating_sub(from)).as_secs_f64() * 1_000.0
}
