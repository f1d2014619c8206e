//! What people can do at their own node, whatever members who mean harm have sent there.

use creel_protocol::cbor::Bytes;
use creel_protocol::core::io::{Act, Input, Made, PhotoNews, Query, Refusal, Reply, Targets};
use creel_protocol::edit::action::{Action, Measure, Plan, PlanFields, Record, Resolve, Say};
use creel_protocol::edit::{AFTER_MAX, EDITS_PER_AUTHOR_MAX, Edit};
use creel_protocol::id::{DocumentId, EditId, FileHash};
use creel_protocol::kind::{Field, KINDS, Kind};
use creel_protocol::proof;
use creel_protocol::roster::Role;
use creel_protocol::shipment::Render;
use creel_protocol::shipment::view::Standing;
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::Hello;
use creel_tests::firm::Firm;
use creel_tests::lone::{Node, device};

const DORA: u64 = 1;

/// A hub that holds an opened shipment.
fn hub(firm: &Firm) -> (Node, Edit) {
    let mut hub = Node::of(firm, "hub");
    hub.meet(DORA, "dora", false);
    let open = firm.open("SO-1");
    hear(&mut hub, std::slice::from_ref(&open));
    (hub, open)
}

fn hear(node: &mut Node, edits: &[Edit]) {
    node.hear_edits(DORA, &edits.iter().collect::<Vec<_>>());
    node.rest();
}

fn made(reply: Result<Reply, Refusal>) -> Vec<Made> {
    match reply {
        Ok(Reply::Made(made)) => made,
        other => panic!("{other:?}"),
    }
}

fn signed(receiver: &str) -> Record {
    Record { step: "signed".to_owned(), receiver: Some(receiver.to_owned()), ..Record::default() }
}

fn record(document: DocumentId, record: Record) -> Act {
    Act::Record { shipments: vec![document.to_string()], record, role: None }
}

/// The edits that stand in the way: one member's, beside each other.
fn flood(firm: &Firm, open: &Edit, count: usize, who: &str, text: &str) -> Vec<Edit> {
    let say = |_| firm.sign(who, Some(open.document), &[open.id], &Action::Say(Say::of(text)));
    (0..count).map(say).collect()
}

/// Rule 11: nobody is kept from recording or settling by edits that others make, void or not, however many and however large.
#[test]
fn a_flood_keeps_nobody_from_acting() {
    let large = "x".repeat(4_000);
    for (who, text) in [("vera", large.as_str()), ("zhang", "hello"), ("zhang", large.as_str())] {
        let firm = Firm::following("standard");
        let (mut hub, open) = hub(&firm);
        let facts = [
            firm.record("li-wei", open.document, &[open.id], "signed", Some("Wang")),
            firm.record("zhang", open.document, &[open.id], "signed", Some("Chen")),
        ];
        hear(&mut hub, &facts);
        for part in 0..4 {
            hear(&mut hub, &flood(&firm, &open, 40, who, &format!("{text}{part}")));
        }
        // A record whose drawing leaves no room for all heads.
        let drawn = Record { signature: Some(Bytes(vec![b'x'; 12_288])), ..signed("Wang") };
        let recorded = made(hub.act(1, record(open.document, drawn)));
        assert_eq!(recorded.len(), 1, "{who} kept the hub from recording");
        let settle = Act::Resolve {
            shipment: open.document.to_string(),
            settle: facts.iter().map(|fact| fact.id.to_string()).collect(),
            uphold: Some(facts[0].id.to_string()),
            note: None,
        };
        made(hub.act(2, settle));
        let shown = hub.show(open.document);
        assert!(shown.view.exceptions.is_empty(), "{:?}", shown.view.exceptions);
        let entry =
            |edit: EditId| shown.view.timeline.iter().find(|entry| entry.edit == edit).expect("it is shown").clone();
        assert!(entry(recorded[0].edit).counted);
        assert!(entry(recorded[0].edit).after.len() <= AFTER_MAX);
    }
}

