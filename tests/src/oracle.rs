//! The rules of docs/status.md once more, naively: sets, reachability and every pair.
//!
//! Written from that page and not from `protocol/src/shipment`, so that a mistake in one of them shows as a difference. It makes
//! the whole view. What it takes from the engine: how bytes become actions and details, the form of a receiver's name, how a
//! time is written, and the workflows.

use creel_protocol::cbor::Encode as _;
use creel_protocol::edit::Edit;
use creel_protocol::edit::action::{Action, ActionError, Line, PlanFields, Record, Resolve};
use creel_protocol::id::{DeviceKey, EditId};
use creel_protocol::roster::{Role, Roster, is_party_name};
use creel_protocol::shipment::receiver::Form;
use creel_protocol::shipment::time;
use creel_protocol::shipment::view::detail;
use creel_protocol::workflow::{Evidence, Outcome, Step, Workflow};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// An edit that knows others.
struct Known {
    edit: Edit,
    action: Result<Action, ActionError>,
    past: BTreeSet<EditId>,
    depth: usize,
    /// Why it does not count.
    void: Option<&'static str>,
}

struct Oracle<'a> {
    edits: BTreeMap<EditId, Known>,
    /// In canonical order.
    order: Vec<EditId>,
    roster: &'a Roster,
    workflow: Option<&'a Workflow>,
    opened: bool,
    /// The Records that count.
    facts: Facts,
    /// What `Retract`s that count name, with the `Retract`.
    retracts: BTreeSet<(EditId, EditId)>,
}

type Facts = BTreeMap<EditId, Fact>;

struct Fact {
    record: Record,
    step: Step,
    form: Option<Form>,
}

/// The view of a document's edits, which are all there, as JSON.
pub fn view(edits: &[Edit], roster: &Roster) -> Value {
    let mut oracle = Oracle {
        edits: BTreeMap::new(),
        order: Vec::new(),
        roster,
        workflow: None,
        opened: false,
        facts: BTreeMap::new(),
        retracts: BTreeSet::new(),
    };
    oracle.read(edits);
    oracle.judge();
    oracle.facts = oracle.find_facts();
    oracle.retracts = oracle.find_retracts();
    oracle.view()
}

