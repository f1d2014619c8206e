//! The status rules: knowledge wins, then precedence, and a contradiction is shown until a person settles it.
//!
//! All rules are over sets and causal order; no rule reads a clock or an order of arrival.

use super::effect::Effects;
use super::history::{History, Places};
use crate::edit::action::{Action, Record, Resolve};
use crate::id::EditId;
use crate::planted::{self, Bug};
use crate::workflow::{Outcome, Step, Workflow};
use serde::Serialize;
use std::collections::BTreeSet;

/// A record that counts, whether or not it still stands.
#[derive(Debug, Clone)]
pub struct Fact<'a> {
    /// Its place in the history.
    pub place: usize,
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
}

impl Fact<'_> {
    /// Neither retracted nor rejected.
    pub fn live(&self) -> bool {
        !self.retracted && !self.rejected
    }
}

/// What kind of exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionKind {
    /// Two records that exclude each other.
    Contradiction,
    /// Two latest `Resolve`s that disagree.
    ResolutionDisputed,
    /// A `Resolve` that upholds a record which was taken back.
    ResolutionOnRetracted,
    /// A record that was taken back after another had built on it.
    RetractedAfterUse,
    /// Two shipments with one number. Made by the node, from its index of numbers.
    NumberTwice,
}

impl std::fmt::Display for ExceptionKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Contradiction => "contradiction",
            Self::ResolutionDisputed => "resolution_disputed",
            Self::ResolutionOnRetracted => "resolution_on_retracted",
            Self::RetractedAfterUse => "retracted_after_use",
            Self::NumberTwice => "number_twice",
        })
    }
}

/// What the status rules find in a history.
#[derive(Debug, Clone)]
pub struct Status<'a> {
    /// All facts, in canonical order.
    pub facts: Vec<Fact<'a>>,
    /// The fact that decides, by its place among the facts; none while the shipment is only created.
    pub decided_by: Option<usize>,
    /// What people have to look at: kind and the places in the history it is about.
    pub exceptions: Vec<(ExceptionKind, Vec<usize>)>,
}

impl<'a> Status<'a> {
    /// Applies the rules.
    pub fn of(history: &'a History, effects: &Effects, workflow: &'a Workflow) -> Self {
        let mut facts = facts(history, effects, workflow);
        let mut exceptions = Vec::new();
        settle(history, effects, &mut facts, &mut exceptions);
        supersede(history, &mut facts);
        contradictions(&facts, &mut exceptions);
        retractions(history, effects, &mut exceptions);
        exceptions.sort();
        let superseded = superseded(&facts);
        let decided_by = (0..facts.len())
            .filter(|fact| facts[*fact].live() && !superseded.contains(*fact))
            .max_by_key(|fact| precedence(history, workflow, &facts[*fact]));
        Self { facts, decided_by, exceptions }
    }

    /// Whether a live fact supersedes this one.
    pub fn superseded(&self, fact: usize) -> bool {
        superseded(&self.facts).contains(fact)
    }
}

/// Highest rank first, then the later step of the workflow, then more evidence, then the lower id.
fn precedence(
    history: &History,
    workflow: &Workflow,
    fact: &Fact<'_>,
) -> (u64, u32, Option<usize>, usize, std::cmp::Reverse<EditId>) {
    let edit = &history.events()[fact.place].edit;
    let by_clock = if planted::is(Bug::LastWriterByClock) { edit.statement.at } else { 0 };
    let evidence = [
        fact.record.receiver.is_some(),
        fact.record.signature.is_some(),
        !fact.record.photos.is_empty(),
        fact.record.scan.is_some(),
        fact.record.pin.is_some(),
        fact.record.place.is_some(),
    ];
    let evidence = evidence.into_iter().filter(|there| *there).count();
    (by_clock, fact.step.rank, workflow.precedence(&fact.step.key), evidence, std::cmp::Reverse(edit.id))
}

fn facts<'a>(history: &'a History, effects: &Effects, workflow: &'a Workflow) -> Vec<Fact<'a>> {
    let retracted: BTreeSet<EditId> = counting(history, effects)
        .filter_map(|(_, action)| match action {
            Action::Retract(retract) => Some(retract.edit),
            _ => None,
        })
        .collect();
    counting(history, effects)
        .filter_map(|(place, action)| {
            let Action::Record(record) = action else { return None };
            let step = workflow.step(&record.step)?;
            let retracted = retracted.contains(&history.events()[place].edit.id);
            Some(Fact { place, record, step, retracted, rejected: false, supersedes: Places::default() })
        })
        .collect()
}

fn counting<'a>(history: &'a History, effects: &Effects) -> impl Iterator<Item = (usize, &'a Action)> {
    let verdicts = effects.verdicts.clone();
    history
        .events()
        .iter()
        .enumerate()
        .filter(move |(place, _)| verdicts[*place].is_ok())
        .filter_map(|(place, event)| event.action.as_ref().ok().map(|action| (place, action)))
}

/// Whether there is a way from one fact's step to another's.
fn way(from: &Fact<'_>, to: &Fact<'_>) -> bool {
    from.step.ways.contains(&to.step.key)
        || (to.step.rank > from.step.rank || to.step.key == from.step.key) && !exclude(from, to)
}