/// Rule 11: what fits into no one edit becomes several; a repeated tap is answered with all of them.
#[test]
fn more_than_fits_becomes_several() {
    let firm = Firm::following("standard");
    let (mut hub, open) = hub(&firm);
    let facts: Vec<Edit> = (0..150)
        .map(|number| {
            let who = ["li-wei", "zhang", "west-lake"][number % 3];
            firm.record(who, open.document, &[open.id], "signed", Some(&format!("R{number}")))
        })
        .collect();
    facts.chunks(50).for_each(|some| hear(&mut hub, some));
    let settle = || Act::Resolve {
        shipment: open.document.to_string(),
        settle: facts.iter().map(|fact| fact.id.to_string()).collect(),
        uphold: Some(facts[0].id.to_string()),
        note: None,
    };
    let first = made(hub.act(1, settle()));
    assert!(first.len() > 1, "150 facts that don't know each other fit into no one edit");
    assert_eq!(made(hub.act(1, settle())), first);
    hub.rest();
    let view = hub.show(open.document).view;
    assert_eq!((view.status.as_str(), view.exceptions.len()), ("signed", 0));
    let live = view.timeline.iter().filter(|entry| entry.standing == Some(Standing::Decides));
    assert_eq!(live.map(|entry| entry.edit).collect::<Vec<_>>(), [facts[0].id]);
}

/// Rules 11 and 21: who sets a field has seen the values that are shown of it, however many others there are.
#[test]
fn a_plan_knows_the_values_it_replaces() {
    let firm = Firm::following("standard");
    let (mut hub, open) = hub(&firm);
    let consignee = |name: &str| PlanFields { consignee: Some(name.to_owned()), ..PlanFields::default() };
    let dora = firm.plan("dora", open.document, &[open.id], consignee("A"));
    let dirk = firm.plan("dirk", open.document, &[open.id], consignee("B"));
    hear(&mut hub, &[dora, dirk]);
    for part in 0..3 {
        hear(&mut hub, &flood(&firm, &open, 40, "zhang", &format!("{part}")));
    }
    assert_eq!(hub.show(open.document).view.conflicts.len(), 1);
    let targets = Targets::Named(vec![open.document.to_string()]);
    made(hub.act(1, Act::Plan { targets, fields: consignee("C") }));
    hub.rest();
    let view = hub.show(open.document).view;
    assert_eq!((view.conflicts.len(), view.plan["consignee"].as_str()), (0, Some("C")));
}

/// Rule 11: a record that needs a measured value knows one, although a flood of other heads would take its place.
#[test]
fn evidence_is_known() {
    let firm = Firm::following("cold-chain");
    let (mut hub, open) = hub(&firm);
    let (quantity, unit) = ("temperature".to_owned(), "°C".to_owned());
    let measure = Action::Measure(Measure { quantity, value: 4_000, unit, sensor: None });
    hear(&mut hub, &[firm.sign("pia", Some(open.document), &[open.id], &measure)]);
    for part in 0..3 {
        hear(&mut hub, &flood(&firm, &open, 40, "zhang", &format!("{part}")));
    }
    made(hub.act(1, record(open.document, Record { step: "pre_cooled".to_owned(), ..Record::default() })));
}

/// Rule 2: a device's 2,001st edit that knows the others is void; two that don't know each other both count.
#[test]
fn the_limit_of_a_device() {
    let firm = Firm::following("standard");
    let open = firm.open("SO-1");
    let mut edits = vec![open.clone()];
    let mut known = open.id;
    for _ in 0..EDITS_PER_AUTHOR_MAX - 1 {
        let edit = firm.sign("li-wei", Some(open.document), &[known], &Action::Say(Say::of("again")));
        known = edit.id;
        edits.push(edit);
    }
    let beside = [1, 2].map(|number| {
        let say = Action::Say(Say::of(&format!("beside {number}")));
        firm.sign("li-wei", Some(open.document), &[known], &say)
    });
    let both = [beside[0].id, beside[1].id];
    let over = firm.sign("li-wei", Some(open.document), &both, &Action::Say(Say::of("over")));
    let other = firm.sign("zhang", Some(open.document), &[over.id], &Action::Say(Say::of("not mine")));
    edits.extend(beside);
    edits.extend([over.clone(), other]);
    let view = firm.render(&edits).view;
    let void: Vec<_> = view.timeline.iter().filter(|entry| !entry.counted).collect();
    assert_eq!(void.iter().map(|entry| (entry.edit, entry.why_not)).collect::<Vec<_>>(), [(over.id, Some("limit"))]);
}

