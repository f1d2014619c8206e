//! What a cell means: text, parties, exact decimals, dates and times of day.
//!
//! Each function takes the cell's text and answers with the value, or with why it can't be one, in words for the
//! person who keeps the file. Nothing goes through a float, because 0.1 + 0.2 is not what was ordered.

use super::order::NAME_CHARS_MAX;
use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;

/// The largest magnitude of an imported integer: 2^53 - 1, which every JSON reader keeps exactly.
pub(super) const INTEGER_MAX: i64 = (1 << 53) - 1;
/// Bytes of a party's name, as the roster limits them.
const PARTY_BYTES_MAX: usize = 128;
/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;

/// How dates are commonly written, where the mapping names no format. Day-first and month-first forms are not among
/// them: 03/04 means two days, and only the mapping can say which.
const DATE_FORMATS: [&str; 5] = ["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%Y%m%d"];
/// How times of day are commonly written.
const TIME_FORMATS: [&str; 2] = ["%H:%M:%S%.f", "%H:%M"];

/// A text of at most `chars_max` characters without control characters (line breaks within a cell are kept).
pub(super) fn text(cell: &str, chars_max: usize) -> Result<String, String> {
    if cell.contains(char::REPLACEMENT_CHARACTER) {
        return Err("holds bytes that are not text in the file's encoding: name the encoding in the mapping, or \
                    save the file as UTF-8"
            .into());
    }
    if let Some(control) = cell.chars().find(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')) {
        return Err(format!("holds the control character U+{:04X}: remove it", u32::from(control)));
    }
    let chars = cell.chars().count();
    if chars > chars_max {
        return Err(format!("has {chars} characters, of at most {chars_max}: shorten it"));
    }
    Ok(cell.replace("\r\n", "\n"))
}

/// The party `kind:name` for a name as people write it: `West Lake` is `shop:west-lake`. A cell that is a party of
/// that kind already stays as it is.
pub(super) fn party(cell: &str, kind: &str) -> Result<String, String> {
    let name = text(cell, NAME_CHARS_MAX)?;
    let name = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':')).unwrap_or(&name);
    let is_spelled = |letter: char| letter.is_alphanumeric() && !letter.is_uppercase() || matches!(letter, '-' | '.');
    let slug = if name.chars().all(is_spelled) { name.to_owned() } else { slug(name) };
    let party = format!("{kind}:{slug}");
    if !slug.chars().any(char::is_alphanumeric) {
        return Err(format!("has no letter or digit to make a {kind} of"));
    }
    if party.len() > PARTY_BYTES_MAX {
        return Err(format!("makes a party of {} bytes, of at most {PARTY_BYTES_MAX}: shorten it", party.len()));
    }
    Ok(party)
}

/// Lower-case letters and digits of any script, everything between them one hyphen. Accents are dropped, so that
/// the composed and the decomposed `ô` name one party and a person can type it.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        match letter {
            '\u{300}'..='\u{36f}' => {}
            _ if letter.is_alphanumeric() => {
                slug.push_str(without_accent(letter).unwrap_or(letter.encode_utf8(&mut [0; 4])));
            }
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

fn without_accent(letter: char) -> Option<&'static str> {
    Some(match letter {
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'ç' | 'ć' | 'č' => "c",
        'è'..='ë' | 'ē' | 'ę' | 'ě' => "e",
        'ì'..='ï' | 'ī' => "i",
        'ñ' | 'ń' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => "o",
        'ù'..='ü' | 'ū' | 'ű' | 'ů' => "u",
        'ý' | 'ÿ' => "y",
        'š' | 'ś' => "s",
        'ž' | 'ź' | 'ż' => "z",
        'ł' => "l",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        _ => return None,
    })
}

/// What becomes of digits beyond the smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excess {
    /// Money and quantities: a digit that can't be kept is an error, not a rounding.
    Refuse,
    /// Coordinates: nobody's door moves by a centimetre.
    Round,
}

