//! How long after the radio is back a driver's records are at the hub, in one-way delays. Real processes, and a relay that
//! delays every datagram.

use crate::ingest::target_folder;
use anyhow::{Context, Result, ensure};
use creel::demo::day::made_up_day;
use creel::demo::firm::{Firm, Member};
use creel::demo::judge::Judge;
use creel::demo::node::eventually;
use creel::demo::relay::Conditions;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Records that wait when the radio comes back.
const WAITING: usize = 40;
/// How often each case is seen.
const ROUNDS: usize = 3;
/// How long anything may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// What became of some records, in one-way delays from the moment the road was there again.
struct Seen {
    /// All of them were durable at the hub.
    at_hub: f64,
    /// The driver knew.
    acknowledged: f64,
}

/// Runs the bench; cuts are of `cut` seconds.
pub(crate) fn run(cut: u64) -> Result<()> {
    println!("in one-way delays from the moment the road is there again: all at the hub, all acknowledged");
    for delay in [100_u64, 300] {
        let folder = tempfile::tempdir()?;
        let mut road = Road::open(folder.path(), delay)?;
        for _ in 0..ROUNDS {
            let seen = road.after_restart()?;
            println!(
                "{delay} ms, {WAITING} records, hub restarted, nudged: {:.2}, {:.2}",
                seen.at_hub, seen.acknowledged
            );
        }
        for _ in 0..ROUNDS {
            let seen = road.after_cut(cut)?;
            println!(
                "{delay} ms, 1 record, after {cut} s without road, left alone: {:.2}, {:.2}",
                seen.at_hub, seen.acknowledged
            );
        }
    }
    Ok(())
}

struct Road {
    firm: Firm,
    member: Member,
    numbers: Vec<String>,
    delay: u64,
    // Judged by nobody: what is asked here is when, not whether.
    judge: Judge,
}

impl Road {
    fn open(folder: &std::path::Path, delay: u64) -> Result<Self> {
        let creel = target_folder().join("creel");
        ensure!(creel.exists(), "build the program first: cargo build --release --workspace --bins");
        let firm = Firm::found(&creel, folder, "Bench", 1)?;
        let member = firm.admit("driver", Some("driver:li-wei"), "li-wei")?;
        let mut judge = Judge::default();
        let mut orders = made_up_day(1, WAITING, "2026-06-01");
        for order in &mut orders {
            order.fields.driver = Some("driver:li-wei".to_owned());
        }
        firm.import(&mut judge, &orders)?;
        let numbers: Vec<String> = orders.into_iter().map(|order| order.number).collect();
        let api = member.node.api()?;
        eventually(
            "the shipments",
            PATIENCE,
            || Ok((api.get("/status")?["shipments"] == numbers.len()).then_some(())),
        )?;
        let way = Conditions { delay_ms: delay, ..Conditions::default() };
        member.relay.set(way, way);
        Ok(Self { firm, member, numbers, delay, judge })
    }

    fn record(&mut self, number: &str) -> Result<String> {
        let body = json!({ "shipments": [number], "record": { "step": "picked_up", "note": "at the warehouse" } });
        let made = self.firm.act(&mut self.judge, &self.member.node, "/records", &body)?;
        Ok(made[0]["edit"].as_str().context("a record names its edit")?.to_owned())
    }

    /// Everything is delivered and the connection has been quiet for a while.
    fn settle(&self) -> Result<()> {
        let api = self.member.node.api()?;
        eventually("everything to be delivered", PATIENCE, || Ok((api.get("/status")?["waiting"] == 0).then_some(())))?;
        std::thread::sleep(Duration::from_millis(10 * self.delay + 1_000));
        Ok(())
    }

    fn after_restart(&mut self) -> Result<Seen> {
        self.settle()?;
        self.member.relay.cut(true);
        ensure!(self.firm.hub.stop()?.success(), "the hub did not end well");
        let numbers = self.numbers.clone();
        let edits = numbers.iter().map(|number| self.record(number)).collect::<Result<Vec<_>>>()?;
        self.firm.restart_hub("127.0.0.1:0".parse()?)?;
        self.member.relay.lead_to(self.firm.hub.quic()?);
        std::thread::sleep(Duration::from_secs(2));
        self.member.relay.cut(false);
        let began = Instant::now();
        self.member.node.api()?.post("/nudge", &self.firm.tap(), &json!({}))?;
        self.seen(began, &numbers, &edits)
    }

    fn after_cut(&mut self, seconds: u64) -> Result<Seen> {
        self.settle()?;
        self.member.relay.cut(true);
        std::thread::sleep(Duration::from_secs(1));
        let number = self.numbers[0].clone();
        let edit = self.record(&number)?;
        std::thread::sleep(Duration::from_secs(seconds.saturating_sub(1)));
        self.member.relay.cut(false);
        let began = Instant::now();
        self.seen(began, &[number], &[edit])
    }

    /// Looks at the hub and at the driver until they have it.
    fn seen(&self, began: Instant, numbers: &[String], edits: &[String]) -> Result<Seen> {
        let (hub, driver) = (self.firm.hub.api()?, self.member.node.api()?);
        let (mut at_hub, mut acknowledged) = (None, None);
        let mut left: Vec<_> = numbers.iter().zip(edits).collect();
        while at_hub.is_none() || acknowledged.is_none() {
            ensure!(began.elapsed() < PATIENCE, "{} records did not reach the hub", left.len());
            if let Some((number, edit)) = left.last() {
                let history = hub.get(&format!("/shipments/{number}/history"))?;
                let there = |row: &Value| row["edit"].as_str() == Some(edit.as_str());
                if history.as_array().is_some_and(|rows| rows.iter().any(there)) {
                    left.pop();
                    continue;
                }
            } else if at_hub.is_none() {
                at_hub = Some(began.elapsed());
            }
            if driver.get("/status")?["waiting"] == 0 {
                acknowledged = acknowledged.or(Some(began.elapsed()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let delays = |time: Option<Duration>| {
            time.unwrap_or_default().as_secs_f64() / Duration::from_millis(self.delay).as_secs_f64()
        };
        Ok(Seen { at_hub: delays(at_hub), acknowledged: delays(acknowledged) })
    }
}
