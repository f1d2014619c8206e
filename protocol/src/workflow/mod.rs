//! Workflows: the steps a firm's shipments go through, as data.
//!
//! A workflow is a TOML text, published through the roster and named by the hash of that text, so that every node judges
//! by the same one. Going forward (to a higher rank) is always allowed, because real days skip steps; going back, or from
//! one outcome to another that excludes it, only where `ways` says so.

use crate::id::WorkflowId;
use crate::roster::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Bytes of a workflow's text.
pub const WORKFLOW_BYTES_MAX: usize = 48 * 1024;
/// Steps of a workflow.
pub const STEPS_MAX: usize = 100;
/// The step every shipment is at when it was opened and nothing was recorded.
pub const CREATED: &str = "created";

/// The presets, by name.
pub const PRESETS: [(&str, &str); 6] = [
    ("simple", include_str!("presets/simple.toml")),
    ("standard", include_str!("presets/standard.toml")),
    ("cold-chain", include_str!("presets/cold-chain.toml")),
    ("bulky", include_str!("presets/bulky.toml")),
    ("bait", include_str!("presets/bait.toml")),
    ("multi-drop", include_str!("presets/multi-drop.toml")),
];

/// A text in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// 简体中文.
    pub zh: String,
    /// English.
    pub en: String,
}

/// How a shipment can end. Two records whose outcomes differ exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Taken by somebody.
    Signed,
    /// Brought back.
    Returned,
    /// Called off.
    Cancelled,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Signed => "signed",
            Self::Returned => "returned",
            Self::Cancelled => "cancelled",
        })
    }
}

/// What a record must bring along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Who took it.
    Receiver,
    /// Their drawn signature.
    Signature,
    /// At least one photo.
    Photos,
    /// Why.
    Reason,
    /// Where.
    Place,
    /// A scanned code.
    Scan,
    /// A PIN.
    Pin,
    /// What became of the lines.
    Lines,
    /// The money collected.
    Collected,
    /// A measured value recorded before it.
    Measure,
}

impl Evidence {
    /// How to give it on the command line, for the error that asks for it.
    pub fn how(self) -> &'static str {
        match self {
            Self::Receiver => "a receiver (--receiver NAME)",
            Self::Signature => "a signature (--signature FILE.svg)",
            Self::Photos => "a photo (--photo FILE)",
            Self::Reason => "a reason (--reason TEXT)",
            Self::Place => "a place (--place LAT,LON)",
            Self::Scan => "a scanned code (--scan CODE)",
            Self::Pin => "the receiver's PIN (--pin PIN)",
            Self::Lines => "what became of the lines (--line ID:received=QTY)",
            Self::Collected => "the money collected (--collected AMOUNT)",
            Self::Measure => "a measured value recorded before it",
        }
    }
}

/// The step in terms of GS1's Core Business Vocabulary 2.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Epcis {
    /// What was going on.
    pub biz_step: String,
    /// What state the goods are in after it.
    pub disposition: String,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name in records and scripts.
    pub key: String,
    /// Its name for people.
    pub label: Label,
    /// `#rrggbb`.
    pub colour: String,
    /// How far along it is; a higher rank outranks a lower one.
    pub rank: u32,
    /// How the shipment ends by it, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Who may record it.
    #[serde(default)]
    pub by: BTreeSet<Role>,
    /// Without what it is void.
    #[serde(default)]
    pub needs: BTreeSet<Evidence>,
    /// The steps that may follow although they rank lower or end the shipment otherwise.
    #[serde(default)]
    pub ways: BTreeSet<String>,
    /// The step in EPCIS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epcis: Option<Epcis>,
}

/// A workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// Its name in scripts.
    pub name: String,
    /// Its name for people.
    pub label: Label,
    /// Its steps.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
}

/// Why a text is not a workflow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkflowError {
    /// Too long.
    #[error("a workflow of {0} bytes is larger than the 48 KiB allowed")]
    TooLarge(usize),
    /// Not TOML, or a key missing, misspelt or of the wrong type.
    #[error("the workflow can't be read: {0}")]
    Toml(String),
    /// Its steps don't fit together.
    #[error("the workflow's step “{step}” {problem}")]
    Step {
        /// Which step.
        step: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Workflow {
    /// What a workflow's text is known by.
    pub fn id(toml: &str) -> WorkflowId {
        WorkflowId(blake3::derive_key("creel/workflow/1", toml.as_bytes()))
    }

    /// The text of a preset.
    pub fn preset(name: &str) -> Option<&'static str> {
        PRESETS.into_iter().find(|(preset, _)| *preset == name).map(|(_, toml)| toml)
    }

    /// A workflow from its text.
    pub fn parse(text: &str) -> Result<Self, WorkflowError> {
        if text.len() > WORKFLOW_BYTES_MAX {
            return Err(WorkflowError::TooLarge(text.len()));
        }
        let workflow: Self = toml::from_str(text).map_err(|error| WorkflowError::Toml(error.to_string()))?;
        workflow.check()?;
        Ok(workflow)
    }

    fn check(&self) -> Result<(), WorkflowError> {
        let wrong = |step: &str, problem| Err(WorkflowError::Step { step: step.to_owned(), problem });
        if self.steps.len() > STEPS_MAX {
            return wrong(&self.steps[STEPS_MAX].key, "is one more than the 100 allowed");
        }
        let mut keys = BTreeSet::new();
        for step in &self.steps {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if step.key.is_empty() || step.key.len() > 64 || !step.key.bytes().all(plain) {
                return wrong(&step.key, "has a key that is not made of a-z, 0-9 and _ (at most 64)");
            }
            if !keys.insert(step.key.as_str()) {
                return wrong(&step.key, "stands there twice");
            }
            let hex = step.colour.strip_prefix('#').unwrap_or_default();
            if hex.len() != 6 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return wrong(&step.key, "has a colour that is not of the form #rrggbb");
            }
            if step.label.zh.is_empty() || step.label.en.is_empty() {
                return wrong(&step.key, "has no label in one of the languages");
            }
        }
        if !keys.contains(CREATED) {
            return wrong(CREATED, "is missing: every shipment begins with it");
        }
        match self.steps.iter().find(|step| step.ways.iter().any(|way| !keys.contains(way.as_str()))) {
            Some(step) => wrong(&step.key, "has a way to a step that there is not"),
            None => Ok(()),
        }
    }

    /// The step with this key.
    pub fn step(&self, key: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.key == key)
    }

    /// Where a step stands in the text: breaks ties of rank, the later one first.
    pub fn precedence(&self, key: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.key == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The presets are workflows by the rules that a firm's own must keep.
    #[test]
    fn presets_parse() {
        for (name, text) in PRESETS {
            let workflow = Workflow::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(workflow.name, name);
        }
    }

    /// A firm that mistypes its workflow is told which step is wrong.
    #[test]
    fn a_wrong_step_is_named() {
        let text = Workflow::preset("simple").expect("simple is a preset").replace("signed", "Signed!");
        let error = Workflow::parse(&text).expect_err("the key is not allowed").to_string();
        assert!(error.contains("Signed!") || error.contains("outcome"), "{error}");
    }
}
