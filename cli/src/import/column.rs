//! The keys by which a mapping describes one column, and how they are read from TOML.

use super::source::{Source, column_or_keys};
use jiff::civil::Date;
use jiff::tz::Offset;
use serde::de::{Deserialize, Deserializer, Error};

/// A text, and numbers that need no more than a source.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) source: Source,
    /// Whether a cell that can't be read is left out, instead of refusing the order.
    pub(super) or_missing: bool,
    /// Whether the first of an order's rows decides where they disagree, instead of refusing the order.
    pub(super) first: bool,
}

/// A party, made of a name.
#[derive(Debug, Clone)]
pub(super) struct Party {
    pub(super) text: Text,
    /// What stands before the colon; the key's name where it is not given.
    pub(super) kind: Option<String>,
}

/// Money.
#[derive(Debug, Clone)]
pub(super) struct Amount {
    pub(super) text: Text,
    /// Decimals of the currency's minor unit: 2 for fen and cents.
    pub(super) decimals: usize,
    /// Whether the order's amount is the sum over its rows.
    pub(super) sum: bool,
}

/// A date.
#[derive(Debug, Clone)]
pub(super) struct Day {
    pub(super) text: Text,
    pub(super) formats: Vec<String>,
}

/// The keys every column has, and those this one adds: `"Country"` is short for `{ column = "Country" }`.
macro_rules! keys {
    ($name:ident { $($key:ident: $type:ty),* }) => {
        #[derive(serde::Deserialize, Default)]
        #[serde(deny_unknown_fields, default)]
        struct $name {
            column: Option<String>,
            template: Option<String>,
            constant: Option<String>,
            or_missing: bool,
            first: bool,
            $($key: $type,)*
        }

        impl From<String> for $name {
            fn from(column: String) -> Self {
                Self { column: Some(column), ..Self::default() }
            }
        }

        impl $name {
            fn text<E: Error>(&mut self) -> Result<Text, E> {
                let (column, template, constant) = (self.column.take(), self.template.take(), self.constant.take());
                let source = Source::of_keys(column, template, constant).map_err(E::custom)?;
                Ok(Text { source, or_missing: self.or_missing, first: self.first })
            }
        }
    };
}

keys!(TextKeys {});
keys!(PartyKeys { party: Option<String> });
keys!(AmountKeys { decimals: Option<usize>, sum: bool });
keys!(DayKeys { format: OneOrMore });

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        column_or_keys::<D, TextKeys>(deserializer)?.text()
    }
}

impl<'de> Deserialize<'de> for Party {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys: PartyKeys = column_or_keys(deserializer)?;
        Ok(Self { text: keys.text()?, kind: keys.party })
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys: AmountKeys = column_or_keys(deserializer)?;
        let decimals = keys.decimals.unwrap_or(2);
        if decimals > 4 {
            return Err(D::Error::custom("`decimals` is at most 4: no currency has more"));
        }
        Ok(Self { text: keys.text()?, decimals, sum: keys.sum })
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys: DayKeys = column_or_keys(deserializer)?;
        Ok(Self { text: keys.text()?, formats: keys.format.into_vec() })
    }
}

/// One format, or several of which the first that fits is taken.
#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "a format such as \"%d/%m/%Y\", or a list of them")]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Default for OneOrMore {
    fn default() -> Self {
        Self::More(Vec::new())
    }
}

impl OneOrMore {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(format) => vec![format],
            Self::More(formats) => formats,
        }
    }
}

/// Reads one format or several.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    OneOrMore::deserialize(deserializer).map(OneOrMore::into_vec)
}

/// Reads a date such as `2025-06-01`.
pub(super) fn iso_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let date = text
        .parse()
        .map_err(|error| D::Error::custom(format!("{text:?} is no date such as \"2025-06-01\": {error}")))?;
    Ok(Some(date))
}

/// Reads an offset such as `+08:00`.
pub(super) fn utc_offset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Offset, D::Error> {
    let text = String::deserialize(deserializer)?;
    let unreadable = || D::Error::custom(format!("{text:?} is no offset from UTC such as \"+08:00\" or \"-05:30\""));
    let minutes = |text: &str| -> Option<i32> {
        let (hours, minutes) = text.split_once(':')?;
        let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours <= 14 && minutes < 60).then(|| i32::from(hours) * 60 + i32::from(minutes))
    };
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(unreadable()),
    };
    let minutes = minutes(rest).ok_or_else(unreadable)?;
    Offset::from_seconds(sign * minutes * 60).map_err(D::Error::custom)
}
