//! The judge: stands outside the nodes and believes none of them.
//!
//! It keeps its own list of what was acknowledged to it, by the ids in the answers, and of who may see which shipment.
//! At the end it asks every node for everything and compares. What a node says of itself counts only against it.

use super::api::Api;
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The hub's name: it may see everything.
pub const HUB: &str = "hub";

/// An edit that a node said was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its id.
    pub edit: String,
    /// The shipment's number.
    pub number: String,
    /// The node that said so.
    pub node: String,
}

/// The judge's own list.
#[derive(Debug, Clone, Default)]
pub struct Judge {
    acknowledged: Vec<Acknowledged>,
    /// Who may see each shipment, besides the hub.
    holders: BTreeMap<String, BTreeSet<String>>,
}

/// What the judge found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Shipments that the judge knows of.
    pub shipments: usize,
    /// Of these, those that are the same at everyone who may see them.
    pub converged: usize,
    /// Edits at the hub.
    pub edits: usize,
    /// Edits that were acknowledged to the judge.
    pub acknowledged: usize,
    /// Of these, those that are at the hub and at everyone else who may see them, counted, and marked ✓✓ where they were made.
    pub present: usize,
    /// What is wrong with the others, and with the shipments that differ.
    pub wrong: Vec<String>,
    /// Shipments that show a contradiction at the hub.
    pub contradictions: BTreeMap<String, Vec<String>>,
}

impl Verdict {
    /// Nothing acknowledged is missing, and everyone sees the same.
    pub fn is_good(&self) -> bool {
        self.wrong.is_empty() && self.present == self.acknowledged && self.converged == self.shipments
    }
}

/// One shipment as one node shows it.
struct Seen {
    edits_hash: String,
    view_hash: String,
    /// Each edit: whether it counts, and whether the node knows the hub to have it.
    edits: BTreeMap<String, (bool, bool)>,
    contradictions: Vec<String>,
}

impl Judge {
    /// A shipment was taken in: the hub and these nodes must show it in the end.
    pub fn expect(&mut self, number: &str, holders: impl IntoIterator<Item = String>) {
        self.holders.entry(number.to_owned()).or_default().extend(holders);
    }

    /// A node answered an act: every edit in the answer is acknowledged from now on.
    pub fn note(&mut self, node: &str, answer: &Value) -> Result<()> {
        let one = std::slice::from_ref(answer);
        for made in answer.as_array().map_or(one, Vec::as_slice) {
            let text = |key: &str| made[key].as_str().map(str::to_owned);
            let (edit, number) = text("edit").zip(text("number")).with_context(|| format!("no edit in {made}"))?;
            self.holders.entry(number.clone()).or_default();
            self.acknowledged.push(Acknowledged { edit, number, node: node.to_owned() });
        }
        Ok(())
    }

    /// What was acknowledged so far, in that order.
    pub fn acknowledged(&self) -> &[Acknowledged] {
        &self.acknowledged
    }

    /// How many shipments a node must hold in the end.
    pub fn expected_at(&self, node: &str) -> usize {
        self.holders.values().filter(|holders| node == HUB || holders.contains(node)).count()
    }

    /// Asks all nodes for everything, and compares.
    pub fn judge(&self, nodes: &BTreeMap<String, Api>) -> Result<Verdict> {
        let mut verdict =
            Verdict { shipments: self.holders.len(), acknowledged: self.acknowledged.len(), ..Verdict::default() };
        let mut by_number: BTreeMap<&str, Vec<&Acknowledged>> = BTreeMap::new();
        for acknowledged in &self.acknowledged {
            by_number.entry(&acknowledged.number).or_default().push(acknowledged);
        }
        for (number, holders) in &self.holders {
            let mut seen = Vec::new();
            for name in std::iter::once(HUB).chain(holders.iter().map(String::as_str)) {
                let api = nodes.get(name).with_context(|| format!("{name} is not there to be asked"))?;
                seen.push((name, look(api, number).with_context(|| format!("{number} at {name}"))));
            }
            let edits = by_number.remove(number.as_str()).unwrap_or_default();
            verdict.weigh(number, &seen, &edits);
        }
        Ok(verdict)
    }
}

