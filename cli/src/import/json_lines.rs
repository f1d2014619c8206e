//! JSON lines as a table: one object a line; the columns are all keys that occur, those of nested objects joined by
//! dots.

use super::Refusal;
use super::table::{COLUMNS_MAX, ROWS_MAX, Row, Table};
use anyhow::{Result, ensure};
use csv::StringRecord;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;

/// The table of a text; a line that is no object is a damaged row.
pub(super) fn table(text: &str) -> Result<Table> {
    let mut header: Vec<String> = Vec::new();
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut read = Vec::new();
    for (line, object) in (1..).zip(text.lines()).filter(|(_, object)| !object.trim().is_empty()) {
        let refusal = |column: String, why| Refusal { line, column, value: super::shown(object), why };
        let mut cells: Vec<(usize, String)> = Vec::new();
        let mut damage = None;
        match serde_json::from_str::<Object>(object) {
            Err(error) => {
                let why = format!("the line is not one JSON object ({error}): put each order's row on one line");
                damage = Some(refusal(String::new(), why));
            }
            Ok(Object(members)) => {
                let mut flat = Vec::new();
                for (key, value) in members {
                    flatten(key, value, &mut flat);
                }
                for (key, text) in flat {
                    let column = *at.entry(key).or_insert_with_key(|key| {
                        header.push(key.clone());
                        header.len() - 1
                    });
                    ensure!(
                        header.len() <= COLUMNS_MAX,
                        "line {line}: there are more than {COLUMNS_MAX} different keys"
                    );
                    if cells.iter().any(|(taken, _)| *taken == column) {
                        damage = Some(refusal(header[column].clone(), "the key occurs twice: remove one".into()));
                    }
                    cells.push((column, text));
                }
            }
        }
        ensure!(read.len() < ROWS_MAX, "it has more than {ROWS_MAX} rows: split it into several files");
        read.push((line, cells, damage));
    }
    let rows = read.into_iter().map(|(line, cells, damage)| {
        let mut all = vec![String::new(); header.len()];
        for (column, text) in cells {
            all[column] = text;
        }
        Row { line, cells: StringRecord::from(all), damage }
    });
    let rows = rows.collect();
    Ok(Table { header, rows })
}

fn flatten(key: String, value: Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Null => into.push((key, String::new())),
        Value::String(text) => into.push((key, text)),
        Value::Object(members) => {
            for (inner, value) in members {
                flatten(format!("{key}.{inner}"), value, into);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => into.push((key, value.to_string())),
    }
}

/// An object's members in their order, those that occur twice included: a map would keep the last in silence.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line is a row of its own: one that is broken leaves the others good.
    #[test]
    fn rows() {
        let lines = [
            r#"{"n": 7, "to": {"name": "West Lake"}}"#,
            "",
            "[1]",
            r#"{"n": "8", "qty": 1.5, "to": null}"#,
            r#"{"n": 1, "n": 2}"#,
            r#"{"n""#,
        ];
        let table = table(&lines.join("\n")).expect("few columns");
        assert_eq!(table.header, ["n", "to.name", "qty", "to"]);
        let rows: Vec<_> = table.rows.iter().map(|row| (row.line, row.damage.is_some())).collect();
        assert_eq!(rows, [(1, false), (3, true), (4, false), (5, true), (6, true)]);
        assert_eq!(table.rows[0].cells.iter().collect::<Vec<_>>(), ["7", "West Lake", "", ""]);
        assert_eq!(table.rows[2].cells.iter().collect::<Vec<_>>(), ["8", "", "1.5", ""]);
    }
}
