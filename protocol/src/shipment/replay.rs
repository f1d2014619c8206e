//! The edits that count, as an Automerge document.
//!
//! Each replica makes the changes itself, from typed actions: no byte of a peer reaches Automerge. The actor of each change
//! is its edit's id, so no two changes can ever share actor and sequence number, not even those of a cloned phone. An edit
//! made at other heads than the current ones is applied on a fork at those heads and merged. Every edit inserts an entry of
//! its own, so that no change is empty. A void edit is not replayed; what came after it hangs on its nearest ancestors
//! that count.
//!
//! The document: `plan` is a flat map of registers (`consignee`, `parties/shop`, `lines/1/quantity`, ...), flat because
//! two people adding the same line at once must not make two lines of which one hides the other; `edits` maps each edit's id to
//! what it stated.

use super::effect::Effects;
use super::history::{Event, History};
use super::time;
use crate::edit::action::{CLEARABLE, LINE_CLEARABLE, PlanFields};
use crate::id::EditId;
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, AutomergeError, ChangeHash, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, Value};
use std::collections::BTreeMap;

/// A register's value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(untagged)]
pub enum Scalar {
    /// Yes or no.
    Bool(bool),
    /// A number, in the unit its field has.
    Int(i64),
    /// A text.
    Text(String),
}

impl Scalar {
    fn is(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Bool(truth), Value::Scalar(scalar)) => *scalar.as_ref() == ScalarValue::Boolean(*truth),
            (Self::Int(number), Value::Scalar(scalar)) => *scalar.as_ref() == ScalarValue::Int(*number),
            (Self::Text(text), Value::Scalar(scalar)) => {
                matches!(scalar.as_ref(), ScalarValue::Str(other) if other == text.as_str())
            }
            (_, Value::Object(_)) => false,
        }
    }
}

/// The fields of a plan as registers, by key.
pub fn registers(plan: &PlanFields) -> BTreeMap<String, Scalar> {
    let mut registers = BTreeMap::new();
    for (key, value) in [
        ("number", &plan.number),
        ("consignee", &plan.consignee),
        ("address", &plan.address),
        ("driver", &plan.driver),
        ("run", &plan.run),
        ("handling", &plan.handling),
        ("note", &plan.note),
        ("phone", &plan.phone),
        ("reference", &plan.reference),
        ("region", &plan.region),
        ("group", &plan.group),
        ("place", &plan.place.map(time::place)),
        ("window", &plan.window.map(time::window)),
    ] {
        if let Some(value) = value {
            registers.insert(key.to_owned(), Scalar::Text(value.clone()));
        }
    }
    for (key, value) in
        [("stop", plan.stop.map(i64::from)), ("amount_due", plan.amount_due), ("service", plan.service.map(i64::from))]
    {
        if let Some(value) = value {
            registers.insert(key.to_owned(), Scalar::Int(value));
        }
    }
    for key in plan.cleared.iter().filter(|key| CLEARABLE.contains(&key.as_str())) {
        registers.insert(key.clone(), Scalar::Text(String::new()));
    }
    for (kind, party) in &plan.parties {
        registers.insert(format!("parties/{kind}"), Scalar::Text(party.clone()));
    }
    for line in &plan.lines {
        // The line itself is a register too, so that a line of which nothing else is known still is one.
        registers.insert(format!("lines/{}/line", line.line), Scalar::Text(line.line.clone()));
        for (key, value) in [
            ("sku", &line.sku),
            ("name", &line.name),
            ("unit", &line.unit),
            ("lot", &line.lot),
            ("expiry", &line.expiry),
            ("gtin", &line.gtin),
        ] {
            if let Some(value) = value {
                registers.insert(format!("lines/{}/{key}", line.line), Scalar::Text(value.clone()));
            }
        }
        let unit = |value: Option<u32>| value.map(i64::from);
        for (key, value) in [
            ("quantity", line.quantity),
            ("weight", unit(line.weight)),
            ("volume", unit(line.volume)),
            ("price", line.price),
        ] {
            if let Some(value) = value {
                registers.insert(format!("lines/{}/{key}", line.line), Scalar::Int(value));
            }
        }
        if let Some(withdrawn) = line.withdrawn {
            registers.insert(format!("lines/{}/withdrawn", line.line), Scalar::Bool(withdrawn));
        }
        for key in line.cleared.iter().filter(|key| LINE_CLEARABLE.contains(&key.as_str())) {
            registers.insert(format!("lines/{}/{key}", line.line), Scalar::Text(String::new()));
        }
    }
    registers
}

