//! At least one history for each rule of docs/status.md, told by hand.

use super::story::{Draft, Story, consignee, measured};
use super::{Case, firm};
use crate::firm::{Firm, NOON};
use creel_protocol::cbor::Bytes;
use creel_protocol::edit::RawAction;
use creel_protocol::edit::action::{
    Action, Line, LineCount, Open, Place, Plan, PlanFields, Record, Resolve, Say, Window,
};
use creel_protocol::id::{DocumentId, EditId, FileHash, WorkflowId};
use std::collections::BTreeMap;

type Tell = fn(&mut Story<'_>);

/// A history by name: the rules it is about, its roster, and its telling after the `Open`.
const TOLD: &[(&str, &[u8], &str, Tell)] = &[
    ("only opened", &[19], "standard", |_| {}),
    ("nothing", &[4, 19], "standard", nothing_opened),
    ("a whole day", &[13, 14], "standard", a_whole_day),
    ("skipped steps", &[23], "standard", skipped_steps),
    ("backfill", &[23], "standard", backfill),
    ("a tap repeated knowingly", &[1], "standard", repeated),
    ("a tap repeated by a restored phone", &[1], "standard", restored),
    ("a tap for two actions", &[1], "standard", two_actions),
    ("a tap repeated under another name", &[1], "standard", repeated_by_another),
    ("a tap of two devices", &[1], "standard", two_devices),
    ("a void edit holds no tap", &[1], "standard", void_tap),
    ("a later statement does not void an older one", &[1], "standard", short_after),
    ("five hundred of one person", &[2], "standard", five_hundred),
    ("targets", &[3], "standard", targets),
    ("what does not count is passed over", &[3], "standard", passed_over),
    ("upheld beside what is settled", &[3], "standard", upheld_beside),
    ("a reply", &[3, 9], "standard", reply),
    ("an Open with an after", &[4], "standard", open_after),
    ("an Open that does not count", &[4], "standard", open_void),
    ("an Open of a later kind", &[4, 9], "standard", open_of_later_kind),
    ("an Open without its workflow", &[4, 10], "standard", open_without_workflow),
    ("an Open under another id", &[5], "standard", open_elsewhere),
    ("a second Open of another document", &[5], "standard", second_open),
    ("measured by another", &[6], "cold-chain", measured_by_another),
    ("a measure taken back before", &[6], "cold-chain", measure_taken_back),
    ("a measure taken back unknown", &[6, 17], "cold-chain", measure_retracted_after_use),
    ("a measure taken back unknown, earlier in order", &[6, 17], "cold-chain", measure_retracted_earlier),
    ("two measures taken back", &[17], "cold-chain", two_measures),
    ("a measure not known", &[6], "cold-chain", measure_unknown),
    ("texts", &[7], "standard", texts),
    ("texts of the plan", &[7, 8], "standard", plan_texts),
    ("values taken back", &[7, 21], "standard", taken_back),
    ("dates and stops", &[8], "standard", dates),
    ("windows", &[8, 23], "standard", windows),
    ("lines", &[8, 9], "standard", lines),
    ("counts by lot", &[9], "standard", counts),
    ("keys of a later version", &[9], "standard", grown),
    ("keys that must be known", &[9], "standard", must_know),
    ("kinds of a later version", &[9], "standard", later_kinds),
    ("a plan of unknown fields", &[9, 21], "standard", unknown_fields),
    ("a role of a later version", &[9], "standard", unknown_role),
    ("a workflow of a later version", &[10], "grown", grown_workflow),
    ("evidence of all kinds", &[10, 14], "grown", all_evidence),
    ("by nobody", &[10], "grown", by_nobody),
    ("steps of one rank", &[19], "grown", one_rank),
    ("an outcome of a later version", &[10, 13], "grown", later_outcome),
    ("cancelled against signed at one rank", &[14], "grown", equal_outcomes),
    ("receivers", &[12], "standard", receivers),
    ("receivers that are nobody", &[12], "standard", nobody),
    ("signed, received by nobody, received by another", &[13], "standard", through_nobody),
    ("cancelled, followed up, out again, signed", &[13], "standard", through_follow_up),
    ("signed, followed up, out again, signed by another", &[13], "standard", a_story_by_follow_up),
    ("signed, returned, out again, signed by another", &[13], "standard", a_story_by_return),
    ("a chain through what was taken back", &[13], "standard", broken_chain),
    ("a detour beside a named way", &[13], "standard", detour),
    ("signed against cancelled", &[13, 15], "standard", signed_cancelled),
    ("the higher rank", &[14], "standard", higher_rank),
    ("more evidence", &[14], "standard", more_evidence),
    ("the weightier role", &[14], "standard", weightier_role),
    ("the earlier enrolment", &[14], "standard", earlier_enrolment),
    ("an entry before the enrolment of others", &[14], "standard", older_entry),
    ("a dispute", &[15], "standard", dispute),
    ("a dispute settled again", &[15], "standard", dispute_settled),
    ("two that agree", &[15], "standard", agreed),
    ("a dispute silences other facts too", &[15], "standard", dispute_elsewhere),
    ("upheld and taken back", &[16, 17], "standard", upheld_retracted),
    ("a second resolve about one side", &[16], "standard", second_resolve),
    ("upheld and void", &[16], "standard", upheld_void),
    ("upheld and taken back, settled whole", &[16, 17], "standard", upheld_settled),
    ("taken back after use", &[17], "standard", after_use),
    ("taken back after use by another person", &[17], "standard", after_use_by_person),
    ("taken back after use, settled", &[17], "standard", after_use_settled),
    ("taken back before use", &[17], "standard", before_use),
    ("a flood by one device", &[18], "standard", flood),
    ("a flood of many persons", &[18], "standard", flood_of_persons),
    ("many takings back", &[18], "standard", many_retracts),
    ("many disputes", &[18], "standard", many_disputes),
    ("times of signature", &[20], "standard", signature_times),
    ("a forged clock", &[20], "standard", forged_clock),
    ("a clock far ahead", &[20], "standard", clock_ahead),
    ("clocks within five minutes", &[20], "standard", clocks_near),
    ("behind two devices", &[20], "standard", behind_two),
    ("two windows at once", &[21], "standard", two_windows),
    ("a confirmation", &[21], "standard", confirmation),
    ("the same value twice", &[21], "standard", same_value),
    ("a value and none", &[21], "standard", value_and_none),
    ("values by role and enrolment", &[21], "standard", values_in_order),
    ("many values of one device", &[21], "standard", many_values),
    ("a value set by another too", &[21], "standard", value_buried),
    ("many values of many devices", &[21], "standard", values_of_many),
    ("void edits", &[23], "standard", void_edits),
    ("times after the year 9999", &[23], "standard", far_times),
    ("handed over", &[9, 21], "standard", handed_over),
    ("knowledge through void edits", &[1, 13], "standard", through_void),
];

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut firms: BTreeMap<&str, Firm> = BTreeMap::new();
    let told = TOLD.iter().map(|(name, rules, roster, tell)| {
        let firm = firms.entry(roster).or_insert_with(|| firm(roster));
        firm.begin_again();
        let from_nothing = [
            "nothing",
            "an Open with an after",
            "an Open that does not count",
            "an Open under another id",
            "an Open of a later kind",
            "an Open without its workflow",
        ];
        let mut story = if from_nothing.contains(name) { Story::empty(firm) } else { Story::begin(firm) };
        tell(&mut story);
        Case { name: (*name).to_owned(), rules: rules.to_vec(), roster, edits: story.edits }
    });
    told.collect()
}

