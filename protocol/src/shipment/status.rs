//! The status rules: knowledge wins, then precedence, and a contradiction is shown until a person settles it.
//!
//! All rules are over sets and causal order; no rule reads a clock or an order of arrival. docs/status.md says them for people and
//! for other implementations.

use super::effect::Effects;
use super::exceptions::{ExceptionKind, Exceptions, Shown, device, person};
use super::history::{History, Places};
use super::receiver::Form;
use crate::edit::action::{Action, Record, Resolve};
use crate::id::EditId;
use crate::planted::{self, Bug};
use crate::roster::{Role, Roster};
use crate::workflow::{Evidence, Outcome, Step, Workflow};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A record that counts, whether or not it still stands.
#[derive(Debug, Clone)]
pub struct Fact<'a> {
    /// Its place in the history.
    pub place: usize,
    /// The edit.
    pub edit: EditId,
    /// What was recorded.
    pub record: &'a Record,
    /// The step.
    pub step: &'a Step,
    /// Whether its author, or the one whose proxy that was, took it back.
    pub retracted: bool,
    /// Whether a `Resolve` that stands rejected it.
    pub rejected: bool,
    /// The facts it supersedes, by their place among the facts.
    pub supersedes: Places,
    /// The receiver's name by its form, if one is given.
    form: Option<Form>,
}

impl Fact<'_> {
    /// Neither retracted nor rejected.
    pub fn live(&self) -> bool {
        !self.retracted && !self.rejected
    }

    /// Whether it is somebody's signature: it ends the shipment as signed and says who took it.
    pub fn is_signature(&self) -> bool {
        self.step.outcome == Some(Outcome::Signed) && self.record.receiver.is_some()
    }
}

/// What the status rules find in a history.
#[derive(Debug, Clone)]
pub struct Status<'a> {
    /// All facts, in canonical order.
    pub facts: Vec<Fact<'a>>,
    /// The fact that decides, by its place among the facts; none while the shipment is only created.
    pub decided_by: Option<usize>,
    /// The signature that is shown, by its place among the facts: the record that decides, if it is one, or else the live
    /// one of highest precedence that it knows.
    pub signature: Option<usize>,
    /// The facts that a live fact supersedes, by their place among the facts.
    pub superseded: Places,
    /// What people have to look at.
    pub exceptions: Exceptions,
}

impl<'a> Status<'a> {
    /// Applies the rules.
    pub fn of(history: &'a History, effects: &Effects, workflow: &'a Workflow, roster: &Roster) -> Self {
        let mut facts = facts(history, effects, workflow);
        let mut exceptions = Exceptions::default();
        let resolves = Resolves::of(history, effects);
        resolves.settle(history, &mut facts, &mut exceptions);
        supersede(history, &mut facts);
        contradictions(history, &facts, &mut exceptions);
        retractions(history, effects, &facts, &resolves, &mut exceptions);
        exceptions.shown.sort();
        let mut superseded = Places::default();
        facts.iter().filter(|fact| fact.live()).for_each(|fact| superseded.extend(&fact.supersedes));
        let weight = |fact: &usize| precedence(history, workflow, roster, &facts[*fact]);
        let live = || (0..facts.len()).filter(|fact| facts[*fact].live());
        let decided_by = live().filter(|fact| !superseded.contains(*fact)).max_by_key(weight);
        let mut status = Self { facts, decided_by, signature: None, superseded, exceptions };
        status.signature = decided_by.and_then(|fact| status.signature_of(fact, history, workflow, roster));
        status
    }

    /// The signature that a fact stands on or has superseded: itself, if it is one, or else the live one of highest precedence
    /// that it knows.
    pub fn signature_of(&self, fact: usize, history: &History, workflow: &Workflow, roster: &Roster) -> Option<usize> {
        if self.facts[fact].is_signature() {
            return Some(fact);
        }
        let known = |other: &usize| {
            let signature = &self.facts[*other];
            signature.live() && signature.is_signature() && history.knew(self.facts[fact].place, signature.place)
        };
        (0..self.facts.len())
            .filter(known)
            .max_by_key(|other| precedence(history, workflow, roster, &self.facts[*other]))
    }