/// A register's value and the edit that set it. Several where people changed it at once.
pub type Register = Vec<(Scalar, EditId)>;

/// A replayed document.
#[derive(Debug)]
pub struct Replayed {
    document: Automerge,
    plan: ObjId,
}

impl Replayed {
    /// Replays what counts.
    pub fn of(history: &History, effects: &Effects) -> Result<Self, AutomergeError> {
        let (mut document, genesis) = genesis()?;
        let plan = map(&document, "plan")?;
        let edits = map(&document, "edits")?;
        let mut changes: Vec<Option<ChangeHash>> = Vec::with_capacity(history.events().len());
        // For a void event, the nearest ancestors that count.
        let mut stands_on: Vec<Vec<usize>> = Vec::with_capacity(history.events().len());
        for (place, event) in history.events().iter().enumerate() {
            let mut ancestors: Vec<usize> = event
                .after
                .iter()
                .flat_map(|before| if effects.counts(*before) { vec![*before] } else { stands_on[*before].clone() })
                .collect();
            ancestors.sort_unstable();
            ancestors.dedup();
            if effects.counts(place) {
                let mut heads: Vec<_> = ancestors.iter().filter_map(|before| changes[*before]).collect();
                if heads.is_empty() {
                    heads.push(genesis);
                }
                changes.push(Some(apply(&mut document, &plan, &edits, event, heads)?));
            } else {
                changes.push(None);
            }
            stands_on.push(ancestors);
        }
        Ok(Self { document, plan })
    }

    /// The plan's registers.
    pub fn plan(&self) -> Result<BTreeMap<String, Register>, AutomergeError> {
        let mut registers = BTreeMap::new();
        for key in self.document.keys(&self.plan) {
            let mut values = Register::new();
            for (value, set_by) in self.document.get_all(&self.plan, key.as_str())? {
                let scalar = match value {
                    Value::Scalar(scalar) => match scalar.as_ref() {
                        ScalarValue::Boolean(truth) => Scalar::Bool(*truth),
                        ScalarValue::Int(number) => Scalar::Int(*number),
                        ScalarValue::Str(text) => Scalar::Text(text.to_string()),
                        _ => continue,
                    },
                    Value::Object(_) => continue,
                };
                if let ObjId::Id(_, actor, _) = set_by
                    && let Ok(edit) = actor.to_bytes().try_into()
                {
                    values.push((scalar, EditId(edit)));
                }
            }
            registers.insert(key, values);
        }
        Ok(registers)
    }

    /// The document's heads, sorted, in hexadecimal.
    pub fn heads(&self) -> Vec<String> {
        let mut heads: Vec<_> = self.document.get_heads().iter().map(ToString::to_string).collect();
        heads.sort();
        heads
    }

    /// The document as any Automerge tool reads it.
    pub fn save(&self) -> Vec<u8> {
        self.document.save()
    }
}

fn map(document: &Automerge, key: &str) -> Result<ObjId, AutomergeError> {
    Ok(document.get(ROOT, key)?.map_or(ROOT, |(_, id)| id))
}

/// Time 0: a change's hash must not depend on a clock.
fn options() -> CommitOptions {
    CommitOptions::default().with_time(0)
}