fn prove(hub: &mut Node, document: DocumentId, edit: Option<EditId>) -> Result<proof::Exported, String> {
    let edit = edit.map(|edit| edit.to_string());
    match hub.ask(Query::Proof { shipment: document.to_string(), edit }) {
        Ok(Reply::Proof(exported)) => Ok(*exported),
        Err(refusal) => Err(refusal.to_string()),
        other => panic!("{other:?}"),
    }
}

/// A proof is of the record that decides; where that is not the signature, the signature and the edits between go along.
#[test]
fn a_proof_is_of_the_record_that_decides() {
    let firm = Firm::following("standard");
    let (mut hub, open) = hub(&firm);
    let document = open.document;
    let wang = firm.record("li-wei", document, &[open.id], "signed", Some("Wang"));
    hear(&mut hub, std::slice::from_ref(&wang));
    let exported = prove(&mut hub, document, None).expect("there is one");
    assert_eq!((exported.record, exported.decides, exported.signature), (wang.id, true, None));

    // Brought back after two messages.
    let note = firm.sign("dora", Some(document), &[wang.id], &Action::Say(Say::of("bring it back")));
    let more = firm.sign("dora", Some(document), &[note.id], &Action::Say(Say::of("please")));
    let returned = firm.record("li-wei", document, &[more.id], "returned", None);
    hear(&mut hub, &[note, more, returned.clone()]);
    let exported = prove(&mut hub, document, None).expect("there is one");
    assert_eq!((exported.record, exported.signature), (returned.id, Some(wang.id)));
    let proven = proof::verify(&exported.bytes).expect("it verifies");
    assert_eq!((proven.record.step.as_str(), proven.record.edit), ("returned", returned.id));
    let signature = proven.signature.expect("it is there");
    assert_eq!((signature.edit, signature.receiver.as_deref()), (wang.id, Some("Wang")));
    assert_eq!(proven.signature_known, Some(true));
}

/// A signature that another contradicts, or that was settled away, is given out only by name, and with a word.
#[test]
fn a_contested_proof_needs_a_choice() {
    let firm = Firm::following("standard");
    let (mut hub, open) = hub(&firm);
    let document = open.document;
    let wang = firm.record("li-wei", document, &[open.id], "signed", Some("Wang"));
    let chen = firm.record("zhang", document, &[open.id], "signed", Some("Chen"));
    let cancelled = firm.record("dora", document, &[open.id], "cancelled", None);
    hear(&mut hub, &[wang.clone(), chen.clone(), cancelled.clone()]);
    let refused = prove(&mut hub, document, None).expect_err("it is contested");
    let against = [&wang, &chen].iter().all(|fact| refused.contains(&fact.id.short()));
    assert!(refused.contains("--edit") && refused.contains(&cancelled.id.short()) && against, "{refused}");
    for chosen in [wang.id, chen.id, cancelled.id] {
        let exported = prove(&mut hub, document, Some(chosen)).expect("it was chosen");
        assert_eq!((exported.record, exported.contradicted_by.len(), exported.set_aside), (chosen, 2, false));
        assert_eq!(proof::verify(&exported.bytes).expect("it verifies").record.edit, chosen);
    }
    assert!(prove(&mut hub, document, Some(open.id)).is_err(), "an Open is no record");

    let settled = firm.resolve(
        "dora",
        document,
        &[wang.id, chen.id, cancelled.id],
        &[wang.id, chen.id, cancelled.id],
        Some(chen.id),
    );
    hear(&mut hub, &[settled]);
    let exported = prove(&mut hub, document, None).expect("it is settled");
    assert_eq!((exported.record, exported.contradicted_by.len()), (chen.id, 0));
    let aside = prove(&mut hub, document, Some(wang.id)).expect("it was chosen");
    assert!(aside.set_aside && !aside.decides);
}

