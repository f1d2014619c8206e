//! Measures what a durable commit costs beside the least it could cost on the same disk.
//!
//! `cargo run --release -p creel-storage --example durable_latency -- [DIRECTORY] [COMMITS]`
//!
//! Compares appending 500 bytes to a file and `fdatasync` with applying a batch of one 500-byte value and `sync`. The two
//! take turns, commit by commit, so that whatever else the disk does hits both alike.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use creel_protocol::store::Batch;
use creel_storage::{Engine, Options, SledEngine};

const VALUE_BYTES: usize = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join(format!("durable-latency-{}", std::process::id()));
    let commits: u64 = arguments.next().map_or(Ok(2_000), |count| count.parse())?;
    std::fs::create_dir_all(&dir)?;

    let mut engine = SledEngine::open(&dir.join("store"), Options::device())?.engine;
    let mut file = File::create(dir.join("appended"))?;
    let mut raw = Vec::new();
    let mut durable = Vec::new();
    let mut apply_only = Vec::new();
    for number in 0..commits {
        let mut value = vec![0; VALUE_BYTES];
        value[..8].copy_from_slice(&number.to_le_bytes());
        raw.push(timed(|| {
            file.write_all(&value)?;
            Ok(file.sync_data()?)
        })?);
        let mut batch = Batch::default();
        batch.put(format!("edit/{number:016x}").into_bytes(), value);
        let applied = timed(|| Ok(engine.apply(&batch)?))?;
        apply_only.push(applied);
        durable.push(applied + timed(|| Ok(engine.sync()?))?);
    }
    drop(engine);
    std::fs::remove_dir_all(&dir)?;

    println!("{commits} commits of {VALUE_BYTES} bytes     p50 ms    p99 ms");
    let raw = row("append + fdatasync", raw);
    row("apply alone", apply_only);
    let durable = row("apply + sync", durable);
    println!("{:<32}{:>9.2} {:>9.2}", "ratio", ratio(durable.0, raw.0), ratio(durable.1, raw.1));
    Ok(())
}

fn timed(run: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed())
}

fn row(name: &str, mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    let (p50, p99) = (at(50), at(99));
    println!("{name:<32}{:>9.3} {:>9.3}", p50.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3);
    (p50, p99)
}

fn ratio(ours: Duration, raw: Duration) -> f64 {
    ours.as_secs_f64() / raw.as_secs_f64()
}
