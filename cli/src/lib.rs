//! The parts of the creel command that tests use too.
pub mod import;
/// The demo.
pub mod demo { 
    /// The made-up day.
    pub mod day; }
