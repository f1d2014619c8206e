//! What an edit is made to know: the edits that its `after` names, where a document has more heads than one edit can name.
//!
//! Heads are cheap to make: anybody who may write to a shipment can make hundreds. So they are not taken as they come. First comes
//! what the edit must know to mean what it says, then every device gets its turn, and what does not count comes last.

use crate::edit::action::{Action, Plan, PlanFields, Resolve};
use crate::edit::{AFTER_MAX, EDIT_BYTES_MAX};
use crate::id::{DeviceKey, EditId};
use crate::planted::{self, Bug};
use crate::roster::Roster;
use crate::shipment::History;
use crate::shipment::effect::Effects;
use crate::shipment::replay::{Register, registers};
use crate::shipment::view::values_shown;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of one id in a list.
const ID_BYTES: usize = 34;
/// What an edit needs besides its action, its `after` and the person's name.
const ENVELOPE_BYTES: usize = 512;

/// A document that an edit is about to be made on.
pub(super) struct Ground<'a> {
    pub(super) history: &'a History,
    pub(super) effects: &'a Effects,
    pub(super) roster: &'a Roster,
    /// The plan's registers, for the values that people are shown.
    pub(super) registers: &'a BTreeMap<String, Register>,
    /// The device that makes the edit.
    pub(super) author: DeviceKey,
}

impl Ground<'_> {
    /// How many edits an edit of this action can name.
    fn room(action: &Action) -> usize {
        let left = EDIT_BYTES_MAX.saturating_sub(action.to_raw().body.0.len() + ENVELOPE_BYTES);
        (left / ID_BYTES).clamp(1, AFTER_MAX)
    }

    /// The edits to name, at most as many as there is room for. What another of them knows is left out.
    pub(super) fn choose(&self, action: &Action) -> Vec<EditId> {
        let mut chosen: Vec<usize> = Vec::new();
        let room = Self::room(action);
        let mut wanted = self.needed(action);
        wanted.extend(self.about(action));
        wanted.extend(self.by_turns());
        wanted.extend(self.void_heads());
        if planted::is(Bug::VoidHeadsFirst) {
            wanted.splice(0..0, self.void_heads());
        }
        if planted::is(Bug::AfterById) {
            wanted = self.heads();
        }
        for place in wanted {
            self.add(&mut chosen, place, room);
        }
        chosen.into_iter().map(|place| self.id(place)).collect()
    }

    /// Adds an edit, unless one that is chosen knows it or there is no more room.
    fn add(&self, chosen: &mut Vec<usize>, place: usize, room: usize) {
        if chosen.iter().any(|known| *known == place || self.history.knew(*known, place)) {
            return;
        }
        let kept = chosen.iter().filter(|known| !self.history.knew(place, **known)).count();
        if kept < room {
            chosen.retain(|known| !self.history.knew(place, *known));
            chosen.push(place);
        }
    }

    /// Whether everything that the action needs to know can be named by one edit.
    fn fits(&self, action: &Action) -> bool {
        let mut chosen = Vec::new();
        self.needed(action).into_iter().for_each(|place| self.add(&mut chosen, place, usize::MAX));
        chosen.len() <= Self::room(action)
    }

    /// The action in parts of which each can know what it needs, one after the other.
    pub(super) fn parts(&self, action: Action) -> Vec<Action> {
        if self.fits(&action) {
            return vec![action];
        }
        match halves(&action) {
            Some(halves) => halves.into_iter().flat_map(|half| self.parts(half)).collect(),
            None => vec![action],
        }
    }

    /// The author's own latest edits that count, then what the action names: a resolve's facts, the values shown of the
    /// fields that a plan sets, evidence.
    fn needed(&self, action: &Action) -> Vec<usize> {
        let own = self.latest().remove(&self.author).unwrap_or_default();
        let named: Vec<EditId> = match action {
            Action::Plan(plan) => self.values_of(&plan.fields),
            Action::Record(_) => self.measures(),
            Action::Say(say) => say.reply_to.into_iter().collect(),
            Action::Resolve(resolve) => resolve.uphold.iter().chain(&resolve.settle).copied().collect(),
            Action::Retract(retract) => vec![retract.edit],
            Action::Open(_) | Action::Measure(_) => Vec::new(),
        };
        own.into_iter().chain(named.iter().filter_map(|id| self.history.place(id))).collect()
    }

    /// What else people said about the facts that a resolve names: it speaks later than the resolves and retracts that its
    /// author was shown. One of each device by turns, so that nobody's hundred keep another's one out.
    fn about(&self, action: &Action) -> Vec<usize> {
        let Action::Resolve(resolve) = action else { return Vec::new() };
        let named: BTreeSet<EditId> = resolve.uphold.iter().chain(&resolve.settle).copied().collect();
        let mut devices: BTreeMap<DeviceKey, Vec<usize>> = BTreeMap::new();
        for (place, other) in self.effects.counting(self.history) {
            let about = match other {
                Action::Resolve(other) => other.uphold.iter().chain(&other.settle).any(|id| named.contains(id)),
                Action::Retract(other) => named.contains(&other.edit),
                _ => false,
            };
            if about {
                let of_device = devices.entry(self.history.events()[place].edit.statement.author).or_default();
                of_device.retain(|before| !self.history.knew(place, *before));
                of_device.push(place);
            }
        }
        turns(&devices.into_values().collect::<Vec<_>>())
    }

    fn values_of(&self, fields: &PlanFields) -> Vec<EditId> {
        let author = |edit: &EditId| Some(self.history.events()[self.history.place(edit)?].edit.statement.author);
        let set = registers(fields);
        let values = set.keys().filter_map(|key| self.registers.get(key));
        values.flat_map(|values| values_shown(values, author)).collect()
    }

    /// The newest measured values: a step may need one. As there may be many, one of each device.
    fn measures(&self) -> Vec<EditId> {
        let mut newest: BTreeMap<DeviceKey, EditId> = BTreeMap::new();
        for (place, action) in self.effects.counting(self.history) {
            if matches!(action, Action::Measure(_)) {
                newest.insert(self.history.events()[place].edit.statement.author, self.id(place));
            }
        }
        newest.into_values().collect()
    }

    /// Each device's edits that count and that no other such edit of that device knows.
    fn latest(&self) -> BTreeMap<DeviceKey, Vec<usize>> {
        let mut latest: BTreeMap<DeviceKey, Vec<usize>> = BTreeMap::new();
        for (place, _) in self.effects.counting(self.history) {
            let of_device = latest.entry(self.history.events()[place].edit.statement.author).or_default();
            of_device.retain(|before| !self.history.knew(place, *before));
            of_device.push(place);
        }
        latest
    }

    /// By turns one of each device's latest edits that count, devices with fewest first.
    fn by_turns(&self) -> Vec<usize> {
        let mut devices: Vec<(DeviceKey, Vec<usize>)> = self.latest().into_iter().collect();
        let since = |device: &DeviceKey| self.roster.member(device).map_or(u64::MAX, |member| member.since);
        devices.sort_by_key(|(device, latest)| (latest.len(), since(device)));
        turns(&devices.into_iter().map(|(_, latest)| latest).collect::<Vec<_>>())
    }

    /// Heads that don't count, by turns too.
    fn void_heads(&self) -> Vec<usize> {
        let mut devices: BTreeMap<DeviceKey, Vec<usize>> = BTreeMap::new();
        for place in self.heads().into_iter().filter(|place| !self.effects.counts(*place)) {
            devices.entry(self.history.events()[place].edit.statement.author).or_default().push(place);
        }
        turns(&devices.into_values().collect::<Vec<_>>())
    }

    /// The edits that no other knows, in the order of their ids.
    fn heads(&self) -> Vec<usize> {
        let events = self.history.events();
        let mut known = vec![false; events.len()];
        events.iter().flat_map(|event| &event.after).for_each(|before| known[*before] = true);
        let mut heads: Vec<usize> = (0..events.len()).filter(|place| !known[*place]).collect();
        heads.sort_by_key(|place| self.id(*place));
        heads
    }

    fn id(&self, place: usize) -> EditId {
        self.history.events()[place].edit.id
    }
}

