//! Times and places as people and other programs read them.

use crate::edit::action::{Place, Window};

const DAY_MS: u64 = 86_400_000;
/// 10000-01-01T00:00:00Z: from here on a year has more than four digits.
const YEAR_10000_MS: u64 = 253_402_300_800_000;

/// RFC 3339 in UTC with milliseconds, from milliseconds since the Unix epoch. After the year 9999 it is the plain number, because
/// RFC 3339 has no form for it.
pub fn rfc3339(ms: u64) -> String {
    if ms >= YEAR_10000_MS {
        return ms.to_string();
    }
    let (year, month, day) = civil(ms / DAY_MS);
    let of_day = ms % DAY_MS;
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1_000)
}

/// The date of a day counted from 1970-01-01, in the Gregorian calendar: years of March to February, so that a leap day ends one.
fn civil(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Milliseconds since the Unix epoch, from what [`rfc3339`] writes.
pub fn parse(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    if let Some(date) = text.strip_prefix("9999-12-31T") {
        // The one day that the library has no name for.
        let parts: Vec<u64> =
            date.strip_suffix('Z')?.split([':', '.']).map(str::parse).collect::<Result<_, _>>().ok()?;
        let [hour, minute, second, ms] = parts[..] else { return None };
        return Some(YEAR_10000_MS - DAY_MS + hour * 3_600_000 + minute * 60_000 + second * 1_000 + ms);
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    time.as_millisecond().try_into().ok()
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
            let ms = day * DAY_MS;
            let expected =
                jiff::Timestamp::from_millisecond(i64::try_from(ms).expect("it is small")).expect("it has a name");
            assert_eq!(rfc3339(ms), format!("{expected:.3}"));
        }
    }
}