impl Verdict {
    fn weigh(&mut self, number: &str, seen: &[(&str, Result<Seen>)], acknowledged: &[&Acknowledged]) {
        for (name, seen) in seen {
            match seen {
                Err(error) => self.wrong.push(format!("{number} is not at {name}: {error:#}")),
                Ok(seen) if *name == HUB => {
                    self.edits += seen.edits.len();
                    if !seen.contradictions.is_empty() {
                        self.contradictions.insert(number.to_owned(), seen.contradictions.clone());
                    }
                }
                Ok(_) => {}
            }
        }
        let hashes: BTreeSet<_> = seen
            .iter()
            .map(|(_, seen)| seen.as_ref().ok().map(|seen| (seen.edits_hash.as_str(), seen.view_hash.as_str())))
            .collect();
        if hashes.len() == 1 && !hashes.contains(&None) {
            self.converged += 1;
        } else {
            let names: Vec<_> = seen.iter().map(|(name, _)| *name).collect();
            self.wrong.push(format!("{number} is not the same at {}", names.join(", ")));
        }
        for made in acknowledged {
            let faults: Vec<_> =
                seen.iter().filter_map(|(name, seen)| fault(made, name, seen.as_ref().ok()?)).collect();
            if faults.is_empty() && seen.iter().all(|(_, seen)| seen.is_ok()) {
                self.present += 1;
            }
            self.wrong.extend(faults);
        }
    }
}

/// What is wrong with an acknowledged edit at one node.
fn fault(made: &Acknowledged, name: &str, seen: &Seen) -> Option<String> {
    let Acknowledged { edit, number, node } = made;
    match seen.edits.get(edit) {
        None => Some(format!("{edit} of {number}, acknowledged by {node}, is missing at {name}")),
        Some((false, _)) => Some(format!("{edit} of {number}, acknowledged by {node}, does not count at {name}")),
        Some((_, false)) if node == name && name != HUB => {
            Some(format!("{edit} of {number} is not marked ✓✓ at {name}, where it was made"))
        }
        Some(_) => None,
    }
}

fn look(api: &Api, number: &str) -> Result<Seen> {
    let shown = api.get(&format!("/shipments/{number}"))?;
    let history = api.get(&format!("/shipments/{number}/history"))?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("the node's answer is not as it should be");
    let mut edits = BTreeMap::new();
    for row in history.as_array().context("a history is a list")? {
        let counted = row["counted"].as_bool().unwrap_or_default();
        edits.insert(text(&row["edit"])?, (counted, !row["at_hub"].is_null()));
    }
    let exceptions = shown["exceptions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let contradicting = exceptions.iter().filter(|exception| exception["kind"] == "contradiction");
    let edits_of = |exception: &Value| exception["edits"].as_array().cloned().unwrap_or_default();
    Ok(Seen {
        edits_hash: text(&shown["edits_hash"])?,
        view_hash: text(&shown["view_hash"])?,
        edits,
        contradictions: contradicting.flat_map(edits_of).filter_map(|edit| edit.as_str().map(str::to_owned)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(view: &str, edits: &[(&str, bool, bool)]) -> Seen {
        let edits = edits.iter().map(|(edit, counts, at_hub)| ((*edit).to_owned(), (*counts, *at_hub))).collect();
        Seen { edits_hash: "e".to_owned(), view_hash: view.to_owned(), edits, contradictions: Vec::new() }
    }

    /// A judge who can't say no is none: each thing that may be wrong with a shipment is found, and nothing else.
    #[test]
    fn every_fault_is_found() {
        let made = Acknowledged { edit: "a".to_owned(), number: "M1".to_owned(), node: "li-wei".to_owned() };
        let good = [("a", true, true)];
        let marked = || seen("v", &good);
        let unmarked = || seen("v", &[("a", true, false)]);
        let cases = [
            ("nothing", marked(), Some(marked()), None),
            ("the hub marks nothing ✓✓", unmarked(), Some(marked()), None),
            ("views differ", marked(), Some(seen("w", &good)), Some("not the same")),
            ("the hub lacks it", seen("v", &[]), Some(marked()), Some("missing at hub")),
            ("its author lacks it", marked(), Some(seen("v", &[])), Some("missing at li-wei")),
            ("it is void", seen("v", &[("a", false, true)]), Some(marked()), Some("does not count at hub")),
            ("no ✓✓ at its author", marked(), Some(unmarked()), Some("not marked")),
            ("a node without it", marked(), None, Some("is not at li-wei")),
        ];
        for (what, hub, driver, expected) in cases {
            let mut verdict = Verdict { shipments: 1, acknowledged: 1, ..Verdict::default() };
            verdict.weigh("M1", &[(HUB, Ok(hub)), ("li-wei", driver.context("404"))], &[&made]);
            assert_eq!(verdict.is_good(), expected.is_none(), "{what}: {:?}", verdict.wrong);
            let found = expected.is_none_or(|expected| verdict.wrong.iter().any(|wrong| wrong.contains(expected)));
            assert!(found, "{what}: {:?}", verdict.wrong);
        }
    }
}