/// By turns one of each list: the first of every one, then the second of every one, and so on.
fn turns(lists: &[Vec<usize>]) -> Vec<usize> {
    let rounds = lists.iter().map(Vec::len).max().unwrap_or(0);
    (0..rounds).flat_map(|round| lists.iter().filter_map(move |list| list.get(round).copied())).collect()
}

/// An action in two, if it can be.
fn halves(action: &Action) -> Option<[Action; 2]> {
    match action {
        Action::Resolve(resolve) if resolve.settle.len() > 1 => {
            let (one, other) = resolve.settle.split_at(resolve.settle.len() / 2);
            Some([one, other].map(|settle| Action::Resolve(Resolve { settle: settle.to_vec(), ..resolve.clone() })))
        }
        Action::Plan(plan) => {
            let [one, other] = halves_of_plan(&plan.fields)?;
            Some([one, other].map(|fields| Action::Plan(Plan { fields, import: plan.import })))
        }
        _ => None,
    }
}

/// The fields of a plan in two: its lines and the rest, half its lines, or one of its other fields and the rest.
fn halves_of_plan(fields: &PlanFields) -> Option<[PlanFields; 2]> {
    let nothing = PlanFields::default;
    if !fields.lines.is_empty() {
        let rest = PlanFields { lines: Vec::new(), ..fields.clone() };
        if !rest.is_empty() {
            return Some([rest, PlanFields { lines: fields.lines.clone(), ..nothing() }]);
        }
        let (one, other) = fields.lines.split_at(fields.lines.len() / 2);
        return (!one.is_empty()).then(|| [one, other].map(|lines| PlanFields { lines: lines.to_vec(), ..nothing() }));
    }
    let mut rest = fields.clone();
    let mut first = nothing();
    macro_rules! take_first {
        ($($field:ident),*) => {
            $(if rest.$field != first.$field && first.is_empty() {
                first.$field = std::mem::take(&mut rest.$field);
            })*
        };
    }
    take_first!(
        number, consignee, address, place, window, driver, run, stop, parties, amount_due, handling, note, phone,
        reference, service, region, group, cleared
    );
    (!first.is_empty() && !rest.is_empty()).then_some([first, rest])
}
