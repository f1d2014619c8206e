//! The status rules of DESIGN.md ("What a shipment's status is"), naively: sets, reachability and every pair.
//!
//! Written from that page and not from `protocol/src/shipment/status.rs`, so that a mistake in one of them shows as a
//! difference. It takes as given which edits count.

use creel_protocol::edit::Edit;
use creel_protocol::edit::action::{Action, Record, Resolve};
use creel_protocol::id::EditId;
use creel_protocol::shipment::status::ExceptionKind;
use creel_protocol::workflow::{CREATED, Outcome, Step, Workflow};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// An exception: its kind and the edits it names.
pub type Raised = (ExceptionKind, BTreeSet<EditId>);

/// What the oracle finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The status: a step's key.
    pub status: String,
    /// The exceptions.
    pub exceptions: BTreeSet<Raised>,
}

struct Oracle<'a> {
    /// What each edit knew, itself not included.
    knows: BTreeMap<EditId, BTreeSet<EditId>>,
    author: BTreeMap<EditId, creel_protocol::id::DeviceKey>,
    facts: BTreeMap<EditId, (Record, &'a Step)>,
    resolves: BTreeMap<EditId, Resolve>,
    /// What was retracted, and by which edits.
    retracts: BTreeMap<EditId, BTreeSet<EditId>>,
    workflow: &'a Workflow,
}

/// Judges a document's edits, of which `counting` count.
pub fn judge(edits: &[Edit], counting: &BTreeSet<EditId>, workflow: &Workflow) -> Found {
    let mut oracle = Oracle {
        knows: edits.iter().map(|edit| (edit.id, past(edits, edit.id))).collect(),
        author: edits.iter().map(|edit| (edit.id, edit.statement.author)).collect(),
        facts: BTreeMap::new(),
        resolves: BTreeMap::new(),
        retracts: BTreeMap::new(),
        workflow,
    };
    for edit in edits.iter().filter(|edit| counting.contains(&edit.id)) {
        match Action::from_raw(&edit.statement.action) {
            Ok(Action::Record(record)) => {
                if let Some(step) = workflow.step(&record.step) {
                    oracle.facts.insert(edit.id, (record, step));
                }
            }
            Ok(Action::Resolve(resolve)) => drop(oracle.resolves.insert(edit.id, resolve)),
            Ok(Action::Retract(retract)) => drop(oracle.retracts.entry(retract.edit).or_default().insert(edit.id)),
            _ => {}
        }
    }
    oracle.find()
}

/// The windows that stand in a plan: what was set by somebody, and by nobody who knew of that set otherwise.
pub fn windows(edits: &[Edit], counting: &BTreeSet<EditId>) -> BTreeSet<String> {
    let pasts: BTreeMap<EditId, BTreeSet<EditId>> = edits.iter().map(|edit| (edit.id, past(edits, edit.id))).collect();
    let mut writes: Vec<(EditId, String)> = edits
        .iter()
        .filter(|edit| counting.contains(&edit.id))
        .filter_map(|edit| {
            let window = match Action::from_raw(&edit.statement.action) {
                Ok(Action::Open(open)) => open.plan.window,
                Ok(Action::Plan(plan)) => plan.fields.window,
                _ => None,
            }?;
            Some((edit.id, creel_protocol::shipment::time::window(window)))
        })
        .collect();
    // Whoever knew more stands behind.
    writes.sort_by_key(|(edit, _)| pasts[edit].len());
    let standing = |changes: &[(EditId, String)], known: &dyn Fn(EditId) -> bool| -> BTreeSet<String> {
        let known: Vec<_> = changes.iter().filter(|(edit, _)| known(*edit)).collect();
        let stands = |edit: EditId| !known.iter().any(|(later, _)| pasts[later].contains(&edit));
        known.iter().filter(|(edit, _)| stands(*edit)).map(|(_, window)| window.clone()).collect()
    };
    let mut changes: Vec<(EditId, String)> = Vec::new();
    for (edit, window) in writes {
        let seen = standing(&changes, &|other| pasts[&edit].contains(&other));
        // To set what is there already is to change nothing.
        if seen != BTreeSet::from([window.clone()]) {
            changes.push((edit, window));
        }
    }
    standing(&changes, &|_| true)
}

/// Everything reachable over `after`.
fn past(edits: &[Edit], of: EditId) -> BTreeSet<EditId> {
    let after =
        |id: EditId| edits.iter().filter(move |edit| edit.id == id).flat_map(|edit| edit.statement.after.clone());
    let mut past = BTreeSet::new();
    let mut next: Vec<EditId> = after(of).collect();
    while let Some(id) = next.pop() {
        if past.insert(id) {
            next.extend(after(id));
        }
    }
    past
}

