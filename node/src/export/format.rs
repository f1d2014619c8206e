//! Values as people read them, in sheets and on terminals.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Decimals of a quantity: thousandths of the unit.
const QUANTITY_DECIMALS: usize = 3;
/// Decimals of money: fen and cents.
const MONEY_DECIMALS: usize = 2;

/// An integer with its point back: at least `least` of its `decimals` are shown, and no zeros beyond.
pub fn shown(value: i64, decimals: usize, least: usize) -> String {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let needed = fraction.trim_end_matches('0').len().max(least);
    let sign = if value < 0 { "-" } else { "" };
    let point = if needed == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{}", &fraction[..needed])
}

/// A quantity for people.
pub fn shown_quantity(thousandths: i64) -> String {
    shown(thousandths, QUANTITY_DECIMALS, 0)
}

/// Money for people, always with both decimals.
pub fn shown_money(minor: i64) -> String {
    shown(minor, MONEY_DECIMALS, MONEY_DECIMALS)
}

/// A moment for people, by this device's own clock: `2026-11-23 08:05`. What is no time is shown as it is.
pub fn local(text: &str, zone: &TimeZone) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// When a day begins here, and when the next one does.
pub fn day_bounds(day: Date, zone: &TimeZone) -> Option<(i64, i64)> {
    let begins = |day: Date| Some(day.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond());
    Some((begins(day)?, begins(day.checked_add(1.day()).ok()?)?))
}

/// Text from a peer or a file as a terminal may show it: without what would move its cursor, colour it, or turn the
/// reading direction around.
pub fn clean(text: &str) -> String {
    let is_turning =
        |letter: char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .filter(|letter| !is_turning(*letter))
        .map(|letter| if letter.is_control() && letter != '\n' { ' ' } else { letter })
        .collect()
}
