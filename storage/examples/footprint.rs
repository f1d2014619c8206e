//! Measures what a hub's store costs: time and memory to fill it, and to open it again after the process was killed.
//!
//! `cargo run --release -p creel-storage --example footprint -- fill DIRECTORY [DOCUMENTS]`, then
//! `... footprint -- reopen DIRECTORY`. `fill` ends without closing the store, as a killed process does.
//!
//! A document is a batch of one value of 700 bytes and five small ones, of which one is overwritten by all; 500 batches
//! share a sync.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use creel_protocol::store::{Batch, Store};
use creel_storage::{Engine, Options, SledEngine};

const BATCHES_PER_SYNC: u64 = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (what, dir) = (arguments.next().unwrap_or_default(), arguments.next().map(PathBuf::from));
    let dir = dir.ok_or("give `fill` or `reopen` and a directory")?;
    let start = Instant::now();
    let mut engine = SledEngine::open(&dir, Options::hub())?.engine;
    println!("opened in {:.3} s, {}", start.elapsed().as_secs_f64(), resident()?);
    if what == "reopen" {
        let documents =
            engine.get(b"count")?.map_or(0, |count| u64::from_be_bytes(count.try_into().unwrap_or_default()));
        let start = Instant::now();
        for number in 0..1000 {
            engine.get(&key(b'e', number * documents / 1000))?.ok_or("a document is missing")?;
        }
        println!("{documents} documents; 1000 reads in {:.3} s, {}", start.elapsed().as_secs_f64(), resident()?);
        let start = Instant::now();
        let all = engine.scan(b"", b"\xff", usize::MAX)?;
        println!("{} entries scanned in {:.3} s, {}", all.len(), start.elapsed().as_secs_f64(), resident()?);
        drop(all);
        let start = Instant::now();
        drop(engine);
        println!("closed in {:.3} s", start.elapsed().as_secs_f64());
        return Ok(());
    }
    let documents: u64 = arguments.next().map_or(Ok(100_000), |count| count.parse())?;
    let mut rounds = Vec::new();
    let mut longest_apply = Duration::ZERO;
    let start = Instant::now();
    let mut round = Instant::now();
    for number in 0..documents {
        let batch = batch(number);
        let apply = Instant::now();
        engine.apply(&batch)?;
        longest_apply = longest_apply.max(apply.elapsed());
        if number % BATCHES_PER_SYNC == BATCHES_PER_SYNC - 1 {
            engine.sync()?;
            rounds.push(round.elapsed());
            round = Instant::now();
        }
    }
    engine.sync()?;
    rounds.sort_unstable();
    let at = |percent: usize| rounds.get(rounds.len() * percent / 100).copied().unwrap_or_default().as_secs_f64() * 1e3;
    let per_second = f64::from(u32::try_from(documents)?) / start.elapsed().as_secs_f64();
    println!("{documents} documents at {per_second:.0} a second; {BATCHES_PER_SYNC} batches and a sync take");
    println!(
        "{:.1} ms (p50), {:.1} ms (p99); longest apply {:.1} ms",
        at(50),
        at(99),
        longest_apply.as_secs_f64() * 1e3
    );
    let size = std::fs::metadata(dir.join("db"))?.len() / 1_000_000;
    println!("{}, db of {size} MB", resident()?);
    std::process::abort();
}

/// Keys as scattered as those of edits, which are digests.
fn key(letter: u8, number: u64) -> Vec<u8> {
    let mixed = (number ^ 0x5bd1_e995).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [&[letter][..], &mixed.to_be_bytes(), &number.to_be_bytes(), &mixed.to_le_bytes(), &[7; 24]].concat()
}

fn batch(number: u64) -> Batch {
    let mut batch = Batch::default();
    let mut value = vec![0; 700];
    value[..8].copy_from_slice(&number.to_be_bytes());
    batch.put(key(b'e', number), value);
    batch.put(key(b'd', number), vec![1; 40]);
    batch.put(key(b'i', number), vec![2; 60]);
    batch.put([&b"j"[..], &number.to_be_bytes()].concat(), vec![3; 60]);
    batch.put(key(b's', number), vec![4; 150]);
    batch.put(b"count".to_vec(), (number + 1).to_be_bytes().to_vec());
    batch
}

fn resident() -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    Ok(lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", "))
}
