//! The parts of the creel command that tests use too.
pub mod import;
/// The demo.
pub mod demo {
    use std::path::PathBuf;

    pub mod day;

    /// What the demo is asked for.
    #[derive(Debug, Clone)]
    pub struct Options {
        /// Where the nodes' folders are kept afterwards; a temporary folder that is removed, where none is given.
        pub keep: Option<PathBuf>,
        /// Whether the verdict is told as JSON, for scripts.
        pub json: bool,
        /// What the made-up day and the cuts are drawn from.
        pub seed: u64,
    }

    /// Runs the demo; an error means that an acknowledged edit is missing, or that views differ.
    pub fn run(_options: &Options) -> anyhow::Result<()> {
        anyhow::bail!("the demo is not built yet")
    }
}
