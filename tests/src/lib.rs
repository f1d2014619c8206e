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

/// Plants the bug of this name, such as `ack_before_commit`: those of `creel_protocol::planted`.
#[cfg(feature = "planted")]
pub fn plant(name: &str) -> Result<(), String> {
    use creel_protocol::planted::{Bug, plant};
    let named = |bug: &Bug| format!("{bug:?}").to_lowercase() == name.replace('_', "").to_lowercase();
    let bug = Bug::ALL.into_iter().find(named);
    plant(Some(bug.ok_or_else(|| format!("there is no bug “{name}”: the bugs are {:?}", Bug::ALL))?));
    Ok(())
}

/// Plants nothing: no bugs are compiled in.
#[cfg(not(feature = "planted"))]
pub fn plant(_name: &str) -> Result<(), String> {
    Err("bugs are compiled in with --features planted".to_owned())
}
