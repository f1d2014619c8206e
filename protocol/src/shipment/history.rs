//! A document's edits in one canonical order, with who knew what.

use crate::edit::action::{Action, ActionError};
use crate::edit::{Edit, causal};
use crate::id::EditId;
use std::collections::HashMap;

/// A set of places in a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(Vec<u64>);

impl Places {
    /// Adds a place.
    pub fn insert(&mut self, place: usize) {
        if self.0.len() <= place / 64 {
            self.0.resize(place / 64 + 1, 0);
        }
        self.0[place / 64] |= 1 << (place % 64);
    }

    /// Adds every place of another set.
    pub fn extend(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(ours, theirs)| *ours |= theirs);
    }

    /// Whether no place is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Whether a place is in both sets.
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(ours, theirs)| ours & theirs != 0)
    }

    /// How many places are in both sets.
    pub fn common(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).map(|(ours, theirs)| (ours & theirs).count_ones() as usize).sum()
    }

    /// Whether the place is in the set.
    pub fn contains(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }
}

/// One edit in its history.
#[derive(Debug, Clone)]
pub struct Event {
    /// The edit.
    pub edit: Edit,
    /// What it means, if this version understands it.
    pub action: Result<Action, ActionError>,
    /// Its direct predecessors.
    pub after: Vec<usize>,
    /// All it knew of: its predecessors, theirs, and so on.
    pub past: Places,
}

/// A document's edits in canonical order (see [`causal::order`]), with what each author knew.
#[derive(Debug, Clone, Default)]
pub struct History {
    events: Vec<Event>,
    places: HashMap<EditId, usize>,
}

impl History {
    /// The history of a set of edits about one document. An edit whose predecessors are not all in the set is left out:
    /// admission makes it wait, so a stored set has none such unless the store was damaged.
    pub fn new(edits: Vec<Edit>) -> Self {
        let mut history = Self::default();
        for (place, edit) in causal::order(edits).into_iter().enumerate() {
            let after: Vec<usize> = edit.statement.after.iter().map(|id| history.places[id]).collect();
            let mut past = Places::default();
            for before in &after {
                past.insert(*before);
                past.extend(&history.events[*before].past);
            }
            history.places.insert(edit.id, place);
            let action = Action::from_raw(&edit.statement.action);
            history.events.push(Event { edit, action, after, past });
        }
        history
    }

    /// The events in canonical order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Where an edit stands.
    pub fn place(&self, id: &EditId) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// Whether the author of `later` knew `earlier`.
    pub fn knew(&self, later: usize, earlier: usize) -> bool {
        self.events[later].past.contains(earlier)
    }
}
