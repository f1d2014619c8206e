//! The simulator catches what it is there to catch. Only with `--features planted`.

#![cfg(feature = "planted")]

use creel_protocol::planted::{Bug, plant};
use creel_tests::bends::{find, firms};
use creel_tests::firm::Firm;
use creel_tests::sim;

/// Seeds within which each planted bug must show.
const SEEDS: u64 = 200;
/// Histories within which the search for bends must find what a rule put back to an older one lets a member do.
const HISTORIES: u64 = 500;

/// Rules as they were before they were attacked: 1, 2, 11, 13, 16 and 18. What they let a member do shows in one shipment; the simulator
/// need not see it.
const BENDS: [Bug; 6] = [
    Bug::RepeatUnknown,
    Bug::LimitByOrder,
    Bug::AfterById,
    Bug::SupersedesThroughAny,
    Bug::UpheldPerFact,
    Bug::FloodHides,
];
/// Of those, the ones for which the simulator is not asked.
const SEEN_IN_ONE_SHIPMENT: [Bug; 5] =
    [Bug::RepeatUnknown, Bug::LimitByOrder, Bug::AfterById, Bug::SupersedesThroughAny, Bug::UpheldPerFact];

/// A simulator that never fails proves nothing: each bug planted in the engine must break a seed within 200.
///
/// One test and one binary, because a planted bug is planted for the whole process.
#[test]
fn every_planted_bug_is_caught() {
    let mut escaped = Vec::new();
    for bug in Bug::ALL.into_iter().filter(|bug| !SEEN_IN_ONE_SHIPMENT.contains(bug)) {
        plant(Some(bug));
        let caught = (0..SEEDS).find_map(|seed| sim::run(seed, false).err());
        plant(None);
        match caught {
            Some(failure) => println!("{bug:?}: caught by {failure}"),
            None => escaped.push(bug),
        }
    }
    assert!(escaped.is_empty(), "not caught within {SEEDS} seeds: {escaped:?}");
    every_older_rule_is_bent();
    equal_edits_hide_no_view();
}

/// A search that never finds anything proves nothing either.
fn every_older_rule_is_bent() {
    let firms = firms();
    let mut escaped = Vec::new();
    for bug in BENDS {
        plant(Some(bug));
        let found = (0..HISTORIES).find_map(|number| find(1, number, &firms).map(|bend| (number, bend)));
        plant(None);
        match found {
            Some((number, bend)) => println!("{bug:?}: bent in history {number}: {bend}"),
            None => escaped.push(bug),
        }
    }
    assert!(escaped.is_empty(), "not bent within {HISTORIES} histories: {escaped:?}");
}

/// Promise 6: the two hashes tell a lost edit from a wrong view. Equal edits give equal views; a bug in the view breaks the
/// view's hash and not the edits'.
fn equal_edits_hide_no_view() {
    let firm = Firm::following("standard");
    let open = firm.open("SO-1");
    let (document, base) = (open.document, [open.id]);
    let picked = firm.record("pia", document, &base, "picked", None);
    let signed = firm.record("li-wei", document, &base, "signed", None);
    let [one, other] = [[&open, &picked, &signed], [&open, &signed, &picked]].map(|edits| edits.map(Clone::clone));
    for (bug, same) in [(None, true), (Some(Bug::ViewByArrival), false)] {
        plant(bug);
        let (one, other) = (firm.render(&one), firm.render(&other));
        plant(None);
        assert_eq!(one.edits_hash, other.edits_hash);
        assert_eq!(one.view_hash == other.view_hash, same, "{bug:?}");
    }
}
