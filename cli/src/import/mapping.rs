//! A mapping: which column of a file gives which field of an order. docs/mappings/ has examples, with every key
//! explained where it is first used.

pub(super) use super::column::{Amount, Day, Party, Text};
use super::column::{iso_date, one_or_more, utc_offset};
use anyhow::{Context, Result, ensure};
use jiff::civil::Date;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A mapping file as it is kept in TOML.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// What kind of file it is, where the file's ending does not say it.
    pub(super) format: Option<Format>,
    /// The text's encoding.
    #[serde(default)]
    pub(super) encoding: Encoding,
    /// What stands between a CSV file's cells.
    #[serde(default = "comma")]
    pub(super) delimiter: char,
    /// The sheet of an XLSX file; its first, where none is named.
    pub(super) sheet: Option<String>,
    /// The clock that dates and times are told by.
    #[serde(default = "beijing", deserialize_with = "utc_offset")]
    pub(super) utc_offset: Offset,
    /// Cells that say that nothing is known, such as `N/A`.
    #[serde(default)]
    pub(super) missing: Vec<String>,
    /// Files in which a cell is looked up.
    #[serde(default, rename = "join")]
    pub(super) joins: Vec<Join>,
    /// What is said of the order as a whole.
    pub(super) order: OrderColumns,
    /// What one row gives: a line for each of these.
    #[serde(default, rename = "line")]
    pub(super) lines: Vec<LineColumns>,
    /// Where the mapping lies, for the files it joins.
    #[serde(skip)]
    pub(super) folder: PathBuf,
}

/// What kind of file orders come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Csv,
    Xlsx,
    Jsonl,
}

/// A text file's encoding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Encoding {
    /// By the byte order mark, else UTF-8 where the bytes are valid UTF-8, else GB18030 (GBK, GB 2312).
    #[default]
    Auto,
    #[serde(rename = "utf-8")]
    Utf8,
    Gb18030,
}

/// A file in which a cell is looked up; its columns are then `name.column`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Join {
    /// What its columns' names begin with.
    pub(super) name: String,
    /// Relative to the folder of the data, else to that of the mapping.
    pub(super) file: PathBuf,
    /// The joined file's column that is looked through.
    pub(super) key: String,
    /// The column whose cell is looked up.
    pub(super) column: String,
    /// Whether a cell that is not found leaves the joined columns empty, instead of refusing the row.
    #[serde(default)]
    pub(super) or_missing: bool,
}

/// Which columns speak of the order as a whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderColumns {
    pub(super) number: Text,
    pub(super) consignee: Option<Text>,
    pub(super) address: Option<Text>,
    pub(super) place: Option<Place>,
    pub(super) window: Option<Window>,
    pub(super) driver: Option<Party>,
    pub(super) run: Option<Text>,
    pub(super) stop: Option<Text>,
    pub(super) amount_due: Option<Amount>,
    pub(super) handling: Option<Text>,
    pub(super) note: Option<Text>,
    #[serde(default)]
    pub(super) parties: BTreeMap<String, Party>,
}

/// Which columns make a line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LineColumns {
    /// The line's name; numbers from 1 where none is mapped.
    pub(super) line: Option<Text>,
    pub(super) sku: Option<Text>,
    pub(super) name: Option<Text>,
    pub(super) quantity: Option<Text>,
    pub(super) unit: Option<Text>,
    pub(super) lot: Option<Text>,
    pub(super) expiry: Option<Day>,
    /// Whether a row with a quantity of zero, or none, has no such line.
    #[serde(default)]
    pub(super) skip_zero: bool,
}

/// A place, from two columns with decimal degrees.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    pub(super) latitude: String,
    pub(super) longitude: String,
    #[serde(default)]
    pub(super) or_missing: bool,
    #[serde(default)]
    pub(super) first: bool,
}

