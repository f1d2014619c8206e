//! A file as a table: a header, and rows that know their line in the file as a person sees it there.

use super::Refusal;
use super::mapping::{Encoding, Format, Mapping};
use super::{json_lines, sheet};
use anyhow::{Context, Result, bail, ensure};
use csv::{ReaderBuilder, StringRecord};
use encoding_rs::{GB18030, UTF_8};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Bytes of a file that is read.
pub(super) const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Rows of a table: a sheet's own limit, so that a file of many empty rows can't take up all memory.
pub(super) const ROWS_MAX: usize = 1_048_576;
/// Columns of a table.
pub(super) const COLUMNS_MAX: usize = 1000;

/// A file's rows.
#[derive(Debug)]
pub(super) struct Table {
    /// The columns' names, trimmed.
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// Its first line in a text file, or its row in a sheet, from 1.
    pub(super) line: u64,
    pub(super) cells: StringRecord,
    /// Why the row as a whole can't be read; its cells are still good for telling which order it belongs to.
    pub(super) damage: Option<Refusal>,
}

impl Table {
    /// Reads a file of the mapping's format, or of that its ending tells.
    pub(super) fn read(file: &Path, mapping: &Mapping) -> Result<Self> {
        let attempt = || format!("cannot read {}", file.display());
        Self::read_format(file, mapping.format, mapping).with_context(attempt)
    }

    /// Reads a file that a mapping joins: its format is always told by its ending.
    pub(super) fn read_joined(file: &Path, mapping: &Mapping) -> Result<Self> {
        Self::read_format(file, None, mapping).with_context(|| format!("cannot read {}", file.display()))
    }

    fn read_format(file: &Path, format: Option<Format>, mapping: &Mapping) -> Result<Self> {
        let size = fs::metadata(file)?.len();
        ensure!(
            size <= FILE_BYTES_MAX,
            "it has {} MiB, of at most {}: split it into several files",
            size.div_ceil(1024 * 1024),
            FILE_BYTES_MAX / 1024 / 1024
        );
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        let format = match (format, ending.as_str()) {
            (Some(format), _) => format,
            (None, "csv" | "tsv" | "txt") => Format::Csv,
            (None, "xlsx" | "xlsm") => Format::Xlsx,
            (None, "jsonl" | "ndjson") => Format::Jsonl,
            _ => bail!("its ending is none of .csv, .xlsx and .jsonl: name `format` in the mapping"),
        };
        let table = match format {
            Format::Xlsx => sheet::table(file, mapping.sheet.as_deref())?,
            Format::Csv => csv_table(&decode(&fs::read(file)?, mapping.encoding)?, mapping.delimiter)?,
            Format::Jsonl => json_lines::table(&decode(&fs::read(file)?, mapping.encoding)?)?,
        };
        ensure!(table.header.len() <= COLUMNS_MAX, "it has {} columns, of at most {COLUMNS_MAX}", table.header.len());
        Ok(table)
    }

    /// Where each column stands. Columns named twice are left out: which one is meant can't be told.
    pub(super) fn columns(&self) -> Columns {
        let mut columns = Columns::default();
        for (at, name) in self.header.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            if columns.at.insert(name.clone(), at).is_some() {
                columns.twice.push(name.clone());
            }
        }
        columns
    }
}

/// Where a table's columns stand.
#[derive(Debug, Default)]
pub(super) struct Columns {
    at: HashMap<String, usize>,
    twice: Vec<String>,
}

impl Columns {
    /// Where this column stands.
    pub(super) fn at(&self, name: &str) -> Option<usize> {
        self.at.get(name).copied()
    }

    /// Where a column stands that the mapping's `key` reads; an error that names both where there is no one such
    /// column.
    pub(super) fn require(&self, name: &str, key: &str, header: &[String]) -> Result<usize> {
        ensure!(
            !self.twice.iter().any(|twice| twice == name),
            "the header has the column {name:?}, which the mapping reads as {key}, twice: rename one of them"
        );
        self.at(name).with_context(|| {
            format!(
                "there is no column {name:?}, which the mapping reads as {key}: correct the mapping; the columns \
                 are {}",
                header.join(", ")
            )
        })
    }
}

