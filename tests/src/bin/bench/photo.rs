//! What a photo on a narrow road does to a status that is recorded meanwhile. Real processes, and a relay that lets so many
//! bits through a second, with a queue as deep as a router's.

use crate::ingest::target_folder;
use anyhow::{Context, Result, ensure};
use creel::demo::api::Api;
use creel::demo::day::{Random, made_up_day};
use creel::demo::firm::Firm;
use creel::demo::judge::Judge;
use creel::demo::node::eventually;
use creel::demo::relay::Conditions;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PHOTO_BYTES: usize = 3_000_000;
const RATE_BITS_S: u64 = 64_000;
const DELAY_MS: u64 = 50;
const ROUNDS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the bench.
pub(crate) fn run() -> Result<()> {
    let creel = target_folder().join("creel");
    ensure!(creel.exists(), "build the program first: cargo build --release --workspace --bins");
    let folder = tempfile::tempdir_in(target_folder())?;
    let firm = Firm::found(&creel, folder.path(), "Bench", 1)?;
    let member = firm.admit("driver", Some("driver:li-wei"), "li-wei")?;
    let mut judge = Judge::default();
    let mut orders = made_up_day(1, 2 * ROUNDS + 1, "2026-06-01");
    orders.iter_mut().for_each(|order| order.fields.driver = Some("driver:li-wei".to_owned()));
    firm.import(&mut judge, &orders)?;
    let numbers: Vec<String> = orders.into_iter().map(|order| order.number).collect();
    let (hub, driver) = (firm.hub.api()?, member.node.api()?);
    eventually("the shipments", PATIENCE, || Ok((driver.get("/status")?["shipments"] == numbers.len()).then_some(())))?;
    let way = Conditions { delay_ms: DELAY_MS, rate_bits_s: RATE_BITS_S, ..Conditions::default() };
    member.relay.set(way, way);

    let mut status = |number: &String| -> Result<f64> {
        let body = json!({ "shipments": [number], "record": { "step": "picked_up" } });
        let made = firm.act(&mut judge, &member.node, "/records", &body)?;
        let edit = made[0]["edit"].as_str().context("a record names its edit")?.to_owned();
        let began = Instant::now();
        at_hub(hub, number, &edit)?;
        let took = began.elapsed();
        std::thread::sleep(Duration::from_secs(1));
        Ok(took.as_secs_f64() * 1_000.0)
    };
    let (first, rest) = numbers.split_first().context("there are some")?;
    let (alone, beside) = rest.split_at(ROUNDS);
    for number in alone {
        println!("a status, nothing else on the road: {:.0} ms until it is at the hub", status(number)?);
    }
    let mut random = Random::new(7);
    let photo: Vec<u8> = (0..PHOTO_BYTES / 8).flat_map(|_| random.next().to_be_bytes()).collect();
    let kept = driver.post_bytes("/photos", &firm.tap(), &photo)?;
    let body = json!({ "shipments": [first], "record": { "step": "picked_up", "photos": [kept["hash"]] } });
    driver.post("/records", &firm.tap(), &body)?;
    std::thread::sleep(Duration::from_secs(10));
    let (before, began) = (member.relay.up().bytes, Instant::now());
    for number in beside {
        println!("a status, a photo of 3 MB on its way: {:.0} ms until it is at the hub", status(number)?);
    }
    let (bytes, seconds) = (member.relay.up().bytes - before, began.elapsed().as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    let used = bytes as f64 * 8.0 / seconds / RATE_BITS_S as f64;
    println!("of the road's width the photo used {:.0} % meanwhile", used * 100.0);
    Ok(())
}

fn at_hub(hub: &Api, number: &str, edit: &str) -> Result<()> {
    let there = |row: &Value| row["edit"].as_str() == Some(edit);
    let began = Instant::now();
    loop {
        let history = hub.get(&format!("/shipments/{number}/history"))?;
        if history.as_array().is_some_and(|rows| rows.iter().any(there)) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "a record did not reach the hub");
        std::thread::sleep(Duration::from_millis(2));
    }
}
