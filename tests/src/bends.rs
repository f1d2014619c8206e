//! A search for bends: what one member who means harm can do to the others, with any edits.
//!
//! Honest members act by what they hold, as their nodes let them. One attacker, with one key, adds whatever it likes, knowing
//! everything. Then all of it must hold: each honest edit counts as it did when it was made; what excludes each other among
//! honest facts is shown; nobody's fact is set aside but by a `Resolve` that stands; no value that an honest member set is gone
//! unread; and everybody can still record and settle.

use crate::firm::{Firm, NOON, key_of, with_evidence};
use crate::histories::random::Teller;
use crate::histories::story::{Draft, Story, measured};
use crate::lone::Node;
use crate::sim::rng::Rng;
use creel_protocol::core::io::Act;
use creel_protocol::edit::Edit;
use creel_protocol::edit::action::{Action, Plan, PlanFields, Record, Resolve, Retract, Say};
use creel_protocol::id::{DeviceKey, EditId, Tap};
use creel_protocol::shipment::effect::Effects;
use creel_protocol::shipment::status::Status;
use creel_protocol::shipment::view::{Standing, View};
use creel_protocol::shipment::{ExceptionKind, History};
use creel_protocol::workflow::Evidence;
use std::collections::{BTreeMap, BTreeSet};

/// Who may mean harm. A driver could tell that goods came back, which is a driver's word to give; these can't.
const ATTACKERS: [&str; 4] = ["east-gate", "pia", "vera", "una"];
/// Who means none.
const HONEST: [&str; 6] = ["li-wei", "zhang", "west-lake", "dora", "dirk", "hub"];
/// One history in so many has a flood of two thousand edits.
const LIMIT_EVERY: u64 = 400;
/// In so many histories each aimed attack comes once.
const AIMED_EVERY: u64 = 20;
/// One history in so many has more heads than an edit can name.
const HEADS_EVERY: u64 = 10;

/// The firms in which it is searched.
pub fn firms() -> Vec<Firm> {
    ["standard", "cold-chain"].map(Firm::following).into()
}

/// Looks for a bend in the history of a number, from a seed: what was bent, in words.
pub fn find(seed: u64, number: u64, firms: &[Firm]) -> Option<String> {
    let mut rng = Rng::new(seed.wrapping_mul(0x1_0000_0001).wrapping_add(number) ^ 0xbe4d);
    let firm = &firms[rng.below(firms.len())];
    firm.begin_again();
    let attacker = *rng.pick(&ATTACKERS).expect("there are some");
    let mut day = Day {
        teller: Teller { story: Story::begin(firm), rng },
        attacker,
        known: BTreeMap::new(),
        honest: BTreeSet::new(),
    };
    let opened = day.teller.story.opened();
    HONEST.iter().for_each(|who| drop(day.known.insert(who, [opened].into())));
    day.honest.insert(opened);
    for _ in 0..day.teller.rng.between(6, 26) {
        day.happen();
    }
    match number % AIMED_EVERY {
        3 => day.detour(),
        7 => day.repeat_what_others_stand_on(),
        11 => day.retract_what_was_upheld(),
        _ => {}
    }
    if number.is_multiple_of(LIMIT_EVERY) {
        day.flood_to_the_limit();
    }
    if number % HEADS_EVERY == 1 {
        day.flood_of_heads();
    }
    day.judge().or_else(|| if number % HEADS_EVERY == 1 { day.judge_acts() } else { None })
}

struct Day<'a> {
    teller: Teller<'a>,
    attacker: &'static str,
    /// What each honest member's node holds.
    known: BTreeMap<&'static str, BTreeSet<EditId>>,
    honest: BTreeSet<EditId>,
}

