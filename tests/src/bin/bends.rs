//! Searches random histories for what one member who means harm could bend: `bends --seed S --count N`.

use clap::Parser;
use creel_tests::bends::{find, firms};
use creel_tests::plant;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Parser)]
#[command(
    about = "Searches hostile histories for honest edits un-counted, exceptions hidden, values gone and people kept from acting"
)]
struct Options {
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many histories.
    #[arg(long, default_value_t = 10_000)]
    count: u64,
    /// Plants a bug (needs `--features planted`), to see that it is found.
    #[arg(long, value_name = "BUG")]
    planted: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(error) = options.planted.as_deref().and_then(|name| plant(name).err()) {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    let next = AtomicU64::new(0);
    let worker = || {
        let firms = firms();
        let mut bends = 0_u64;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= options.count {
                return bends;
            }
            if let Some(bend) = find(options.seed, number, &firms) {
                bends += 1;
                eprintln!("seed {} history {number}: {bend}", options.seed);
            }
        }
    };
    let bends: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).sum()
    });
    println!("seed {}: {} histories, {bends} bent", options.seed, options.count);
    if bends == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
