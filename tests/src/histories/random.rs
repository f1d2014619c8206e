//! Random hostile histories: members who mean harm choose ids by grinding, predecessors, taps, clocks, persons and bodies, in
//! histories that are otherwise much alike to a firm's own.

use super::story::{Draft, Story, measured};
use super::{Case, ROSTERS};
use crate::firm::{Firm, NOON, with_evidence};
use crate::sim::rng::Rng;
use creel_protocol::cbor::Bytes;
use creel_protocol::edit::action::{
    Action, Line, LineCount, Open, Place, Plan, PlanFields, Record, Resolve, Retract, Say, Window,
};
use creel_protocol::edit::{Edit, RawAction};
use creel_protocol::id::{DocumentId, EditId, FileHash, Tap};

/// Who takes part, those who do most more often.
const PEOPLE: [&str; 13] = [
    "li-wei",
    "li-wei",
    "zhang",
    "zhang",
    "west-lake",
    "west-lake",
    "dora",
    "dora",
    "dirk",
    "pia",
    "hub",
    "vera",
    "una",
];
/// Receivers, of which several are one.
const RECEIVERS: [&str; 8] = ["Wang", "WANG", "王芳", "王\u{200b}芳", "Chen", "chen ", "\u{ad}", "Straße"];
/// The most edits of an ordinary history.
const EDITS_MAX: u64 = 26;

/// One history in so many holds a flood up to the limits.
const LIMITS_EVERY: u64 = 4_000;

