//! Tests of the whole: a seeded simulator of many nodes, an independent oracle of the status rules, and a firm made up for
//! tests, whose members sign what a test tells them to.
//!
//! What is left out: processes, sockets and disks. The scenarios under `tests/` that need them start the real `creel`.

pub mod bends;
pub mod firm;
pub mod histories;
pub mod lone;
pub mod oracle;
pub mod sim;
