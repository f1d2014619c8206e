//! docs/vectors/histories.jsonl and the code say the same, and so does the oracle; and on random hostile histories too.

use creel_protocol::edit::Edit;
use creel_protocol::roster::Roster;
use creel_protocol::shipment::Render;
use creel_tests::histories::{Case, ROSTERS, difference, firm, judge, line, named, random, roster_line};
use creel_tests::oracle;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Random histories looked at here. More: `cargo run --release -p creel-tests --bin histories -- --judge --seed S --count N`.
const RANDOM: u64 = 400;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors/histories.jsonl")
}

fn bytes(hex: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_str().expect("it is a text").as_bytes()).expect("it is hexadecimal")
}

fn list(of: &Value) -> impl Iterator<Item = Vec<u8>> {
    of.as_array().expect("it is a list").iter().map(bytes)
}

/// The vectors are what the code writes. After a change of rules: `UPDATE=1 cargo test -p creel-tests --test histories`, and read
/// the difference.
#[test]
fn the_code_writes_the_vectors() {
    let firms = ROSTERS.map(|name| (name, firm(name)));
    let mut lines: Vec<String> = firms.iter().map(|(name, firm)| roster_line(name, firm).to_string()).collect();
    for case in named::cases() {
        let firm = &firms.iter().find(|(name, _)| *name == case.roster).expect("it is one of them").1;
        assert_eq!(judge(&case, firm), None, "{}: the oracle sees something else", case.name);
        lines.push(line(&case, firm).to_string());
    }
    let wanted = lines.join("\n") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path(), &wanted).expect("the vectors can be written");
    }
    let found = std::fs::read_to_string(path()).unwrap_or_default();
    for (nth, (wanted, found)) in wanted.lines().zip(found.lines()).enumerate() {
        let parsed = |line: &str| -> Value { serde_json::from_str(line).expect("a line is JSON") };
        let differs = || difference(&parsed(found), &parsed(wanted));
        assert!(wanted == found, "line {}: {:?}", nth + 1, differs());
    }
    assert_eq!(wanted.len(), found.len());
}

/// What stands in the vectors reads back by their form alone: the edits verify, and give the views and hashes that stand there.
#[test]
fn the_vectors_read_back() {
    let text = std::fs::read_to_string(path()).expect("the vectors are there");
    let mut rosters: BTreeMap<String, Roster> = BTreeMap::new();
    let (mut rules, mut codes) = (BTreeSet::new(), BTreeSet::new());
    let mut histories = 0;
    for found in text.lines() {
        let found: Value = serde_json::from_str(found).expect("a line is JSON");
        let name = found["roster"].as_str().expect("a line names its roster").to_owned();
        if !found["entries"].is_null() {
            let mut entries = list(&found["entries"]);
            let mut roster = Roster::begin(&entries.next().expect("it begins with a genesis")).expect("it verifies");
            entries.for_each(|entry| assert_eq!(roster.append(&entry), Ok(true)));
            rosters.insert(name, roster);
            continue;
        }
        let roster = &rosters[&name];
        let edits: Vec<Edit> = list(&found["edits"])
            .map(|bytes| Edit::verify(&roster.organisation(), &bytes).expect("an edit verifies"))
            .collect();
        let render = Render::of(edits[0].document, edits.clone(), roster).expect("it can be rendered");
        let view = serde_json::to_value(&render.view).expect("a view is JSON");
        assert_eq!(difference(&view, &found["view"]), None, "{}", found["name"]);
        assert_eq!(render.view_hash.to_string(), found["view_hash"], "{}", found["name"]);
        assert_eq!(render.edits_hash.to_string(), found["edits_hash"], "{}", found["name"]);
        assert_eq!(difference(&oracle::view(&edits, roster), &found["view"]), None, "{}", found["name"]);
        rules.extend(found["rules"].as_array().into_iter().flatten().filter_map(Value::as_u64));
        codes.extend(render.view.timeline.iter().filter_map(|entry| entry.why_not));
        histories += 1;
    }
    assert!(histories >= 60, "there are {histories} histories");
    // Which edits an author names (11) and how the Automerge document is made (22) show in no view; 22 shows in the heads.
    let all: BTreeSet<u64> = (1..=23).filter(|rule| *rule != 11 && *rule != 22).collect();
    assert_eq!(all.difference(&rules).collect::<Vec<_>>(), Vec::<&u64>::new(), "rules without a history");
    // The codes of docs/status.md, section 1.
    let told = std::fs::read_to_string(path().with_file_name("../status.md")).expect("the page is there");
    let rows = told.lines().filter(|line| line.starts_with("| ") && line.split('|').count() == 5);
    let numbered = rows.filter(|row| row[2..].starts_with(|letter: char| letter.is_ascii_digit()));
    let listed: BTreeSet<&str> = numbered.filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(codes, listed, "codes of void edits in the histories, and those of the page");
}

/// Random histories of members who mean harm give the view that the oracle gives.
#[test]
fn the_oracle_agrees() {
    let firms = random::firms();
    for number in 0..RANDOM {
        let case: Case = random::case(7, number, &firms);
        let firm = &firms.iter().find(|(name, _)| *name == case.roster).expect("it is one of them").1;
        assert_eq!(judge(&case, firm), None, "{}", case.name);
    }
}