impl Oracle<'_> {
    fn find(&self) -> Found {
        let mut exceptions = BTreeSet::new();
        let rejected = self.settle(&mut exceptions);
        let live: BTreeSet<EditId> = self
            .facts
            .keys()
            .copied()
            .filter(|fact| !self.retracts.contains_key(fact) && !rejected.contains(fact))
            .collect();
        let supersedes = self.superseding(&live);
        for a in &live {
            for b in &live {
                let settled = supersedes.contains(&(*a, *b)) || supersedes.contains(&(*b, *a));
                if a < b && self.exclude(*a, *b) && !settled {
                    exceptions.insert((ExceptionKind::Contradiction, [*a, *b].into()));
                }
            }
        }
        self.built_on(&mut exceptions);
        let standing = live.iter().filter(|fact| !live.iter().any(|other| supersedes.contains(&(*other, **fact))));
        let decided = standing.max_by_key(|fact| self.weight(**fact));
        let status = decided.map_or(CREATED, |fact| self.facts[fact].1.key.as_str()).to_owned();
        Found { status, exceptions }
    }

    /// "The highest-ranked (precedence, then evidence, then id break ties)": the later step of the workflow first, then
    /// the record with more kinds of evidence, then the lower id.
    fn weight(&self, fact: EditId) -> (u32, Option<usize>, usize, Reverse<EditId>) {
        let (record, step) = &self.facts[&fact];
        let evidence = usize::from(record.receiver.is_some())
            + usize::from(record.signature.is_some())
            + usize::from(!record.photos.is_empty())
            + usize::from(record.scan.is_some())
            + usize::from(record.pin.is_some())
            + usize::from(record.place.is_some());
        let place = self.workflow.steps.iter().position(|other| other.key == step.key);
        (step.rank, place, evidence, Reverse(fact))
    }

    /// "Their outcomes exclude each other (signed, returned, cancelled; signatures by different receivers)".
    fn exclude(&self, a: EditId, b: EditId) -> bool {
        let ((first, one), (second, other)) = (&self.facts[&a], &self.facts[&b]);
        match (one.outcome, other.outcome) {
            (None, _) | (_, None) => false,
            (Some(Outcome::Signed), Some(Outcome::Signed)) => {
                let receivers: BTreeSet<&str> =
                    first.receiver.iter().chain(&second.receiver).map(|name| name.trim()).collect();
                receivers.len() == 2
            }
            (Some(one), Some(other)) => one != other,
        }
    }

    /// "Forward (a higher rank) always is one, the same step again too, unless the outcomes exclude each other; back only
    /// where the workflow says so".
    fn way(&self, from: EditId, to: EditId) -> bool {
        let (one, other) = (self.facts[&from].1, self.facts[&to].1);
        let said = one.ways.contains(&other.key);
        let forward = other.rank > one.rank || other.key == one.key;
        said || forward && !self.exclude(from, to)
    }

    /// Pairs (b, a): b supersedes a. Closed under "superseding is transitive", by trying until nothing is added.
    fn superseding(&self, live: &BTreeSet<EditId>) -> BTreeSet<(EditId, EditId)> {
        let mut pairs = BTreeSet::new();
        for a in live {
            for b in live {
                if self.knows[b].contains(a) && self.way(*a, *b) {
                    pairs.insert((*b, *a));
                }
            }
        }
        loop {
            let more: BTreeSet<_> = pairs
                .iter()
                .flat_map(|(c, b)| pairs.iter().filter(move |(other, _)| other == b).map(move |(_, a)| (*c, *a)))
                .filter(|pair| !pairs.contains(pair))
                .collect();
            if more.is_empty() {
                return pairs;
            }
            pairs.extend(more);
        }
    }

    /// The facts that `Resolve`s which stand reject. For a fact those `Resolve`s speak that name it and that no later one
    /// which names it knew of. "Latest live Resolves that disagree, or that uphold a retracted fact, reject nothing and
    /// raise the exception again."
    fn settle(&self, exceptions: &mut BTreeSet<Raised>) -> BTreeSet<EditId> {
        let names = |resolve: &Resolve, fact: &EditId| resolve.settle.contains(fact) || resolve.uphold == Some(*fact);
        let latest = |fact: &EditId| -> Vec<EditId> {
            let naming: Vec<EditId> =
                self.resolves.iter().filter(|(_, resolve)| names(resolve, fact)).map(|(id, _)| *id).collect();
            naming.iter().copied().filter(|id| !naming.iter().any(|later| self.knows[later].contains(id))).collect()
        };
        let mut void = BTreeSet::new();
        for fact in self.facts.keys() {
            let speaking = latest(fact);
            for one in &speaking {
                for other in &speaking {
                    let upheld = |id: &EditId| self.resolves[id].uphold == Some(*fact);
                    if upheld(one) && !upheld(other) {
                        void.extend([*one, *other]);
                        exceptions.insert((ExceptionKind::ResolutionDisputed, [*one, *other].into()));
                    }
                }
                if self.resolves[one].uphold == Some(*fact) && self.retracts.contains_key(fact) {
                    void.insert(*one);
                    exceptions.insert((ExceptionKind::ResolutionOnRetracted, [*one, *fact].into()));
                }
            }
        }
        let rejects = |fact: &&EditId| {
            latest(fact).iter().any(|id| !void.contains(id) && self.resolves[id].uphold != Some(**fact))
        };
        self.facts.keys().filter(rejects).copied().collect()
    }

    /// "Where another has already built on it (recorded or resolved after it), that is an exception too."
    fn built_on(&self, exceptions: &mut BTreeSet<Raised>) {
        for (fact, retracts) in self.retracts.iter().filter(|(fact, _)| self.facts.contains_key(fact)) {
            for retract in retracts {
                for other in self.facts.keys().chain(self.resolves.keys()) {
                    let knew = &self.knows[other];
                    let another = self.author[other] != self.author[fact];
                    if another && knew.contains(fact) && !knew.contains(retract) {
                        exceptions.insert((ExceptionKind::RetractedAfterUse, [*fact, *retract, *other].into()));
                    }
                }
            }
        }
    }
}