impl Oracle<'_> {
    fn read(&mut self, edits: &[Edit]) {
        let mut left: Vec<&Edit> = edits.iter().collect();
        while !left.is_empty() {
            let ready = |edit: &&Edit| edit.statement.after.iter().all(|before| self.edits.contains_key(before));
            let (now, later): (Vec<&Edit>, Vec<&Edit>) = left.iter().partition(|edit| ready(edit));
            assert!(!now.is_empty(), "a history is whole");
            for edit in now {
                let mut past = BTreeSet::new();
                let mut depth = 0;
                for before in &edit.statement.after {
                    past.insert(*before);
                    past.extend(self.edits[before].past.iter().copied());
                    depth = depth.max(self.edits[before].depth + 1);
                }
                let action = Action::from_raw(&edit.statement.action);
                self.edits.insert(edit.id, Known { edit: edit.clone(), action, past, depth, void: None });
            }
            left = later;
        }
        self.order = self.edits.keys().copied().collect();
        self.order.sort_by_key(|id| (self.edits[id].depth, *id));
    }

    fn knows(&self, later: &EditId, earlier: &EditId) -> bool {
        self.edits[later].past.contains(earlier)
    }

    fn author(&self, id: &EditId) -> DeviceKey {
        self.edits[id].edit.statement.author
    }

    fn by(&self, id: &EditId) -> Option<String> {
        self.edits[id].edit.statement.by.clone()
    }

    fn at(&self, id: &EditId) -> u64 {
        self.edits[id].edit.statement.at
    }

    /// Role and enrolment at the named entry.
    fn standing(&self, id: &EditId) -> (Role, u64) {
        let statement = &self.edits[id].edit.statement;
        let height = self.roster.height_of(&statement.roster).expect("it was admitted");
        let member = self.roster.member_at(&statement.author, height).expect("it was admitted");
        (member.role, member.since)
    }

    fn counts(&self, id: &EditId) -> bool {
        self.edits[id].void.is_none()
    }

    /// What counts of the actions, in canonical order.
    fn counting(&self) -> impl Iterator<Item = (EditId, &Action)> {
        let counting = self.order.iter().filter(|id| self.counts(id));
        counting.map(|id| (*id, self.edits[id].action.as_ref().expect("what counts is understood")))
    }

    // Section 1: which edits count.

    fn judge(&mut self) {
        let mut judged: BTreeSet<EditId> = BTreeSet::new();
        for id in self.order.clone() {
            let why = self.why_void(&id, &judged);
            if why.is_none()
                && !self.opened
                && let Ok(Action::Open(open)) = &self.edits[&id].action
            {
                self.opened = true;
                let workflow = open.workflow.expect("a shipment has steps");
                self.workflow = self.roster.workflow_at(&workflow, u64::MAX).map(|workflow| &**workflow);
            }
            self.edits.get_mut(&id).expect("it is there").void = why;
            judged.insert(id);
        }
    }

    /// The edits of `id`'s past that count.
    fn counting_past<'b>(&'b self, id: &EditId, judged: &'b BTreeSet<EditId>) -> impl Iterator<Item = &'b Known> {
        let past = self.edits[id].past.iter();
        past.filter(|before| judged.contains(before) && self.counts(before)).map(|before| &self.edits[before])
    }

    fn why_void(&self, id: &EditId, judged: &BTreeSet<EditId>) -> Option<&'static str> {
        let known = &self.edits[id];
        let action = match &known.action {
            Err(ActionError::Unknown) => return Some("unknown_action"),
            Err(ActionError::Malformed(_)) => return Some("malformed"),
            Ok(action) => action,
        };
        let why = match action {
            Action::Open(_) => self.why_open_void(id),
            _ if !self.counting_past(id, judged).any(|before| matches!(before.action, Ok(Action::Open(_)))) => {
                Some("no_open")
            }
            _ => self.why_other_void(id, action, judged),
        };
        why.or_else(|| self.why_too_many(id, judged))
    }

    fn why_open_void(&self, id: &EditId) -> Option<&'static str> {
        let Known { edit, action: Ok(Action::Open(open)), .. } = &self.edits[id] else { return Some("malformed") };
        let height = self.roster.height_of(&edit.statement.roster).expect("it was admitted");
        if !edit.statement.after.is_empty() || edit.statement.document_opened() != edit.document {
            return Some("not_its_id");
        }
        if open.kind != "shipment" {
            return Some("unknown_kind");
        }
        if !matches!(self.standing(id).0, Role::Admin | Role::Dispatcher) {
            return Some("role");
        }
        if open.workflow.is_none_or(|workflow| self.roster.workflow_at(&workflow, height).is_none()) {
            return Some("unknown_workflow");
        }
        let number = open.plan.number.as_ref().is_some_and(|number| !number.is_empty());
        if !by_fits(edit) || !number || !plan_fits(&open.plan) { Some("field") } else { None }
    }

    fn why_other_void(&self, id: &EditId, action: &Action, judged: &BTreeSet<EditId>) -> Option<&'static str> {
        let edit = &self.edits[id].edit;
        let (role, _) = self.standing(id);
        let step = match action {
            Action::Record(record) => {
                let workflow = self.workflow.expect("a shipment has steps");
                let step = workflow.steps.iter().find(|step| step.key == record.step && step.key != "created");
                let Some(step) = step else { return Some("no_step") };
                Some(step)
            }
            _ => None,
        };
        let may = match action {
            Action::Open(_) | Action::Plan(_) | Action::Resolve(_) => matches!(role, Role::Admin | Role::Dispatcher),
            Action::Record(_) => step.is_some_and(|step| step.by.contains(&role)),
            Action::Measure(_) | Action::Say(_) | Action::Retract(_) => !matches!(role, Role::Viewer | Role::Unknown),
        };
        if !may {
            return Some("role");
        }
        if !by_fits(edit) || !fields_fit(action) {
            return Some("field");
        }
        let (record, measure, say) = (3, 4, 5);
        let fits = |named: &EditId, kinds: &[u64]| {
            self.knows(id, named) && kinds.contains(&self.edits[named].edit.statement.action.kind)
        };
        let named = match action {
            Action::Resolve(resolve) => {
                resolve.settle.iter().all(|named| fits(named, &[record, measure]))
                    && resolve.uphold.iter().all(|named| fits(named, &[record]))
            }
            Action::Retract(retract) => fits(&retract.edit, &[record, measure, say]),
            Action::Say(message) => message.reply_to.iter().all(|named| fits(named, &[say])),
            _ => true,
        };
        if !named {
            return Some("target");
        }
        match action {
            Action::Retract(retract) if self.author(&retract.edit) != self.author(id) => Some("not_own"),
            Action::Record(record) => {
                let lacks = |evidence: &Evidence| match evidence {
                    Evidence::Receiver => record.receiver.is_none(),
                    Evidence::Signature => record.signature.is_none(),
                    Evidence::Photos => record.photos.is_empty(),
                    Evidence::Reason => record.reason.is_none(),
                    Evidence::Place => record.place.is_none(),
                    Evidence::Scan => record.scan.is_none(),
                    Evidence::Pin => record.pin.is_none(),
                    Evidence::Lines => record.lines.is_empty(),
                    Evidence::Collected => record.collected.is_none(),
                    Evidence::Measure => self.measures_of(id, judged).is_empty(),
                };
                step.is_some_and(|step| step.needs.iter().any(lacks)).then_some("evidence")
            }
            _ => None,
        }
    }

    /// The Measures that satisfy a Record's evidence.
    fn measures_of(&self, record: &EditId, judged: &BTreeSet<EditId>) -> Vec<EditId> {
        let retracted: Vec<EditId> = self
            .counting_past(record, judged)
            .filter_map(|before| match &before.action {
                Ok(Action::Retract(retract)) => Some(retract.edit),
                _ => None,
            })
            .collect();
        let measures =
            self.counting_past(record, judged).filter(|before| matches!(before.action, Ok(Action::Measure(_))));
        measures.map(|before| before.edit.id).filter(|measure| !retracted.contains(measure)).collect()
    }

    fn why_too_many(&self, id: &EditId, judged: &BTreeSet<EditId>) -> Option<&'static str> {
        let statement = &self.edits[id].edit.statement;
        let own: Vec<_> = self
            .counting_past(id, judged)
            .map(|before| &before.edit.statement)
            .filter(|before| before.author == statement.author)
            .collect();
        let action = statement.action.to_cbor();
        if own.iter().any(|before| before.tap == statement.tap && before.action.to_cbor() == action) {
            return Some("repeat");
        }
        let of_person = own.iter().filter(|before| before.by == statement.by).count();
        (own.len() >= 2_000 || of_person >= 500 && own.len() > of_person).then_some("limit")
    }

    // Section 4: the plan.

    /// The candidates of each register, in order.
    fn registers(&self) -> BTreeMap<String, Vec<(Value, EditId)>> {
        let mut writes: BTreeMap<String, Vec<(Value, EditId)>> = BTreeMap::new();
        for (id, action) in self.counting() {
            let fields = match action {
                Action::Open(open) => &open.plan,
                Action::Plan(plan) => &plan.fields,
                _ => continue,
            };
            for (register, value) in written(fields) {
                writes.entry(register).or_default().push((value, id));
            }
        }
        for values in writes.values_mut() {
            let all: Vec<EditId> = values.iter().map(|(_, id)| *id).collect();
            values.retain(|(_, id)| !all.iter().any(|later| self.knows(later, id)));
            values.sort_by_key(|(_, id)| (self.standing(id), *id));
        }
        writes
    }

    // Sections 5 to 7: facts, status, exceptions.

    fn find_facts(&self) -> Facts {
        let fact = |record: &Record| {
            let step = self.workflow?.steps.iter().find(|step| step.key == record.step)?.clone();
            let form = record.receiver.as_deref().map(Form::of);
            Some(Fact { record: record.clone(), step, form })
        };
        self.counting()
            .filter_map(|(id, action)| match action {
                Action::Record(record) => Some((id, fact(record)?)),
                _ => None,
            })
            .collect()
    }

    fn resolves(&self) -> BTreeMap<EditId, &Resolve> {
        self.counting()
            .filter_map(|(id, action)| match action {
                Action::Resolve(resolve) => Some((id, resolve)),
                _ => None,
            })
            .collect()
    }

    /// Pairs: what was taken back, and the Retract.
    fn find_retracts(&self) -> BTreeSet<(EditId, EditId)> {
        self.counting()
            .filter_map(|(id, action)| match action {
                Action::Retract(retract) => Some((retract.edit, id)),
                _ => None,
            })
            .collect()
    }

    fn is_retracted(&self, fact: &EditId) -> bool {
        self.retracts.iter().any(|(taken_back, _)| taken_back == fact)
    }

    fn latest_about(&self, fact: &EditId) -> BTreeSet<EditId> {
        let names = |resolve: &Resolve| resolve.settle.contains(fact) || resolve.uphold == Some(*fact);
        let naming: Vec<EditId> =
            self.resolves().into_iter().filter(|(_, resolve)| names(resolve)).map(|(id, _)| id).collect();
        naming.iter().copied().filter(|id| !naming.iter().any(|other| self.knows(other, id))).collect()
    }

    fn exclude(&self, a: &EditId, b: &EditId) -> bool {
        let (one, other) = (&self.facts[a], &self.facts[b]);
        match (one.step.outcome, other.step.outcome) {
            (Some(Outcome::Signed), Some(Outcome::Signed)) => match (&one.form, &other.form) {
                (Some(one), Some(other)) => one.differs(other),
                _ => false,
            },
            (Some(first), Some(second)) => first != second,
            _ => false,
        }
    }

    fn weight(&self, fact: &EditId) -> (u32, usize, usize, Reverse<(Role, u64, EditId)>) {
        let Fact { record, step, .. } = &self.facts[fact];
        let place = self.workflow.expect("there are facts").steps.iter().position(|other| other.key == step.key);
        let evidence = [
            record.receiver.is_some(),
            record.signature.is_some(),
            !record.photos.is_empty(),
            record.scan.is_some(),
            record.pin.is_some(),
            record.place.is_some(),
            record.collected.is_some(),
        ];
        let (role, since) = self.standing(fact);
        let evidence = evidence.iter().filter(|there| **there).count();
        (step.rank, place.unwrap_or(0), evidence, Reverse((role, since, *fact)))
    }

    fn find(&self) -> Found {
        let facts = &self.facts;
        let resolves = self.resolves();
        let mut found = Found::default();
        let latest: BTreeMap<EditId, BTreeSet<EditId>> =
            facts.keys().map(|fact| (*fact, self.latest_about(fact))).collect();
        let mut silent: BTreeSet<EditId> = BTreeSet::new();
        let mut disputes: BTreeSet<[EditId; 2]> = BTreeSet::new();
        for (fact, latest) in &latest {
            for one in latest {
                for other in latest {
                    if resolves[one].uphold == Some(*fact) && resolves[other].uphold != Some(*fact) {
                        silent.extend([*one, *other]);
                        disputes.insert([*one.min(other), *one.max(other)]);
                    }
                }
            }
        }
        let mut on_retracted: BTreeSet<[EditId; 2]> = BTreeSet::new();
        for (id, resolve) in &resolves {
            let Some(upheld) = resolve.uphold else { continue };
            if !facts.contains_key(&upheld) || self.is_retracted(&upheld) {
                silent.insert(*id);
                if latest.values().any(|latest| latest.contains(id)) {
                    on_retracted.insert([upheld, *id]);
                }
            }
        }
        for fact in facts.keys() {
            let rejects = |id: &EditId| !silent.contains(id) && resolves[id].uphold != Some(*fact);
            if self.is_retracted(fact) {
                found.retracted.insert(*fact);
            } else if latest[fact].iter().any(rejects) {
                found.rejected.insert(*fact);
            } else {
                found.live.insert(*fact);
            }
        }
        self.supersede(&mut found);
        let superseded: BTreeSet<EditId> = found.supersedes.iter().map(|(_, earlier)| *earlier).collect();
        found.decides = found.live.difference(&superseded).copied().max_by_key(|fact| self.weight(fact));
        found.superseded = superseded;
        let mut contradictions: BTreeSet<[EditId; 2]> = BTreeSet::new();
        for a in &found.live {
            for b in found.live.iter().filter(|b| a < *b) {
                let told = found.supersedes.contains(&(*a, *b)) || found.supersedes.contains(&(*b, *a));
                if self.exclude(a, b) && !told {
                    contradictions.insert([*a, *b]);
                }
            }
        }
        let form = |id: &EditId| facts.get(id).and_then(|fact| fact.form.clone());
        let person = |id: &EditId| (self.by(id), None);
        self.shown(&mut found, "contradiction", &contradictions, true, &|id| (self.by(id), form(id)));
        self.shown(&mut found, "resolution_disputed", &disputes, true, &person);
        self.shown(&mut found, "resolution_on_retracted", &on_retracted, false, &person);
        self.users(&mut found, &resolves);
        found
    }

    /// "There is a chain of live facts", by trying until nothing is added. For each pair also the outcomes of the steps out of
    /// which some chain takes a named way.
    fn supersede(&self, found: &mut Found) {
        let facts = &self.facts;
        let mut chains: BTreeMap<(EditId, EditId), BTreeSet<Option<Outcome>>> = BTreeMap::new();
        for a in &found.live {
            for b in &found.live {
                let (from, to) = (&facts[a].step, &facts[b].step);
                let named = from.ways.contains(&to.key);
                let forward = (to.rank > from.rank || to.key == from.key) && !self.exclude(a, b);
                if self.knows(b, a) && (named || forward) {
                    let through = if named { BTreeSet::from([from.outcome]) } else { BTreeSet::new() };
                    chains.insert((*b, *a), through);
                }
            }
        }
        loop {
            let mut more = chains.clone();
            for ((c, b), first) in &chains {
                for ((_, a), second) in chains.iter().filter(|((later, _), _)| later == b) {
                    more.entry((*c, *a)).or_default().extend(first.union(second).copied());
                }
            }
            if more == chains {
                break;
            }
            chains = more;
        }
        for ((b, a), named) in chains {
            if !self.exclude(&a, &b) || named.contains(&facts[&a].step.outcome) {
                found.supersedes.insert((b, a));
            }
        }
    }

    /// The users of each Retract.
    fn users(&self, found: &mut Found, resolves: &BTreeMap<EditId, &Resolve>) {
        let facts = &self.facts;
        let everything: BTreeSet<EditId> = self.edits.keys().copied().collect();
        let retracts = &self.retracts;
        let all: BTreeSet<EditId> = retracts.iter().map(|(taken_back, _)| *taken_back).collect();
        let mut items: BTreeSet<[EditId; 3]> = BTreeSet::new();
        for (taken_back, retract) in retracts {
            let Known { action, void: None, .. } = &self.edits[taken_back] else { continue };
            let possible: Vec<EditId> = match action {
                Ok(Action::Record(_)) => facts.keys().chain(resolves.keys()).copied().collect(),
                Ok(Action::Measure(_)) => facts
                    .iter()
                    .filter(|(_, fact)| fact.step.needs.contains(&Evidence::Measure))
                    .map(|(id, _)| *id)
                    .filter(|id| self.measures_of(id, &everything).iter().all(|measure| all.contains(measure)))
                    .collect(),
                _ => continue,
            };
            for user in possible {
                let settled = resolves.iter().any(|(id, resolve)| {
                    let names = resolve.settle.contains(taken_back) || resolve.uphold == Some(*taken_back);
                    names && self.knows(id, &user) && self.knows(id, retract)
                });
                let another = (self.author(&user), self.by(&user)) != (self.author(retract), self.by(retract));
                if another && self.knows(&user, taken_back) && !self.knows(&user, retract) && !settled {
                    items.insert([*taken_back, *retract, user]);
                }
            }
        }
        let pair = |item: &[EditId; 3]| (item[1], item[2]);
        let group = |item: &[EditId; 3]| vec![(self.by(&item[1]), None), (self.by(&item[2]), None)];
        let (shown, more) = self.by_turns(&items, &pair, &group);
        let mut together: BTreeMap<[EditId; 2], Vec<EditId>> = BTreeMap::new();
        for [taken_back, retract, user] in shown {
            together.entry([taken_back, retract]).or_default().push(user);
        }
        for (edits, users) in together {
            found.exceptions.push(("retracted_after_use", [&edits[..], &users].concat()));
        }
        if more > 0 {
            found.more.insert("retracted_after_use", more);
        }
    }

    /// What is shown of a kind of which each item is between the authors of its two edits.
    fn shown(
        &self,
        found: &mut Found,
        kind: &'static str,
        items: &BTreeSet<[EditId; 2]>,
        in_either_order: bool,
        voice: &dyn Fn(&EditId) -> Voice,
    ) {
        let group = |item: &[EditId; 2]| {
            let mut voices = vec![voice(&item[0]), voice(&item[1])];
            let (one, other) = (self.author(&item[0]), self.author(&item[1]));
            if in_either_order && one > other {
                voices.reverse();
            } else if in_either_order && one == other {
                voices.sort();
            }
            voices
        };
        let (shown, more) = self.by_turns(items, &|item| (item[0], item[1]), &group);
        found.exceptions.extend(shown.into_iter().map(|item| (kind, item.to_vec())));
        if more > 0 {
            found.more.insert(kind, more);
        }
    }

    fn by_turns<T: Ord + Copy>(
        &self,
        items: &BTreeSet<T>,
        pair: &dyn Fn(&T) -> (EditId, EditId),
        group: &dyn Fn(&T) -> Vec<Voice>,
    ) -> (BTreeSet<T>, usize) {
        let mut pairs: BTreeMap<BTreeSet<DeviceKey>, Vec<T>> = BTreeMap::new();
        for item in items {
            let (one, other) = pair(item);
            pairs.entry([self.author(&one), self.author(&other)].into()).or_default().push(*item);
        }
        let mut shown = BTreeSet::new();
        for items in pairs.values() {
            // The turn of an item is how many of its group come before it; then the first item of its group.
            let before = |nth: usize| items[..nth].iter().filter(|other| group(other) == group(&items[nth])).count();
            let first = |nth: usize| items.iter().position(|other| group(other) == group(&items[nth]));
            let mut turns: Vec<usize> = (0..items.len()).collect();
            turns.sort_by_cached_key(|nth| (before(*nth), first(*nth)));
            shown.extend(turns.into_iter().take(16).map(|nth| items[nth]));
        }
        let more = items.len() - shown.len();
        (shown, more)
    }

    fn signature_of(&self, fact: &EditId, found: &Found) -> Option<EditId> {
        let facts = &self.facts;
        let is_signature =
            |id: &EditId| facts[id].step.outcome == Some(Outcome::Signed) && facts[id].record.receiver.is_some();
        if is_signature(fact) {
            return Some(*fact);
        }
        let known = found.live.iter().filter(|other| self.knows(fact, other) && is_signature(other));
        known.copied().max_by_key(|other| self.weight(other))
    }

    // Section 8: clocks.

    /// Edits that are behind, and edits that are ahead.
    fn clocks(&self) -> (BTreeSet<EditId>, BTreeSet<EditId>) {
        let hub = self.roster.genesis().hub;
        let (mut behind, mut ahead) = (BTreeSet::new(), BTreeSet::new());
        for id in self.order.iter().filter(|id| self.counts(id)) {
            let above = |other: &&EditId| self.counts(other) && self.at(other) > self.at(id) + 300_000;
            let above: Vec<EditId> = self.edits[id].past.iter().filter(above).copied().collect();
            let others: Vec<EditId> =
                above.iter().copied().filter(|other| self.author(other) != self.author(id)).collect();
            let devices: BTreeSet<DeviceKey> = others.iter().map(|other| self.author(other)).collect();
            if above.iter().any(|other| self.author(other) == hub) || devices.len() >= 2 {
                behind.insert(*id);
            } else {
                ahead.extend(others);
            }
        }
        (behind, ahead)
    }

    // Section 10: the view.

    fn view(&self) -> Value {
        let found = self.find();
        let facts = &self.facts;
        let registers = self.registers();
        let (behind, ahead) = self.clocks();
        let (plan, number) = plan(&registers);
        let mut void: BTreeMap<DeviceKey, usize> = BTreeMap::new();
        let mut timeline = Vec::new();
        for id in &self.order {
            if !self.counts(id) {
                let count = void.entry(self.author(id)).or_default();
                *count += 1;
                if *count > 16 {
                    continue;
                }
            }
            timeline.push(self.entry(id, &found, behind.contains(id), ahead.contains(id)));
        }
        let signed = found.decides.as_ref().and_then(|decides| {
            let itself = || Some(*decides).filter(|id| facts[id].step.outcome == Some(Outcome::Signed));
            self.signature_of(decides, &found).or_else(itself)
        });
        let status = match &found.decides {
            Some(decides) => facts[decides].step.key.as_str(),
            None if self.opened => "created",
            None => "none",
        };
        let document = self.order.first().map(|id| self.edits[id].edit.document.to_string());
        let left_out: Map<String, Value> = void
            .iter()
            .filter(|(_, count)| **count > 16)
            .map(|(key, count)| (key.to_string(), json!(count - 16)))
            .collect();
        let exceptions = found.exceptions.iter().map(|(kind, edits)| json!({ "kind": kind, "edits": edits }));
        json!({
            "id": document,
            "number": number,
            "status": status,
            "signed": signed.map(|id| time::rfc3339(self.at(&id))),
            "workflow": self.workflow.map_or("", |workflow| workflow.name.as_str()),
            "plan": plan,
            "conflicts": registers.iter().filter_map(|(field, values)| self.conflict(field, values)).collect::<Vec<_>>(),
            "timeline": timeline,
            "void_more": left_out,
            "exceptions": exceptions.collect::<Vec<_>>(),
            "exceptions_more": found.more,
        })
    }

    fn conflict(&self, field: &str, values: &[(Value, EditId)]) -> Option<Value> {
        let mut different: Vec<&Value> = Vec::new();
        let mut shown: Vec<&(Value, EditId)> = Vec::new();
        for candidate in values {
            if !different.contains(&&candidate.0) {
                different.push(&candidate.0);
            }
            let of_author = shown.iter().filter(|other| self.author(&other.1) == self.author(&candidate.1)).count();
            if of_author < 2 && shown.len() < 16 && shown.iter().all(|other| other.0 != candidate.0) {
                shown.push(candidate);
            }
        }
        let told = shown.iter().map(|(value, id)| {
            json!({ "value": value, "edit": id, "author": self.name(id), "role": self.standing(id).0.name() })
        });
        let told: Vec<Value> = told.collect();
        (different.len() > 1).then(|| json!({ "field": field, "more": different.len() - told.len(), "values": told }))
    }

    fn name(&self, id: &EditId) -> String {
        self.roster.member(&self.author(id)).map_or_else(|| self.author(id).short(), |member| member.name.clone())
    }

    fn entry(&self, id: &EditId, found: &Found, behind: bool, ahead: bool) -> Value {
        let known = &self.edits[id];
        let facts = &self.facts;
        let statement = &known.edit.statement;
        let action = known.action.as_ref().ok();
        let step = match action {
            Some(Action::Record(record)) => Some(record.step.clone()),
            _ => None,
        };
        let knew = |other: &EditId| found.live.contains(other) && self.knows(id, other);
        let ranks = |of: &EditId| facts[of].step.rank;
        let standing = facts.contains_key(id).then(|| {
            let nothing = !found.supersedes.iter().any(|(later, _)| later == id);
            match () {
                () if found.retracted.contains(id) => "retracted",
                () if found.rejected.contains(id) => "rejected",
                () if found.decides == Some(*id) => "decides",
                () if found.superseded.contains(id) => "superseded",
                () if nothing && facts.keys().any(|other| knew(other) && ranks(other) > ranks(id)) => "backfill",
                () => "outranked",
            }
        });
        let mut skipped = Vec::new();
        if let Some(Fact { step: own, .. }) = facts.get(id)
            && !matches!(own.outcome, Some(Outcome::Returned | Outcome::Cancelled))
        {
            let from = facts.keys().filter(|other| knew(other)).map(ranks).max().unwrap_or(0);
            for step in &self.workflow.expect("there are facts").steps {
                let between = step.rank > from && step.rank < own.rank;
                if between && step.outcome.is_none() && step.ways.is_empty() && step.key != "created" {
                    skipped.push(step.key.clone());
                }
            }
        }
        json!({
            "edit": id,
            "action": action.map_or("unknown", Action::name),
            "author": self.name(id),
            "device": statement.author,
            "role": self.standing(id).0.name(),
            "by": statement.by,
            "at": time::rfc3339(statement.at),
            "clock_behind": behind,
            "clock_ahead": ahead,
            "after": statement.after,
            "counted": self.counts(id),
            "why_not": known.void,
            "step": step,
            "standing": standing,
            "skipped": skipped,
            "detail": action.and_then(detail),
        })
    }
}