fn raw(kind: u64, version: u64, body: &[u8]) -> RawAction {
    RawAction { kind, version, body: Bytes(body.to_vec()) }
}

fn opening(firm: &Firm, number: &str) -> Action {
    let workflow = firm.roster.newest_workflow().map(|(id, _)| id);
    let plan = PlanFields { number: Some(number.to_owned()), ..PlanFields::default() };
    Action::Open(Open { kind: "shipment".to_owned(), workflow, plan, import: None })
}

fn record(step: &str) -> Record {
    Record { step: step.to_owned(), ..Record::default() }
}

fn signed_by(receiver: &str) -> Record {
    Record { receiver: Some(receiver.to_owned()), ..record("signed") }
}

fn nothing_opened(s: &mut Story<'_>) {
    let message = s.add(Draft::new("li-wei", &[], &Action::Say(Say::of("hello?"))).about(DocumentId([7; 24])));
    s.say("dora", &[message], "no shipment");
}

fn a_whole_day(s: &mut Story<'_>) {
    let mut known = s.opened();
    for (who, step, receiver) in [
        ("pia", "picking_started", ""),
        ("pia", "picked", ""),
        ("li-wei", "picked_up", ""),
        ("li-wei", "out_for_delivery", ""),
        ("li-wei", "attempt_failed", ""),
        ("li-wei", "out_for_delivery", ""),
        ("li-wei", "signed", "Wang"),
        ("west-lake", "received", ""),
    ] {
        known = s.record(who, &[known], step, receiver);
    }
}

fn skipped_steps(s: &mut Story<'_>) {
    s.record("li-wei", &[s.opened()], "signed", "Wang");
}

fn backfill(s: &mut Story<'_>) {
    let signed = s.record("li-wei", &[s.opened()], "signed", "Wang");
    s.record("pia", &[signed], "picked", "");
    s.record("pia", &[s.opened()], "picked_up", "");
}

fn repeated(s: &mut Story<'_>) {
    let draft = |after: &[EditId]| Draft::new("li-wei", after, &Action::Say(Say::of("at the gate"))).tap(1);
    let first = s.add(draft(&[s.opened()]));
    let again = s.add(draft(&[first]));
    s.say("dora", &[again], "seen");
}

fn repeated_by_another(s: &mut Story<'_>) {
    let draft = |after: &[EditId]| Draft::new("li-wei", after, &Action::Say(Say::of("at the gate"))).tap(1);
    let first = s.add(draft(&[s.opened()]).by("An"));
    s.add(draft(&[first]).by("Bo"));
}

fn restored(s: &mut Story<'_>) {
    let draft = |after: &[EditId]| Draft::new("li-wei", after, &Action::Record(signed_by("Wang"))).tap(1);
    let first = s.add(draft(&[s.opened()]));
    let note = s.say("dora", &[s.opened()], "ring twice");
    let second = s.add(draft(&[note]));
    s.add(draft(&[first, second]));
}

fn two_actions(s: &mut Story<'_>) {
    let picked = s.add(Draft::new("li-wei", &[s.opened()], &Action::Record(record("picked_up"))).tap(1));
    s.add(Draft::new("li-wei", &[picked], &Action::Record(signed_by("Wang"))).tap(1));
}

fn two_devices(s: &mut Story<'_>) {
    let one = s.add(Draft::new("li-wei", &[s.opened()], &Action::Record(signed_by("Wang"))).tap(1));
    s.add(Draft::new("zhang", &[one], &Action::Record(signed_by("Wang"))).tap(1));
}

fn void_tap(s: &mut Story<'_>) {
    let said = s.say("li-wei", &[s.opened()], "wrong door");
    let retract = |after: &[EditId]| {
        let retract = creel_protocol::edit::action::Retract { edit: said, note: None };
        Draft::new("li-wei", after, &Action::Retract(retract)).tap(1)
    };
    let unknown = s.add(retract(&[s.opened()]));
    s.add(retract(&[unknown, said]));
}

fn short_after(s: &mut Story<'_>) {
    let draft = |after: &[EditId]| Draft::new("li-wei", after, &measured()).tap(1);
    let plan = s.plan("dora", &[s.opened()], consignee("East Gate"));
    let older = s.add(draft(&[s.opened()]));
    s.add(draft(&[plan]));
    s.record("west-lake", &[older], "signed", "Wang");
}

fn five_hundred(s: &mut Story<'_>) {
    let mut known = s.add(Draft::new("li-wei", &[s.opened()], &Action::Say(Say::of("b"))).by("Bo"));
    for number in 0..501_u64 {
        let draft = Draft::new("li-wei", &[known], &Action::Say(Say::of(&number.to_string()))).by("An");
        known = s.add(draft.at(NOON + number));
    }
    s.add(Draft::new("li-wei", &[known], &Action::Record(signed_by("Wang"))).by("Bo"));
}

fn targets(s: &mut Story<'_>) {
    let open = s.opened();
    let signed = s.record("li-wei", &[open], "signed", "Wang");
    let said = s.say("li-wei", &[open], "hello");
    let measure = s.measure("li-wei", &[open]);
    let plan = s.plan("dora", &[open], consignee("A"));
    let all = [signed, said, measure, plan];
    let hidden = s.record("zhang", &[open], "picked_up", "");
    for (settle, uphold) in [
        (vec![signed], None),
        (vec![signed, measure], None),
        (vec![measure], None),
        (vec![], None),
        (vec![], Some(signed)),
        (vec![signed, signed], None),
        (vec![said], None),
        (vec![plan], None),
        (vec![open], None),
        (vec![hidden], None),
        (vec![EditId([9; 32])], None),
        (vec![signed], Some(measure)),
        (vec![signed], Some(hidden)),
        (vec![measure], Some(signed)),
    ] {
        s.resolve("dora", &all, &settle, uphold);
    }
    for target in [signed, said, measure, plan, open, hidden, EditId([9; 32])] {
        s.retract("li-wei", &all, target);
        s.retract("zhang", &all, target);
    }
    for reply_to in [said, signed, plan] {
        let say = Say { reply_to: Some(reply_to), ..Say::of("which?") };
        s.act("dora", &all, &Action::Say(say));
    }
}