    /// The live facts that contradict a fact.
    pub fn contradicting(&self, fact: usize) -> Vec<usize> {
        let contradicts = |other: &usize| {
            let (earlier, later) = (fact.min(*other), fact.max(*other));
            let (one, two) = (&self.facts[earlier], &self.facts[later]);
            *other != fact && self.facts[*other].live() && exclude(one, two) && !two.supersedes.contains(earlier)
        };
        (0..self.facts.len()).filter(contradicts).collect()
    }

    /// The fact whose claimed time is the time of signature.
    pub fn signed_by(&self) -> Option<usize> {
        let ends_signed = |fact: &usize| self.facts[*fact].step.outcome == Some(Outcome::Signed);
        self.signature.or_else(|| self.decided_by.filter(ends_signed))
    }
}

/// By clock only under a planted bug; then rank, the step's place in the workflow, evidence, role, enrolment, id.
type Precedence = (u64, u32, Option<usize>, usize, Reverse<Role>, Reverse<u64>, Reverse<EditId>);

/// What outranks: the higher rank, then the later step of the workflow, then more evidence, then the weightier role, then
/// the earlier enrolment, then the lower id.
fn precedence(history: &History, workflow: &Workflow, roster: &Roster, fact: &Fact<'_>) -> Precedence {
    let edit = &history.events()[fact.place].edit;
    let by_clock = if planted::is(Bug::LastWriterByClock) { edit.statement.at } else { 0 };
    let record = fact.record;
    let evidence = [
        record.receiver.is_some(),
        record.signature.is_some(),
        !record.photos.is_empty(),
        record.scan.is_some(),
        record.pin.is_some(),
        record.place.is_some(),
        record.collected.is_some(),
    ];
    let evidence = evidence.into_iter().filter(|there| *there).count();
    let (role, since) = super::standing_of(edit, roster);
    let step = workflow.precedence(&fact.step.key);
    (by_clock, fact.step.rank, step, evidence, Reverse(role), Reverse(since), Reverse(edit.id))
}

fn facts<'a>(history: &'a History, effects: &Effects, workflow: &'a Workflow) -> Vec<Fact<'a>> {
    let retracted: BTreeSet<EditId> = effects
        .counting(history)
        .filter_map(|(_, action)| match action {
            Action::Retract(retract) => Some(retract.edit),
            _ => None,
        })
        .collect();
    effects
        .counting(history)
        .filter_map(|(place, action)| {
            let Action::Record(record) = action else { return None };
            let step = workflow.step(&record.step)?;
            let edit = history.events()[place].edit.id;
            let form = record.receiver.as_deref().map(Form::of);
            let retracted = retracted.contains(&edit);
            let supersedes = Places::default();
            Some(Fact { place, edit, record, step, retracted, rejected: false, supersedes, form })
        })
        .collect()
}

/// Whether there is a way from one fact's step to another's: the workflow names one, or it leads forward or to the step
/// itself and their outcomes don't exclude each other.
fn way(from: &Fact<'_>, to: &Fact<'_>) -> bool {
    named_way(from, to) || (to.step.rank > from.step.rank || to.step.key == from.step.key) && !exclude(from, to)
}

fn named_way(from: &Fact<'_>, to: &Fact<'_>) -> bool {
    from.step.ways.contains(&to.step.key)
}

/// Whether two facts' outcomes exclude each other: they differ, or both are signatures by different receivers.
fn exclude(a: &Fact<'_>, b: &Fact<'_>) -> bool {
    match (a.step.outcome, b.step.outcome) {
        (Some(Outcome::Signed), Some(Outcome::Signed)) => match (&a.form, &b.form) {
            (Some(a), Some(b)) => a.differs(b),
            _ => false,
        },
        (Some(a), Some(b)) => a != b,
        _ => false,
    }
}