/// A received that builds on a contested signature is contested too.
#[test]
fn what_stands_on_a_contested_signature_is_contested() {
    let firm = Firm::following("standard");
    let (mut hub, open) = hub(&firm);
    let document = open.document;
    let wang = firm.record("li-wei", document, &[open.id], "signed", Some("Wang"));
    let chen = firm.record("zhang", document, &[open.id], "signed", Some("Chen"));
    let received = firm.record("west-lake", document, &[wang.id], "received", None);
    hear(&mut hub, &[wang, chen, received]);
    assert!(prove(&mut hub, document, None).is_err());
}

/// A photo's hash in an own record gives no right to the photo; another's record that the asker may see does, and so does having
/// given it.
#[test]
fn an_own_record_gives_no_right_to_a_photo() {
    let firm = Firm::following("standard");
    let (mut hub, open) = hub(&firm);
    let photo = FileHash([5; 32]);
    let may = |hub: &mut Node, who: &str| match hub.ask(Query::MayFetch { peer: device(who), photo }) {
        Ok(Reply::Is(may)) => may,
        other => panic!("{other:?}"),
    };
    let named = Record { photos: vec![photo], ..signed("Wang") };
    hear(&mut hub, &[firm.sign("li-wei", Some(open.document), &[open.id], &Action::Record(named.clone()))]);
    assert!(!may(&mut hub, "li-wei"), "its own record gave it a right");
    assert!(may(&mut hub, "west-lake") && may(&mut hub, "dora"));
    assert!(!may(&mut hub, "zhang"), "it is none of its business");

    hub.feed(Input::Photo { photo, news: PhotoNews::Kept { from: Some(device("li-wei")) } });
    assert!(may(&mut hub, "li-wei"), "it gave the photo itself");
    hub.feed(Input::Photo { photo, news: PhotoNews::Kept { from: None } });
    assert!(!may(&mut hub, "zhang"));

    // Whoever names it in an own record of another shipment has no right by that either.
    let other = firm.sign("hub", None, &[], &{
        let (workflow, _) = firm.roster.newest_workflow().expect("there is one");
        let plan = PlanFields {
            number: Some("SO-2".to_owned()),
            driver: Some("driver:zhang".to_owned()),
            ..PlanFields::default()
        };
        let kind = "shipment".to_owned();
        Action::Open(creel_protocol::edit::action::Open { kind, workflow: Some(workflow), plan, import: None })
    });
    let claimed = firm.sign("zhang", Some(other.document), &[other.id], &Action::Record(named.clone()));
    hear(&mut hub, &[other.clone(), claimed.clone()]);
    assert!(!may(&mut hub, "zhang"));
    // A dispatcher's record there does give it.
    hear(&mut hub, &[firm.sign("dora", Some(other.document), &[claimed.id], &Action::Record(named))]);
    assert!(may(&mut hub, "zhang"));
}

/// Rule 9: a member whose role this version does not know is not let into a session; others' unknown frames are passed over.
#[test]
fn later_roles_and_frames() {
    let firm = Firm::following("standard");
    let (mut hub, open) = hub(&firm);
    hub.feed(Input::Connected { session: 7, peer: device("una"), dialled: false });
    assert!(hub.refused.iter().any(|why| why.contains("role")), "{:?}", hub.refused);
    let roster = &firm.roster;
    let hello = Hello {
        features: vec!["later".to_owned()],
        unknown: 2,
        ..Hello::of(roster.organisation(), roster.height(), roster.head())
    };
    hub.feed(Input::Connected { session: 8, peer: device("dirk"), dialled: false });
    hub.hear(8, Frame::Hello(hello));
    hub.hear(8, Frame::Unknown(99));
    let said = hub.hear(8, Frame::Edits(vec![firm.record("dirk", open.document, &[open.id], "picked", None)]));
    assert!(said.iter().any(|(session, frame)| *session == 8 && matches!(frame, Frame::Ack(_))), "the session ended");
    match hub.ask(Query::Status) {
        Ok(Reply::Status(status)) => assert_eq!(status.passed_over, 3),
        other => panic!("{other:?}"),
    }
}