fn passed_over(s: &mut Story<'_>) {
    let open = s.opened();
    let bare = s.bare("li-wei", &[open], "signed");
    let signed = s.record("li-wei", &[bare], "signed", "Wang");
    let cancelled = s.record("dora", &[bare], "cancelled", "");
    s.resolve("dirk", &[signed, cancelled], &[bare, cancelled], Some(signed));
    s.retract("li-wei", &[signed], bare);
    let later = raw(3, 9, b"\xa1\x01\x66signed");
    let later = s.add(Draft::raw("li-wei", &[signed], later));
    s.resolve("dora", &[later, cancelled], &[later, signed], None);
}

fn upheld_beside(s: &mut Story<'_>) {
    let open = s.opened();
    let wang = s.record("li-wei", &[open], "signed", "Wang");
    let chen = s.record("zhang", &[open], "signed", "Chen");
    let retract = s.retract("li-wei", &[wang], wang);
    s.resolve("dora", &[wang, chen, retract], &[wang], Some(chen));
}

fn reply(s: &mut Story<'_>) {
    let asked = s.say("west-lake", &[s.opened()], "when?\n\tsoon?");
    let answer = Say { reply_to: Some(asked), files: vec![FileHash([5; 32])], ..Say::of("now") };
    let answer = s.act("li-wei", &[asked], &Action::Say(answer));
    let voice = Say { files: vec![FileHash([6; 32])], file_kind: Some("voice".to_owned()), ..Say::default() };
    s.act("li-wei", &[answer], &Action::Say(voice));
    s.act("li-wei", &[answer], &Action::Say(Say::default()));
    s.act("li-wei", &[answer], &Action::Say(Say { files: vec![FileHash([5; 32]); 2], ..Say::default() }));
    s.act("li-wei", &[answer], &Action::Say(Say { reply_to: Some(asked), ..Say::default() }));
    s.retract("west-lake", &[answer], asked);
}

fn open_of_later_kind(s: &mut Story<'_>) {
    let Action::Open(open) = opening(s.firm, "SO-1") else { return };
    let claim = Action::Open(Open { kind: "claim".to_owned(), ..open });
    let claim = s.add(Draft::new("hub", &[], &claim));
    s.say("dora", &[claim], "what is that?");
}

fn open_without_workflow(s: &mut Story<'_>) {
    let Action::Open(open) = opening(s.firm, "SO-1") else { return };
    let unpublished = Action::Open(Open { workflow: Some(WorkflowId([9; 32])), ..open });
    let unpublished = s.add(Draft::new("hub", &[], &unpublished));
    s.record("li-wei", &[unpublished], "signed", "Wang");
}

fn open_after(s: &mut Story<'_>) {
    let open = s.firm.open("SO-1");
    let first = s.add(Draft::new("li-wei", &[], &Action::Say(Say::of("before"))).about(open.document));
    s.edits.push(open);
    let opened = s.edits[1].id;
    let document = s.document();
    let late = s.add(Draft::new("hub", &[first], &opening(s.firm, "SO-2")).about(document.unwrap_or_default()));
    s.record("li-wei", &[late], "signed", "Wang");
    s.record("li-wei", &[late, opened], "signed", "Wang");
}

fn open_void(s: &mut Story<'_>) {
    let opened = s.add(Draft::new("li-wei", &[], &opening(s.firm, "SO-1")));
    let signed = s.record("li-wei", &[opened], "signed", "Wang");
    s.say("dora", &[signed], "what is this?");
}

fn open_elsewhere(s: &mut Story<'_>) {
    let opened = s.add(Draft::new("hub", &[], &opening(s.firm, "SO-1")).about(DocumentId([1; 24])));
    s.record("li-wei", &[opened], "signed", "Wang");
}

fn second_open(s: &mut Story<'_>) {
    let document = s.document().unwrap_or_default();
    let other = s.add(Draft::new("dora", &[], &opening(s.firm, "SO-2")).about(document));
    s.record("li-wei", &[other], "signed", "Wang");
    s.record("li-wei", &[s.opened(), other], "signed", "Chen");
    let site =
        Action::Open(Open { kind: "site".to_owned(), workflow: None, plan: PlanFields::default(), import: None });
    s.add(Draft::new("dora", &[], &site).about(document));
}

fn measured_by_another(s: &mut Story<'_>) {
    let measure = s.measure("west-lake", &[s.opened()]);
    let cooled = s.bare("pia", &[measure], "pre_cooled");
    s.bare("vera", &[cooled], "pre_cooled");
    s.bare("pia", &[s.opened()], "pre_cooled");
}

fn measure_taken_back(s: &mut Story<'_>) {
    let measure = s.measure("pia", &[s.opened()]);
    let other = s.measure("li-wei", &[s.opened()]);
    let retract = s.retract("pia", &[measure], measure);
    s.bare("pia", &[retract], "pre_cooled");
    s.bare("pia", &[retract, other], "pre_cooled");
}

fn measure_retracted_after_use(s: &mut Story<'_>) {
    let measure = s.measure("pia", &[s.opened()]);
    let cooled = s.bare("li-wei", &[measure], "pre_cooled");
    s.record("li-wei", &[cooled], "picked_up", "");
    s.retract("pia", &[measure], measure);
}

fn measure_retracted_earlier(s: &mut Story<'_>) {
    let measure = s.measure("pia", &[s.opened()]);
    s.retract("pia", &[measure], measure);
    let said = s.say("li-wei", &[measure], "cold enough");
    let said = s.say("li-wei", &[said], "off we go");
    s.bare("li-wei", &[said], "pre_cooled");
}

fn two_measures(s: &mut Story<'_>) {
    let one = s.measure("pia", &[s.opened()]);
    let two = s.measure("west-lake", &[s.opened()]);
    let three = s.measure("west-lake", &[two]);
    let cooled = s.bare("li-wei", &[one, two], "pre_cooled");
    let kept = s.bare("li-wei", &[one, three], "loaded_cold");
    let first = s.retract("pia", &[one], one);
    let second = s.retract("west-lake", &[two], two);
    s.resolve("dora", &[cooled, kept, first], &[one], None);
    s.resolve("dora", &[cooled, kept, first, second], &[two], Some(kept));
}

fn measure_unknown(s: &mut Story<'_>) {
    s.measure("pia", &[s.opened()]);
    s.bare("li-wei", &[s.opened()], "pre_cooled");
}

