//! The simulator catches what it is there to catch. Only with `--features planted`.

#![cfg(feature = "planted")]

use creel_protocol::planted::{Bug, plant};
use creel_tests::sim;

/// Seeds within which each planted bug must show.
const SEEDS: u64 = 200;

/// A simulator that never fails proves nothing: each bug planted in the engine must break a seed within 200.
///
/// One test and one binary, because a planted bug is planted for the whole process.
#[test]
fn every_planted_bug_is_caught() {
    let mut escaped = Vec::new();
    for bug in Bug::ALL {
        plant(Some(bug));
        let caught = (0..SEEDS).find_map(|seed| sim::run(seed, false).err());
        plant(None);
        match caught {
            Some(failure) => println!("{bug:?}: caught by {failure}"),
            None => escaped.push(bug),
        }
    }
    assert!(escaped.is_empty(), "not caught within {SEEDS} seeds: {escaped:?}");
}