/// A window of time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the mapping, and they are independent")]
pub(super) struct Window {
    /// The column with the date; alone it makes a window of that whole day.
    pub(super) date: Option<String>,
    /// The date of every row, for files that tell only the time.
    #[serde(default, deserialize_with = "iso_date")]
    pub(super) day: Option<Date>,
    /// The column with the beginning: a time where there is a date or a day, else a date with a time.
    pub(super) from: Option<String>,
    /// The column with the end.
    pub(super) to: Option<String>,
    /// How `date` is written.
    #[serde(default, deserialize_with = "one_or_more")]
    pub(super) date_format: Vec<String>,
    /// How `from` and `to` are written; `seconds` counts from midnight, or from the Unix epoch where there is no date.
    #[serde(default, deserialize_with = "one_or_more")]
    pub(super) format: Vec<String>,
    /// Whether an end before the beginning is on the next day.
    #[serde(default)]
    pub(super) next_day: bool,
    #[serde(default)]
    pub(super) or_missing: bool,
    #[serde(default)]
    pub(super) first: bool,
    /// Whether the window reaches over those of all the order's rows, where they disagree.
    #[serde(default)]
    pub(super) span: bool,
}

impl Mapping {
    /// Reads a mapping file. What it joins is looked for beside the data, then beside the mapping.
    pub fn read(file: &Path) -> Result<Self> {
        let attempt = || format!("cannot read the mapping {}", file.display());
        let text = fs::read_to_string(file).with_context(attempt)?;
        let mut mapping = Self::parse(&text).with_context(attempt)?;
        file.parent().unwrap_or(Path::new("")).clone_into(&mut mapping.folder);
        Ok(mapping)
    }

    /// Parses a mapping that lies nowhere (its joins are looked for beside the data only).
    pub fn parse(text: &str) -> Result<Self> {
        let mapping: Self = toml::from_str(text)?;
        ensure!(mapping.delimiter.is_ascii(), "`delimiter` must be one ASCII character, such as \",\" or \"\\t\"");
        if let Some(window) = &mapping.order.window {
            ensure!(window.date.is_none() || window.day.is_none(), "`order.window`: give `date` or `day`, not both");
            let both = window.from.is_some() && window.to.is_some();
            ensure!(
                both || window.date.is_some() && window.from.is_none() == window.to.is_none(),
                "`order.window`: give `date`, or `from` and `to`, or all three"
            );
            ensure!(!(window.first && window.span), "`order.window`: give `first` or `span`, not both");
        }
        let amount = mapping.order.amount_due.as_ref();
        ensure!(
            !amount.is_some_and(|amount| amount.sum && amount.text.first),
            "`order.amount_due`: give `first` or `sum`, not both"
        );
        for (kind, party) in &mapping.order.parties {
            let kind = party.kind.as_deref().unwrap_or(kind);
            ensure!(
                !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase()),
                "`order.parties`: {kind:?} is no kind of party; kinds are in lower-case letters, such as shop"
            );
        }
        for (key, text) in mapping.lines.iter().flat_map(LineColumns::texts) {
            ensure!(
                !text.first,
                "`line.{key}`: `first` is for what is said of the whole order; every line has its own"
            );
        }
        Ok(mapping)
    }

    /// Takes `file` for the join of this name, instead of the file the mapping names.
    pub fn join_from(&mut self, name: &str, file: PathBuf) -> Result<()> {
        let known: Vec<&str> = self.joins.iter().map(|join| join.name.as_str()).collect();
        let problem = format!("the mapping has no join named {name:?}, but {known:?}");
        self.joins.iter_mut().find(|join| join.name == name).context(problem)?.file = file;
        Ok(())
    }

    /// Every column the mapping reads, with the key that reads it.
    pub(super) fn columns(&self) -> Vec<(String, &str)> {
        let order = &self.order;
        let mut texts: Vec<(String, &Text)> = [
            ("number", Some(&order.number)),
            ("consignee", order.consignee.as_ref()),
            ("address", order.address.as_ref()),
            ("driver", order.driver.as_ref().map(|party| &party.text)),
            ("run", order.run.as_ref()),
            ("stop", order.stop.as_ref()),
            ("amount_due", order.amount_due.as_ref().map(|amount| &amount.text)),
            ("handling", order.handling.as_ref()),
            ("note", order.note.as_ref()),
        ]
        .into_iter()
        .filter_map(|(key, text)| Some((format!("order.{key}"), text?)))
        .collect();
        texts.extend(order.parties.iter().map(|(kind, party)| (format!("order.parties.{kind}"), &party.text)));
        for line in &self.lines {
            texts.extend(line.texts().into_iter().map(|(key, text)| (format!("line.{key}"), text)));
        }
        let mut columns: Vec<(String, &str)> = texts
            .into_iter()
            .flat_map(|(key, text)| text.source.columns().into_iter().map(move |column| (key.clone(), column)))
            .collect();
        if let Some(place) = &order.place {
            columns
                .extend([&place.latitude, &place.longitude].map(|column| ("order.place".to_owned(), column.as_str())));
        }
        if let Some(window) = &order.window {
            let named = [&window.date, &window.from, &window.to].into_iter().flatten();
            columns.extend(named.map(|column| ("order.window".to_owned(), column.as_str())));
        }
        columns.extend(self.joins.iter().map(|join| (format!("join {}", join.name), join.column.as_str())));
        columns
    }
}

