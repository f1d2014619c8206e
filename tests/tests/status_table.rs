//! Every pair of steps of every preset against a table that a person can read: tests/tables/*.txt.
//!
//! After a change of rules or presets: `UPDATE=1 cargo test -p creel-tests --test status_table`, and read the difference.

use creel_protocol::edit::Edit;
use creel_protocol::edit::action::{Action, Measure};
use creel_protocol::roster::Role;
use creel_protocol::shipment::ExceptionKind;
use creel_protocol::workflow::{CREATED, Evidence, PRESETS, Step};
use creel_tests::firm::Firm;
use std::fmt::Write as _;
use std::path::PathBuf;

const LEGEND: &str = "\
# Two records of one shipment, each by somebody else. `apart`: neither knew of the other. `knowing`: the second's author knew the
# first. Told is the status both lead to; `!` says that a contradiction naming both is shown. A signature by another receiver than
# Wang is written signed(Chen).
";

/// A step, and who signed if anybody does.
#[derive(Debug, Clone, Copy)]
struct Recorded<'a> {
    step: &'a Step,
    receiver: &'static str,
}

impl Recorded<'_> {
    fn name(self) -> String {
        match self.receiver {
            "Wang" => self.step.key.clone(),
            other => format!("{}({other})", self.step.key),
        }
    }

    fn needs(self, evidence: Evidence) -> bool {
        self.step.needs.contains(&evidence)
    }
}

/// The first and the second of two people who may record a step.
fn people(step: &Step) -> [&'static str; 2] {
    let role = [Role::Driver, Role::Shop, Role::Picker].into_iter().find(|role| step.by.contains(role));
    match role {
        Some(Role::Driver) => ["li-wei", "zhang"],
        Some(Role::Shop) => ["west-lake", "east-gate"],
        Some(_) => ["pia", "pia"],
        None => ["dora", "dirk"],
    }
}

/// The status, and whether there is a contradiction; the same in every order of arrival and by the oracle.
fn told(firm: &Firm, first: Recorded<'_>, second: Recorded<'_>, knowing: bool) -> String {
    let open = firm.open("SO-1");
    let document = open.document;
    let mut edits = vec![open.clone()];
    let mut base = open.id;
    if first.needs(Evidence::Measure) || second.needs(Evidence::Measure) {
        let measure =
            Measure { quantity: "temperature".to_owned(), value: 4_000, unit: "°C".to_owned(), sensor: None };
        let measured = firm.sign("pia", Some(document), &[base], &Action::Measure(measure));
        base = measured.id;
        edits.push(measured);
    }
    let one = firm.record(people(first.step)[0], document, &[base], &first.step.key, Some(first.receiver));
    let after = if knowing { one.id } else { base };
    let other = firm.record(people(second.step)[1], document, &[after], &second.step.key, Some(second.receiver));
    let both = [one.id, other.id];
    edits.extend([one, other]);

    let expected = firm.render(&edits);
    every_order(edits.len(), &mut |order| {
        let arrived: Vec<Edit> = order.iter().map(|place| edits[*place].clone()).collect();
        assert_eq!(firm.status(&arrived), (expected.view.status.clone(), expected.view.exceptions.len()), "{order:?}");
    });
    let view = &expected.view;
    assert!(view.timeline.iter().all(|entry| entry.counted), "{} and {}: {view:?}", first.name(), second.name());
    for exception in &view.exceptions {
        assert_eq!(exception.kind, ExceptionKind::Contradiction);
        assert!(both.iter().all(|edit| exception.edits.contains(edit)), "an exception names both");
    }
    assert_eq!(serde_json::to_value(view).expect("a view is JSON"), firm.oracle(&edits), "by the oracle");
    let mark = if view.exceptions.is_empty() { "" } else { " !" };
    format!("{}{mark}", view.status)
}

/// Every order of `count` things.
fn every_order(count: usize, each: &mut impl FnMut(&[usize])) {
    fn rest(order: &mut Vec<usize>, count: usize, each: &mut impl FnMut(&[usize])) {
        if order.len() == count {
            return each(order);
        }
        for next in 0..count {
            if !order.contains(&next) {
                order.push(next);
                rest(order, count, each);
                order.pop();
            }
        }
    }
    rest(&mut Vec::new(), count, each);
}

fn table(preset: &str) -> String {
    let firm = Firm::following(preset);
    let mut recorded: Vec<Recorded<'_>> = Vec::new();
    for step in firm.workflow().steps.iter().filter(|step| step.key != CREATED) {
        recorded.push(Recorded { step, receiver: "Wang" });
        if step.needs.contains(&Evidence::Receiver) {
            recorded.push(Recorded { step, receiver: "Chen" });
        }
    }
    let mut table = format!("# {preset}\n{LEGEND}{:<19} {:<19} {:<21} knowing\n", "first", "second", "apart");
    for first in &recorded {
        table.push('\n');
        for second in &recorded {
            let apart = told(&firm, *first, *second, false);
            let knowing = told(&firm, *first, *second, true);
            let line = format!("{:<19} {:<19} {apart:<21} {knowing}", first.name(), second.name());
            writeln!(table, "{}", line.trim_end()).expect("a string takes anything");
        }
    }
    table
}

/// Promise 5: knowledge wins, then precedence, and a contradiction is shown; as the tables say, for every pair of steps.
#[test]
fn every_pair_of_steps() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tables");
    for (preset, _) in PRESETS {
        let path = folder.join(format!("{preset}.txt"));
        let table = table(preset);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &table).expect("the tables can be written");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        for (number, (expected, found)) in expected.lines().zip(table.lines()).enumerate() {
            assert_eq!(expected, found, "{}:{}", path.display(), number + 1);
        }
        assert_eq!(expected.lines().count(), table.lines().count(), "{}", path.display());
    }
}
