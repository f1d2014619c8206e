//! The parts of the creel command that tests use too.
pub mod demo;
pub mod import;
