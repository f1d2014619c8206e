//! Workflows: the steps a firm's shipments go through, as data.
//!
//! A workflow is a TOML text, published through the roster and named by the hash of that text, so that every node judges
//! by the same one. Going forward (to a higher rank) is always allowed, because real days skip steps; going back, or from
//! one outcome to another that excludes it, only where `ways` says so.
//!
//! A reader ignores keys and words that it does not know, so that a later version can add some without making a workflow
//! unreadable on older devices. Whoever publishes is told of them instead, because most often they are misspelt.

use crate::id::WorkflowId;
use crate::roster::Role;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;

/// How deep values may stand: a value of the top level is at 1.
const DEPTH_MAX: usize = 16;
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

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Signed, Self::Returned, Self::Cancelled];
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

/// What a record must bring along. Words that later versions add are asked for by the author's node; they make no record void,
/// because older nodes can't know them.
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
#[serde(rename_all = "camelCase")]
pub struct Epcis {
    /// What was going on.
    pub biz_step: String,
    /// What state the goods are in after it.
    pub disposition: String,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name in records and scripts.
    pub key: String,
    /// Its name for people.
    pub label: Label,
    /// `#rrggbb`.
    pub colour: String,
    /// How far along it is; a higher rank outranks a lower one.
    pub rank: u32,
    /// Whether another step has the same rank. Both say so, because two steps of one rank are most often a slip.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub equal: bool,
    /// How the shipment ends by it, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_outcome")]
    pub outcome: Option<Outcome>,
    /// Who may record it.
    #[serde(default = "everybody_but_viewers", deserialize_with = "known_roles")]
    pub by: BTreeSet<Role>,
    /// Without what it is void.
    #[serde(default, deserialize_with = "known_evidence")]
    pub needs: BTreeSet<Evidence>,
    /// The steps that may follow although they rank lower or end the shipment otherwise.
    #[serde(default)]
    pub ways: BTreeSet<String>,
    /// The step in EPCIS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epcis: Option<Epcis>,
}

fn everybody_but_viewers() -> BTreeSet<Role> {
    Role::ALL.into_iter().filter(|role| *role != Role::Viewer).collect()
}

fn known_roles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Role>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    Ok(words.iter().filter_map(|word| Role::named(word)).collect())
}

fn known_evidence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Evidence>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    Ok(words.iter().filter_map(|word| known_word(word)).collect())
}

fn known_outcome<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Outcome>, D::Error> {
    Ok(known_word(&String::deserialize(deserializer)?))
}

/// The value that a word stands for, if this version knows it.
fn known_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(word.into()).ok()
}