impl LineColumns {
    /// Its columns, by key.
    pub(super) fn texts(&self) -> Vec<(&'static str, &Text)> {
        let texts = [
            ("line", self.line.as_ref()),
            ("sku", self.sku.as_ref()),
            ("name", self.name.as_ref()),
            ("quantity", self.quantity.as_ref()),
            ("unit", self.unit.as_ref()),
            ("lot", self.lot.as_ref()),
            ("expiry", self.expiry.as_ref().map(|day| &day.text)),
        ];
        texts.into_iter().filter_map(|(key, text)| Some((key, text?))).collect()
    }
}

fn comma() -> char {
    ','
}

fn beijing() -> Offset {
    Offset::constant(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mistake in a mapping is named with its key, before a file is read.
    #[test]
    fn mistakes_are_named() {
        for (mapping, expect) in [
            ("[order]\nnumber = 'n'", ""),
            ("[order]\nnumber = { column = 'n', first = true }", ""),
            ("utc_offset = '-05:30'\n[order]\nnumber = 'n'\nwindow = { date = 'd' }", ""),
            ("[order]\nconsignee = 'c'", "missing field `number`"),
            ("[order]\nnumber = 'n'\nconsigne = 'c'", "unknown field `consigne`"),
            ("[order]\nnumber = { colum = 'n' }", "unknown field `colum`"),
            ("[order]\nnumber = { column = 'n', sum = true }", "unknown field `sum`"),
            ("[order]\nnumber = 5", "a column's name"),
            ("[order]\nnumber = { column = 'n', constant = 'x' }", "exactly one of"),
            ("[order]\nnumber = { template = '{n' }", "without its `}`"),
            ("[order]\nnumber = 'n'\nwindow = { from = 'f' }", "`order.window`: give"),
            ("[order]\nnumber = 'n'\nwindow = { day = '2025-13-01', from = 'f', to = 't' }", "month"),
            ("[order]\nnumber = 'n'\namount_due = { column = 'a', sum = true, first = true }", "`first` or `sum`"),
            ("[order]\nnumber = 'n'\nparties = { Shop = 's' }", "lower-case"),
            ("[order]\nnumber = 'n'\n[[line]]\nname = { column = 'x', first = true }", "`line.name`"),
            ("utc_offset = 'Beijing'\n[order]\nnumber = 'n'", "+08:00"),
            ("encoding = 'big5'\n[order]\nnumber = 'n'", "unknown variant `big5`"),
        ] {
            match Mapping::parse(mapping) {
                Ok(_) => assert!(expect.is_empty(), "{mapping:?} was taken"),
                Err(error) => {
                    let error = format!("{error:#}");
                    assert!(!expect.is_empty() && error.contains(expect), "{mapping:?}: {error}");
                }
            }
        }
    }
}