/// What tells two people, and what they say, apart.
type Voice = (Option<String>, Option<Form>);

#[derive(Default)]
struct Found {
    retracted: BTreeSet<EditId>,
    rejected: BTreeSet<EditId>,
    live: BTreeSet<EditId>,
    /// Pairs: the later, the earlier.
    supersedes: BTreeSet<(EditId, EditId)>,
    superseded: BTreeSet<EditId>,
    decides: Option<EditId>,
    exceptions: Vec<(&'static str, Vec<EditId>)>,
    more: BTreeMap<&'static str, usize>,
}

// Section 3: fields.

const LONG: usize = 4_000;

fn fits(text: &str, max: usize, inside: &[char]) -> bool {
    let clean =
        text.chars().all(|letter| inside.contains(&letter) || !matches!(u32::from(letter), 0..=0x1f | 0x7f..=0x9f));
    let ends = [text.chars().next(), text.chars().last()];
    let padded = ends.into_iter().flatten().any(char::is_whitespace);
    clean && !padded && text.chars().count() <= max
}

fn says(text: &str, max: usize, inside: &[char]) -> bool {
    !text.is_empty() && fits(text, max, inside)
}

fn says_if_there(text: Option<&String>, max: usize, inside: &[char]) -> bool {
    text.is_none_or(|text| says(text, max, inside))
}

fn by_fits(edit: &Edit) -> bool {
    says_if_there(edit.statement.by.as_ref(), usize::MAX, &[])
}

fn once<T: Ord>(items: impl IntoIterator<Item = T>) -> bool {
    let all: Vec<T> = items.into_iter().collect();
    let count = all.len();
    all.into_iter().collect::<BTreeSet<T>>().len() == count
}

fn party_fits(party: &str) -> bool {
    party.is_empty() || is_party_name(party)
}

fn plan_fits(plan: &PlanFields) -> bool {
    let lines = ['\n', '\t'];
    let short = [&plan.consignee, &plan.run, &plan.phone, &plan.reference, &plan.region, &plan.group];
    let long = [&plan.address, &plan.handling, &plan.note];
    let set = [
        ("place", plan.place.is_some()),
        ("window", plan.window.is_some()),
        ("stop", plan.stop.is_some()),
        ("amount_due", plan.amount_due.is_some()),
        ("service", plan.service.is_some()),
    ];
    let kind = |kind: &String| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase());
    plan.number.as_ref().is_none_or(|number| says(number, 64, &[]))
        && short.into_iter().flatten().all(|text| fits(text, 200, &[]))
        && long.into_iter().flatten().all(|text| fits(text, LONG, &lines))
        && plan.stop != Some(0)
        && plan.driver.as_deref().is_none_or(party_fits)
        && plan.parties.iter().all(|(name, party)| kind(name) && party_fits(party))
        && cleared_fits(&plan.cleared, &set)
        && once(plan.lines.iter().map(|line| &line.line))
        && plan.lines.iter().all(line_fits)
}

