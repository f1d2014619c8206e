//! Runs a range of simulator seeds: `sim --seeds A..B`. Ends with 1 when a seed breaks a promise, and says how to
//! replay it.

use clap::Parser;
use creel_tests::{plant, sim};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(about = "Runs the simulator over a range of seeds")]
struct Options {
    /// The seeds, the second not included.
    #[arg(long, value_name = "A..B", value_parser = range)]
    seeds: (u64, u64),
    /// Writes every event to standard error.
    #[arg(long)]
    trace: bool,
    /// Runs every seed twice and compares the traces.
    #[arg(long)]
    twice: bool,
    /// Goes on after a failure, and counts.
    #[arg(long)]
    keep_going: bool,
    /// Plants a bug (needs `--features planted`), such as `ack_before_commit`.
    #[arg(long, value_name = "BUG")]
    planted: Option<String>,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let (from, to) = text.split_once("..").ok_or("write A..B, such as 0..1000")?;
    let number = |text: &str| text.parse().map_err(|error| format!("“{text}”: {error}"));
    Ok((number(from)?, number(to)?))
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(error) = options.planted.as_deref().and_then(|name| plant(name).err()) {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    let (from, to) = options.seeds;
    let (mut failures, mut edits, mut frames, mut faults, mut exceptions) = (0_u64, 0, 0, 0, 0);
    for seed in from..to {
        let result = sim::run(seed, options.trace).and_then(|report| {
            let again = if options.twice { sim::run(seed, false)?.trace } else { report.trace.clone() };
            if again == report.trace {
                return Ok(report);
            }
            Err(sim::Failure { seed, what: "the same seed took another course".to_owned(), at: 0 })
        });
        match result {
            Ok(report) => {
                edits += report.edits;
                frames += report.frames;
                faults += report.faults;
                exceptions += report.exceptions;
            }
            Err(failure) => {
                println!("{failure}");
                let planted = options.planted.as_ref().map(|bug| (" --features planted", format!(" --planted {bug}")));
                let (feature, bug) = planted.unwrap_or_default();
                println!(
                    "replay: cargo run --release -p creel-tests{feature} --bin sim -- --seeds {seed}..{}{bug} --trace",
                    seed + 1
                );
                failures += 1;
                if !options.keep_going {
                    break;
                }
            }
        }
    }
    println!(
        "seeds {from}..{to}: {failures} failures; {edits} edits, {frames} frames, {faults} faults, {exceptions} exceptions shown"
    );
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