/// The change every document begins with.
fn genesis() -> Result<(Automerge, ChangeHash), AutomergeError> {
    let mut document = Automerge::new().with_actor(ActorId::from(&[0_u8; 32][..]));
    let mut change = document.transaction();
    change.put_object(ROOT, "plan", ObjType::Map)?;
    change.put_object(ROOT, "edits", ObjType::Map)?;
    change.commit_with(options());
    let heads = document.get_heads();
    Ok((document, heads[0]))
}

fn apply(
    document: &mut Automerge,
    plan: &ObjId,
    edits: &ObjId,
    event: &Event,
    mut heads: Vec<ChangeHash>,
) -> Result<ChangeHash, AutomergeError> {
    let actor = ActorId::from(&event.edit.id.0[..]);
    let mut current = document.get_heads();
    current.sort_unstable();
    heads.sort_unstable();
    if current == heads {
        document.set_actor(actor);
        return write(document, plan, edits, event);
    }
    let mut fork = document.fork_at(&heads)?;
    fork.set_actor(actor);
    let change = write(&mut fork, plan, edits, event)?;
    document.merge(&mut fork)?;
    Ok(change)
}

fn write(document: &mut Automerge, plan: &ObjId, edits: &ObjId, event: &Event) -> Result<ChangeHash, AutomergeError> {
    let statement = &event.edit.statement;
    let mut change = document.transaction();
    let entry = change.put_object(edits, event.edit.id.to_string(), ObjType::Map)?;
    change.put(&entry, "author", statement.author.to_string())?;
    change.put(&entry, "at", time::rfc3339(statement.at))?;
    if let Some(by) = &statement.by {
        change.put(&entry, "by", by.as_str())?;
    }
    if let Ok(action) = &event.action {
        change.put(&entry, "action", action.name())?;
        if let Some(fields) = action.fields() {
            for (key, value) in registers(fields) {
                // A plan writes every field it names. By itself Automerge would keep an older operation of the same value, and
                // somebody else's choice at the same time would hide this confirmation.
                let values = change.get_all(plan, key.as_str())?;
                if values.len() > 1 || values.iter().any(|(standing, _)| value.is(standing)) {
                    change.delete(plan, key.as_str())?;
                }
                match value {
                    Scalar::Bool(truth) => change.put(plan, key, truth)?,
                    Scalar::Int(number) => change.put(plan, key, number)?,
                    Scalar::Text(text) => change.put(plan, key, text)?,
                }
            }
        } else if let Some(body) = super::view::detail(action) {
            insert(&mut change, &entry, "states", &body)?;
        }
    }
    // An edit always inserts its entry, so the change is never empty and always has a hash.
    Ok(change.commit_with(options()).0.unwrap_or(ChangeHash([0; 32])))
}

/// Inserts a JSON value as maps, lists and scalars.
fn insert<T: Transactable>(
    change: &mut T,
    into: &ObjId,
    key: &str,
    value: &serde_json::Value,
) -> Result<(), AutomergeError> {
    match value {
        serde_json::Value::Object(pairs) => {
            let object = change.put_object(into, key, ObjType::Map)?;
            // In ascending order, whatever order the JSON library was built to keep.
            let pairs: BTreeMap<_, _> = pairs.iter().collect();
            pairs.into_iter().try_for_each(|(key, value)| insert(change, &object, key, value))
        }
        serde_json::Value::Array(items) => {
            let object = change.put_object(into, key, ObjType::Map)?;
            items.iter().enumerate().try_for_each(|(place, value)| insert(change, &object, &place.to_string(), value))
        }
        serde_json::Value::String(text) => change.put(into, key, text.as_str()),
        serde_json::Value::Number(number) => change.put(into, key, number.as_i64().unwrap_or_default()),
        serde_json::Value::Bool(truth) => change.put(into, key, *truth),
        serde_json::Value::Null => Ok(()),
    }
}