fn texts(s: &mut Story<'_>) {
    let open = [s.opened()];
    for receiver in [
        "Wang",
        "",
        " Wang",
        "Wang\u{3000}",
        "Wa\nng",
        "Wa\u{7f}ng",
        "W\u{9b}",
        "王 芳",
        &"x".repeat(200),
        &"x".repeat(201),
    ] {
        let record = Record { receiver: Some(receiver.to_owned()), ..record("signed") };
        s.act("li-wei", &open, &Action::Record(record));
    }
    for note in ["two\nlines", "tab\there", "\nfirst", "bell\u{7}", &"长".repeat(4_000), &"长".repeat(4_001)] {
        let record = Record { note: Some(note.to_owned()), ..signed_by("Wang") };
        s.act("li-wei", &open, &Action::Record(record));
    }
    for scan in ["01069\u{1d}10L7", "\u{1d}01", "a\tb"] {
        s.act("li-wei", &open, &Action::Record(Record { scan: Some(scan.to_owned()), ..signed_by("Wang") }));
    }
    for by in ["An", " An", "A\u{0}n", "\u{2003}"] {
        s.add(Draft::new("li-wei", &open, &Action::Say(Say::of("hi"))).by(by));
    }
    for signed_as in ["recipient", "proxy", "dog"] {
        let record = Record { signed_as: Some(signed_as.to_owned()), ..signed_by("Wang") };
        s.act("li-wei", &open, &Action::Record(record));
    }
    s.act("li-wei", &open, &Action::Say(Say::of(" ")));
    let photos = vec![FileHash([1; 32]), FileHash([1; 32])];
    s.act("li-wei", &open, &Action::Record(Record { photos, ..signed_by("Wang") }));
    let photos = (0..21).map(|number| FileHash([number; 32])).collect();
    s.act("li-wei", &open, &Action::Record(Record { photos, ..signed_by("Wang") }));
    let signature = Some(Bytes(vec![b'x'; 12_289]));
    s.act("li-wei", &open, &Action::Record(Record { signature, ..signed_by("Wang") }));
}

fn plan_texts(s: &mut Story<'_>) {
    let open = [s.opened()];
    let text = |text: &str| Some(text.to_owned());
    for fields in [
        PlanFields { number: text("SO-2"), ..PlanFields::default() },
        PlanFields { number: text(""), ..PlanFields::default() },
        PlanFields { number: text(&"9".repeat(65)), ..PlanFields::default() },
        PlanFields { consignee: text("A "), ..PlanFields::default() },
        PlanFields { address: text("1 Road\nTown"), ..PlanFields::default() },
        PlanFields { run: text("A\nB"), ..PlanFields::default() },
        PlanFields { driver: text("driver:Li"), ..PlanFields::default() },
        PlanFields { driver: text("driver:李 伟"), ..PlanFields::default() },
        PlanFields { driver: text("driver:李\u{a0}"), ..PlanFields::default() },
        PlanFields { driver: text(""), ..PlanFields::default() },
        PlanFields { parties: [("Shop".to_owned(), "shop:a".to_owned())].into(), ..PlanFields::default() },
        PlanFields { parties: [("shop".to_owned(), "a".to_owned())].into(), ..PlanFields::default() },
        PlanFields { parties: [("bank".to_owned(), "bank:a.b-c1".to_owned())].into(), ..PlanFields::default() },
        PlanFields { phone: text("+86 571"), reference: text("PO 7"), region: text("West"), ..PlanFields::default() },
        PlanFields { group: text("\u{85}"), ..PlanFields::default() },
        PlanFields { service: Some(0), stop: Some(0), ..PlanFields::default() },
        PlanFields::default(),
    ] {
        s.plan("dora", &open, fields);
    }
}

fn taken_back(s: &mut Story<'_>) {
    let text = |text: &str| Some(text.to_owned());
    let line = Line { line: "1".to_owned(), quantity: Some(3_000), price: Some(5), sku: text("R1"), ..Line::default() };
    let set = PlanFields {
        consignee: text("A"),
        place: Some(Place(302_592_000, -1_201_300_000)),
        window: Some(Window(NOON, NOON + 3_600_000)),
        stop: Some(3),
        amount_due: Some(-5),
        service: Some(15),
        lines: vec![line],
        ..PlanFields::default()
    };
    let set = s.plan("dora", &[s.opened()], set);
    let cleared = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let line =
        Line { line: "1".to_owned(), cleared: cleared(&["quantity", "price"]), sku: text(""), ..Line::default() };
    let back = PlanFields {
        consignee: text(""),
        cleared: cleared(&["place", "window", "stop", "amount_due", "service"]),
        lines: vec![line],
        ..PlanFields::default()
    };
    s.plan("dora", &[set], back);
    let line = Line { line: "1".to_owned(), cleared: cleared(&["sku", "colour"]), ..Line::default() };
    s.plan("dora", &[set], PlanFields { lines: vec![line], ..PlanFields::default() });
    // Names of a later version say nothing to this one.
    for passed_over in ["number", "lines/1/quantity", "consignee", "colour"] {
        s.plan("dora", &[set], PlanFields { cleared: cleared(&[passed_over]), ..PlanFields::default() });
    }
    for wrong in [&["stop", "stop"][..], &["colour", "colour"]] {
        s.plan("dora", &[set], PlanFields { cleared: cleared(wrong), ..PlanFields::default() });
    }
    s.plan("dora", &[set], PlanFields { stop: Some(1), cleared: cleared(&["stop"]), ..PlanFields::default() });
}

fn dates(s: &mut Story<'_>) {
    for (number, expiry) in [
        "2027-02-28",
        "2027-02-29",
        "2028-02-29",
        "1900-02-29",
        "0001-01-01",
        "0000-01-01",
        "9999-12-31",
        "2027-13-01",
        "2027-1-1",
        "2027-01-00",
        "20270101",
        "",
        "2027-04-31",
        "+027-01-01",
        "２０２７-01-01",
    ]
    .into_iter()
    .enumerate()
    {
        let line = Line { line: number.to_string(), expiry: Some(expiry.to_owned()), ..Line::default() };
        s.plan("dora", &[s.opened()], PlanFields { lines: vec![line], ..PlanFields::default() });
    }
    for stop in [1, u32::MAX] {
        s.plan("dirk", &[s.opened()], PlanFields { stop: Some(stop), ..PlanFields::default() });
    }
}

fn windows(s: &mut Story<'_>) {
    for (from, to) in [(0, 0), (NOON, NOON + 1), (5, u64::MAX), (253_402_300_799_999, 253_402_300_800_000), (2, 1)] {
        let window = Some(Window(from, to));
        s.plan("dora", &[s.opened()], PlanFields { window, ..PlanFields::default() });
    }
    // [5, [-1, 5]]: a window of two uints.
    s.add(Draft::raw("dora", &[s.opened()], raw(2, 1, b"\xa1\x01\xa1\x05\x82\x20\x05")));
}

