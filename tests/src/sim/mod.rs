//! A seeded simulator: many nodes with the core that ships, over links and disks that fail, in virtual time.
//!
//! Read `world` (what there is and what happens when), `shell` (what the node's edge does with the core's outputs), `link`
//! (connections), `acts` (what people do), `photos` (their files), `faults` and `attack` (what goes wrong), `enrol` (how members come in), then
//! `judge` (what is demanded when the faults have ended).
//!
//! One seed is one run: same seed, same trace, byte for byte.

mod acts;
mod attack;
mod enrol;
mod faults;
mod judge;
mod link;
mod photos;
pub mod rng;
mod shell;
mod trace;
mod world;

pub use rng::Rng;

/// What a run that kept every promise was like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Digest of everything that happened.
    pub trace: String,
    /// Nodes at the end, clones included.
    pub nodes: usize,
    /// Edits that every node of their scope holds.
    pub edits: usize,
    /// Edits that somebody was told are recorded.
    pub acknowledged: usize,
    /// Frames that travelled.
    pub frames: usize,
    /// Crashes, restored backups and clones.
    pub faults: usize,
    /// Refusals of what a hostile peer sent.
    pub refused: usize,
    /// Contradictions and other exceptions shown at the end.
    pub exceptions: usize,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed that shows it.
    pub seed: u64,
    /// What was broken.
    pub what: String,
    /// At which virtual time, in milliseconds.
    pub at: u64,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "seed {} at {} ms: {}", self.seed, self.at, self.what)
    }
}

/// Runs one seed. With `print`, every event is written to standard error.
pub fn run(seed: u64, print: bool) -> Result<Report, Failure> {
    let mut world = world::World::new(seed, print);
    match world.run() {
        Ok(()) => Ok(world.report()),
        Err(what) => Err(Failure { seed, what, at: world.now }),
    }
}
