//! What a node keeps, what it makes wait and what it refuses: a row for each. What is kept and does not count is in the named
//! histories, a row for each code.

use creel_protocol::cbor::{Bytes, Encode as _};
use creel_protocol::cose::{self, Purpose};
use creel_protocol::edit::action::{Action, Open, PlanFields, Say};
use creel_protocol::edit::{Edit, RawAction, Statement};
use creel_protocol::id::{DocumentId, EditId, EntryId, OrganisationId, Tap};
use creel_protocol::shipment::Void;
use creel_protocol::sync::Frame;
use creel_tests::firm::{Firm, NOON, key_of};
use creel_tests::histories::named;
use creel_tests::lone::{Node, device};
use std::collections::BTreeSet;

const DORA: u64 = 1;

/// What became of an edit that a member sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Kept, and acknowledged.
    Admitted,
    /// Neither acknowledged nor refused.
    Waits,
    /// Refused and counted.
    Refused,
}

use Outcome::{Admitted, Refused, Waits};

fn say(author: &str, document: DocumentId, after: Vec<EditId>, roster: EntryId) -> (Statement, DocumentId) {
    let statement = Statement {
        author: device(author),
        by: None,
        after,
        roster,
        tap: Tap([1; 16]),
        at: NOON,
        action: Action::Say(Say::of("hello")).to_raw(),
    };
    (statement, document)
}

/// The bytes of an edit, signed whether or not it is one.
fn sealed(firm: &Firm, signer: &str, (statement, document): (Statement, DocumentId)) -> Vec<u8> {
    let rest = statement.to_cbor();
    let mut payload = vec![rest[0] + 1, 0x01, 0x58, 0x18];
    payload.extend(document.0);
    payload.extend(&rest[1..]);
    cose::sign(Purpose::Edit, &firm.roster.organisation().0, &payload, &key_of(signer)).0
}

/// Sends bytes as an edit in a frame, as a peer would.
fn sent(firm: &Firm, node: &mut Node, bytes: &[u8]) -> Outcome {
    let frame = frame_of(bytes);
    let before = node.refused.len();
    let Ok((frame, spoilt)) = Frame::decode(&frame, &firm.roster.organisation()) else { return Refused };
    if !spoilt.is_empty() {
        return Refused;
    }
    let said = node.hear(DORA, frame);
    let acknowledged = said.iter().any(|(_, frame)| matches!(frame, Frame::Ack(ids) if !ids.is_empty()));
    match (acknowledged, node.refused.len() > before) {
        (true, false) => Admitted,
        (false, true) => Refused,
        (false, false) => Waits,
        (true, true) => panic!("it is both"),
    }
}

/// `[3, [bstr]]`.
fn frame_of(edit: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x82, 0x03, 0x81];
    frame.extend(Bytes(edit.to_vec()).to_cbor());
    frame
}

/// Promise 10: admission tests what is frozen in edit version 1, and no more.
#[test]
fn every_refusal() {
    let firm = Firm::following("standard");
    let mut node = Node::of(&firm, "hub");
    node.meet(DORA, "dora", false);
    let (open, other) = (firm.open("SO-1"), firm.open("SO-2"));
    node.hear_edits(DORA, &[&open, &other]);
    let (document, head) = (open.document, firm.roster.head());
    let genesis = EntryId(firm.roster.organisation().0);
    let base = |author: &str| say(author, document, vec![open.id], head);
    let changed = |change: &dyn Fn(&mut Statement)| {
        let (mut statement, document) = base("li-wei");
        change(&mut statement);
        sealed(&firm, "li-wei", (statement, document))
    };
    let mut long = base("li-wei");
    long.0.action = Action::Say(Say::of(&"x".repeat(16 * 1024))).to_raw();
    let mut of_other = OrganisationId([9; 32]);
    of_other.0[0] = 1;
    let elsewhere =
        Edit::sign(&of_other, Some(document), base("li-wei").0, &key_of("li-wei")).expect("it is small").bytes;
    let honest = sealed(&firm, "li-wei", base("li-wei"));
    let mut spoilt = honest.clone();
    let last = spoilt.len() - 1;
    spoilt[last] ^= 1;
    let ids = |count: u8| (0..count).map(|number| EditId([number; 32])).collect::<Vec<_>>();
    let raw = |body: &[u8]| RawAction { kind: 5, version: 1, body: Bytes(body.to_vec()) };
    let rows: Vec<(&str, Vec<u8>, Outcome)> = vec![
        ("an honest edit", honest.clone(), Admitted),
        ("the same again", honest, Admitted),
        ("an own edit that a peer brings back", sealed(&firm, "hub", base("hub")), Admitted),
        ("by a viewer", sealed(&firm, "vera", base("vera")), Admitted),
        ("an unknown action", changed(&|edit| edit.action = raw(b"\xa0")), Admitted),
        ("not an edit", b"\x01\x02".to_vec(), Refused),
        ("a wrong signature", spoilt, Refused),
        ("signed by another", sealed(&firm, "zhang", base("li-wei")), Refused),
        ("for another organisation", elsewhere, Refused),
        ("more than 16 KiB", sealed(&firm, "li-wei", long), Refused),
        ("by a stranger", sealed(&firm, "stranger", base("stranger")), Refused),
        (
            "by one who was enrolled later",
            sealed(&firm, "li-wei", say("li-wei", document, vec![open.id], genesis)),
            Refused,
        ),
        (
            "on an edit of another document",
            sealed(&firm, "li-wei", say("li-wei", document, vec![other.id], head)),
            Refused,
        ),
        (
            "on its own document and on another",
            changed(&|edit| {
                edit.after = vec![open.id, other.id];
                edit.after.sort_unstable();
            }),
            Refused,
        ),
        ("predecessors not sorted", changed(&|edit| edit.after = vec![EditId([2; 32]), EditId([1; 32])]), Refused),
        ("a predecessor twice", changed(&|edit| edit.after = vec![open.id, open.id]), Refused),
        ("sixty-four predecessors", changed(&|edit| edit.after = ids(64)), Waits),
        ("sixty-five predecessors", changed(&|edit| edit.after = ids(65)), Refused),
        ("an empty by", changed(&|edit| edit.by = Some(String::new())), Refused),
        ("a by of 128 bytes", changed(&|edit| edit.by = Some("x".repeat(128))), Admitted),
        ("a by of 129 bytes", changed(&|edit| edit.by = Some("x".repeat(129))), Refused),
        ("a by that is white space", changed(&|edit| edit.by = Some(" ".to_owned())), Admitted),
        ("the last time", changed(&|edit| edit.at = (1 << 48) - 1), Admitted),
        ("a time beyond", changed(&|edit| edit.at = 1 << 48), Refused),
        ("a body that is no map", changed(&|edit| edit.action = raw(b"\x80")), Refused),
        (
            "a body with an integer below the least",
            changed(&|edit| edit.action = raw(b"\xa1\x01\x3b\x80\0\0\0\0\0\0\0")),
            Refused,
        ),
        (
            "a body nested too deeply",
            changed(&|edit| {
                edit.action = raw(&[&b"\xa1\x01"[..], &[0x81; 16], b"\x01"].concat());
            }),
            Refused,
        ),
        (
            "a body nested just so",
            changed(&|edit| {
                edit.action = raw(&[&b"\xa1\x01"[..], &[0x81; 14], b"\x01"].concat());
            }),
            Admitted,
        ),
        (
            "on an edit that is not here",
            sealed(&firm, "li-wei", say("li-wei", document, vec![EditId([7; 32])], head)),
            Waits,
        ),
        (
            "on an entry that is not here",
            sealed(&firm, "li-wei", say("li-wei", document, vec![open.id], EntryId([7; 32]))),
            Waits,
        ),
        ("after nothing", sealed(&firm, "li-wei", say("li-wei", document, Vec::new(), head)), Admitted),
    ];
    for (what, bytes, expected) in rows {
        assert_eq!(sent(&firm, &mut node, &bytes), expected, "{what}");
    }
}