fn lines(s: &mut Story<'_>) {
    let text = |text: &str| Some(text.to_owned());
    let line = |name: &str| Line { line: name.to_owned(), ..Line::default() };
    let whole = Line {
        sku: text("ROD"),
        name: text("Rod"),
        quantity: Some(12_000),
        unit: text("pcs"),
        lot: text("L7"),
        weight: Some(310),
        volume: Some(0),
        price: Some(-100),
        gtin: text("06901234567892"),
        withdrawn: Some(false),
        ..line("10")
    };
    let mut known = s.opened();
    for lines in [
        vec![whole],
        vec![line("2"), line("b"), line("10"), line("a"), line("002"), line("18446744073709551615"), line("+3")],
        vec![line("1"), line("1")],
        vec![line("")],
        vec![line("a/b")],
        vec![line(&"x".repeat(65))],
        vec![Line { quantity: Some(-1), ..line("1") }],
        vec![Line { withdrawn: Some(true), ..line("10") }],
        vec![Line { unit: text("p\tcs"), ..line("1") }],
        vec![Line { cleared: vec!["sku".to_owned()], ..line("1") }],
    ] {
        known = s.plan("dora", &[known], PlanFields { lines, ..PlanFields::default() });
    }
}

fn counts(s: &mut Story<'_>) {
    let count = |line: &str, lot: Option<&str>, received| LineCount {
        line: line.to_owned(),
        received: Some(received),
        lot: lot.map(str::to_owned),
        ..LineCount::default()
    };
    for lines in [
        vec![count("1", None, 5), count("1", Some("A"), 3), count("1", Some("B"), 2)],
        vec![count("1", Some("A"), 3), count("1", Some("A"), 2)],
        vec![count("1", None, 3), count("1", None, 2)],
        vec![count("", None, 3)],
        vec![count("1", None, -1)],
        vec![count("1", Some(""), 1)],
    ] {
        s.act("li-wei", &[s.opened()], &Action::Record(Record { lines, ..signed_by("Wang") }));
    }
}

fn grown(s: &mut Story<'_>) {
    let open = s.opened();
    // A Say {1: "x", 100: [1]}, a Record {1: "picked_up", 127: "later"}, a Measure with key 9, a Plan {1: {2: "B", 90: {}}, 77: -1},
    // with a line {1: "1", 99: true}.
    s.add(Draft::raw("li-wei", &[open], raw(5, 1, b"\xa2\x01\x61x\x18\x64\x81\x01")));
    s.add(Draft::raw("li-wei", &[open], raw(3, 1, b"\xa2\x01\x69picked_up\x18\x7f\x65later")));
    s.add(Draft::raw("li-wei", &[open], raw(4, 1, b"\xa4\x01\x61t\x02\x01\x03\x61C\x09\xa0")));
    s.add(Draft::raw(
        "dora",
        &[open],
        raw(2, 1, b"\xa2\x01\xa3\x02\x61B\x0d\x81\xa2\x01\x611\x18\x63\xf5\x18\x5a\xa0\x18\x4d\x20"),
    ));
    let signed = s.record("li-wei", &[open], "signed", "Wang");
    let mut settle = b"\xa2\x01\x81\x58\x20".to_vec();
    settle.extend(signed.0);
    settle.extend(b"\x18\x20\x80");
    s.add(Draft::raw("dora", &[signed], raw(6, 1, &settle)));
    let mut retract = b"\xa2\x01\x58\x20".to_vec();
    retract.extend(signed.0);
    retract.extend(b"\x03\xf4");
    s.add(Draft::raw("li-wei", &[signed], raw(7, 1, &retract)));
}

fn must_know(s: &mut Story<'_>) {
    let open = s.opened();
    // Keys 128 and "later", a key of the wrong type, one missing, and an absent one written out.
    s.add(Draft::raw("li-wei", &[open], raw(5, 1, b"\xa2\x01\x61x\x18\x80\x01")));
    s.add(Draft::raw("li-wei", &[open], raw(5, 1, b"\xa2\x01\x61x\x65later\x01")));
    s.add(Draft::raw("li-wei", &[open], raw(5, 1, b"\xa1\x01\x05")));
    s.add(Draft::raw("li-wei", &[open], raw(3, 1, b"\xa0")));
    s.add(Draft::raw("li-wei", &[open], raw(3, 1, b"\xa2\x01\x69picked_up\x07\x80")));
    s.add(Draft::raw("dora", &[open], raw(2, 1, b"\xa1\x01\xa1\x18\x80\x01")));
    s.add(Draft::raw("dora", &[open], raw(2, 1, b"\xa1\x01\xa1\x04\x82\x1a\x35\xa4\xe9\x01\x00")));
    s.add(Draft::raw("dora", &[open], raw(2, 1, b"\xa1\x01\xa1\x08\x1b\x00\x00\x00\x01\x00\x00\x00\x00")));
}

fn later_kinds(s: &mut Story<'_>) {
    let open = s.opened();
    let later = s.add(Draft::raw("li-wei", &[open], raw(99, 1, b"\xa0")));
    let newer = s.add(Draft::raw("li-wei", &[later], raw(5, 2, b"\xa1\x01\x61x")));
    let signed = s.record("li-wei", &[newer], "signed", "Wang");
    let none = s.add(Draft::raw("li-wei", &[signed], raw(0, 0, b"\xa0")));
    s.retract("li-wei", &[none], newer);
    s.retract("li-wei", &[none], later);
}

fn unknown_fields(s: &mut Story<'_>) {
    s.add(Draft::raw("dora", &[s.opened()], raw(2, 1, b"\xa1\x01\xa1\x18\x7e\x01")));
    s.add(Draft::raw("dora", &[s.opened()], raw(2, 1, b"\xa1\x01\xa0")));
}

fn unknown_role(s: &mut Story<'_>) {
    let said = s.say("una", &[s.opened()], "hello");
    s.measure("una", &[said]);
    s.record("una", &[said], "signed", "Wang");
    s.plan("una", &[said], consignee("A"));
    s.retract("una", &[said], said);
    s.say("vera", &[said], "me neither");
}

fn grown_workflow(s: &mut Story<'_>) {
    let open = s.opened();
    let packed = s.bare("west-lake", &[open], "packed");
    s.bare("vera", &[open], "packed");
    s.bare("una", &[open], "packed");
    let measure = s.measure("li-wei", &[packed]);
    s.bare("pia", &[measure], "weighed");
    s.bare("dora", &[measure], "weighed");
    s.bare("dora", &[open], "nowhere");
    s.bare("dora", &[open], "created");
}

fn all_evidence(s: &mut Story<'_>) {
    let open = s.opened();
    let count = LineCount { line: "1".to_owned(), ..LineCount::default() };
    let whole = Record {
        reason: Some("as told".to_owned()),
        signature: Some(Bytes(b"<svg/>".to_vec())),
        photos: vec![FileHash([7; 32])],
        scan: Some("L7".to_owned()),
        pin: Some("4711".to_owned()),
        place: Some(Place(1, 2)),
        collected: Some(0),
        lines: vec![count],
        ..record("checked")
    };
    s.act("li-wei", &[open], &Action::Record(whole.clone()));
    for lacking in [
        Record { reason: None, ..whole.clone() },
        Record { signature: None, ..whole.clone() },
        Record { photos: Vec::new(), ..whole.clone() },
        Record { scan: None, ..whole.clone() },
        Record { pin: None, ..whole.clone() },
        Record { place: None, ..whole.clone() },
        Record { collected: None, ..whole.clone() },
        Record { lines: Vec::new(), ..whole.clone() },
        Record { receiver: Some("Wang".to_owned()), ..whole },
    ] {
        s.act("zhang", &[open], &Action::Record(lacking));
    }
}

