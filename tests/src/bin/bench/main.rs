//! The benches whose figures stand in docs/benchmarks.md. Each prints ratios of what was measured side by side in one run.

mod drivers;
mod filled;
mod flight;
mod ingest;
mod photo;
mod reconnect;
mod scale;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["drivers"] => drivers::run(1_000),
        ["drivers", count] => count.parse().map_err(anyhow::Error::from).and_then(drivers::run),
        ["flight"] => flight::run(60),
        ["flight", cut] => cut.parse().map_err(anyhow::Error::from).and_then(flight::run),
        ["ingest"] => ingest::run(),
        ["photo"] => photo::run(),
        ["reconnect"] => reconnect::run(200).and_then(|()| reconnect::run(100_000)),
        ["reconnect", count] => count.parse().map_err(anyhow::Error::from).and_then(reconnect::run),
        ["scale"] => scale::run(100_000),
        ["scale", count] => count.parse().map_err(anyhow::Error::from).and_then(scale::run),
        _ => {
            eprintln!(
                "usage: bench drivers [DRIVERS] | bench flight [SECONDS] | bench ingest | bench photo | bench reconnect [SHIPMENTS] | bench scale [SHIPMENTS]"
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
