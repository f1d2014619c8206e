//! Causal order of the edits of one document, without regard to what they state.

use super::Edit;
use crate::id::EditId;
use std::collections::{HashMap, HashSet};

/// The edits in canonical order: an edit stands after all it knew of; among edits at the same depth the lower id stands
/// first. An edit with a predecessor that is not in the set is left out: admission makes it wait, so a stored set has
/// none such unless the store was damaged.
pub fn order(edits: Vec<Edit>) -> Vec<Edit> {
    let depths = depths(&edits);
    let mut ordered: Vec<_> = edits.into_iter().filter_map(|edit| Some((*depths.get(&edit.id)?, edit))).collect();
    ordered.sort_by_key(|(depth, edit)| (*depth, edit.id));
    ordered.dedup_by_key(|(_, edit)| edit.id);
    ordered.into_iter().map(|(_, edit)| edit).collect()
}

/// Of edits in causal order, those that an author who knew `heads` does not know. Heads that are not among them are
/// passed over: they speak of edits that we lack, not of ours.
pub fn beyond(ordered: Vec<Edit>, heads: &[EditId]) -> Vec<Edit> {
    let mut known: HashSet<EditId> = heads.iter().copied().collect();
    for edit in ordered.iter().rev() {
        if known.contains(&edit.id) {
            known.extend(&edit.statement.after);
        }
    }
    ordered.into_iter().filter(|edit| !known.contains(&edit.id)).collect()
}

/// How many edits stand before each one on its longest way back; none for an edit with a predecessor that is missing.
fn depths(edits: &[Edit]) -> HashMap<EditId, usize> {
    let mut waiting: HashMap<EditId, Vec<usize>> = HashMap::new();
    let mut left: Vec<usize> = edits.iter().map(|edit| edit.statement.after.len()).collect();
    for (index, edit) in edits.iter().enumerate() {
        edit.statement.after.iter().for_each(|before| waiting.entry(*before).or_default().push(index));
    }
    let mut depths: HashMap<EditId, usize> = HashMap::new();
    let mut ready: Vec<usize> = (0..edits.len()).filter(|index| left[*index] == 0).collect();
    while let Some(index) = ready.pop() {
        let edit = &edits[index];
        let depth = edit.statement.after.iter().map(|before| depths[before] + 1).max().unwrap_or(0);
        if depths.insert(edit.id, depth).is_some() {
            continue;
        }
        for next in waiting.get(&edit.id).into_iter().flatten() {
            left[*next] -= 1;
            if left[*next] == 0 {
                ready.push(*next);
            }
        }
    }
    depths
}
