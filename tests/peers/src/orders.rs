//! Made-up orders, the same for every system, and the status records that are added to them.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// 2026-06-01, 08:00 at UTC+8, in milliseconds since the Unix epoch.
const MORNING_MS: i64 = 1_780_272_000_000;
const QUARTER_MS: i64 = 15 * 60 * 1_000;

/// An order, as it stands in the file of orders.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub number: String,
    pub consignee: String,
    pub address: String,
    /// From and to, in milliseconds since the Unix epoch.
    pub window: [i64; 2],
    pub driver: String,
    pub lines: Vec<Line>,
}

/// One line of an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub line: String,
    pub sku: String,
    pub name: String,
    /// In thousandths of the unit.
    pub quantity: i64,
    pub unit: String,
}

/// Random numbers of our own (`SplitMix64`), so that a seed gives the same orders and the same losses everywhere.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Chance drawn from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.below(words.len() as u64)).unwrap_or_default()]
    }
}

const FAMILIES: [&str; 8] = ["Chen", "Li", "Wang", "Zhang", "Liu", "Yang", "Huang", "Zhou"];
const VILLAGES: [&str; 6] = ["Reed Bay", "Stone Bridge", "Willow Ferry", "Lotus Island", "Carp Creek", "Old Pier"];
const STREETS: [&str; 5] = ["Pier Road", "West Dyke Road", "East Gate Street", "Lakeside Road", "Mill Lane"];
const GOODS: [(&str, &str, &str); 6] = [
    ("ROD-360-C", "carbon pole rod 3.6 m", "piece"),
    ("REEL-3000", "spinning reel 3000", "piece"),
    ("LINE-PE-2", "braid #2, 150 m", "spool"),
    ("FLOAT-R-3", "reed float no. 3", "piece"),
    ("BAIT-CRUC", "crucian bait, bag", "bag"),
    ("LIVE-WORM", "live earthworms", "kg"),
];

/// The number of the order at an index.
pub fn number(index: u32) -> String {
    format!("M20260601-{index:07}")
}

/// The index in an order's number.
pub fn index(number: &str) -> Option<u32> {
    number.rsplit('-').next()?.parse().ok()
}

fn order(index: u32, chance: &mut Chance) -> Order {
    let from = MORNING_MS + QUARTER_MS * i64::try_from(chance.below(32)).unwrap_or_default();
    let lines = (1..=3).map(|line| {
        let (sku, name, unit) = GOODS[usize::try_from(chance.below(GOODS.len() as u64)).unwrap_or_default()];
        let quantity = 1_000 * i64::try_from(1 + chance.below(40)).unwrap_or(1);
        Line { line: line.to_string(), sku: sku.into(), name: name.into(), quantity, unit: unit.into() }
    });
    Order {
        number: number(index),
        lines: lines.collect(),
        consignee: format!("{} {}, {} Tackle", chance.of(&FAMILIES), 1 + chance.below(900), chance.of(&VILLAGES)),
        address: format!("{} {}, {}", 1 + chance.below(200), chance.of(&STREETS), chance.of(&VILLAGES)),
        window: [from, from + 8 * QUARTER_MS],
        driver: "driver:li-wei".to_owned(),
    }
}

/// Writes the first `count` orders of a seed, a line each.
pub fn write(path: &Path, count: u32, seed: u64) -> Result<()> {
    let mut file = BufWriter::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?);
    let mut chance = Chance::new(seed);
    for index in 0..count {
        serde_json::to_writer(&mut file, &order(index, &mut chance))?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}

/// Reads a file of orders, one by one.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Order>> + use<>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(BufReader::new(file).lines().map(|line| Ok(serde_json::from_str(&line?)?)))
}

/// The steps records tell of, in turn, and the small text each carries. The JavaScript peers have the same two.
pub const STEPS: [&str; 2] = ["picked_up", "in_transit"];
/// The small text.
pub const NOTE: &str = "seen at the warehouse gate, all boxes dry";
