//! A sheet of an XLSX workbook as a table.
//!
//! Cells are streamed, not taken as one dense range: a single cell in the sheet's far corner would make that range
//! larger than any memory.

use super::table::{COLUMNS_MAX, FILE_BYTES_MAX, Row, Table};
use anyhow::{Context, Result, bail, ensure};
use calamine::{DataRef, ExcelDateTime, Reader, Xlsx, open_workbook};
use csv::StringRecord;
use std::path::Path;

/// The table of one sheet, by name, or of the first. The first row with a cell in it is the header.
pub(super) fn table(file: &Path, sheet: Option<&str>) -> Result<Table> {
    let mut workbook: Xlsx<_> = open_workbook(file).context("it is not a readable XLSX workbook")?;
    let names = workbook.sheet_names();
    let name = match sheet {
        Some(sheet) if names.iter().any(|name| name == sheet) => sheet.to_owned(),
        Some(sheet) => bail!("it has no sheet {sheet:?}, which the mapping names; its sheets are {}", names.join(", ")),
        None => names.into_iter().next().context("the workbook has no sheet")?,
    };
    let mut cells = workbook.worksheet_cells_reader(&name).with_context(|| format!("its sheet {name:?}"))?;
    let mut header: Option<Vec<String>> = None;
    let mut rows: Vec<Row> = Vec::new();
    let mut row: (u32, Vec<String>) = (0, Vec::new());
    let mut bytes = 0;
    loop {
        let cell = cells.next_cell().with_context(|| format!("its sheet {name:?}, near row {}", row.0 + 1))?;
        let at = cell.as_ref().map(calamine::Cell::get_position);
        if at.is_none_or(|(line, _)| line != row.0) {
            close(&mut header, &mut rows, u64::from(row.0) + 1, std::mem::take(&mut row.1));
        }
        let (Some(cell), Some((line, column))) = (cell, at) else { break };
        ensure!(line >= row.0, "its sheet {name:?} has row {} after row {}: save it again", line + 1, row.0 + 1);
        row.0 = line;
        let text = shown(cell.get_value());
        if text.trim().is_empty() {
            continue;
        }
        bytes += text.len() as u64;
        ensure!(bytes <= FILE_BYTES_MAX, "its sheet {name:?} unpacks to too much: split it into several files");
        let column = column as usize;
        ensure!(
            column < COLUMNS_MAX,
            "its sheet {name:?} has a cell in column {}, of at most {COLUMNS_MAX}",
            column + 1
        );
        if row.1.len() <= column {
            row.1.resize(column + 1, String::new());
        }
        row.1[column] = text;
    }
    let header = header.with_context(|| format!("its sheet {name:?} is empty: there is no header"))?;
    Ok(Table { header, rows })
}

fn close(header: &mut Option<Vec<String>>, rows: &mut Vec<Row>, line: u64, mut cells: Vec<String>) {
    if cells.is_empty() {
        return;
    }
    match header {
        None => *header = Some(cells.iter().map(|name| name.trim().to_owned()).collect()),
        Some(header) => {
            cells.resize(header.len().max(cells.len()), String::new());
            rows.push(Row { line, cells: StringRecord::from(cells), damage: None });
        }
    }
}

/// A cell as the person sees it, where the sheet's format does not round.
fn shown(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Empty => String::new(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number_shown(*number),
        DataRef::Bool(truth) => truth.to_string(),
        DataRef::DateTime(moment) => moment_shown(moment),
        DataRef::Error(error) => error.to_string(),
    }
}

/// A number to 15 significant digits, as spreadsheets show it: 0.1 + 0.2 is 0.3 there.
fn number_shown(number: f64) -> String {
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    rounded.to_string()
}

/// A date as `yyyy-mm-dd`, a time of day as `hh:mm:ss`, both with a space between.
fn moment_shown(moment: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, milli) = moment.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    let time = format!("{hour:02}:{minute:02}:{second:02}.{milli:03}");
    let time = time.strip_suffix(".000").unwrap_or(&time);
    // A sheet counts days: what is below one is a time alone, what has no fraction a date alone.
    if (0.0..1.0).contains(&moment.as_f64()) {
        time.to_owned()
    } else if moment.as_f64().fract() == 0.0 {
        date
    } else {
        format!("{date} {time}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers and dates of a sheet read as the person sees them.
    #[test]
    fn cells_as_seen() {
        for (number, expect) in [(0.1 + 0.2, "0.3"), (1001.0, "1001"), (1_234_567.89, "1234567.89"), (-0.5, "-0.5")] {
            assert_eq!(number_shown(number), expect);
        }
        for (days, expect) in
            [(45_809.0, "2025-06-01"), (45_809.395_833_333_3, "2025-06-01 09:30:00"), (0.375, "09:00:00")]
        {
            let moment = ExcelDateTime::new(days, calamine::ExcelDateTimeType::DateTime, false);
            assert_eq!(moment_shown(&moment), expect);
        }
    }
}