fn by_nobody(s: &mut Story<'_>) {
    s.bare("hub", &[s.opened()], "locked");
    s.bare("dora", &[s.opened()], "locked");
}

fn one_rank(s: &mut Story<'_>) {
    let measure = s.measure("pia", &[s.opened()]);
    let packed = s.bare("li-wei", &[measure], "packed");
    let weighed = s.bare("pia", &[packed], "weighed");
    let again = s.bare("li-wei", &[weighed], "packed");
    s.bare("zhang", &[again], "stalled");
}

fn later_outcome(s: &mut Story<'_>) {
    let signed = s.record("li-wei", &[s.opened()], "signed", "Wang");
    s.bare("dora", &[s.opened()], "stalled");
    let back = s.bare("dora", &[signed], "back");
    s.bare("dora", &[back], "packed");
}

fn equal_outcomes(s: &mut Story<'_>) {
    let stored = s.record("west-lake", &[s.opened()], "stored", "Wang");
    s.bare("dora", &[s.opened()], "dropped");
    s.bare("dirk", &[stored], "dropped");
}

fn receivers(s: &mut Story<'_>) {
    let open = s.opened();
    for receiver in [
        "Straße",
        "STRASSE",
        "Strasse",
        "王芳",
        "王\u{200b}芳",
        "Ｃｈｅｎ",
        "chen",
        "ﬁn",
        "Fin",
        "CHEN  JIE",
        "chen\u{3000}jie",
        "Z\u{301}oe",
        "Źoe",
        "ǅ",
        "ǆ",
        "İ",
        "i\u{307}",
        "\u{10d50}",
        "\u{10d70}",
        "\u{1c89}",
        "\u{1c8a}",
        "ſ",
        "s",
        "K",
        "k",
        "Å",
        "Å",
    ] {
        s.record("li-wei", &[open], "signed", receiver);
    }
}

fn nobody(s: &mut Story<'_>) {
    let open = s.opened();
    let one = s.record("li-wei", &[open], "signed", "\u{ad}");
    s.record("zhang", &[one], "signed", "\u{ad}");
    s.record("west-lake", &[open], "received", "");
    s.record("dora", &[open], "signed", "Wang");
}

fn through_nobody(s: &mut Story<'_>) {
    let signed = s.record("li-wei", &[s.opened()], "signed", "Wang");
    let counted = s.record("west-lake", &[signed], "received", "");
    s.record("west-lake", &[counted], "received", "Chen");
}

fn chain(s: &mut Story<'_>, steps: &[(&str, &str, &str)]) -> Vec<EditId> {
    let mut made = vec![s.opened()];
    for (who, step, receiver) in steps {
        let known = made[made.len() - 1];
        made.push(s.record(who, &[known], step, receiver));
    }
    made
}

fn through_follow_up(s: &mut Story<'_>) {
    let steps = [
        ("dora", "cancelled", ""),
        ("dora", "follow_up", ""),
        ("li-wei", "out_for_delivery", ""),
        ("li-wei", "signed", "Wang"),
    ];
    chain(s, &steps);
}

fn a_story_by_follow_up(s: &mut Story<'_>) {
    let steps = [
        ("li-wei", "signed", "Wang"),
        ("dora", "follow_up", ""),
        ("li-wei", "out_for_delivery", ""),
        ("li-wei", "signed", "Chen"),
    ];
    chain(s, &steps);
}

fn a_story_by_return(s: &mut Story<'_>) {
    let steps = [
        ("li-wei", "signed", "Wang"),
        ("li-wei", "returned", ""),
        ("zhang", "out_for_delivery", ""),
        ("zhang", "signed", "Chen"),
        ("west-lake", "received", "chen"),
    ];
    chain(s, &steps);
}

fn broken_chain(s: &mut Story<'_>) {
    let made = chain(
        s,
        &[
            ("li-wei", "signed", "Wang"),
            ("li-wei", "returned", ""),
            ("li-wei", "out_for_delivery", ""),
            ("li-wei", "signed", "Chen"),
        ],
    );
    s.retract("li-wei", &[made[4]], made[2]);
}

fn detour(s: &mut Story<'_>) {
    let signed = s.record("li-wei", &[s.opened()], "signed", "Wang");
    let returned = s.record("zhang", &[s.opened()], "returned", "");
    let out = s.record("dora", &[signed, returned], "out_for_delivery", "");
    s.record("zhang", &[out], "signed", "Chen");
}

fn signed_cancelled(s: &mut Story<'_>) {
    let open = s.opened();
    let signed = s.record("li-wei", &[open], "signed", "Wang");
    let cancelled = s.record("dora", &[open], "cancelled", "");
    let received = s.record("west-lake", &[signed], "received", "");
    s.resolve("dirk", &[received, cancelled], &[cancelled], None);
    s.record("dora", &[received], "cancelled", "");
}

fn higher_rank(s: &mut Story<'_>) {
    s.record("li-wei", &[s.opened()], "out_for_delivery", "");
    s.record("zhang", &[s.opened()], "attempt_failed", "");
    s.record("pia", &[s.opened()], "picked", "");
}

fn more_evidence(s: &mut Story<'_>) {
    let open = [s.opened()];
    s.act("li-wei", &open, &Action::Record(signed_by("Wang")));
    s.act("zhang", &open, &Action::Record(Record { collected: Some(5), ..signed_by("wang") }));
    let whole = Record { place: Some(Place(0, 0)), pin: Some("1".to_owned()), ..signed_by("WANG") };
    s.act("west-lake", &open, &Action::Record(whole));
}

fn weightier_role(s: &mut Story<'_>) {
    let open = [s.opened()];
    for who in ["west-lake", "li-wei", "dora", "dirk"] {
        s.act(who, &open, &Action::Record(signed_by("Wang")));
    }
}

fn earlier_enrolment(s: &mut Story<'_>) {
    for who in ["zhang", "li-wei"] {
        for number in 0..4 {
            s.add(Draft::new(who, &[s.opened()], &Action::Record(signed_by("Wang"))).tap(number));
        }
    }
}

fn older_entry(s: &mut Story<'_>) {
    let last = s.firm.roster.height();
    for height in 3..=last {
        // Only who is enrolled by then can name the entry.
        if height >= 6 {
            s.add(Draft::new("li-wei", &[s.opened()], &Action::Record(signed_by("Wang"))).height(height));
        }
        s.add(Draft::new("dora", &[s.opened()], &Action::Record(signed_by("Wang"))).height(height));
    }
}