/// A later kind of document is a row in a table: with it its edits count, without it they are void, kept and passed on.
#[test]
fn a_later_kind_is_a_row() {
    const SITE: Kind = Kind {
        name: "site",
        steps: false,
        opened_by: &[Role::Admin],
        planned_by: &[Role::Admin, Role::Shop],
        fields: &[Field::Number, Field::Consignee, Field::Place, Field::Note],
        required: &[Field::Consignee],
    };
    let firm = Firm::following("standard");
    let plan = PlanFields { consignee: Some("West Lake".to_owned()), ..PlanFields::default() };
    let open = |who: &str, plan: &PlanFields| {
        let kind = "site".to_owned();
        let open = creel_protocol::edit::action::Open { kind, workflow: None, plan: plan.clone(), import: None };
        firm.sign(who, None, &[], &Action::Open(open))
    };
    let opened = open("hub", &plan);
    let document = opened.document;
    let by = |who: &str, action: &Action| firm.sign(who, Some(document), &[opened.id], action);
    let note = |fields: PlanFields| Action::Plan(Plan { fields, import: None });
    let noted = PlanFields { note: Some("ring".to_owned()), ..PlanFields::default() };
    let edits = vec![
        opened.clone(),
        by("west-lake", &note(noted.clone())),
        by("dora", &note(noted)),
        by("hub", &note(PlanFields { stop: Some(1), ..PlanFields::default() })),
        by("hub", &note(PlanFields { consignee: Some(String::new()), ..PlanFields::default() })),
        by("li-wei", &Action::Record(signed("Wang"))),
        by("li-wei", &Action::Say(Say::of("found it"))),
    ];
    let kinds = [KINDS, &[SITE]].concat();
    let render = |kinds: &[Kind]| Render::among(document, edits.clone(), &firm.roster, kinds).expect("it renders").view;
    let codes = |kinds: &[Kind]| {
        let view = render(kinds);
        edits
            .iter()
            .map(|edit| view.timeline.iter().find(|entry| entry.edit == edit.id).and_then(|entry| entry.why_not))
            .collect::<Vec<_>>()
    };
    let known = [None, None, Some("role"), Some("field"), Some("field"), Some("no_step"), None];
    assert_eq!(codes(&kinds), known);
    assert_eq!(render(&kinds).status, "created");
    assert_eq!(render(&kinds).plan["note"].as_str(), Some("ring"));
    let unknown = Some("no_open");
    assert_eq!(codes(KINDS), [Some("unknown_kind"), unknown, unknown, unknown, unknown, unknown, unknown]);
    let of =
        |edit: Edit| Render::among(edit.document, vec![edit], &firm.roster, &kinds).expect("it renders").view.status;
    assert_eq!(of(open("dora", &plan)), "none", "a dispatcher opens no site");
    assert_eq!(of(open("hub", &PlanFields::default())), "none", "a site needs a consignee");
}

/// Rule 11: who settles speaks later than the resolves about the same facts that stand there, whatever else their authors wrote.
#[test]
fn a_resolve_knows_those_it_replaces() {
    let firm = Firm::following("standard");
    let (mut hub, open) = hub(&firm);
    let facts = [
        firm.record("li-wei", open.document, &[open.id], "signed", Some("Wang")),
        firm.record("zhang", open.document, &[open.id], "signed", Some("Chen")),
    ];
    hear(&mut hub, &facts);
    let both = facts.each_ref().map(|fact| fact.id);
    let settled = firm.resolve("dirk", open.document, &both, &both, Some(both[0]));
    hear(&mut hub, std::slice::from_ref(&settled));
    for (who, part) in [("dirk", 0), ("zhang", 1), ("dirk", 2), ("zhang", 3)] {
        hear(&mut hub, &flood(&firm, &open, 60, who, &format!("hello {part}")));
    }
    let others: Vec<Edit> = (0..80).map(|_| firm.resolve("dora", open.document, &both, &both, Some(both[1]))).collect();
    others.chunks(40).for_each(|some| hear(&mut hub, some));
    let settle = Act::Resolve {
        shipment: open.document.to_string(),
        settle: both.iter().map(ToString::to_string).collect(),
        uphold: Some(both[1].to_string()),
        note: None,
    };
    let own = made(hub.act(1, settle))[0].edit;
    let view = hub.show(open.document).view;
    let own = view.timeline.iter().find(|entry| entry.edit == own).expect("it is shown");
    assert!(own.after.contains(&settled.id), "dora's many keep dirk's one out");
}