/// The history of a number, from a seed.
pub fn case(seed: u64, number: u64, firms: &[(&'static str, Firm)]) -> Case {
    let mut rng = Rng::new(seed.wrapping_mul(0x1_0000_0001).wrapping_add(number));
    let (roster, firm) = &firms[if rng.percent(60) { 0 } else { rng.below(firms.len()) }];
    firm.begin_again();
    let mut teller = Teller { story: Story::begin(firm), rng };
    teller.tell(number);
    Case { name: format!("seed {seed} history {number}"), rules: Vec::new(), roster, edits: teller.story.edits }
}

/// The firms that histories are about.
pub fn firms() -> Vec<(&'static str, Firm)> {
    ROSTERS.map(|roster| (roster, super::firm(roster))).into()
}

/// Tells a history at random.
pub struct Teller<'a> {
    /// The history so far.
    pub story: Story<'a>,
    /// What decides.
    pub rng: Rng,
}

impl Teller<'_> {
    fn tell(&mut self, number: u64) {
        if self.rng.percent(3) {
            self.open_again();
        }
        for _ in 0..self.rng.between(1, EDITS_MAX) {
            match self.rng.between(0, 99) {
                0..=1 => {
                    let who = *self.rng.pick(&["zhang", "li-wei", "west-lake"]).expect("there are some");
                    self.flood(who);
                }
                2..=3 => self.void_flood("vera"),
                4..=6 => self.repeat(None),
                _ => {
                    let who = *self.rng.pick(&PEOPLE).expect("there are people");
                    self.edit(who);
                }
            }
        }
        if number % LIMITS_EVERY == LIMITS_EVERY - 1 {
            self.reach_the_limit();
        }
        // Nothing of the order in which they were made is left.
        for place in (1..self.story.edits.len()).rev() {
            let other = self.rng.below(place + 1);
            self.story.edits.swap(place, other);
        }
    }

    /// Whatever a member may come up with.
    pub fn edit(&mut self, who: &str) {
        let after = self.after(who);
        let action = self.action(who);
        let draft = self.dressed(who, Draft::raw(who, &after, action));
        self.story.add(draft);
    }

    /// What an author claims to know: most know the heads, some less, some a void edit alone, some nothing.
    fn after(&mut self, who: &str) -> Vec<EditId> {
        let heads = heads(&self.story.edits);
        let ids: Vec<EditId> = self.story.edits.iter().map(|edit| edit.id).collect();
        let key = crate::firm::key_of(who).verifying_key().to_bytes();
        let own = self.story.edits.iter().rev().find(|edit| edit.statement.author.0 == key).map(|edit| edit.id);
        match self.rng.between(0, 9) {
            0..=2 => heads,
            3..=4 => {
                let most = self.rng.below(heads.len()) + 1;
                let mut some: Vec<EditId> = (0..most).filter_map(|_| self.rng.pick(&heads).copied()).collect();
                some.extend(own);
                some
            }
            5..=7 => {
                let count = self.rng.between(1, 3);
                (0..count).filter_map(|_| self.rng.pick(&ids).copied()).collect()
            }
            8 => own.into_iter().chain(ids.first().copied()).collect(),
            _ if self.rng.percent(15) => Vec::new(),
            _ => ids.first().copied().into_iter().collect(),
        }
    }

    /// An edit with its tap, person, clock and roster entry, of which the hostile grind the id.
    fn dressed(&mut self, who: &str, draft: Draft) -> Draft {
        let mut draft = draft;
        if self.rng.percent(25) {
            draft = draft.tap(u8::try_from(self.rng.between(0, 5)).unwrap_or_default());
        } else {
            draft = draft.tapped(Tap(self.rng.bytes()));
        }
        if self.rng.percent(15) {
            draft = draft.by(self.rng.pick(&["An", "Bo", "An ", "王芳"]).expect("there are some"));
        }
        let at = match self.rng.between(0, 19) {
            0 => 315_532_800_000,
            1 => 4_102_444_800_000,
            2 => 253_402_300_800_000 + self.rng.between(0, 9),
            3 => NOON - 300_000,
            4 => NOON - 300_001,
            _ => NOON + self.rng.between(0, 900_000),
        };
        draft = draft.at(at);
        if self.rng.percent(5) {
            let roster = &self.story.firm.roster;
            let key = creel_protocol::id::DeviceKey(crate::firm::key_of(who).verifying_key().to_bytes());
            let since = roster.member(&key).map_or(roster.height(), |member| member.since);
            draft = draft.height(self.rng.between(since, roster.height()));
        }
        draft
    }

    fn action(&mut self, who: &str) -> RawAction {
        let may_plan = matches!(who, "dora" | "dirk" | "hub");
        let odds = self.rng.between(0, 99);
        match odds {
            35..=49 if may_plan || odds < 38 => self.plan(),
            50..=64 if may_plan || odds < 53 => self.resolve().to_raw(),
            65..=76 => {
                let edit = self.target();
                Action::Retract(Retract { edit, note: None }).to_raw()
            }
            77..=84 => measured().to_raw(),
            85..=92 => self.say().to_raw(),
            93..=97 => self.grown(),
            98 => RawAction { kind: self.rng.between(0, 9), version: self.rng.between(0, 3), body: Bytes(vec![0xa0]) },
            _ => Action::Record(self.record()).to_raw(),
        }
    }

    fn record(&mut self) -> Record {
        let steps = &self.story.firm.workflow().steps;
        let ends = steps.iter().filter(|step| step.outcome.is_some()).collect::<Vec<_>>();
        let step = if self.rng.percent(55) { self.rng.pick(&ends).copied() } else { self.rng.pick(steps) };
        let step = step.expect("a workflow has steps");
        let known = if self.rng.percent(80) { 5 } else { RECEIVERS.len() };
        let receiver = *self.rng.pick(&RECEIVERS[..known]).expect("there are some");
        let mut record = with_evidence(step, receiver);
        if self.rng.percent(20) {
            record.receiver = None;
        } else if self.rng.percent(40) {
            record.receiver = Some(receiver.to_owned());
        }
        if self.rng.percent(15) {
            record.collected = Some(5);
        }
        if self.rng.percent(10) {
            record.place = Some(Place(1, -2));
        }
        if self.rng.percent(5) {
            record.lines = vec![LineCount { line: "1".to_owned(), received: Some(-1), ..LineCount::default() }];
        }
        if self.rng.percent(5) {
            let party = *self.rng.pick(&["driver:zhang", "Zhang", "shop:east-gate"]).expect("there are some");
            record.handed_to = Some(party.to_owned());
        }
        if self.rng.percent(3) {
            "nowhere".clone_into(&mut record.step);
        }
        if self.rng.percent(3) {
            record.note = Some(self.text());
        }
        record
    }

    fn text(&mut self) -> String {
        let texts = ["", " ", "a\nb", "a\u{1}", "\u{a0}x", "fine", "x\u{85}", "\u{1d}"];
        (*self.rng.pick(&texts).expect("there are some")).to_owned()
    }

    fn plan(&mut self) -> RawAction {
        let mut fields = PlanFields::default();
        for _ in 0..self.rng.between(1, 3) {
            let number = self.rng.between(0, 3);
            let of = |texts: [&str; 4]| texts[usize::try_from(number).unwrap_or(0)].to_owned();
            match self.rng.between(0, 11) {
                0 => fields.consignee = Some(of(["A", "B", "", "C "])),
                1 => fields.number = Some(format!("SO-{number}")),
                2 => fields.window = Some(Window(NOON + number, NOON + number * 2)),
                3 => fields.driver = Some(of(["driver:li-wei", "driver:zhang", "", "x"])),
                4 => fields.stop = Some(u32::try_from(number).unwrap_or(0)),
                5 => fields.cleared = vec![of(["stop", "window", "place", "number"])],
                6 => fields.place = Some(Place(1_000_000, -7)),
                7 => fields.amount_due = Some(i64::try_from(number).unwrap_or(0) - 1),
                8 => drop(fields.parties.insert("shop".to_owned(), format!("shop:{number}"))),
                9 | 10 => {
                    let line = Line {
                        line: of(["1", "2", "b", "1"]),
                        quantity: self.rng.percent(50).then_some(3),
                        withdrawn: self.rng.percent(20).then_some(true),
                        expiry: self.rng.percent(20).then(|| "2027-02-29".to_owned()),
                        ..Line::default()
                    };
                    fields.lines.push(line);
                }
                _ => fields.phone = Some(self.text()),
            }
        }
        Action::Plan(Plan { fields, import: None }).to_raw()
    }

    fn target(&mut self) -> EditId {
        let ids: Vec<EditId> = self.story.edits.iter().map(|edit| edit.id).collect();
        if self.rng.percent(2) { EditId(self.rng.bytes()) } else { *self.rng.pick(&ids).expect("there is an Open") }
    }

    /// Mostly records, as far as there are any.
    fn fact(&mut self) -> EditId {
        let records: Vec<EditId> = self.of_kind(RawAction::RECORD);
        match self.rng.pick(&records) {
            Some(record) if self.rng.percent(90) => *record,
            _ => self.target(),
        }
    }

    fn of_kind(&self, kind: u64) -> Vec<EditId> {
        let edits = self.story.edits.iter().filter(|edit| edit.statement.action.kind == kind);
        edits.map(|edit| edit.id).collect()
    }

    fn resolve(&mut self) -> Action {
        let mut settle: Vec<EditId> = (0..self.rng.between(0, 4)).map(|_| self.fact()).collect();
        if self.rng.percent(90) {
            settle.sort_unstable();
            settle.dedup();
        }
        let uphold = self.rng.percent(60).then(|| match settle.first() {
            Some(first) if self.rng.percent(70) => *first,
            _ => self.fact(),
        });
        Action::Resolve(Resolve { settle, uphold, note: None })
    }

    fn say(&mut self) -> Action {
        let says = self.of_kind(RawAction::SAY);
        let reply_to = self.rng.percent(30).then(|| self.rng.pick(&says).copied()).flatten();
        let reply_to = if self.rng.percent(5) { Some(self.target()) } else { reply_to };
        let text = if self.rng.percent(10) { self.text() } else { "hello".to_owned() };
        let files = if self.rng.percent(10) { vec![FileHash([1; 32]), FileHash([1; 32])] } else { Vec::new() };
        Action::Say(Say { text: Some(text), reply_to, files, file_kind: None })
    }

    /// A body with keys of a later version, or with one that must be known.
    fn grown(&mut self) -> RawAction {
        let (kind, mut body) = match self.rng.between(0, 2) {
            0 => (RawAction::SAY, b"\xa2\x01\x61x".to_vec()),
            1 => (RawAction::RECORD, b"\xa2\x01\x69picked_up".to_vec()),
            _ => (RawAction::MEASURE, b"\xa4\x01\x61t\x02\x01\x03\x61C".to_vec()),
        };
        let key = match self.rng.between(0, 5) {
            0 => vec![0x18, 128 + u8::try_from(self.rng.between(0, 9)).unwrap_or(0)],
            1 => b"\x61k".to_vec(),
            _ => vec![0x18, u8::try_from(self.rng.between(40, 127)).unwrap_or(40)],
        };
        body.extend(key);
        body.extend(self.rng.pick(&[&b"\x01"[..], b"\x80", b"\xa1\x01\x20", b"\x61x"]).expect("there are some").iter());
        RawAction { kind, version: 1, body: Bytes(body) }
    }

    /// One device says the same of many receivers.
    pub fn flood(&mut self, who: &str) {
        let after = self.after(who);
        let step =
            self.story.firm.workflow().steps.iter().rfind(|step| step.outcome.is_some()).map(|step| step.key.clone());
        for _ in 0..self.rng.between(10, 26) {
            let receiver = Some(format!("R{}", self.rng.between(0, 40)));
            let record = Record {
                step: if self.rng.percent(80) { "signed".to_owned() } else { step.clone().unwrap_or_default() },
                receiver,
                ..Record::default()
            };
            let draft = self.dressed(who, Draft::new(who, &after, &Action::Record(record)));
            self.story.add(draft);
        }
    }

    /// One device makes many void edits, on each other or beside each other.
    pub fn void_flood(&mut self, who: &str) {
        let mut after = self.after(who);
        for number in 0..self.rng.between(5, 24) {
            // Without a receiver nobody's counts.
            let record = Record { step: "signed".to_owned(), reason: Some(number.to_string()), ..Record::default() };
            let draft = self.dressed(who, Draft::new(who, &after, &Action::Record(record)));
            let made = self.story.add(draft);
            if self.rng.percent(30) {
                after = vec![made];
            }
        }
    }

    /// Somebody states once more what was stated, by the same tap, knowing it or not: what anybody did, or what one did.
    pub fn repeat(&mut self, by: Option<&str>) {
        let of = |edit: &&Edit| by.is_none_or(|by| Firm::name_of(&edit.statement.author) == Some(by));
        let edits: Vec<Edit> = self.story.edits.iter().filter(of).cloned().collect();
        let Some(edit) = self.rng.pick(&edits).filter(|edit| !edit.statement.after.is_empty()) else { return };
        let who = Firm::name_of(&edit.statement.author).unwrap_or("li-wei");
        let who = if by.is_some() || self.rng.percent(85) { who } else { "zhang" };
        let after = if self.rng.percent(50) { vec![edit.id] } else { self.after(who) };
        let mut draft = Draft::raw(who, &after, edit.statement.action.clone()).tapped(edit.statement.tap);
        draft = draft.at(NOON + self.rng.between(0, 1_000));
        if let Some(by) = &edit.statement.by {
            draft = draft.by(by);
        }
        self.story.add(draft);
    }

    /// A second `Open` of the document, which can't be its own.
    fn open_again(&mut self) {
        let firm = self.story.firm;
        let workflow = firm.roster.newest_workflow().map(|(id, _)| id);
        let plan = PlanFields { number: Some("SO-9".to_owned()), ..PlanFields::default() };
        let open = Action::Open(Open { kind: "shipment".to_owned(), workflow, plan, import: None });
        let document: DocumentId = self.story.document().expect("it was begun");
        self.story.add(Draft::new("dora", &[], &open).about(document).tap(3));
    }

    /// Five hundred edits of one person at a shared device, or two thousand of a device.
    fn reach_the_limit(&mut self) {
        let whole = self.rng.percent(10);
        let mut known = vec![self.story.edits[0].id];
        let count = if whole { 2_003 } else { 503 };
        for number in 0..count {
            let mut draft = Draft::new("li-wei", &known, &Action::Say(Say::of("again")));
            draft = draft.tapped(Tap(self.rng.bytes())).at(NOON);
            let by = if whole { None } else { Some(if number == 7 { "Bo" } else { "An" }) };
            if let Some(by) = by {
                draft = draft.by(by);
            }
            known = vec![self.story.add(draft)];
        }
    }
}

/// The edits that no other knows.
fn heads(edits: &[Edit]) -> Vec<EditId> {
    let known: std::collections::BTreeSet<EditId> =
        edits.iter().flat_map(|edit| edit.statement.after.iter().copied()).collect();
    let mut heads: Vec<EditId> = edits.iter().map(|edit| edit.id).filter(|id| !known.contains(id)).collect();
    heads.truncate(64);
    heads
}