fn pair(s: &mut Story<'_>) -> [EditId; 2] {
    let signed = s.record("li-wei", &[s.opened()], "signed", "Wang");
    let cancelled = s.record("dora", &[s.opened()], "cancelled", "");
    [signed, cancelled]
}

fn dispute(s: &mut Story<'_>) {
    let facts = pair(s);
    s.resolve("dora", &facts, &facts, Some(facts[0]));
    s.resolve("dirk", &facts, &facts, Some(facts[1]));
}

fn dispute_settled(s: &mut Story<'_>) {
    let facts = pair(s);
    let one = s.resolve("dora", &facts, &facts, Some(facts[0]));
    let other = s.resolve("dirk", &facts, &facts, None);
    s.resolve("hub", &[one, other], &facts, Some(facts[1]));
}

fn agreed(s: &mut Story<'_>) {
    let facts = pair(s);
    s.resolve("dora", &facts, &facts, Some(facts[0]));
    s.resolve("dirk", &facts, &facts[1..], None);
    s.resolve("hub", &facts, &facts, Some(facts[0]));
}

fn dispute_elsewhere(s: &mut Story<'_>) {
    let [signed, cancelled] = pair(s);
    let returned = s.record("zhang", &[s.opened()], "returned", "");
    let all = [signed, cancelled, returned];
    s.resolve("dora", &all, &all, Some(signed));
    s.resolve("dirk", &all, &[signed], None);
}

fn upheld_retracted(s: &mut Story<'_>) {
    let facts = pair(s);
    s.resolve("dora", &facts, &facts, Some(facts[0]));
    s.retract("li-wei", &[facts[0]], facts[0]);
}

fn second_resolve(s: &mut Story<'_>) {
    let open = s.opened();
    let a = s.record("li-wei", &[open], "signed", "Wang");
    let b = s.record("zhang", &[open], "signed", "Chen");
    let first = s.resolve("dora", &[a, b], &[a, b], Some(a));
    let retract = s.retract("li-wei", &[first], a);
    s.resolve("dirk", &[retract], &[a], None);
}

fn upheld_void(s: &mut Story<'_>) {
    let open = s.opened();
    let void = s.bare("li-wei", &[open], "signed");
    let chen = s.record("zhang", &[open], "signed", "Chen");
    s.resolve("dora", &[void, chen], &[chen], Some(void));
    s.resolve("dirk", &[void, chen], &[void], Some(void));
}

fn upheld_settled(s: &mut Story<'_>) {
    let facts = pair(s);
    let first = s.resolve("dora", &facts, &facts, Some(facts[0]));
    let retract = s.retract("li-wei", &[facts[0]], facts[0]);
    s.resolve("dirk", &[first, retract], &facts, Some(facts[1]));
}

fn after_use(s: &mut Story<'_>) {
    let signed = s.record("li-wei", &[s.opened()], "signed", "Wang");
    s.record("west-lake", &[signed], "received", "");
    s.record("li-wei", &[signed], "returned", "");
    s.resolve("dora", &[signed], &[signed], Some(signed));
    s.measure("zhang", &[signed]);
    s.retract("li-wei", &[signed], signed);
}

fn after_use_by_person(s: &mut Story<'_>) {
    let signed = s.add(Draft::new("li-wei", &[s.opened()], &Action::Record(signed_by("Wang"))).by("An"));
    s.add(Draft::new("li-wei", &[signed], &Action::Record(record("returned"))).by("Bo"));
    s.add(Draft::new("li-wei", &[signed], &Action::Record(record("returned"))).by("An").tap(9));
    let retract = creel_protocol::edit::action::Retract { edit: signed, note: None };
    s.add(Draft::new("li-wei", &[signed], &Action::Retract(retract)).by("An"));
}

fn after_use_settled(s: &mut Story<'_>) {
    let signed = s.record("li-wei", &[s.opened()], "signed", "Wang");
    let received = s.record("west-lake", &[signed], "received", "");
    let also = s.record("east-gate", &[signed], "received", "");
    let retract = s.retract("li-wei", &[signed], signed);
    s.resolve("dora", &[received, retract], &[signed], Some(received));
    s.resolve("dirk", &[received, also], &[signed], Some(also));
}

fn before_use(s: &mut Story<'_>) {
    let signed = s.record("li-wei", &[s.opened()], "signed", "Wang");
    let retract = s.retract("li-wei", &[signed], signed);
    s.record("west-lake", &[retract], "received", "");
}

fn flood(s: &mut Story<'_>) {
    let open = s.opened();
    let wang = s.record("li-wei", &[open], "signed", "Wang");
    s.record("west-lake", &[open], "signed", "Chen");
    for number in 0..24 {
        s.add(Draft::new("zhang", &[open], &Action::Record(signed_by(&format!("R{number}")))).tap(number));
    }
    s.record("dora", &[wang], "cancelled", "");
}

fn flood_of_persons(s: &mut Story<'_>) {
    let open = s.opened();
    s.record("li-wei", &[open], "signed", "Wang");
    for number in 0..20 {
        let draft = Draft::new("zhang", &[open], &Action::Record(signed_by("X"))).by("An").tap(number);
        s.add(draft);
    }
    for by in ["Bo", "Cy", "Di"] {
        s.add(Draft::new("zhang", &[open], &Action::Record(signed_by("X"))).by(by));
    }
}

fn many_retracts(s: &mut Story<'_>) {
    let open = s.opened();
    let facts: Vec<EditId> = (0..20)
        .map(|number| s.add(Draft::new("li-wei", &[open], &Action::Record(signed_by("Wang"))).tap(number)))
        .collect();
    s.record("west-lake", &facts, "received", "");
    s.record("zhang", &facts[..2], "returned", "");
    for fact in &facts {
        s.retract("li-wei", &facts, *fact);
    }
}

fn many_disputes(s: &mut Story<'_>) {
    let facts = pair(s);
    for number in 0..6 {
        let resolve = |uphold| Action::Resolve(Resolve { settle: facts.to_vec(), uphold, note: None });
        s.add(Draft::new("dora", &facts, &resolve(Some(facts[0]))).tap(number));
        s.add(Draft::new("dirk", &facts, &resolve(Some(facts[1]))).tap(number));
        s.add(Draft::new("hub", &facts, &resolve(None)).by("An").tap(number));
    }
}

fn signature_times(s: &mut Story<'_>) {
    let open = s.opened();
    let early = s.add(Draft::new("li-wei", &[open], &Action::Record(signed_by("Wang"))).at(NOON + 60_000));
    let photos = vec![FileHash([1; 32])];
    let more =
        s.add(Draft::new("zhang", &[open], &Action::Record(Record { photos, ..signed_by("Wang") })).at(NOON + 90_000));
    let received =
        s.add(Draft::new("west-lake", &[early, more], &Action::Record(record("received"))).at(NOON + 99_000));
    s.add(
        Draft::new(
            "dora",
            &[received],
            &Action::Record(Record { reason: Some("short".to_owned()), ..record("follow_up") }),
        )
        .at(NOON + 150_000),
    );
}