/// Whether two facts' outcomes exclude each other: they differ, or both are signatures by different receivers.
fn exclude(a: &Fact<'_>, b: &Fact<'_>) -> bool {
    match (a.step.outcome, b.step.outcome) {
        (Some(Outcome::Signed), Some(Outcome::Signed)) => match (&a.record.receiver, &b.record.receiver) {
            (Some(a), Some(b)) => a.trim() != b.trim(),
            _ => false,
        },
        (Some(a), Some(b)) => a != b,
        _ => false,
    }
}

fn supersede(history: &History, facts: &mut [Fact<'_>]) {
    for later in 0..facts.len() {
        if !facts[later].live() {
            continue;
        }
        let mut supersedes = Places::default();
        for earlier in 0..later {
            let (before, after) = (&facts[earlier], &facts[later]);
            if before.live() && history.knew(after.place, before.place) && way(before, after) {
                supersedes.insert(earlier);
                supersedes.extend(&before.supersedes);
            }
        }
        facts[later].supersedes = supersedes;
    }
}

fn superseded(facts: &[Fact<'_>]) -> Places {
    let mut all = Places::default();
    facts.iter().filter(|fact| fact.live()).for_each(|fact| all.extend(&fact.supersedes));
    all
}

/// Exceptions of one kind that a shipment shows: whoever settles these sees the next. More would only be somebody's attack on
/// everybody's memory, as the pairs grow with the square of the records.
pub const EXCEPTIONS_MAX: usize = 256;

fn contradictions(facts: &[Fact<'_>], exceptions: &mut Vec<(ExceptionKind, Vec<usize>)>) {
    let most = exceptions.len() + EXCEPTIONS_MAX;
    for (later, b) in facts.iter().enumerate().filter(|(_, fact)| fact.live() && fact.step.outcome.is_some()) {
        for a in facts[..later].iter().enumerate().filter(|(_, fact)| fact.live()) {
            // In canonical order only the later one can supersede the earlier.
            if exclude(a.1, b) && !b.supersedes.contains(a.0) {
                if exceptions.len() >= most {
                    return;
                }
                exceptions.push((ExceptionKind::Contradiction, vec![a.1.place, b.place]));
            }
        }
    }
}

/// Applies the `Resolve`s that stand: for each fact the latest ones that name it decide.
fn settle(
    history: &History,
    effects: &Effects,
    facts: &mut [Fact<'_>],
    exceptions: &mut Vec<(ExceptionKind, Vec<usize>)>,
) {
    let resolves: Vec<(usize, &Resolve)> = counting(history, effects)
        .filter_map(|(place, action)| match action {
            Action::Resolve(resolve) => Some((place, resolve)),
            _ => None,
        })
        .collect();
    let names = |resolve: &Resolve, id: EditId| resolve.settle.contains(&id) || resolve.uphold == Some(id);
    // For each fact, the latest resolves that name it.
    let latest: Vec<Vec<usize>> = facts
        .iter()
        .map(|fact| {
            let id = history.events()[fact.place].edit.id;
            let naming: Vec<usize> = (0..resolves.len()).filter(|index| names(resolves[*index].1, id)).collect();
            let outdated =
                |index: usize| naming.iter().any(|other| history.knew(resolves[*other].0, resolves[index].0));
            naming.iter().copied().filter(|index| !outdated(*index)).collect()
        })
        .collect();
    let upholds =
        |resolve: usize, fact: &Fact<'_>| resolves[resolve].1.uphold == Some(history.events()[fact.place].edit.id);
    let mut silent = BTreeSet::new();
    let most = exceptions.len() + EXCEPTIONS_MAX;
    for (fact, latest) in facts.iter().zip(&latest) {
        for (nth, a) in latest.iter().enumerate() {
            for b in &latest[nth + 1..] {
                if upholds(*a, fact) != upholds(*b, fact) {
                    silent.extend([*a, *b]);
                    if exceptions.len() >= most {
                        continue;
                    }
                    exceptions.push((ExceptionKind::ResolutionDisputed, vec![resolves[*a].0, resolves[*b].0]));
                }
            }
            if upholds(*a, fact) && fact.retracted {
                silent.insert(*a);
                exceptions.push((ExceptionKind::ResolutionOnRetracted, vec![fact.place, resolves[*a].0]));
            }
        }
    }
    exceptions.sort();
    exceptions.dedup();
    for (fact, latest) in facts.iter_mut().zip(&latest) {
        fact.rejected = latest.iter().any(|resolve| !silent.contains(resolve) && !upholds(*resolve, fact));
    }
}

/// A record taken back after another had recorded or settled something with knowledge of it, not of its retraction.
fn retractions(history: &History, effects: &Effects, exceptions: &mut Vec<(ExceptionKind, Vec<usize>)>) {
    let most = exceptions.len() + EXCEPTIONS_MAX;
    for (place, action) in counting(history, effects) {
        let Action::Retract(retract) = action else { continue };
        let Some(fact) = history.place(&retract.edit) else { continue };
        if !matches!(history.events()[fact].action, Ok(Action::Record(_))) {
            continue;
        }
        let author = history.events()[place].edit.statement.author;
        for (other, action) in counting(history, effects) {
            let built = matches!(action, Action::Record(_) | Action::Resolve(_))
                && history.knew(other, fact)
                && !history.knew(other, place)
                && history.events()[other].edit.statement.author != author;
            if built && exceptions.len() < most {
                exceptions.push((ExceptionKind::RetractedAfterUse, vec![fact, place, other]));
            }
        }
    }
}
