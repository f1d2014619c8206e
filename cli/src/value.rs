//! Values as people type and read them, and as edits hold them: integers all.

pub(crate) use creel_node::export::format::{day_bounds, local, shown, shown_money, shown_quantity};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

/// Decimals of a quantity: thousandths of the unit.
pub(crate) const QUANTITY_DECIMALS: usize = 3;
/// Decimals of money: fen and cents.
pub(crate) const MONEY_DECIMALS: usize = 2;
/// Decimals of a coordinate: 1e-7 degrees, about a centimetre.
const DEGREE_DECIMALS: usize = 7;
/// 2^53 - 1: every JSON reader keeps it exactly.
const INTEGER_MAX: i64 = (1 << 53) - 1;

/// A decimal as an integer of its last digit's unit: `12.5` with 3 decimals is 12500. A digit that can't be kept is an
/// error, because rounding is for a person to decide.
pub(crate) fn decimal(text: &str, decimals: usize) -> Result<i64, String> {
    let digits = text.trim();
    let (negative, digits) = match digits.strip_prefix(['-', '−']) {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !all_digits || whole.is_empty() && fraction.is_empty() {
        return Err(format!("“{text}” is not a number such as 12 or 12.5"));
    }
    let (kept, beyond) = fraction.split_at(fraction.len().min(decimals));
    if beyond.bytes().any(|byte| byte != b'0') {
        return Err(format!("“{text}” has more than {decimals} decimals: round it to what is meant"));
    }
    let magnitude = format!("{whole}{kept:0<decimals$}").parse().ok().filter(|value| *value <= INTEGER_MAX);
    let magnitude: i64 = magnitude.ok_or_else(|| format!("“{text}” is too large"))?;
    Ok(if negative { -magnitude } else { magnitude })
}

/// A quantity in thousandths.
pub(crate) fn quantity(text: &str) -> Result<i64, String> {
    decimal(text, QUANTITY_DECIMALS)
}

/// Money in the currency's minor unit.
pub(crate) fn money(text: &str) -> Result<i64, String> {
    decimal(text, MONEY_DECIMALS)
}

/// `LAT,LON` in decimal degrees, as 1e-7 degrees.
pub(crate) fn place(text: &str) -> Result<(i32, i32), String> {
    let form = || format!("“{text}” is not a place: write LAT,LON in decimal degrees, such as 30.2592,120.1304");
    let (latitude, longitude) = text.split_once([',', '，']).ok_or_else(form)?;
    let degrees = |text: &str, max: i64| {
        let digits = text.trim();
        // A map gives more digits than anybody's door needs.
        let kept = digits.split_once('.').map_or(digits.len(), |(whole, _)| whole.len() + 1 + DEGREE_DECIMALS);
        let value =
            decimal(digits.get(..kept.min(digits.len())).ok_or_else(form)?, DEGREE_DECIMALS).map_err(|_| form())?;
        let there = i32::try_from(value).ok().filter(|_| value.abs() <= max * 10_000_000);
        there.ok_or_else(|| format!("“{text}” is not between -{max} and {max} degrees"))
    };
    Ok((degrees(latitude, 90)?, degrees(longitude, 180)?))
}

/// A window in milliseconds since the Unix epoch: `FROM/TO` with times in RFC 3339 or of this device's own clock, a day,
/// or two days of which the second is part of it.
pub(crate) fn window(text: &str, zone: &TimeZone) -> Result<(u64, u64), String> {
    let (from, to) = match text.split_once('/') {
        Some((from, to)) => (moment(from, zone, None)?, moment(to, zone, Some(from))?),
        None if text.trim().parse::<Date>().is_ok() && !text.contains([':', 'T']) => {
            let day = moment(text, zone, None)?;
            (day, day)
        }
        None => {
            return Err(format!(
                "“{text}” is not a window: write FROM/TO, such as 2026-11-23T08:00/12:00, or a day, such as 2026-11-23"
            ));
        }
    };
    match (u64::try_from(from.0), u64::try_from(to.1)) {
        (Ok(from), Ok(to)) if from < to => Ok((from, to)),
        (Ok(_), Ok(_)) => Err(format!("“{text}” ends before it begins")),
        _ => Err(format!("“{text}” begins before 1970")),
    }
}

/// When something begins and ends that is named by a moment (both are the same) or by a day.
fn moment(text: &str, zone: &TimeZone, from: Option<&str>) -> Result<(i64, i64), String> {
    let text = text.trim();
    let wrong = || format!("“{text}” is not a time: write 2026-11-23T08:00, or in RFC 3339 with its offset");
    let on = |at: DateTime| at.to_zoned(zone.clone()).map(|at| at.timestamp().as_millisecond()).map_err(|_| wrong());
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok((at.as_millisecond(), at.as_millisecond()));
    }
    if let Some(day) = text.parse::<Date>().ok().filter(|_| !text.contains(':')) {
        return day_bounds(day, zone).ok_or_else(wrong);
    }
    if let Ok(at) = text.parse::<DateTime>() {
        return on(at).map(|at| (at, at));
    }
    // A time of day alone is on the day on which the window begins.
    let day = from.and_then(|from| from.trim().get(..10)).and_then(|day| day.parse::<Date>().ok());
    match (day, text) {
        (Some(day), "24:00") => day_bounds(day, zone).map(|(_, end)| (end, end)).ok_or_else(wrong),
        (Some(day), _) => {
            let time: Time = text.parse().map_err(|_| wrong())?;
            on(day.to_datetime(time)).map(|at| (at, at))
        }
        (None, _) => Err(wrong()),
    }
}

/// A window for people: `2026-11-23 08:00–12:00`, or both days where it spans more than one.
pub(crate) fn local_window(text: &str, zone: &TimeZone) -> String {
    let Some((from, to)) = text.split_once('/') else { return text.to_owned() };
    let (Ok(begins), Ok(ends)) = (from.parse::<Timestamp>(), to.parse::<Timestamp>()) else { return text.to_owned() };
    let (begins, ends) = (begins.to_zoned(zone.clone()), ends.to_zoned(zone.clone()));
    let last = ends.yesterday().unwrap_or_else(|_| ends.clone());
    let whole_days = begins.time() == Time::midnight() && ends.time() == Time::midnight() && begins < ends;
    match (whole_days, begins.date() == last.date(), begins.date() == ends.date()) {
        (true, true, _) => begins.date().to_string(),
        (true, false, _) => format!("{}–{}", begins.date(), last.date()),
        (false, _, true) => format!("{}–{}", local(from, zone), ends.strftime("%H:%M")),
        (false, ..) => format!("{}–{}", local(from, zone), local(to, zone)),
    }
}

#[cfg(test)]
mod tests;