fn cleared_fits(cleared: &[String], fields: &[(&str, bool)]) -> bool {
    once(cleared) && !fields.iter().any(|(field, set)| *set && cleared.iter().any(|name| name == field))
}

fn line_fits(line: &Line) -> bool {
    let set = [
        ("quantity", line.quantity.is_some()),
        ("weight", line.weight.is_some()),
        ("volume", line.volume.is_some()),
        ("price", line.price.is_some()),
    ];
    let texts = [&line.sku, &line.name, &line.unit, &line.lot, &line.gtin];
    says(&line.line, 64, &[])
        && !line.line.contains('/')
        && texts.into_iter().flatten().all(|text| fits(text, 200, &[]))
        && line.expiry.as_ref().is_none_or(|expiry| expiry.is_empty() || is_date(expiry))
        && line.quantity.is_none_or(|quantity| quantity >= 0)
        && cleared_fits(&line.cleared, &set)
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
        return false;
    }
    let [year, month, day] = [year, month, day].map(|part| part.parse::<u32>().unwrap_or(0));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    year > 0 && day > 0 && day <= days
}

fn fields_fit(action: &Action) -> bool {
    let lines = ['\n', '\t'];
    match action {
        Action::Open(_) => false,
        Action::Plan(plan) => plan.fields != PlanFields::default() && plan_fits(&plan.fields),
        Action::Record(record) => {
            let short = [&record.reason, &record.receiver, &record.relation, &record.pin, &record.payment];
            let counts =
                record.lines.iter().flat_map(|count| [count.received, count.short, count.damaged, count.returned]);
            short.into_iter().all(|text| says_if_there(text.as_ref(), 200, &[]))
                && says_if_there(record.scan.as_ref(), 200, &['\u{1d}'])
                && says_if_there(record.note.as_ref(), LONG, &lines)
                && record.signed_as.as_ref().is_none_or(|signed_as| signed_as == "recipient" || signed_as == "proxy")
                && record.handed_to.as_ref().is_none_or(|party| is_party_name(party))
                && record.signature.as_ref().is_none_or(|signature| signature.0.len() <= 12_288)
                && record.photos.len() <= 20
                && once(&record.photos)
                && once(record.lines.iter().map(|count| (&count.line, &count.lot)))
                && record
                    .lines
                    .iter()
                    .all(|count| says(&count.line, 64, &[]) && says_if_there(count.lot.as_ref(), 200, &[]))
                && counts.flatten().all(|quantity| quantity >= 0)
        }
        Action::Measure(measure) => {
            says(&measure.quantity, 200, &[])
                && says(&measure.unit, 200, &[])
                && says_if_there(measure.sensor.as_ref(), 200, &[])
        }
        Action::Say(say) => {
            (say.text.is_some() || !say.files.is_empty())
                && says_if_there(say.text.as_ref(), LONG, &lines)
                && says_if_there(say.file_kind.as_ref(), 200, &[])
                && say.files.len() <= 20
                && once(&say.files)
        }
        Action::Resolve(resolve) => {
            !resolve.settle.is_empty() && once(&resolve.settle) && says_if_there(resolve.note.as_ref(), LONG, &lines)
        }
        Action::Retract(retract) => says_if_there(retract.note.as_ref(), LONG, &lines),
    }
}