/// The facts that a chain of live facts leads back to, each knowing the one before and with a way from it.
#[derive(Debug, Clone, Default)]
struct Reach {
    any: Places,
    /// Those to which some chain has a link that the workflow names, out of a step of this outcome.
    named: [Places; 3],
}

/// A later fact supersedes those that some chain leads back to. Where the two exclude each other, one link of some chain
/// must be a way that the workflow names out of a step of the earlier one's outcome: else a detour over a record that says less would
/// hide a contradiction.
fn supersede(history: &History, facts: &mut [Fact<'_>]) {
    let mut reaches: Vec<Reach> = Vec::with_capacity(facts.len());
    for later in 0..facts.len() {
        let mut reach = Reach::default();
        if facts[later].live() {
            for earlier in (0..later).rev() {
                let (before, after) = (&facts[earlier], &facts[later]);
                if !before.live() || !history.knew(after.place, before.place) || !way(before, after) {
                    continue;
                }
                let through = &reaches[earlier];
                let link = before.step.outcome.filter(|_| named_way(before, after));
                // What a nearer fact led back to is there already, with all that this one leads back to.
                if reach.any.contains(earlier)
                    && link.is_none_or(|outcome| reach.named[outcome as usize].contains(earlier))
                {
                    continue;
                }
                for outcome in Outcome::ALL {
                    let named = &mut reach.named[outcome as usize];
                    named.extend(&through.named[outcome as usize]);
                    if link == Some(outcome) {
                        named.insert(earlier);
                        named.extend(&through.any);
                    }
                }
                reach.any.insert(earlier);
                reach.any.extend(&through.any);
            }
        }
        let mut supersedes = Places::default();
        for earlier in (0..later).filter(|earlier| reach.any.contains(*earlier)) {
            let story = |outcome: Outcome| reach.named[outcome as usize].contains(earlier);
            let told = facts[earlier].step.outcome.is_some_and(story) || planted::is(Bug::SupersedesThroughAny);
            if told || !exclude(&facts[earlier], &facts[later]) {
                supersedes.insert(earlier);
            }
        }
        facts[later].supersedes = supersedes;
        reaches.push(reach);
    }
}

/// Two live facts that exclude each other, neither superseding the other, whatever a third supersedes.
fn contradictions(history: &History, facts: &[Fact<'_>], exceptions: &mut Exceptions) {
    let mut by_id: Vec<usize> = (0..facts.len()).filter(|fact| facts[*fact].live()).collect();
    by_id.retain(|fact| facts[*fact].step.outcome.is_some());
    by_id.sort_by_key(|fact| facts[*fact].edit);
    let voice = |fact: &Fact<'_>| (person(history, fact.place).cloned(), fact.form.clone());
    let mut shown = Shown::new();
    for (nth, one) in by_id.iter().enumerate() {
        for other in &by_id[nth + 1..] {
            let (earlier, later) = (one.min(other), one.max(other));
            let (a, b) = (&facts[*one], &facts[*other]);
            // In canonical order only the later one can supersede the earlier.
            if exclude(a, b) && !facts[*later].supersedes.contains(*earlier) {
                let group = unordered((device(history, a.place), voice(a)), (device(history, b.place), voice(b)));
                let (one, other) = (device(history, a.place), device(history, b.place));
                shown.add(one, other, group, vec![a.edit, b.edit]);
            }
        }
    }
    let (shown, left_out) = shown.shown();
    exceptions.extend(ExceptionKind::Contradiction, shown, left_out);
}

/// What two sides say, the lower device's first.
fn unordered<D: Ord, V: Ord>(one: (D, V), other: (D, V)) -> (V, V) {
    let ((_, first), (_, second)) = if one <= other { (one, other) } else { (other, one) };
    (first, second)
}

/// The `Resolve`s that count.
struct Resolves<'a> {
    all: Vec<(usize, &'a Resolve)>,
    /// Those that name an edit, by their place among all.
    naming: HashMap<EditId, Vec<usize>>,
}

impl<'a> Resolves<'a> {
    fn of(history: &'a History, effects: &Effects) -> Self {
        let all: Vec<(usize, &Resolve)> = effects
            .counting(history)
            .filter_map(|(place, action)| match action {
                Action::Resolve(resolve) => Some((place, resolve)),
                _ => None,
            })
            .collect();
        let mut naming: HashMap<EditId, Vec<usize>> = HashMap::new();
        for (index, (_, resolve)) in all.iter().enumerate() {
            let ids: BTreeSet<EditId> = resolve.settle.iter().chain(&resolve.uphold).copied().collect();
            ids.into_iter().for_each(|id| naming.entry(id).or_default().push(index));
        }
        Self { all, naming }
    }

    fn naming(&self, edit: &EditId) -> &[usize] {
        self.naming.get(edit).map_or(&[], Vec::as_slice)
    }

    /// The `Resolve`s that name a fact and that no other which names it knows.
    fn latest_about(&self, history: &History, fact: &EditId) -> Vec<usize> {
        let naming = self.naming(fact);
        let outdated = |index: usize| naming.iter().any(|other| history.knew(self.all[*other].0, self.all[index].0));
        naming.iter().copied().filter(|index| !outdated(*index)).collect()
    }

    /// Applies those that stand: for each fact the latest ones that name it decide.
    fn settle(&self, history: &History, facts: &mut [Fact<'_>], exceptions: &mut Exceptions) {
        let latest: Vec<Vec<usize>> = facts.iter().map(|fact| self.latest_about(history, &fact.edit)).collect();
        let upholds = |resolve: usize, fact: &Fact<'_>| self.all[resolve].1.uphold == Some(fact.edit);
        let mut rejects_nothing = BTreeSet::new();
        let mut disputed = BTreeSet::new();
        for (fact, latest) in facts.iter().zip(&latest) {
            let (upholding, others): (Vec<usize>, Vec<usize>) =
                latest.iter().partition(|resolve| upholds(**resolve, fact));
            if upholding.is_empty() || others.is_empty() {
                continue;
            }
            rejects_nothing.extend(latest);
            for (one, other) in upholding.iter().flat_map(|one| others.iter().map(move |other| (*one, *other))) {
                let ids = |index: usize| history.events()[self.all[index].0].edit.id;
                let (one, other) = if ids(one) < ids(other) { (one, other) } else { (other, one) };
                disputed.insert(([ids(one), ids(other)], self.all[one].0, self.all[other].0));
            }
        }
        let mut shown = Shown::new();
        for (edits, one, other) in disputed {
            let (a, b) = (device(history, one), device(history, other));
            let group = unordered((a, person(history, one)), (b, person(history, other)));
            shown.add(a, b, group, edits.to_vec());
        }
        let (shown, left_out) = shown.shown();
        exceptions.extend(ExceptionKind::ResolutionDisputed, shown, left_out);
        self.on_retracted(history, facts, &latest, &mut rejects_nothing, exceptions);
        for (fact, latest) in facts.iter_mut().zip(&latest) {
            fact.rejected = latest
                .iter()
                .any(|resolve| !rejects_nothing.contains(resolve) && self.all[*resolve].1.uphold != Some(fact.edit));
        }
    }

    /// A `Resolve` that upholds a record which was taken back or does not count rejects nothing. It is an exception while it is
    /// the latest about any fact.
    fn on_retracted(
        &self,
        history: &History,
        facts: &[Fact<'_>],
        latest: &[Vec<usize>],
        rejects_nothing: &mut BTreeSet<usize>,
        exceptions: &mut Exceptions,
    ) {
        let stands: HashMap<EditId, bool> = facts.iter().map(|fact| (fact.edit, !fact.retracted)).collect();
        let still_latest: BTreeSet<usize> = latest.iter().flatten().copied().collect();
        let mut found = BTreeSet::new();
        for (index, (place, resolve)) in self.all.iter().enumerate() {
            let Some(upheld) = resolve.uphold.filter(|upheld| stands.get(upheld) != Some(&true)) else { continue };
            if planted::is(Bug::UpheldPerFact) {
                // A bug for the simulator: it is silent only while it is the latest about what it upholds.
                let about = facts.iter().position(|fact| fact.edit == upheld);
                if about.is_none_or(|fact| !latest[fact].contains(&index)) {
                    continue;
                }
            }
            rejects_nothing.insert(index);
            if let Some(of) = history.place(&upheld).filter(|_| still_latest.contains(&index)) {
                found.insert(([upheld, history.events()[*place].edit.id], of, *place));
            }
        }
        let mut shown = Shown::new();
        for (edits, upheld, resolve) in found {
            let group = (person(history, upheld), person(history, resolve));
            shown.add(device(history, upheld), device(history, resolve), group, edits.to_vec());
        }
        let (shown, left_out) = shown.shown();
        exceptions.extend(ExceptionKind::ResolutionOnRetracted, shown, left_out);
    }

    /// Whether a `Resolve` that knows both edits names a third.
    fn settled(&self, history: &History, named: &EditId, knows: [usize; 2]) -> bool {
        let naming = self.naming(named).iter().map(|index| self.all[*index].0);
        naming.into_iter().any(|resolve| knows.iter().all(|place| history.knew(resolve, *place)))
    }
}

/// What was taken back after others had built on it, knowing it and not that it was taken back. Of a measured value only
/// records are meant that have no other left to stand on.
fn retractions(
    history: &History,
    effects: &Effects,
    facts: &[Fact<'_>],
    resolves: &Resolves<'_>,
    exceptions: &mut Exceptions,
) {
    let mut retracts: Vec<([EditId; 2], usize, usize)> = effects
        .counting(history)
        .filter_map(|(place, action)| {
            let Action::Retract(retract) = action else { return None };
            let target = history.place(&retract.edit).filter(|target| effects.counts(*target))?;
            Some(([retract.edit, history.events()[place].edit.id], target, place))
        })
        .collect();
    retracts.sort_unstable();
    let taken_back: BTreeSet<usize> = retracts.iter().map(|(_, target, _)| *target).collect();
    let mut users: Vec<(EditId, usize)> = facts.iter().map(|fact| (fact.edit, fact.place)).collect();
    let on_nothing: BTreeSet<usize> = facts
        .iter()
        .filter(|fact| fact.step.needs.contains(&Evidence::Measure))
        .map(|fact| fact.place)
        .filter(|place| {
            let measured = effects.measured(history, &history.events()[*place]);
            measured.iter().all(|measure| taken_back.contains(measure))
        })
        .collect();
    users.extend(resolves.all.iter().map(|(place, _)| (history.events()[*place].edit.id, *place)));
    users.sort_unstable();
    let mut shown = Shown::new();
    for (edits, target, retract) in &retracts {
        let depends = |user: usize| match &history.events()[*target].action {
            Ok(Action::Record(_)) => true,
            Ok(Action::Measure(_)) => on_nothing.contains(&user),
            _ => false,
        };
        let voice = |place: usize| (device(history, place), person(history, place));
        for (id, user) in &users {
            let built = history.knew(*user, *target) && !history.knew(*user, *retract) && depends(*user);
            if built && voice(*user) != voice(*retract) && !resolves.settled(history, &edits[0], [*retract, *user]) {
                let group = (person(history, *retract), person(history, *user));
                shown.add(device(history, *retract), device(history, *user), group, [edits[0], edits[1], *id]);
            }
        }
    }
    let (shown, left_out) = shown.shown();
    let mut by_retract: BTreeMap<[EditId; 2], Vec<EditId>> = BTreeMap::new();
    for [target, retract, user] in shown {
        by_retract.entry([target, retract]).or_default().push(user);
    }
    let edits = by_retract.into_iter().map(|(edits, users)| [&edits[..], &users].concat());
    exceptions.extend(ExceptionKind::RetractedAfterUse, edits, left_out);
}