/// Every reason for which an edit does not count has a history that shows it.
#[test]
fn every_void_has_a_history() {
    let all: BTreeSet<&str> = [
        Void::Unknown.code(),
        Void::Malformed(creel_protocol::cbor::CborError::Type).code(),
        Void::NotItsId.code(),
        Void::NoOpen.code(),
        Void::Kind.code(),
        Void::NoWorkflow.code(),
        Void::Role { role: creel_protocol::roster::Role::Viewer, what: String::new() }.code(),
        Void::Field(String::new()).code(),
        Void::NoStep { step: String::new(), workflow: String::new(), steps: String::new() }.code(),
        Void::Target("").code(),
        Void::NotOwn.code(),
        Void::Evidence { step: String::new(), evidence: "" }.code(),
        Void::Repeat.code(),
        Void::Limit.code(),
    ]
    .into();
    let mut shown = BTreeSet::new();
    for case in named::cases() {
        let firm = creel_tests::histories::firm(case.roster);
        let view = creel_tests::histories::render(&case, &firm).view;
        shown.extend(view.timeline.iter().filter_map(|entry| entry.why_not));
    }
    // Of these two every document of a history has its own Open, so they are told here.
    for (kind, workflow) in [("site", true), ("shipment", false)] {
        let firm = Firm::following("standard");
        let id = firm.roster.newest_workflow().map(|(id, _)| id).filter(|_| workflow);
        let plan = PlanFields { number: Some("1".to_owned()), ..PlanFields::default() };
        let open = Open { kind: kind.to_owned(), workflow: id, plan, import: None };
        let view = firm.judged(&[firm.sign("hub", None, &[], &Action::Open(open))]);
        assert_eq!(view.status, "none");
        shown.extend(view.timeline.iter().filter_map(|entry| entry.why_not));
    }
    assert_eq!(all.difference(&shown).collect::<Vec<_>>(), Vec::<&&str>::new(), "no history shows these");
    assert_eq!(shown.difference(&all).collect::<Vec<_>>(), Vec::<&&str>::new(), "this test does not know these");
}

/// An own edit that a peer brings back to a store that lost it answers its tap again.
#[test]
fn an_own_edit_that_comes_back_keeps_its_tap() {
    let firm = Firm::following("standard");
    let open = firm.open("SO-1");
    let act =
        || creel_protocol::core::io::Act::Say { shipment: open.document.to_string(), text: "at the gate".to_owned() };
    let mut first = Node::of(&firm, "li-wei");
    first.meet(DORA, "dora", false);
    first.hear_edits(DORA, &[&open]);
    first.rest();
    let Ok(creel_protocol::core::io::Reply::Made(made)) = first.act(5, act()) else { panic!("it is made") };
    let stored = first.edits(open.document);
    let mut again = Node::of(&firm, "li-wei");
    again.meet(DORA, "dora", false);
    again.hear_edits(DORA, &stored.iter().collect::<Vec<_>>());
    again.rest();
    let Ok(creel_protocol::core::io::Reply::Made(repeated)) = again.act(5, act()) else { panic!("it is answered") };
    assert_eq!(repeated[0].edit, made[0].edit, "one tap is one edit");
    assert_eq!(again.edits(open.document).len(), 2);
}