impl Day<'_> {
    fn edits(&self) -> &[Edit] {
        &self.teller.story.edits
    }

    fn happen(&mut self) {
        let who = HONEST[self.teller.rng.below(HONEST.len())];
        match self.teller.rng.between(0, 99) {
            0..=24 => self.meet(who),
            25..=64 => self.honest_act(who),
            65..=79 => self.teller.edit(self.attacker),
            80..=83 => self.teller.repeat(Some(self.attacker)),
            84..=86 => self.teller.flood(self.attacker),
            87..=88 => self.teller.void_flood(self.attacker),
            _ => self.hear_attacker(who),
        }
    }

    /// A node takes over all that another holds.
    fn meet(&mut self, who: &'static str) {
        let other = HONEST[self.teller.rng.below(HONEST.len())];
        let theirs = self.known[other].clone();
        self.known.get_mut(who).expect("it is a member").extend(theirs);
    }

    /// A node hears an edit of the attacker's, with all that it stands on.
    fn hear_attacker(&mut self, who: &'static str) {
        let attacker = DeviceKey(key_of(self.attacker).verifying_key().to_bytes());
        let theirs: Vec<EditId> =
            self.edits().iter().filter(|edit| edit.statement.author == attacker).map(|edit| edit.id).collect();
        let Some(edit) = self.teller.rng.pick(&theirs).copied() else { return };
        let by_id: BTreeMap<EditId, &Edit> = self.edits().iter().map(|edit| (edit.id, edit)).collect();
        let mut next = vec![edit];
        let mut heard = BTreeSet::new();
        while let Some(id) = next.pop() {
            let Some(edit) = by_id.get(&id) else { return };
            if heard.insert(id) {
                next.extend(&edit.statement.after);
            }
        }
        self.known.get_mut(who).expect("it is a member").extend(heard);
    }

    fn held(&self, who: &str) -> Vec<Edit> {
        self.edits().iter().filter(|edit| self.known[who].contains(&edit.id)).cloned().collect()
    }

    /// A member does what their screen lets them, knowing all that their node holds.
    fn honest_act(&mut self, who: &'static str) {
        let held = self.held(who);
        let after = heads(&held);
        if after.len() > 64 {
            return;
        }
        let view = self.teller.story.firm.render(&held).view;
        let Some(action) = self.honest_action(who, &view, &held) else { return };
        let mut draft = Draft::new(who, &after, &action).tapped(Tap(self.teller.rng.bytes()));
        draft = draft.at(NOON + self.teller.rng.between(0, 60_000));
        let before = self.edits().len();
        let id = self.teller.story.add(draft);
        let mut with = held;
        with.extend(self.edits().last().cloned());
        let history = History::new(with);
        let effects = Effects::of(&history, &self.teller.story.firm.roster);
        if history.place(&id).is_some_and(|place| effects.counts(place)) {
            self.honest.insert(id);
            self.known.get_mut(who).expect("it is a member").insert(id);
        } else {
            // Their node refuses it in words.
            self.teller.story.edits.truncate(before);
        }
    }

    fn honest_action(&mut self, who: &str, view: &View, held: &[Edit]) -> Option<Action> {
        let rng = &mut self.teller.rng;
        let workflow = self.teller.story.firm.workflow();
        let dispatches = matches!(who, "dora" | "dirk" | "hub");
        let own: Vec<EditId> = held
            .iter()
            .filter(|edit| Firm::name_of(&edit.statement.author) == Some(who) && edit.statement.action.kind == 3)
            .map(|edit| edit.id)
            .collect();
        Some(match rng.between(0, 19) {
            0..=11 => {
                let step = rng.pick(&workflow.steps)?;
                let mut record = with_evidence(step, ["Wang", "Chen"][rng.below(2)]);
                if rng.percent(40) && step.outcome.is_some() {
                    record.receiver = Some(["Wang", "Chen", "Li"][rng.below(3)].to_owned());
                }
                Action::Record(record)
            }
            12 => measured(),
            13 => Action::Say(Say::of("hello")),
            14 => Action::Retract(Retract { edit: *rng.pick(&own)?, note: None }),
            15..=16 if dispatches => {
                let consignee = Some(["A", "B", "C"][rng.below(3)].to_owned());
                Action::Plan(Plan { fields: PlanFields { consignee, ..PlanFields::default() }, import: None })
            }
            17..=19 if dispatches => {
                let exception = rng.pick(&view.exceptions)?;
                let settle: Vec<EditId> = match exception.kind {
                    ExceptionKind::Contradiction => exception.edits.clone(),
                    _ => vec![exception.edits[0]],
                };
                let settle: Vec<EditId> = settle.into_iter().filter(|edit| is_record(held, edit)).collect();
                let uphold = rng.percent(70).then(|| settle.first().copied()).flatten();
                Action::Resolve(Resolve { settle, uphold, note: None })
            }
            _ => return None,
        })
    }

    /// The step that stands on a measured value and nothing else, if the workflow has one.
    fn measured_step(&self) -> Option<String> {
        let steps = self.teller.story.firm.workflow().steps.iter();
        let needs = |needs: &BTreeSet<Evidence>| needs.len() == 1 && needs.contains(&Evidence::Measure);
        steps.into_iter().find(|step| needs(&step.needs)).map(|step| step.key.clone())
    }

    /// What an honest member states, beside what happens otherwise.
    fn honestly(&mut self, who: &str, after: &[EditId], action: &Action) -> EditId {
        let id = self.teller.story.act(who, after, action);
        self.honest.insert(id);
        id
    }

    /// Between two signatures by different people a member records that somebody took the goods, without a name.
    fn detour(&mut self) {
        let opened = self.teller.story.opened();
        let signed = |step: &str, receiver: Option<&str>| {
            Action::Record(Record { step: step.to_owned(), receiver: receiver.map(str::to_owned), ..Record::default() })
        };
        let first = self.honestly("li-wei", &[opened], &signed("signed", Some("Wang")));
        let nobody = self.teller.story.act("east-gate", &[first], &signed("received", None));
        self.honestly("west-lake", &[nobody], &signed("received", Some("Chen")));
    }

    /// A member's signature is upheld against another's, and the member takes it back; then somebody settles that one alone.
    fn retract_what_was_upheld(&mut self) {
        let opened = self.teller.story.opened();
        let signed = |receiver: &str| {
            Action::Record(Record {
                step: "signed".to_owned(),
                receiver: Some(receiver.to_owned()),
                ..Record::default()
            })
        };
        let resolve =
            |settle: &[EditId], uphold| Action::Resolve(Resolve { settle: settle.to_vec(), uphold, note: None });
        let theirs = self.teller.story.act("east-gate", &[opened], &signed("Chen"));
        let honest = self.honestly("li-wei", &[opened], &signed("Wang"));
        let upheld = self.honestly("dora", &[theirs, honest], &resolve(&[theirs, honest], Some(theirs)));
        let retract = Action::Retract(Retract { edit: theirs, note: None });
        let retracted = self.teller.story.act("east-gate", &[upheld], &retract);
        self.honestly("dirk", &[retracted], &resolve(&[theirs], None));
    }

    /// A member measures, somebody records on it, and the member states the same by the same tap once more, knowing less: by
    /// depth it comes before the first.
    fn repeat_what_others_stand_on(&mut self) {
        let (attacker, tap) = ("east-gate", Tap(self.teller.rng.bytes()));
        let opened = self.teller.story.opened();
        let said = self.teller.story.say(attacker, &[opened], "between");
        let measure = self.teller.story.add(Draft::new(attacker, &[said], &measured()).tapped(tap));
        if let Some(step) = self.measured_step() {
            let record = Action::Record(Record { step, ..Record::default() });
            let only = self.teller.story.add(Draft::new("li-wei", &[measure], &record).tapped(Tap([4; 16])));
            self.honest.insert(only);
        }
        self.teller.story.add(Draft::new(attacker, &[opened], &measured()).tapped(tap));
    }

    /// Two thousand messages that know little, after a measure that others build on.
    fn flood_to_the_limit(&mut self) {
        let attacker = "east-gate";
        let heads = heads(self.edits());
        let measure = self.teller.story.act(attacker, &heads[..heads.len().min(64)], &measured());
        let opened = self.teller.story.opened();
        self.known
            .get_mut("li-wei")
            .expect("it is a member")
            .extend(self.teller.story.edits.iter().map(|edit| edit.id));
        if let Some(step) = self.measured_step() {
            let record = Action::Record(Record { step, ..Record::default() });
            let only = self.teller.story.add(Draft::new("li-wei", &[measure], &record).tapped(Tap([3; 16])));
            self.honest.insert(only);
        }
        for number in 0..2_001_u64 {
            let say = Action::Say(Say::of(&number.to_string()));
            self.teller.story.add(Draft::new(attacker, &[opened], &say).tapped(Tap(self.teller.rng.bytes())));
        }
    }

    /// More heads than an edit can name, void and not, of which some know nothing.
    fn flood_of_heads(&mut self) {
        let opened = self.teller.story.opened();
        let after: &[EditId] = if self.teller.rng.percent(50) { &[] } else { &[opened] };
        let attacker = self.attacker;
        for number in 0..90_u64 {
            let say = Action::Say(Say::of(&number.to_string()));
            self.teller.story.add(Draft::new(attacker, after, &say).tapped(Tap(self.teller.rng.bytes())));
        }
    }

    fn judge(&self) -> Option<String> {
        let firm = self.teller.story.firm;
        let history = History::new(self.edits().to_vec());
        let effects = Effects::of(&history, &firm.roster);
        for id in &self.honest {
            let place = history.place(id)?;
            if let Err(why) = &effects.verdicts[place] {
                return Some(format!("honest edit {} does not count any more: {why}", id.short()));
            }
        }
        let view = firm.render(self.edits()).view;
        self.judge_exceptions(&history, &effects, &view)
            .or_else(|| Self::judge_set_aside(&history, &effects, &view))
            .or_else(|| self.judge_values(&history, &view))
    }

    /// What excludes each other among honest facts is shown, or counted where its own pair has more than are shown.
    fn judge_exceptions(&self, history: &History, effects: &Effects, view: &View) -> Option<String> {
        let workflow = effects.workflow.as_deref()?;
        // By honest facts alone, with what their authors knew.
        let honest_only = self.without_attackers_facts(history, effects);
        let status = Status::of(history, &honest_only, workflow, &self.teller.story.firm.roster);
        let expected = status.exceptions.shown.iter().filter(|(kind, _)| *kind == ExceptionKind::Contradiction);
        let shown: BTreeSet<&Vec<EditId>> = view.exceptions.iter().map(|exception| &exception.edits).collect();
        let live = |edit: &EditId| {
            let entry = view.timeline.iter().find(|entry| entry.edit == *edit);
            entry.is_some_and(|entry| !matches!(entry.standing, Some(Standing::Retracted | Standing::Rejected)))
        };
        let hidden = expected.map(|(_, edits)| edits).find(|edits| edits.iter().all(live) && !shown.contains(edits));
        hidden.map(|edits| format!("the contradiction of {} and {} is hidden", edits[0].short(), edits[1].short()))
    }

    fn without_attackers_facts(&self, history: &History, effects: &Effects) -> Effects {
        let mut honest_only = effects.clone();
        for (place, event) in history.events().iter().enumerate() {
            if !self.honest.contains(&event.edit.id) {
                honest_only.verdicts[place] = Err(creel_protocol::shipment::Void::NotOwn);
            }
        }
        honest_only
    }

    /// A fact is set aside only by a `Resolve` of which what it upholds stands.
    fn judge_set_aside(history: &History, effects: &Effects, view: &View) -> Option<String> {
        let standing: BTreeMap<EditId, Option<Standing>> =
            view.timeline.iter().map(|entry| (entry.edit, entry.standing)).collect();
        for (edit, _) in standing.iter().filter(|(_, standing)| **standing == Some(Standing::Rejected)) {
            let rejects = effects.counting(history).any(|(_, action)| match action {
                Action::Resolve(resolve) => {
                    let upheld = resolve.uphold.map(|upheld| standing.get(&upheld).copied().flatten());
                    let stands = upheld.is_none_or(|upheld| !matches!(upheld, None | Some(Standing::Retracted)));
                    resolve.settle.contains(edit) && resolve.uphold != Some(*edit) && stands
                }
                _ => false,
            });
            if !rejects {
                return Some(format!("fact {} was set aside by nothing that stands", edit.short()));
            }
        }
        None
    }

    /// An honest value that no honest member has read and replaced is still there.
    fn judge_values(&self, history: &History, view: &View) -> Option<String> {
        let writes: Vec<(usize, EditId, &String)> = history
            .events()
            .iter()
            .enumerate()
            .filter(|(_, event)| self.honest.contains(&event.edit.id))
            .filter_map(|(place, event)| {
                let fields = event.action.as_ref().ok()?.fields()?;
                Some((place, event.edit.id, fields.consignee.as_ref()?))
            })
            .collect();
        for (place, id, value) in &writes {
            let replaced = writes.iter().any(|(later, ..)| history.knew(*later, *place));
            let shown = view.plan.get("consignee").and_then(|shown| shown.as_str()) == Some(value.as_str())
                || view.conflicts.iter().any(|conflict| {
                    let value = serde_json::Value::from(value.as_str());
                    conflict
                        .values
                        .iter()
                        .any(|candidate| serde_json::to_value(&candidate.value).is_ok_and(|other| other == value))
                });
            if !replaced && !shown {
                return Some(format!("the consignee {value} of {} is gone unread", id.short()));
            }
        }
        None
    }

    /// A node that holds all of it can record a step, and settle a contradiction.
    fn judge_acts(&self) -> Option<String> {
        const PEER: u64 = 1;
        let firm = self.teller.story.firm;
        let mut hub = Node::of(firm, "hub");
        hub.meet(PEER, "dora", false);
        let ordered = creel_protocol::edit::causal::order(self.edits().to_vec());
        for part in ordered.chunks(40) {
            hub.hear_edits(PEER, &part.iter().collect::<Vec<_>>());
        }
        hub.rest();
        let document = self.edits()[0].document;
        let record = Record { step: "picked".to_owned(), ..Record::default() };
        let shipments = vec![document.to_string()];
        if let Err(why) = hub.act(1, Act::Record { shipments, record, role: None }) {
            return Some(format!("nobody can record any more: {why}"));
        }
        hub.rest();
        let view = hub.show(document).view;
        let contradiction = view.exceptions.iter().find(|exception| exception.kind == ExceptionKind::Contradiction)?;
        let settle = Act::Resolve {
            shipment: document.to_string(),
            settle: contradiction.edits.iter().map(ToString::to_string).collect(),
            uphold: Some(contradiction.edits[0].to_string()),
            note: None,
        };
        hub.act(2, settle).err().map(|why| format!("nobody can settle any more: {why}"))
    }
}

fn is_record(held: &[Edit], id: &EditId) -> bool {
    held.iter().any(|edit| edit.id == *id && edit.statement.action.kind == 3)
}

fn heads(edits: &[Edit]) -> Vec<EditId> {
    let known: BTreeSet<EditId> = edits.iter().flat_map(|edit| edit.statement.after.iter().copied()).collect();
    edits.iter().map(|edit| edit.id).filter(|id| !known.contains(id)).collect()
}
