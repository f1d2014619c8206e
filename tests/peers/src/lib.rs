//! What the sync bench and the peers it starts have in common: the lines they speak, the clock they compare, the orders they hold.
//!
//! A peer is a process of its own with a folder of its own, for each system under test one small program. Left out: anything
//! that knows more than one system; what is measured is measured the same way for all of them, by the bench.

pub mod clock;
pub mod lines;
pub mod orders;
