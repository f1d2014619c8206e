//! What people have to look at, and which of it is shown where there is much.
//!
//! Whoever makes many edits makes many exceptions. So each kind shows a few for each pair of devices that they are between: what
//! one device does hides nothing that others did.

use super::history::History;
use crate::id::{DeviceKey, EditId};
use crate::planted::{self, Bug};
use serde::Serialize;
use std::collections::BTreeMap;

/// What kind of exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionKind {
    /// Two records that exclude each other.
    Contradiction,
    /// Two latest `Resolve`s that disagree.
    ResolutionDisputed,
    /// A `Resolve` that upholds a record which was taken back or does not count.
    ResolutionOnRetracted,
    /// What was taken back after others had built on it.
    RetractedAfterUse,
    /// A record that goes on counting although its measured value was cut off.
    EvidenceCut,
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
            Self::EvidenceCut => "evidence_cut",
            Self::NumberTwice => "number_twice",
        })
    }
}

/// Exceptions of one kind that are shown for one pair of devices.
pub const SHOWN_PER_PAIR: usize = 16;

/// Exceptions of one kind, of which it keeps those that are shown. They are to be added in ascending order of what they are
/// about, each with its pair of devices and its group: what tells the two people and receivers apart.
#[derive(Debug)]
pub(super) struct Shown<G, T> {
    pairs: BTreeMap<(DeviceKey, DeviceKey), Pair<G, T>>,
}

#[derive(Debug)]
struct Pair<G, T> {
    count: usize,
    /// The first groups, and the first of each.
    groups: Vec<(G, Vec<T>)>,
}

impl<G: PartialEq, T: Ord + Clone> Shown<G, T> {
    pub(super) fn new() -> Self {
        Self { pairs: BTreeMap::new() }
    }

    /// Adds an exception that is between two devices, in any order.
    pub(super) fn add(&mut self, one: DeviceKey, other: DeviceKey, group: G, what: T) {
        let devices = if one <= other { (one, other) } else { (other, one) };
        // A bug for the simulator: all share the places that each pair has.
        let devices = if planted::is(Bug::FloodHides) { Default::default() } else { devices };
        let pair = self.pairs.entry(devices).or_insert_with(|| Pair { count: 0, groups: Vec::new() });
        pair.count += 1;
        let groups = &mut pair.groups;
        if let Some((_, items)) = groups.iter_mut().find(|(known, _)| *known == group) {
            if items.len() < SHOWN_PER_PAIR {
                items.push(what);
            }
        } else if groups.len() < SHOWN_PER_PAIR {
            groups.push((group, vec![what]));
        }
    }

    /// Those that are shown, in ascending order, and how many are left out. Of each pair the groups take turns, the one of
    /// the first exception first.
    pub(super) fn shown(self) -> (Vec<T>, u64) {
        let (mut shown, mut left_out) = (Vec::new(), 0);
        for pair in self.pairs.into_values() {
            let rounds = pair.groups.iter().map(|(_, items)| items.len()).max().unwrap_or(0);
            let turns = (0..rounds).flat_map(|round| pair.groups.iter().filter_map(move |(_, items)| items.get(round)));
            let taken: Vec<T> = turns.take(SHOWN_PER_PAIR).cloned().collect();
            left_out += (pair.count - taken.len()) as u64;
            shown.extend(taken);
        }
        shown.sort();
        (shown, left_out)
    }
}

/// What people have to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exceptions {
    /// Those that are shown: kind and the edits each is about, in ascending order.
    pub shown: Vec<(ExceptionKind, Vec<EditId>)>,
    /// How many of each kind are left out.
    pub more: BTreeMap<ExceptionKind, u64>,
}

impl Exceptions {
    pub(super) fn extend(&mut self, kind: ExceptionKind, edits: impl IntoIterator<Item = Vec<EditId>>, left_out: u64) {
        self.shown.extend(edits.into_iter().map(|edits| (kind, edits)));
        if left_out > 0 {
            self.more.insert(kind, left_out);
        }
    }
}

/// The device that made an event.
pub(super) fn device(history: &History, place: usize) -> DeviceKey {
    history.events()[place].edit.statement.author
}

/// The person who made an event, where a device is shared.
pub(super) fn person(history: &History, place: usize) -> Option<&String> {
    history.events()[place].edit.statement.by.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule 18: a pair's places are its own, its groups take turns, and what is left out is counted.
    #[test]
    fn pairs_and_groups_take_turns() {
        let device = |byte| DeviceKey([byte; 32]);
        let mut shown = Shown::new();
        for number in 0..1_000 {
            shown.add(device(2), device(1), "flood", number);
        }
        shown.add(device(1), device(2), "other", 1_000);
        shown.add(device(1), device(3), "flood", 1_001);
        let (shown, left_out) = shown.shown();
        let mut expected: Vec<i32> = (0..15).collect();
        expected.extend([1_000, 1_001]);
        assert_eq!((shown, left_out), (expected, 985));
    }
}