// Section 4: registers.

fn written(plan: &PlanFields) -> BTreeMap<String, Value> {
    let mut written = BTreeMap::new();
    let mut text = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            written.insert(name.to_owned(), json!(value));
        }
    };
    text("number", &plan.number);
    text("consignee", &plan.consignee);
    text("address", &plan.address);
    text("driver", &plan.driver);
    text("run", &plan.run);
    text("handling", &plan.handling);
    text("note", &plan.note);
    text("phone", &plan.phone);
    text("reference", &plan.reference);
    text("region", &plan.region);
    text("group", &plan.group);
    if let Some(place) = plan.place {
        let degrees = |value: i32| {
            let sign = if value < 0 { "-" } else { "" };
            format!("{sign}{}.{:07}", value.unsigned_abs() / 10_000_000, value.unsigned_abs() % 10_000_000)
        };
        written.insert("place".to_owned(), json!(format!("{},{}", degrees(place.0), degrees(place.1))));
    }
    if let Some(window) = plan.window {
        let told = format!("{}/{}", time::rfc3339(window.0), time::rfc3339(window.1));
        written.insert("window".to_owned(), json!(told));
    }
    if let Some(stop) = plan.stop {
        written.insert("stop".to_owned(), json!(stop));
    }
    if let Some(due) = plan.amount_due {
        written.insert("amount_due".to_owned(), json!(due));
    }
    if let Some(service) = plan.service {
        written.insert("service".to_owned(), json!(service));
    }
    for (kind, party) in &plan.parties {
        written.insert(format!("parties/{kind}"), json!(party));
    }
    let may = ["place", "window", "stop", "amount_due", "service"];
    for name in plan.cleared.iter().filter(|name| may.contains(&name.as_str())) {
        written.insert(name.clone(), json!(""));
    }
    for line in &plan.lines {
        let mut field = |name: &str, value: Value| {
            if !value.is_null() {
                written.insert(format!("lines/{}/{name}", line.line), value);
            }
        };
        field("line", json!(line.line));
        field("sku", json!(line.sku));
        field("name", json!(line.name));
        field("unit", json!(line.unit));
        field("lot", json!(line.lot));
        field("expiry", json!(line.expiry));
        field("gtin", json!(line.gtin));
        field("quantity", json!(line.quantity));
        field("weight", json!(line.weight));
        field("volume", json!(line.volume));
        field("price", json!(line.price));
        field("withdrawn", json!(line.withdrawn));
        for name in ["quantity", "weight", "volume", "price"] {
            if line.cleared.iter().any(|cleared| cleared == name) {
                field(name, json!(""));
            }
        }
    }
    written
}

