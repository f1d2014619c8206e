//! Where a value comes from: a column, a template over columns, or a constant of the mapping.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The cell of this column.
    Column(String),
    /// Columns' cells set into a text; absent where one of the cells is.
    Template(Vec<Piece>),
    /// The same for every row.
    Constant(String),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Stands as it is.
    Literal(String),
    /// `{column}`.
    Column(String),
}

impl Source {
    /// The source the keys of a mapping name, of which exactly one must be there.
    pub(super) fn of_keys(
        column: Option<String>,
        template: Option<String>,
        constant: Option<String>,
    ) -> Result<Self, String> {
        match (column, template, constant) {
            (Some(column), None, None) => Ok(Self::Column(column)),
            (None, Some(template), None) => Ok(Self::Template(pieces(&template)?)),
            (None, None, Some(constant)) => Ok(Self::Constant(constant)),
            _ => Err("give exactly one of `column`, `template` and `constant`".into()),
        }
    }

    /// The columns it reads.
    pub(super) fn columns(&self) -> Vec<&str> {
        match self {
            Self::Column(column) => vec![column],
            Self::Template(pieces) => pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Column(column) => Some(column.as_str()),
                    Piece::Literal(_) => None,
                })
                .collect(),
            Self::Constant(_) => Vec::new(),
        }
    }

    /// What to call it in a report: its columns' names.
    pub(super) fn label(&self) -> String {
        self.columns().join(" + ")
    }

    /// The value's text, where none of its cells is missing.
    pub(super) fn read<'a>(&'a self, cell: impl Fn(&str) -> Option<&'a str>) -> Option<Cow<'a, str>> {
        match self {
            Self::Column(column) => cell(column).map(Cow::Borrowed),
            Self::Constant(constant) => Some(Cow::Borrowed(constant)),
            Self::Template(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    text.push_str(match piece {
                        Piece::Literal(literal) => literal,
                        Piece::Column(column) => cell(column)?,
                    });
                }
                Some(Cow::Owned(text))
            }
        }
    }
}

fn pieces(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        let (column, after) =
            after.split_once('}').ok_or_else(|| format!("the template {template:?} has a `{{` without its `}}`"))?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        pieces.push(Piece::Column(column.to_owned()));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    if pieces.iter().any(|piece| matches!(piece, Piece::Column(_))) {
        Ok(pieces)
    } else {
        Err(format!("the template {template:?} names no column, such as {{Country}}: use `constant`"))
    }
}

/// Reads `"Country"` as short for `{ column = "Country" }`. A visitor of our own instead of an untagged enum, whose
/// errors would name neither the unknown key nor its place.
pub(super) fn column_or_keys<'de, D, K>(deserializer: D) -> Result<K, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + From<String>,
{
    struct ColumnOrKeys<K>(PhantomData<K>);

    impl<'de, K: Deserialize<'de> + From<String>> Visitor<'de> for ColumnOrKeys<K> {
        type Value = K;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a column's name, or a table such as { column = \"Country\" }")
        }

        fn visit_str<E: Error>(self, column: &str) -> Result<K, E> {
            Ok(K::from(column.to_owned()))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<K, A::Error> {
            K::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(ColumnOrKeys(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A template takes its columns' cells, and is absent where one of them is.
    #[test]
    fn templates() {
        for (template, expect) in [
            ("{Country}", Ok(Some("Zambia"))),
            ("to {Country}, {PO / SO #}.", Ok(Some("to Zambia, SCMS-4."))),
            ("{Country} {City}", Ok(None)),
            ("no column", Err(())),
            ("{Country", Err(())),
        ] {
            let source = Source::of_keys(None, Some(template.into()), None);
            let found = source.as_ref().map(|source| {
                source.read(|column| match column {
                    "Country" => Some("Zambia"),
                    "PO / SO #" => Some("SCMS-4"),
                    _ => None,
                })
            });
            assert_eq!(found.map_err(|_| ()), expect.map(|text| text.map(Cow::from)), "{template:?}");
        }
    }
}