/// The text of a file's bytes. What is no text becomes U+FFFD, for which the cell that has it is refused later.
fn decode(bytes: &[u8], encoding: Encoding) -> Result<String> {
    let (encoding, marked) = match (encoding_rs::Encoding::for_bom(bytes), encoding) {
        // A byte order mark says more than a mapping that was written for another export.
        (Some((marked, _)), _) => (marked, true),
        (None, Encoding::Utf8) => (UTF_8, false),
        (None, Encoding::Auto) if std::str::from_utf8(bytes).is_ok() => (UTF_8, false),
        (None, Encoding::Auto | Encoding::Gb18030) => (GB18030, false),
    };
    let (text, _) =
        if marked { encoding.decode_with_bom_removal(bytes) } else { encoding.decode_without_bom_handling(bytes) };
    // Every second character of a UTF-16 file without its mark is a NUL.
    let nul = text.chars().take(1000).filter(|letter| *letter == '\0').count();
    ensure!(nul < 100, "it is not text, or UTF-16 without a byte order mark: save it as UTF-8");
    Ok(text.into_owned())
}

/// A CSV file's table. Blank rows are left out; rows of another length than the header's are damaged.
fn csv_table(text: &str, delimiter: char) -> Result<Table> {
    let delimiter = u8::try_from(delimiter).context("`delimiter` is not one ASCII character")?;
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    let mut header: Option<Vec<String>> = None;
    let mut rows = Vec::new();
    let mut lines = Lines { text, at: 0, line: 1 };
    let mut record = StringRecord::new();
    while reader.read_record(&mut record)? {
        let start = record.position().map_or(0, csv::Position::byte);
        let line = lines.of_record(usize::try_from(start)?);
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let Some(header) = &header else {
            let names: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
            ensure!(!names.iter().any(|name| name.contains('\0')), "its header (line {line}) has NUL bytes");
            header = Some(names);
            continue;
        };
        let is_last = reader.position().byte() >= text.len() as u64;
        let unclosed = is_last && is_unclosed(&text[lines.at..], delimiter);
        let damage = damage(&record, header, line, unclosed);
        ensure!(rows.len() < ROWS_MAX, "it has more than {ROWS_MAX} rows: split it into several files");
        rows.push(Row { line, cells: record.clone(), damage });
    }
    let header = header.context("it is empty: there is no header")?;
    Ok(Table { header, rows })
}

/// Why a record can't be read as a row under this header.
fn damage(record: &StringRecord, header: &[String], line: u64, unclosed: bool) -> Option<Refusal> {
    let refusal = |at: usize, why: String| Refusal {
        line,
        column: header.get(at).cloned().unwrap_or_default(),
        value: super::shown(record.get(at).unwrap_or_default()),
        why,
    };
    if unclosed {
        return Some(refusal(0, "a quotation mark is opened here and never closed: close it, or double it".into()));
    }
    if let Some(at) = record.iter().position(|cell| cell.contains('\0')) {
        return Some(refusal(at, "holds a NUL byte, which is no text: remove it".into()));
    }
    // Spreadsheets write empty cells after the last column; those hide nothing.
    let beyond = record.iter().skip(header.len()).any(|cell| !cell.trim().is_empty());
    if record.len() < header.len() || beyond {
        let why = format!(
            "the row has {} cells and the header {}: look for a delimiter within a cell (quote it) or a missing cell",
            record.len(),
            header.len()
        );
        return Some(refusal(record.len().min(header.len()), why));
    }
    None
}

/// Whether the last record begins a quoted cell that the file's end cuts off: it then swallowed every line to the end.
fn is_unclosed(record: &str, delimiter: u8) -> bool {
    let mut quoted = false;
    let mut cell_begins = true;
    let mut bytes = record.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.peek() == Some(&b'"') => {
                bytes.next();
            }
            b'"' if quoted => quoted = false,
            b'"' if cell_begins => quoted = true,
            _ => {}
        }
        cell_begins = !quoted && byte == delimiter;
    }
    quoted
}