fn forged_clock(s: &mut Story<'_>) {
    let open = s.opened();
    let forged = s.add(Draft::new("zhang", &[open], &Action::Record(signed_by("Wang"))).at(315_532_800_000));
    let signed = s.add(Draft::new("li-wei", &[open], &Action::Record(signed_by("Wang"))).at(NOON + 60_000));
    s.add(
        Draft::new(
            "west-lake",
            &[forged, signed],
            &Action::Record(Record { receiver: Some("Wang".to_owned()), ..record("received") }),
        )
        .at(NOON + 70_000),
    );
}

fn clock_ahead(s: &mut Story<'_>) {
    let far = s.add(Draft::new("zhang", &[s.opened()], &Action::Say(Say::of("2100"))).at(4_102_444_800_000));
    let honest = s.record("li-wei", &[far], "signed", "Wang");
    s.record("west-lake", &[honest], "received", "");
}

fn clocks_near(s: &mut Story<'_>) {
    let said = s.add(Draft::new("li-wei", &[s.opened()], &Action::Say(Say::of("one"))).at(NOON + 300_000));
    let fine = s.add(Draft::new("zhang", &[said], &Action::Say(Say::of("two"))).at(NOON));
    s.add(Draft::new("zhang", &[fine], &Action::Say(Say::of("three"))).at(NOON - 1));
    s.add(Draft::new("dora", &[s.opened()], &Action::Say(Say::of("four"))).at(NOON - 300_001));
    s.add(Draft::new("dora", &[s.opened()], &Action::Say(Say::of("five"))).at(NOON - 300_000));
}

fn behind_two(s: &mut Story<'_>) {
    let late = NOON + 3_600_000;
    let one = s.add(Draft::new("li-wei", &[s.opened()], &Action::Say(Say::of("one"))).at(late));
    let two = s.add(Draft::new("zhang", &[s.opened()], &Action::Say(Say::of("two"))).at(late));
    let own = s.add(Draft::new("dora", &[s.opened()], &Action::Say(Say::of("own"))).at(late));
    s.add(Draft::new("dora", &[one, two], &Action::Say(Say::of("behind"))));
    s.add(Draft::new("dora", &[one, own], &Action::Say(Say::of("one is ahead"))));
    s.add(Draft::new("dora", &[own], &Action::Say(Say::of("only oneself"))));
}

fn window_of(hour: u64) -> PlanFields {
    PlanFields { window: Some(Window(NOON + hour * 3_600_000, NOON + (hour + 2) * 3_600_000)), ..PlanFields::default() }
}

fn two_windows(s: &mut Story<'_>) {
    let one = s.plan("dora", &[s.opened()], window_of(8));
    let other = s.plan("dirk", &[s.opened()], window_of(14));
    s.plan("hub", &[one], consignee("A"));
    s.say("dora", &[one, other], "which?");
}

fn confirmation(s: &mut Story<'_>) {
    let base = s.plan("dora", &[s.opened()], window_of(8));
    s.plan("dora", &[base], window_of(8));
    s.plan("dirk", &[base], window_of(14));
    let chosen = s.plan("hub", &[base], consignee("A"));
    s.plan("hub", &[chosen], consignee("A"));
    s.plan("dirk", &[chosen], consignee("B"));
}

fn same_value(s: &mut Story<'_>) {
    let one = s.plan("dirk", &[s.opened()], window_of(8));
    let other = s.plan("dora", &[s.opened()], window_of(8));
    s.plan("hub", &[one, other], window_of(8));
    s.plan("dirk", &[one], window_of(9));
}

fn value_and_none(s: &mut Story<'_>) {
    let base = s.plan("dora", &[s.opened()], consignee("A"));
    s.plan("dora", &[base], consignee(""));
    s.plan("dirk", &[base], consignee("B"));
    s.plan("dirk", &[base], PlanFields { driver: Some(String::new()), ..PlanFields::default() });
    s.plan("dora", &[base], PlanFields { driver: Some("driver:zhang".to_owned()), ..PlanFields::default() });
}

fn values_in_order(s: &mut Story<'_>) {
    for who in ["dirk", "dora", "hub"] {
        s.plan(who, &[s.opened()], consignee(who));
    }
}

fn many_values(s: &mut Story<'_>) {
    for number in 0..6_u8 {
        let plan = Action::Plan(Plan { fields: consignee(&format!("D{number}")), import: None });
        s.add(Draft::new("dirk", &[s.opened()], &plan));
    }
    s.plan("dora", &[s.opened()], consignee("mine"));
}

/// Who comes first in order and sets another's value too, beside many, does not take it out of sight.
fn value_buried(s: &mut Story<'_>) {
    for value in ["1", "2", "3", "4", "mine", "5", "6", "7"] {
        s.plan("hub", &[s.opened()], consignee(value));
    }
    s.plan("dora", &[s.opened()], consignee("mine"));
}

fn values_of_many(s: &mut Story<'_>) {
    for who in ["dora", "dirk", "hub"] {
        for number in 0..12 {
            s.plan(who, &[s.opened()], consignee(&format!("{who} {number}")));
        }
    }
}

fn void_edits(s: &mut Story<'_>) {
    for number in 0..20 {
        s.add(Draft::new("vera", &[s.opened()], &Action::Say(Say::of(&number.to_string()))));
    }
    for number in 0..3 {
        s.bare("pia", &[s.opened()], ["signed", "nowhere", "created"][number]);
    }
}

fn far_times(s: &mut Story<'_>) {
    let last = 253_402_300_799_999;
    for at in [0, last, last + 1, (1 << 48) - 1] {
        s.add(Draft::new("li-wei", &[s.opened()], &Action::Record(signed_by("Wang"))).at(at));
    }
}

fn handed_over(s: &mut Story<'_>) {
    let over = Record { handed_to: Some("driver:zhang".to_owned()), ..record("at_depot") };
    let over = s.act("li-wei", &[s.opened()], &Action::Record(over));
    s.act("li-wei", &[over], &Action::Record(Record { handed_to: Some("Zhang".to_owned()), ..record("at_depot") }));
    let more = Record { further: Some(true), payment: Some("cash".to_owned()), ..signed_by("Wang") };
    s.act("zhang", &[over], &Action::Record(more));
}

fn through_void(s: &mut Story<'_>) {
    let signed = s.record("li-wei", &[s.opened()], "signed", "Wang");
    let void = s.say("vera", &[signed], "not allowed");
    s.record("west-lake", &[void], "received", "");
    s.add(Draft::new("li-wei", &[void], &Action::Record(signed_by("Wang"))).tap(1));
}