/// A decimal as an integer of its last digit's unit: `1,234.5` with 2 decimals is 123450. Commas may stand only
/// between groups of three digits, as `1,5` is one and a half to some and a slip to others.
pub(super) fn decimal(cell: &str, decimals: usize, excess: Excess) -> Result<i64, String> {
    let no_number = || "is not a number such as 1234.5 or 1,234.50".to_owned();
    let (negative, digits) = match cell.strip_prefix(['-', '−']) {
        Some(rest) => (true, rest.trim_start()),
        None => (false, cell.strip_prefix('+').unwrap_or(cell)),
    };
    let digits = digits.trim_start_matches(['¥', '￥', '$', '€']).trim_start();
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let grouped = whole.contains(',');
    if grouped && (first.is_empty() || first.len() > 3 || groups.any(|group| group.len() != 3)) {
        return Err(no_number());
    }
    let whole: String = whole.chars().filter(|letter| *letter != ',').collect();
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !all_digits || whole.is_empty() && fraction.is_empty() {
        return Err(no_number());
    }
    let kept = &fraction[..fraction.len().min(decimals)];
    let beyond = &fraction[kept.len()..];
    if excess == Excess::Refuse && beyond.bytes().any(|byte| byte != b'0') {
        return Err(format!("has more than {decimals} decimals: rounding it is for a person to decide"));
    }
    let too_large = || format!("is too large: at most {INTEGER_MAX} of the smallest unit");
    let magnitude: i64 = format!("{whole}{kept:0<decimals$}").parse().map_err(|_| too_large())?;
    let magnitude = magnitude.saturating_add(i64::from(beyond.bytes().next().is_some_and(|byte| byte >= b'5')));
    if magnitude > INTEGER_MAX {
        return Err(too_large());
    }
    Ok(if negative { -magnitude } else { magnitude })
}

/// A latitude or longitude in 1e-7 degrees, of at most `degrees_max` either way.
pub(super) fn degrees(cell: &str, degrees_max: i32) -> Result<i32, String> {
    let value = decimal(cell, 7, Excess::Round)?;
    let max = i64::from(degrees_max) * 10_000_000;
    i32::try_from(value)
        .ok()
        .filter(|_| value.abs() <= max)
        .ok_or_else(|| format!("is not between -{degrees_max} and {degrees_max} degrees"))
}

/// A date in one of the mapping's formats (strftime's letters), or as dates are commonly written where it names none.
pub(super) fn date(cell: &str, formats: &[String]) -> Result<Date, String> {
    let date = if formats.is_empty() {
        let alone = DATE_FORMATS.iter().find_map(|format| parse(format, cell)?.to_date().ok());
        alone.or_else(|| cell.parse::<DateTime>().ok().map(DateTime::date))
    } else {
        formats.iter().find_map(|format| parse(format, cell)?.to_date().ok())
    };
    let date = date.ok_or_else(|| format!("is not a date {}", written(formats, "2025-06-01")))?;
    // A year such as 11 or 20111 parses, and is a slip all the same.
    if (1970..2200).contains(&date.year()) { Ok(date) } else { Err("has a year outside 1970 to 2199".into()) }
}

/// A time of day in milliseconds after midnight; `24:00` is the midnight that ends the day.
pub(super) fn time_of_day(cell: &str, formats: &[String]) -> Result<i64, String> {
    if matches!(cell, "24:00" | "24:00:00") {
        return Ok(DAY_MS);
    }
    let time = if formats.is_empty() {
        TIME_FORMATS.iter().find_map(|format| parse(format, cell)?.to_time().ok())
    } else {
        formats.iter().find_map(|format| parse(format, cell)?.to_time().ok())
    };
    let time = time.ok_or_else(|| format!("is not a time of day {}", written(formats, "09:30")))?;
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Ok(seconds * 1000 + i64::from(time.millisecond()))
}

/// A date with a time of day, in milliseconds since the Unix epoch: at `offset`, unless the cell names its own.
pub(super) fn date_and_time(cell: &str, formats: &[String], offset: Offset) -> Result<i64, String> {
    if formats.is_empty() {
        if let Ok(timestamp) = cell.parse::<jiff::Timestamp>() {
            return Ok(timestamp.as_millisecond());
        }
        if let Some((day, time)) = cell.split_once([' ', 'T'])
            && let Ok(day) = date(day, &[])
            && let Ok(after_midnight) = time_of_day(time.trim(), &[])
        {
            return Ok(midnight(day, offset)? + after_midnight);
        }
    }
    for format in formats {
        let Some(parsed) = parse(format, cell) else { continue };
        if let Ok(at) = parsed.to_datetime() {
            return at_offset(at, parsed.offset().unwrap_or(offset));
        }
    }
    Err(format!("is not a date with a time {}", written(formats, "2025-06-01 09:30")))
}

/// The moment a day begins at `offset`, in milliseconds since the Unix epoch.
pub(super) fn midnight(day: Date, offset: Offset) -> Result<i64, String> {
    at_offset(day.to_datetime(jiff::civil::Time::midnight()), offset)
}

/// The moment a clock at `offset` shows this, in milliseconds since the Unix epoch.
fn at_offset(at: DateTime, offset: Offset) -> Result<i64, String> {
    let timestamp = offset.to_timestamp(at).map_err(|error| format!("is outside the calendar ({error})"))?;
    Ok(timestamp.as_millisecond())
}

fn parse(format: &str, cell: &str) -> Option<BrokenDownTime> {
    BrokenDownTime::parse(format, cell).ok()
}

