//! Writes random hostile histories with their views, in the form of docs/status.md section 11:
//! `histories --seed S --count N`. With `--judge` it writes none, and compares each with the oracle's view instead.

use clap::Parser;
use creel_tests::histories::{judge, line, random, roster_line};
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Parser)]
#[command(about = "Writes random hostile histories of shipments, with the views that they give")]
struct Options {
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many histories.
    #[arg(long, default_value_t = 100)]
    count: u64,
    /// Compares each with the oracle, and writes only where they differ.
    #[arg(long)]
    judge: bool,
}

fn main() -> std::io::Result<ExitCode> {
    let options = Options::parse();
    if options.judge {
        return Ok(judged(&options));
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let firms = random::firms();
    for (name, firm) in &firms {
        writeln!(out, "{}", roster_line(name, firm))?;
    }
    for number in 0..options.count {
        let case = random::case(options.seed, number, &firms);
        let firm = &firms.iter().find(|(name, _)| *name == case.roster).expect("it is one of them").1;
        writeln!(out, "{}", line(&case, firm))?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn judged(options: &Options) -> ExitCode {
    let next = AtomicU64::new(0);
    let worker = || {
        let firms = random::firms();
        let (mut failures, mut edits) = (0_u64, 0);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= options.count {
                return (failures, edits);
            }
            let case = random::case(options.seed, number, &firms);
            edits += case.edits.len();
            let firm = &firms.iter().find(|(name, _)| *name == case.roster).expect("it is one of them").1;
            if let Some(where_) = judge(&case, firm) {
                failures += 1;
                eprintln!("{}: {where_}", case.name);
            }
        }
    };
    let results: Vec<(u64, usize)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    let failures: u64 = results.iter().map(|(failures, _)| failures).sum();
    let edits: usize = results.iter().map(|(_, edits)| edits).sum();
    println!("seed {}: {} histories, {edits} edits, {failures} differ from the oracle", options.seed, options.count);
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
