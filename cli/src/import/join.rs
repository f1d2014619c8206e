//! Looking a cell up in another file: a factory's number gives its coordinates.

use super::Refusal;
use super::mapping::{Join, Mapping};
use super::table::{Row, Table};
use anyhow::{Context, Result, bail};
use csv::StringRecord;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Appends the columns of every file the mapping joins, as `name.column`.
pub(super) fn apply(table: &mut Table, data: &Path, mapping: &Mapping) -> Result<()> {
    for join in &mapping.joins {
        let file = locate(join, data, &mapping.folder)?;
        let joined = Table::read_joined(&file, mapping).with_context(|| format!("for the join {:?}", join.name))?;
        append(table, &joined, &file, join)?;
    }
    Ok(())
}

/// Beside the data, else beside the mapping; an absolute path is where it says.
fn locate(join: &Join, data: &Path, folder: &Path) -> Result<PathBuf> {
    let beside_data = data.parent().unwrap_or(Path::new("")).join(&join.file);
    let beside_mapping = folder.join(&join.file);
    match [&beside_data, &beside_mapping].into_iter().find(|file| file.is_file()) {
        Some(file) => Ok(file.clone()),
        None => bail!(
            "the mapping looks up {:?} in a file that is neither at {} nor at {}: put it there, or name another",
            join.column,
            beside_data.display(),
            beside_mapping.display()
        ),
    }
}

fn append(table: &mut Table, joined: &Table, file: &Path, join: &Join) -> Result<()> {
    let column = table.columns().require(&join.column, &format!("the join {:?}", join.name), &table.header)?;
    let attempt = || format!("for the join {:?}, in {}", join.name, file.display());
    let key = joined.columns().require(&join.key, "its key", &joined.header).with_context(attempt)?;
    let by_key = by_key(joined, key).with_context(attempt)?;
    table.header.extend(joined.header.iter().map(|column| format!("{}.{column}", join.name)));
    let width = table.header.len() - joined.header.len();
    for row in &mut table.rows {
        let value = row.cells.get(column).unwrap_or_default().trim().to_owned();
        let found = by_key.get(value.as_str());
        // Rows may be shorter or longer than the header; the joined cells must stand under their columns.
        let own = row.cells.iter().chain(std::iter::repeat("")).take(width);
        let theirs = joined.header.iter().enumerate();
        let cells = own.chain(theirs.map(|(at, _)| found.and_then(|row| row.cells.get(at)).unwrap_or_default()));
        row.cells = cells.collect::<StringRecord>();
        if found.is_none() && !value.is_empty() && !join.or_missing && row.damage.is_none() {
            let why = format!("no row of {} has this {}: add it, or correct the cell", file.display(), join.key);
            row.damage =
                Some(Refusal { line: row.line, column: join.column.clone(), value: super::shown(&value), why });
        }
    }
    Ok(())
}

/// The joined rows by their key. Two rows of one key that differ are an error: which is meant can't be told.
fn by_key(joined: &Table, key: usize) -> Result<HashMap<&str, &Row>> {
    let mut by_key: HashMap<&str, &Row> = HashMap::new();
    for row in &joined.rows {
        if let Some(damage) = &row.damage {
            bail!("line {}: {}", damage.line, damage.why);
        }
        let value = row.cells.get(key).unwrap_or_default().trim();
        match by_key.insert(value, row) {
            Some(earlier) if earlier.cells != row.cells => {
                bail!("lines {} and {} both have the key {value:?} and differ: remove one", earlier.line, row.line)
            }
            _ => {}
        }
    }
    Ok(by_key)
}