/// Counts lines as editors do: `\n`, `\r\n` and a lone `\r` each end one.
struct Lines<'a> {
    text: &'a str,
    /// The byte up to which lines were counted: where the latest record begins.
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of a record for which the reader set out at this byte, of which it skips blank lines.
    fn of_record(&mut self, set_out: usize) -> u64 {
        let bytes = self.text.as_bytes();
        let blank = bytes[set_out..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let start = set_out + blank;
        let ends = (self.at..start)
            .filter(|&at| bytes[at] == b'\n' || bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
        self.line += ends.count() as u64;
        self.at = start;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(encoding: &str) -> Mapping {
        Mapping::parse(&format!("encoding = '{encoding}'\n[order]\nnumber = 'a'")).expect("the test's mapping parses")
    }

    /// A refusal names the line as an editor shows it, whatever blank lines, quoted breaks and line ends came before.
    #[test]
    fn lines_are_the_editors() {
        for (text, expect) in [
            ("a,b\n1,2\n3,4\n", vec![2, 3]),
            ("a,b\n\n\n1,2\n\n3,4", vec![4, 6]),
            ("\n\na,b\r\n1,2\r\n\r\n3,4\r\n", vec![4, 6]),
            ("a,b\n\"1\nstill 1\",2\n3,4\n", vec![2, 4]),
            ("a,b\r1,2\r3,4", vec![2, 3]),
            ("a,b\n , \n1,2", vec![3]),
            ("a,b\n", vec![]),
        ] {
            let table = csv_table(text, ',').expect("well-formed");
            assert_eq!(table.rows.iter().map(|row| row.line).collect::<Vec<_>>(), expect, "{text:?}");
            assert!(table.rows.iter().all(|row| row.damage.is_none()), "{text:?}");
        }
    }

    /// A row that can't be read as it was meant is damaged and says why; its neighbours are not.
    #[test]
    fn damaged_rows() {
        for (row, expect) in [
            ("1,2,3", None),
            ("1,2,3,,", None),
            ("1,5\" rod,3", None),
            ("1,\"a \"\"b\"\" c\",3", None),
            ("1,2", Some("2 cells and the header 3")),
            ("1,2,3,4", Some("4 cells and the header 3")),
            ("1,2\0,3", Some("NUL")),
            ("1,\"2,3", Some("never closed")),
        ] {
            let table = csv_table(&format!("a,b,c\nx,y,z\n{row}"), ',').expect("well-formed");
            assert!(table.rows[0].damage.is_none());
            let why = table.rows[1].damage.as_ref().map(|damage| damage.why.as_str());
            assert_eq!(why.is_some(), expect.is_some(), "{row:?}: {why:?}");
            assert!(why.unwrap_or_default().contains(expect.unwrap_or_default()), "{row:?}: {why:?}");
        }
    }

    /// A file from a Chinese Windows reads as one saved as UTF-8 does.
    #[test]
    fn encodings() {
        let (gb, _, _) = GB18030.encode("单号,品名\n1,鱼竿\n");
        let utf16: Vec<u8> = "\u{feff}单号,品名\n1,鱼竿\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, encoding, expect) in [
            (&b"\xef\xbb\xbf\xe5\x8d\x95"[..], "auto", Some("单")),
            (b"\xef\xbb\xbf\xe5\x8d\x95", "gb18030", Some("单")),
            (&gb, "auto", Some("单号,品名\n1,鱼竿\n")),
            (&gb, "gb18030", Some("单号,品名\n1,鱼竿\n")),
            (&utf16, "auto", Some("单号,品名\n1,鱼竿\n")),
            (b"ab\xff", "utf-8", Some("ab\u{fffd}")),
            (&[0x61, 0].repeat(200), "auto", None),
        ] {
            let found = decode(bytes, mapping(encoding).encoding).ok();
            assert_eq!(found.as_deref(), expect, "{encoding}");
        }
    }

    /// What can't be told apart, or isn't there, is refused with the names of what is there.
    #[test]
    fn columns_that_are_not_one() {
        let table = csv_table("a,b,a\n", ',').expect("well-formed");
        let columns = table.columns();
        assert_eq!(columns.require("b", "order.note", &table.header).ok(), Some(1));
        for (column, expect) in [("a", "twice"), ("c", "the columns are a, b, a")] {
            let error = columns.require(column, "order.note", &table.header).expect_err("refused").to_string();
            assert!(error.contains(expect), "{error}");
        }
        assert!(csv_table("", ',').is_err());
        assert!(csv_table("a\0,b\n", ',').is_err());
    }
}
