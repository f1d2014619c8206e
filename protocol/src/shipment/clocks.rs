//! Clocks that can't be right, found by what their owners knew. Times decide nothing; people are told which not to believe.

use super::effect::Effects;
use super::history::{History, Places};
use crate::id::DeviceKey;
use crate::roster::Roster;
use std::collections::BTreeSet;

/// How far two clocks may be apart before anybody is told, in milliseconds.
const TOLERANCE_MS: u64 = 5 * 60 * 1_000;

/// Whose clocks are wrong.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// Edits whose clock is behind.
    pub(super) behind: Places,
    /// Edits whose clock is ahead.
    pub(super) ahead: Places,
}

impl Clocks {
    /// An edit that counts is behind where it claims a time more than the tolerance below that of a hub's edit it knows, or
    /// of edits it knows by two other devices. Where only one other device's are above it, those are ahead instead.
    pub(super) fn of(history: &History, effects: &Effects, roster: &Roster) -> Self {
        let events = history.events();
        let hub = roster.genesis().hub;
        let at = |place: usize| events[place].edit.statement.at;
        let author = |place: usize| events[place].edit.statement.author;
        let mut by_time: Vec<usize> = (0..events.len()).filter(|place| effects.counts(*place)).collect();
        by_time.sort_by_key(|place| std::cmp::Reverse(at(*place)));
        let mut clocks = Self::default();
        for place in (0..events.len()).filter(|place| effects.counts(*place)) {
            let above = by_time.iter().copied().take_while(|other| at(*other) > at(place) + TOLERANCE_MS);
            let above: Vec<usize> = above.filter(|other| history.knew(place, *other)).collect();
            let others: BTreeSet<DeviceKey> =
                above.iter().map(|other| author(*other)).filter(|other| *other != author(place)).collect();
            if above.iter().any(|other| author(*other) == hub) || others.len() > 1 {
                clocks.behind.insert(place);
            } else {
                above
                    .into_iter()
                    .filter(|other| others.contains(&author(*other)))
                    .for_each(|other| clocks.ahead.insert(other));
            }
        }
        clocks
    }
}
