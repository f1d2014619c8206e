//! A row's window of time: a whole day, or from one moment to another.

use super::cell::{self, DAY_MS, Excess};
use super::mapping::Window;
use super::row::Cells;

/// The window in milliseconds since the Unix epoch, or none where the row says nothing of it; an error is the column
/// that can't be read, and why.
pub(super) fn read<'a>(window: &'a Window, cells: Cells<'_>) -> Result<Option<[i64; 2]>, (&'a str, String)> {
    let offset = cells.mapping.utc_offset;
    let midnight = match (&window.date, window.day) {
        (Some(column), _) => match cells.cell(column) {
            Some(date) => {
                let midnight = cell::date(date, &window.date_format).and_then(|date| cell::midnight(date, offset));
                Some(midnight.map_err(|why| (column.as_str(), why))?)
            }
            None if [&window.from, &window.to].into_iter().flatten().any(|column| cells.cell(column).is_some()) => {
                return Err((column, "is empty, and there is a time: fill it in".into()));
            }
            None => return Ok(None),
        },
        (None, Some(day)) => Some(cell::midnight(day, offset).map_err(|why| ("", why))?),
        (None, None) => None,
    };
    let moment = |column: &'a Option<String>| -> Result<Option<i64>, (&'a str, String)> {
        let Some((column, text)) = column.as_deref().and_then(|column| Some((column, cells.cell(column)?))) else {
            return Ok(None);
        };
        let in_seconds = matches!(&window.format[..], [format] if format == "seconds");
        let read = match midnight {
            // Three decimals of a second are milliseconds.
            _ if in_seconds => cell::decimal(text, 3, Excess::Refuse).map(|moment| midnight.unwrap_or(0) + moment),
            Some(midnight) => cell::time_of_day(text, &window.format).map(|after| midnight + after),
            None => cell::date_and_time(text, &window.format, offset),
        };
        read.map(Some).map_err(|why| (column, why))
    };
    let (from, to) = match (moment(&window.from)?, moment(&window.to)?, midnight) {
        (Some(from), Some(to), _) => (from, to),
        (None, None, Some(midnight)) if window.date.is_some() => (midnight, midnight + DAY_MS),
        (None, None, _) => return Ok(None),
        // What a day leaves open is its own beginning or end.
        (None, Some(to), Some(midnight)) => (midnight, to),
        (Some(from), None, Some(midnight)) => (from, midnight + DAY_MS),
        (None, Some(_), None) => {
            return Err((named(window.from.as_ref()), "is empty, and the window has an end: fill it in".into()));
        }
        (Some(_), None, None) => {
            return Err((named(window.to.as_ref()), "is empty, and the window begins: fill it in".into()));
        }
    };
    if from < 0 {
        let column = window.date.as_ref().or(window.from.as_ref()).or(window.to.as_ref());
        Err((named(column), "is before 1970: correct the year".into()))
    } else if from <= to {
        Ok(Some([from, to]))
    } else if window.next_day && midnight.is_some() {
        Ok(Some([from, to + DAY_MS]))
    } else {
        Err((named(window.to.as_ref()), format!("is before the window begins ({})", named(window.from.as_ref()))))
    }
}

fn named(column: Option<&String>) -> &str {
    column.map(String::as_str).unwrap_or_default()
}
