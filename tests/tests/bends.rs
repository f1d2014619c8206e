//! One member who means harm bends nothing of what others stated. More: `cargo run --release -p creel-tests --bin bends`.

use creel_tests::bends::{find, firms};

/// Histories searched here.
const HISTORIES: u64 = 150;

/// No honest edit is un-counted, nothing between others is hidden or settled, no value is gone unread and nobody is kept from acting,
/// whatever one attacker's key signs.
#[test]
fn nothing_is_bent() {
    let firms = firms();
    let bent: Vec<String> = (0..HISTORIES)
        .filter_map(|number| find(5, number, &firms).map(|bend| format!("history {number}: {bend}")))
        .collect();
    assert!(bent.is_empty(), "seed 5: {bent:#?}");
}