/// Nobody brings themselves, or anybody else, into the scope of a shipment that is not their affair by what they know.
#[test]
fn a_handover_is_by_who_is_concerned() {
    let firm = Firm::following("standard");
    let open = firm.open("SO-1");
    let hand_over = |who: &str, after: &[EditId], party: &str| {
        let step = if who == "dora" { "picked" } else { "at_depot" };
        let record = Record { step: step.to_owned(), handed_to: Some(party.to_owned()), ..Record::default() };
        firm.sign(who, Some(open.document), after, &Action::Record(record))
    };
    let scope = |edits: &[&Edit]| {
        let edits = [&open].into_iter().chain(edits.iter().copied()).cloned().collect();
        let render = Render::of(open.document, edits, &firm.roster).expect("it renders");
        assert!(render.view.timeline.iter().all(|entry| entry.counted), "{:?}", render.view.timeline);
        let among = |party: &str| [render.parties.contains(party), render.named.contains(party)];
        ["driver:zhang", "shop:east-gate"].map(among)
    };
    let own = hand_over("zhang", &[open.id], "driver:zhang");
    assert_eq!(scope(&[&own]), [[false; 2]; 2], "a driver brought themselves in");
    let other = hand_over("zhang", &[open.id], "shop:east-gate");
    assert_eq!(scope(&[&other]), [[false; 2]; 2], "a driver brought another in");
    let given = hand_over("li-wei", &[open.id], "driver:zhang");
    assert_eq!(scope(&[&given, &other]), [[true; 2], [false; 2]], "what zhang did not know gives no right");
    let onward = hand_over("zhang", &[given.id], "shop:east-gate");
    assert_eq!(scope(&[&given, &onward]), [[true; 2]; 2]);
    assert_eq!(scope(&[&hand_over("dora", &[open.id], "driver:zhang")]), [[true; 2], [false; 2]]);
}

/// Rule 3: naming a record twice, or none, is refused with words at the author's own node.
#[test]
fn a_void_act_is_refused_in_words() {
    let firm = Firm::following("standard");
    let (mut hub, open) = hub(&firm);
    let fact = firm.record("li-wei", open.document, &[open.id], "signed", Some("Wang"));
    hear(&mut hub, std::slice::from_ref(&fact));
    let settle =
        |settle: Vec<String>| Act::Resolve { shipment: open.document.to_string(), settle, uphold: None, note: None };
    for wrong in [vec![], vec![fact.id.to_string(), fact.id.to_string()], vec![open.id.to_string()]] {
        assert!(matches!(hub.act(1, settle(wrong)), Err(Refusal::Void(_))));
    }
    assert!(matches!(hub.act(2, record(open.document, signed(" Wang"))), Err(Refusal::Void(_))));
    let targets = || Targets::Named(vec![open.document.to_string()]);
    let misspelt = PlanFields { cleared: vec!["windows".to_owned()], ..PlanFields::default() };
    assert!(matches!(hub.act(3, Act::Plan { targets: targets(), fields: misspelt }), Err(Refusal::Invalid(_))));
    assert_eq!(hub.edits(open.document).len(), 2, "what was refused left something behind");
    let resolve = Action::Resolve(Resolve { settle: vec![fact.id], uphold: None, note: None });
    hear(&mut hub, &[firm.sign("dora", Some(open.document), &[fact.id], &resolve)]);
}