fn written(formats: &[String], example: &str) -> String {
    if formats.is_empty() {
        format!("such as {example}: write it so, or name its format in the mapping")
    } else {
        format!("written as the mapping says ({})", formats.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    #[expect(clippy::needless_pass_by_value, reason = "a table of expectations reads better without references")]
    fn check<T: PartialEq + Debug>(cell: &str, found: &Result<T, String>, expect: Option<T>) {
        assert_eq!(found.as_ref().ok(), expect.as_ref(), "{cell:?}: {found:?}");
    }

    /// Money and quantities are exact, or refused.
    #[test]
    fn decimals() {
        for (cell, expect) in [
            ("551", Some(55100)),
            ("23101.2", Some(2_310_120)),
            (".5", Some(50)),
            ("5.", Some(500)),
            ("-3.10", Some(-310)),
            ("¥1,234.50", Some(123_450)),
            ("0.990", Some(99)),
            ("12,345,678", Some(1_234_567_800)),
            ("0.001", None),
            ("1,5", None),
            ("1234,567", None),
            (",123", None),
            ("", None),
            (".", None),
            ("1e3", None),
            ("12 kg", None),
            ("See ASN-93 (ID#:1281)", None),
            ("--1", None),
            ("99999999999999999999", None),
            ("90071992547409.92", None),
            ("１２", None),
        ] {
            check(cell, &decimal(cell, 2, Excess::Refuse), expect);
        }
    }

    /// A coordinate is rounded to 1e-7 degrees and stays on the globe.
    #[test]
    fn coordinates() {
        for (cell, expect) in [
            ("116.6259", Some(1_166_259_000)),
            ("-30.123456789012", Some(-301_234_568)),
            ("180", Some(1_800_000_000)),
            ("180.0000001", None),
            ("9999999", None),
            ("N30", None),
        ] {
            check(cell, &degrees(cell, 180), expect);
        }
    }

    /// Names as people write them name one party, whatever the script or the accents' form.
    #[test]
    fn parties() {
        for (cell, expect) in [
            ("West Lake", Some("shop:west-lake")),
            ("shop:west-lake", Some("shop:west-lake")),
            ("west.lake", Some("shop:west.lake")),
            ("Côte d'Ivoire", Some("shop:cote-d-ivoire")),
            ("Co\u{302}te d'Ivoire", Some("shop:cote-d-ivoire")),
            ("西湖 渔具店", Some("shop:西湖-渔具店")),
            ("ABBVIE (FORMERLY ABBOTT) BV", Some("shop:abbvie-formerly-abbott-bv")),
            ("Łódź & Söhne", Some("shop:lodz-sohne")),
            ("!!!", None),
            ("shop:", None),
        ] {
            check(cell, &party(cell, "shop"), expect.map(str::to_owned));
        }
        assert!(party(&"鱼".repeat(60), "shop").is_err(), "a party over 128 bytes is refused");
    }

    /// A date is read only where it can mean one day.
    #[test]
    fn dates() {
        for (cell, format, expect) in [
            ("2006-06-02", "", Some("2006-06-02")),
            ("2006/6/2", "", Some("2006-06-02")),
            ("2025年6月1日", "", Some("2025-06-01")),
            ("20250601", "", Some("2025-06-01")),
            ("2025-06-01 00:00:00", "", Some("2025-06-01")),
            ("03/04/2025", "", None),
            ("03/04/2025", "%d/%m/%Y", Some("2025-04-03")),
            ("11-06-01", "", None),
            ("2025-02-30", "", None),
            ("Date Not Captured", "", None),
        ] {
            let formats: Vec<String> =
                Some(format.to_owned()).filter(|format| !format.is_empty()).into_iter().collect();
            check(cell, &date(cell, &formats).map(|date| date.to_string()), expect.map(str::to_owned));
        }
    }

    /// A moment is taken at the mapping's offset, unless the cell names its own.
    #[test]
    fn moments() {
        let beijing = Offset::constant(8);
        for (cell, expect) in [
            ("1970-01-01 08:00", Some(0)),
            ("1970-01-01 08:00:01.5", Some(1500)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970/1/1 8:00", Some(0)),
            ("1970-01-01 24:00", Some(16 * 3_600_000)),
            ("1970-01-01", None),
            ("soon", None),
        ] {
            check(cell, &date_and_time(cell, &[], beijing), expect);
        }
        for (cell, expect) in [("00:00", Some(0)), ("9:05", Some(32_700_000)), ("24:00", Some(DAY_MS)), ("25:00", None)]
        {
            check(cell, &time_of_day(cell, &[]), expect);
        }
    }

    /// Damage and control characters are refused where they are, and never reach a label or a screen.
    #[test]
    fn texts() {
        assert_eq!(text("a\r\nb", 10).as_deref(), Ok("a\nb"));
        for cell in ["a\0b", "bell\u{7}", "lost \u{fffd}", "eleven char"] {
            assert!(text(cell, 10).is_err(), "{cell:?}");
        }
    }
}
