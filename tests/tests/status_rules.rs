//! The status rules by example: small histories, told step by step, and what everybody must see after each.

use creel_protocol::edit::Edit;
use creel_protocol::edit::action::{PlanFields, Window};
use creel_protocol::id::EditId;
use creel_protocol::shipment::exceptions::ExceptionKind::{
    self, Contradiction, ResolutionDisputed, ResolutionOnRetracted, RetractedAfterUse,
};
use creel_protocol::shipment::exceptions::SHOWN_PER_PAIR;
use creel_protocol::shipment::view::{Standing, TimelineEntry, View};
use creel_tests::firm::Firm;

/// A shipment and everything stated about it.
struct Story {
    firm: Firm,
    edits: Vec<Edit>,
}

impl Story {
    fn begin() -> Self {
        let firm = Firm::following("standard");
        let open = firm.open("SO-1");
        Self { firm, edits: vec![open] }
    }

    fn opened(&self) -> EditId {
        self.edits[0].id
    }

    fn add(&mut self, edit: Edit) -> EditId {
        let id = edit.id;
        self.edits.push(edit);
        id
    }

    fn record(&mut self, who: &str, after: &[EditId], step: &str, receiver: &str) -> EditId {
        self.add(self.firm.record(who, self.edits[0].document, after, step, Some(receiver)))
    }

    fn resolve(&mut self, who: &str, after: &[EditId], settle: &[EditId], uphold: Option<EditId>) -> EditId {
        self.add(self.firm.resolve(who, self.edits[0].document, after, settle, uphold))
    }

    fn retract(&mut self, who: &str, after: &[EditId], edit: EditId) -> EditId {
        self.add(self.firm.retract(who, self.edits[0].document, after, edit))
    }

    fn plan(&mut self, who: &str, after: &[EditId], fields: PlanFields) -> EditId {
        self.add(self.firm.plan(who, self.edits[0].document, after, fields))
    }

    /// The view, the same from either end, and the same as the oracle's.
    fn view(&self) -> View {
        self.firm.judged(&self.edits)
    }

    fn check(&self, status: &str, exceptions: &[(ExceptionKind, &[EditId])]) {
        let view = self.view();
        assert_eq!(view.status, status);
        let mut seen: Vec<_> = view.exceptions.iter().map(|seen| (seen.kind, sorted(&seen.edits))).collect();
        let mut expected: Vec<_> = exceptions.iter().map(|(kind, edits)| (*kind, sorted(edits))).collect();
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected);
    }
}

fn sorted(edits: &[EditId]) -> Vec<EditId> {
    let mut edits = edits.to_vec();
    edits.sort();
    edits
}

/// Promise 5: signed here and cancelled there shows signed, with an exception that names both and that nothing recorded later
/// hides; a resolve settles it.
#[test]
fn signed_against_cancelled() {
    let mut story = Story::begin();
    let opened = story.opened();
    let signed = story.record("li-wei", &[opened], "signed", "Wang");
    let cancelled = story.record("dora", &[opened], "cancelled", "");
    story.check("signed", &[(Contradiction, &[signed, cancelled])]);

    // The shop's count supersedes the signature it knew of; it excludes the cancellation as well.
    let received = story.record("west-lake", &[signed], "received", "");
    let both: &[(ExceptionKind, &[EditId])] =
        &[(Contradiction, &[signed, cancelled]), (Contradiction, &[received, cancelled])];
    story.check("received", both);

    story.resolve("dirk", &[received, cancelled], &[cancelled], None);
    story.check("received", &[]);
}

/// Promise 5: what is settled stays settled, whichever way, and names the one that stands.
#[test]
fn a_resolve_settles() {
    for (upheld, status) in [(0, "signed"), (1, "cancelled")] {
        let mut story = Story::begin();
        let opened = story.opened();
        let facts =
            [story.record("li-wei", &[opened], "signed", "Wang"), story.record("dora", &[opened], "cancelled", "")];
        story.resolve("dora", &facts, &facts, Some(facts[upheld]));
        story.check(status, &[]);
        let rejected = facts[1 - upheld];
        let entry = story.view().timeline.into_iter().find(|entry| entry.edit == rejected).expect("it is shown");
        assert_eq!(entry.standing, Some(Standing::Rejected));
    }
}

/// Promise 5: two people who settle it differently without knowing of each other have not settled it; a third who knew both has.
#[test]
fn two_resolves_that_disagree_reopen_it() {
    let mut story = Story::begin();
    let opened = story.opened();
    let signed = story.record("li-wei", &[opened], "signed", "Wang");
    let cancelled = story.record("dora", &[opened], "cancelled", "");
    let facts = [signed, cancelled];
    let one = story.resolve("dora", &facts, &facts, Some(signed));
    let other = story.resolve("dirk", &facts, &facts, Some(cancelled));
    story.check("signed", &[(Contradiction, &facts), (ResolutionDisputed, &[one, other])]);

    story.resolve("hub", &[one, other], &facts, Some(cancelled));
    story.check("cancelled", &[]);
}

/// Promise 5: a resolve that upholds a record which was taken back rejects nothing any more.
#[test]
fn a_resolve_on_what_was_retracted() {
    let mut story = Story::begin();
    let opened = story.opened();
    let signed = story.record("li-wei", &[opened], "signed", "Wang");
    let cancelled = story.record("dora", &[opened], "cancelled", "");
    let resolve = story.resolve("dora", &[signed, cancelled], &[signed, cancelled], Some(signed));
    story.check("signed", &[]);
    let retract = story.retract("li-wei", &[signed], signed);
    let used: &[(ExceptionKind, &[EditId])] =
        &[(ResolutionOnRetracted, &[signed, resolve]), (RetractedAfterUse, &[signed, retract, resolve])];
    story.check("cancelled", used);
}