/// The plan as the view has it, and its number.
fn plan(registers: &BTreeMap<String, Vec<(Value, EditId)>>) -> (Value, Value) {
    let mut plan = Map::new();
    let mut parties = Map::new();
    let mut lines: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (register, values) in registers {
        let value = values[0].0.clone();
        if value == json!("") {
            continue;
        }
        let parts: Vec<&str> = register.split('/').collect();
        match parts[..] {
            [name] => drop(plan.insert(name.to_owned(), value)),
            ["parties", kind] => drop(parties.insert(kind.to_owned(), value)),
            [_, line, field] => drop(lines.entry(line.to_owned()).or_default().insert(field.to_owned(), value)),
            _ => {}
        }
    }
    if !parties.is_empty() {
        plan.insert("parties".to_owned(), Value::Object(parties));
    }
    if !lines.is_empty() {
        let mut lines: Vec<_> = lines.into_iter().collect();
        lines.sort_by_key(|(name, _)| name.parse().unwrap_or(u64::MAX));
        let lines = lines.into_iter().map(|(_, line)| Value::Object(line)).collect();
        plan.insert("lines".to_owned(), Value::Array(lines));
    }
    let number = plan.get("number").cloned().unwrap_or_else(|| json!(""));
    (Value::Object(plan), number)
}
