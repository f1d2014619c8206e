//! The simulator catches what it is there to catch. Only with `--features planted`.

#![cfg(feature = "planted")]

use creel_protocol::planted::{Bug, plant};
use creel_tests::firm::Firm;
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
    equal_edits_hide_no_view();
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
