//! Times and places as people and other programs read them.

use crate::edit::action::{Place, Window};

/// RFC 3339 in UTC with milliseconds, from milliseconds since the Unix epoch.
pub fn rfc3339(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => format!("{time:.3}"),
        // Outside the years jiff can name: shown as the number it is, never as another time.
        Err(_) => format!("{ms} ms since 1970"),
    }
}

/// RFC 3339 of a device's claimed time.
pub fn rfc3339_at(at: u64) -> String {
    rfc3339(i64::try_from(at).unwrap_or(i64::MAX))
}

/// `FROM/TO`, the form of an ISO 8601 interval.
pub fn window(window: Window) -> String {
    format!("{}/{}", rfc3339(window.0), rfc3339(window.1))
}

/// `LAT,LON` in decimal degrees with seven places.
pub fn place(place: Place) -> String {
    let degrees = |value: i32| {
        let magnitude = value.unsigned_abs();
        let sign = if value < 0 { "-" } else { "" };
        format!("{sign}{}.{:07}", magnitude / 10_000_000, magnitude % 10_000_000)
    };
    format!("{},{}", degrees(place.0), degrees(place.1))
}

/// A quantity in thousandths as a decimal without needless zeros: 1500 is `1.5`.
pub fn quantity(thousandths: i64) -> String {
    let magnitude = thousandths.unsigned_abs();
    let sign = if thousandths < 0 { "-" } else { "" };
    let fraction = format!("{:03}", magnitude % 1000);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", magnitude / 1000)
}