/// A workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Not TOML, or a key missing or of the wrong type.
    #[error("the workflow can't be read: {0}")]
    Toml(String),
    /// A key or a word that this version does not know, where it is to be published.
    #[error("the workflow has “{0}”, which no step or workflow has: correct it or leave it out")]
    Unknown(String),
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

    /// A workflow that is to be published, from its text: nothing in it may be misspelt.
    pub fn parse_strictly(text: &str) -> Result<Self, WorkflowError> {
        let workflow = Self::parse(text)?;
        let table: toml::Table = toml::from_str(text).map_err(|error| WorkflowError::Toml(error.to_string()))?;
        unknown_in(&table).map_or(Ok(workflow), |unknown| Err(WorkflowError::Unknown(unknown)))
    }

    /// A workflow as a reader takes it, from its text.
    pub fn parse(text: &str) -> Result<Self, WorkflowError> {
        if text.len() > WORKFLOW_BYTES_MAX {
            return Err(WorkflowError::TooLarge(text.len()));
        }
        let table: toml::Table = toml::from_str(text).map_err(|error| WorkflowError::Toml(error.to_string()))?;
        if text.starts_with('\u{feff}') {
            return Err(WorkflowError::Toml("it begins with a byte order mark: save it without one".to_owned()));
        }
        table.values().try_for_each(|value| check_value(value, DEPTH_MAX))?;
        check_tables(&table)?;
        let workflow: Self =
            table.try_into().map_err(|error: toml::de::Error| WorkflowError::Toml(error.to_string()))?;
        workflow.check()?;
        Ok(workflow)
    }

    fn check(&self) -> Result<(), WorkflowError> {
        let wrong = |step: &str, problem| Err(WorkflowError::Step { step: step.to_owned(), problem });
        if self.steps.len() > STEPS_MAX {
            return wrong(&self.steps[STEPS_MAX].key, "is one more than the 100 allowed");
        }
        if self.name.is_empty() || self.label.zh.is_empty() || self.label.en.is_empty() {
            return Err(WorkflowError::Toml("it has no name, or no label in one of the languages".to_owned()));
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
        for (nth, step) in self.steps.iter().enumerate() {
            let same = self.steps.iter().enumerate().any(|(other, step_of)| other != nth && step_of.rank == step.rank);
            if same && !step.equal {
                return wrong(&step.key, "has the rank of another step: give both `equal = true` if that is meant");
            }
        }
        match self.step(CREATED) {
            None => return wrong(CREATED, "is missing: every shipment begins with it"),
            Some(step) if step.outcome.is_some() => return wrong(CREATED, "ends nothing: leave its outcome out"),
            Some(_) => {}
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

/// Readers of TOML differ in the range of floats, in dates such as leap seconds and in how deep they look, also under keys that
/// nobody knows: a workflow has none of these.
fn check_value(value: &toml::Value, depth: usize) -> Result<(), WorkflowError> {
    let wrong = |why: &str| Err(WorkflowError::Toml(why.to_owned()));
    let Some(depth) = depth.checked_sub(1) else { return wrong("its values are nested too deep") };
    match value {
        toml::Value::Float(_) => wrong("it holds a float: write a whole number or a text"),
        toml::Value::Datetime(_) => wrong("it holds a date or a time: write it as a text"),
        toml::Value::Array(items) => items.iter().try_for_each(|item| check_value(item, depth)),
        toml::Value::Table(table) => table.values().try_for_each(|value| check_value(value, depth)),
        toml::Value::String(_) | toml::Value::Integer(_) | toml::Value::Boolean(_) => Ok(()),
    }
}

/// Labels, steps and EPCIS names are tables: the library would read a list as one, by the order of our fields.
fn check_tables(table: &toml::Table) -> Result<(), WorkflowError> {
    let wrong = |key: &str| Err(WorkflowError::Toml(format!("“{key}” is not a table")));
    let all_tables = |table: &toml::Table| {
        ["label", "epcis"].into_iter().find(|key| table.get(*key).is_some_and(|value| !value.is_table()))
    };
    if let Some(key) = all_tables(table) {
        return wrong(key);
    }
    for step in table.get("step").and_then(toml::Value::as_array).into_iter().flatten() {
        match step.as_table() {
            None => return wrong("step"),
            Some(step) => {
                if let Some(key) = all_tables(step) {
                    return wrong(key);
                }
            }
        }
    }
    Ok(())
}

/// The first key or word in a workflow's table that this version does not know.
fn unknown_in(table: &toml::Table) -> Option<String> {
    let other = |table: &toml::Table, known: &[&str]| table.keys().find(|key| !known.contains(&key.as_str())).cloned();
    let inner = |value: Option<&toml::Value>, known: &[&str]| other(value?.as_table()?, known);
    let label = |table: &toml::Table| inner(table.get("label"), &["zh", "en"]);
    let step_keys = ["key", "label", "colour", "rank", "equal", "outcome", "by", "needs", "ways", "epcis"];
    let in_step = |step: &toml::Table| {
        let words = |key: &str, known: &dyn Fn(&str) -> bool| {
            let words = step.get(key)?.as_array()?.iter().filter_map(toml::Value::as_str);
            words.into_iter().find(|word| !known(word)).map(str::to_owned)
        };
        other(step, &step_keys)
            .or_else(|| label(step))
            .or_else(|| inner(step.get("epcis"), &["bizStep", "disposition"]))
            .or_else(|| words("by", &|word| Role::named(word).is_some()))
            .or_else(|| words("needs", &|word| known_word::<Evidence>(word).is_some()))
            .or_else(|| {
                let outcome = step.get("outcome")?.as_str()?;
                known_word::<Outcome>(outcome).is_none().then(|| outcome.to_owned())
            })
    };
    let steps = table.get("step").and_then(toml::Value::as_array);
    other(table, &["name", "label", "step"])
        .or_else(|| label(table))
        .or_else(|| steps.into_iter().flatten().filter_map(toml::Value::as_table).find_map(in_step))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The presets are workflows by the rules that a firm's own must keep.
    #[test]
    fn presets_parse() {
        for (name, text) in PRESETS {
            let workflow = Workflow::parse_strictly(text).unwrap_or_else(|error| panic!("{name}: {error}"));
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

    const TINY: &str = r##"
        name = "tiny"
        label = { zh = "小", en = "Tiny" }
        [[step]]
        key = "created"
        label = { zh = "已建单", en = "Created" }
        colour = "#000000"
        rank = 0
        [[step]]
        key = "signed"
        label = { zh = "已签收", en = "Signed" }
        colour = "#00ff00"
        rank = 10
        outcome = "signed"
    "##;

    /// Rule 10: a reader passes over keys and words that a later version added; whoever publishes is told of them.
    #[test]
    fn later_words_are_ignored_by_readers_alone() {
        let plain = Workflow::parse_strictly(TINY).expect("it is a workflow");
        for later in [
            "weight = 3",
            "by = [\"driver\", \"pilot\"]",
            "needs = [\"weight\"]",
            "epcis = { bizStep = \"a\", disposition = \"b\", c = 1 }",
        ] {
            let text = format!("{TINY}\n        {later}\n");
            assert!(Workflow::parse(&text).is_ok(), "{later}");
            assert!(matches!(Workflow::parse_strictly(&text), Err(WorkflowError::Unknown(_))), "{later}");
        }
        let text = TINY.replace("outcome = \"signed\"", "outcome = \"composted\"");
        assert_eq!(Workflow::parse(&text).expect("a reader takes it").steps[1].outcome, None);
        assert!(matches!(Workflow::parse_strictly(&text), Err(WorkflowError::Unknown(_))));
        let text = TINY.replace("name = \"tiny\"", "name = \"tiny\"\nseason = 3");
        assert_eq!(Workflow::parse(&text).as_ref(), Ok(&plain));
        assert!(matches!(Workflow::parse_strictly(&text), Err(WorkflowError::Unknown(_))));
    }

    /// Rule 10: `by` left out is everybody but viewers; an empty one is nobody.
    #[test]
    fn by_left_out() {
        let by = |text: &str| Workflow::parse(text).expect("it is a workflow").steps[1].by.clone();
        assert_eq!(by(TINY), [Role::Admin, Role::Dispatcher, Role::Picker, Role::Driver, Role::Shop].into());
        assert_eq!(by(&format!("{TINY}\n        by = []\n")), BTreeSet::new());
        assert_eq!(by(&format!("{TINY}\n        by = [\"pilot\"]\n")), BTreeSet::new());
    }

    /// Rule 10: what is no workflow for readers either.
    #[test]
    fn texts_that_are_no_workflow() {
        for (from, to) in [
            ("key = \"signed\"", "key = \"created\""),
            ("key = \"created\"", "key = \"begun\""),
            ("rank = 10", "rank = 0"),
            ("rank = 10", "rank = 0\nequal = true"),
            ("rank = 10", "rank = -1"),
            ("rank = 10", "rank = 10\nways = [\"nowhere\"]"),
            ("rank = 10", "rank = 10\nby = [1]"),
            ("#00ff00", "green"),
            ("#00ff00", "#00ff0g"),
            ("label = { zh = \"小\", en = \"Tiny\" }", "label = [\"小\", \"Tiny\"]"),
            ("label = { zh = \"小\", en = \"Tiny\" }", "label = { zh = \"\", en = \"Tiny\" }"),
            ("name = \"tiny\"", "name = \"\""),
            ("rank = 0", "rank = 0\noutcome = \"signed\""),
            ("zh = \"已签收\", ", ""),
            ("rank = 10", "rank = 10\nlater = 1.5"),
            ("rank = 10", "rank = 10\nlater = [{ a = 2026-03-01 }]"),
            ("rank = 10", "rank = 10\nlater = 12:00:00"),
            ("rank = 10", "rank = 10\nlater = 9223372036854775808"),
            ("rank = 10", "rank = 10\nlater = [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"),
            ("zh = \"已签收\"", "zh = \"\""),
        ] {
            let text = TINY.replacen(from, to, 1);
            assert_ne!(text, TINY);
            assert!(Workflow::parse(&text).is_err(), "{from} to {to}");
        }
        assert!(Workflow::parse(&format!("\u{feff}{TINY}")).is_err());
        let deep = TINY.replacen("rank = 10", "rank = 10\nlater = [[[[[[[[[[[1]]]]]]]]]]]", 1);
        assert!(Workflow::parse(&deep).is_ok(), "a reader takes what is nested 16 deep or less");
        let both = TINY
            .replace("rank = 0", "rank = 10\nequal = true")
            .replace("rank = 10\n        outcome", "rank = 10\nequal = true\n        outcome");
        assert!(Workflow::parse(&both).is_ok(), "{both}");
    }
}