/// Promise 5: signed, brought back, out again and signed by another is a story, not a contradiction.
#[test]
fn a_story_is_no_contradiction() {
    let mut story = Story::begin();
    let mut known = story.opened();
    for (step, receiver) in [("signed", "Wang"), ("returned", ""), ("out_for_delivery", ""), ("signed", "Chen")] {
        known = story.record("li-wei", &[known], step, receiver);
        story.check(step, &[]);
    }
}

/// Promise 5: two signatures by different people contradict each other, also where one author knew of the other's.
#[test]
fn two_receivers() {
    for knowing in [false, true] {
        let mut story = Story::begin();
        let opened = story.opened();
        let wang = story.record("li-wei", &[opened], "signed", "Wang");
        let chen = story.record("zhang", &[if knowing { wang } else { opened }], "signed", "Chen");
        story.check("signed", &[(Contradiction, &[wang, chen])]);
    }
}

/// Promise 4: two dispatchers who change the window at once both see both values, on every node.
#[test]
fn two_windows_at_once() {
    let mut story = Story::begin();
    let opened = story.opened();
    let window = |hour: u64| PlanFields {
        window: Some(Window(hour * 3_600_000, (hour + 2) * 3_600_000)),
        ..PlanFields::default()
    };
    let one = story.plan("dora", &[opened], window(8));
    let other = story.plan("dirk", &[opened], window(14));
    let view = story.view();
    let conflict = view.conflicts.iter().find(|conflict| conflict.field == "window").expect("both values show");
    let mut setters: Vec<EditId> = conflict.values.iter().map(|candidate| candidate.edit).collect();
    setters.sort();
    assert_eq!(setters, sorted(&[one, other]));

    // Whoever knew both and chose has chosen.
    story.plan("dora", &[one, other], window(10));
    assert_eq!(story.view().conflicts, []);
}

/// Promise 5: a picked that was forgotten and recorded after the signature stands in the timeline and moves nothing.
#[test]
fn backfill_moves_nothing() {
    let mut story = Story::begin();
    let opened = story.opened();
    let signed = story.record("li-wei", &[opened], "signed", "Wang");
    let picked = story.record("pia", &[signed], "picked", "");
    story.check("signed", &[]);
    let entry = story.view().timeline.into_iter().find(|entry| entry.edit == picked).expect("it is shown");
    assert_eq!(entry.standing, Some(Standing::Backfill));
}

/// Promise 5: what is taken back no longer counts, and that others had built on it is shown.
#[test]
fn retract_after_use() {
    let mut story = Story::begin();
    let opened = story.opened();
    let signed = story.record("li-wei", &[opened], "signed", "Wang");
    let received = story.record("west-lake", &[signed], "received", "");
    let retract = story.retract("li-wei", &[signed], signed);
    story.check("received", &[(RetractedAfterUse, &[signed, retract, received])]);

    // Taken back before anybody knew of it: nothing to look at.
    let mut story = Story::begin();
    let opened = story.opened();
    let signed = story.record("li-wei", &[opened], "signed", "Wang");
    story.retract("li-wei", &[signed], signed);
    story.check("created", &[]);
}

/// Promise 5: a failed attempt outranks what somebody recorded without knowing of it; out again, with knowledge, goes on.
#[test]
fn a_failed_attempt_is_not_hidden() {
    let mut story = Story::begin();
    let opened = story.opened();
    let failed = story.record("li-wei", &[opened], "attempt_failed", "");
    story.record("dora", &[opened], "out_for_delivery", "");
    story.check("attempt_failed", &[]);
    story.record("li-wei", &[failed], "out_for_delivery", "");
    story.check("out_for_delivery", &[]);
}

/// Promise 9: a clock that lies by years shows as a flag and changes no outcome.
#[test]
fn a_lying_clock_changes_nothing() {
    use creel_protocol::edit::action::{Action, Record};
    let firm = Firm::following("standard");
    for at in [0, (1 << 48) - 1] {
        let open = firm.open("SO-1");
        let record = Record { step: "signed".to_owned(), receiver: Some("Wang".to_owned()), ..Record::default() };
        let signed = firm.sign_at("li-wei", Some(open.document), &[open.id], &Action::Record(record), at);
        let received = firm.record("west-lake", open.document, &[signed.id], "received", None);
        let view = firm.render(&[open, signed, received]).view;
        assert_eq!((view.status.as_str(), view.exceptions.len()), ("received", 0));
        let wrong = |entry: &TimelineEntry| entry.clock_behind || entry.clock_ahead;
        assert!(view.timeline.iter().any(wrong), "one of the clocks must be wrong");
    }
}

/// One device that signs again and again for other receivers costs nobody more than a bounded list.
#[test]
fn a_flood_of_contradictions_is_bounded() {
    let mut story = Story::begin();
    let opened = story.opened();
    for number in 0..400 {
        story.record("li-wei", &[opened], "signed", &format!("receiver {number}"));
    }
    let view = story.firm.render(&story.edits).view;
    assert_eq!(view.exceptions.len(), SHOWN_PER_PAIR);
    assert_eq!(view.exceptions_more[&Contradiction], 400 * 399 / 2 - SHOWN_PER_PAIR as u64);
}
