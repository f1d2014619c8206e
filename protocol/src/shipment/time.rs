//! Times and places as people and other programs read them.

use crate::edit::action::{Place, Window};
use jiff::SignedDuration;
use jiff::civil::DateTime;

/// 10000-01-01T00:00:00Z: from here on a year has more than four digits.
const YEAR_10000_MS: u64 = 253_402_300_800_000;

/// 1970-01-01T00:00:00, in UTC.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// RFC 3339 in UTC with milliseconds, from milliseconds since the Unix epoch. After the year 9999 it is the plain number, because
/// RFC 3339 has no form for it.
pub fn rfc3339(ms: u64) -> String {
    // A `jiff::Timestamp` ends some hours before the year 9999 does; a civil time holds all of it.
    let since = i64::try_from(ms).ok().filter(|_| ms < YEAR_10000_MS).map(SignedDuration::from_millis);
    match since.and_then(|since| EPOCH.checked_add(since).ok()) {
        Some(time) => format!("{time:.3}Z"),
        None => ms.to_string(),
    }
}

/// Milliseconds since the Unix epoch, from what [`rfc3339`] writes.
pub fn parse(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let time: DateTime = text.strip_suffix('Z')?.parse().ok()?;
    time.duration_since(EPOCH).as_millis().try_into().ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule 23: times as RFC 3339 up to the end of the year 9999, and as the plain number after it.
    #[test]
    fn times_in_words_and_back() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_772_366_400_001, "2026-03-01T12:00:00.001Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "253402300800000"),
            (u64::MAX, "18446744073709551615"),
        ] {
            assert_eq!(rfc3339(ms), text);
            assert_eq!(parse(text), Some(ms));
        }
        for day in 0..200_000 {
            let ms = day * 86_400_000;
            let expected =
                jiff::Timestamp::from_millisecond(i64::try_from(ms).expect("it is small")).expect("it has a name");
            assert_eq!(rfc3339(ms), format!("{expected:.3}"));
        }
    }
}
