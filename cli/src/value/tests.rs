use super::*;
use jiff::tz::Offset;

fn beijing() -> TimeZone {
    TimeZone::fixed(Offset::constant(8))
}

/// What is typed is what is recorded, to the last digit, or it is refused.
#[test]
fn decimals() {
    for (text, decimals, expect) in [
        ("2", 3, Some(2000)),
        ("2.5", 3, Some(2500)),
        ("-18.5", 3, Some(-18500)),
        ("−18.5", 3, Some(-18500)),
        (".5", 2, Some(50)),
        ("12.340", 2, Some(1234)),
        ("12.345", 2, None),
        ("1,5", 2, None),
        ("", 2, None),
        ("-", 2, None),
        ("1e3", 2, None),
        ("99999999999999999999", 2, None),
        ("90071992547409.92", 2, None),
    ] {
        assert_eq!(decimal(text, decimals).ok(), expect, "{text}");
    }
}

/// Integers are shown as people write them, and read back as the same.
#[test]
fn decimals_are_shown() {
    for (value, decimals, least, expect) in [
        (2000, 3, 0, "2"),
        (2500, 3, 0, "2.5"),
        (-500, 3, 0, "-0.5"),
        (5, 2, 2, "0.05"),
        (12300, 2, 2, "123.00"),
        (0, 3, 0, "0"),
    ] {
        assert_eq!(shown(value, decimals, least), expect);
        assert_eq!(decimal(expect, decimals), Ok(value));
    }
}

/// A place is on the globe, to a centimetre.
#[test]
fn places() {
    for (text, expect) in [
        ("30.2592,120.1304", Some((302_592_000, 1_201_304_000))),
        ("-30.5, -0.25", Some((-305_000_000, -2_500_000))),
        ("30.25921234999,120", Some((302_592_123, 1_200_000_000))),
        ("90,180", Some((900_000_000, 1_800_000_000))),
        ("91,0", None),
        ("0,180.1", None),
        ("0,180.0000001", None),
        ("30.1", None),
        ("N30,E120", None),
        ("鱼.鱼,1", None),
    ] {
        assert_eq!(place(text).ok(), expect, "{text}");
    }
}

/// A window is what a dispatcher means by it, in whichever of the common ways they write it.
#[test]
fn windows() {
    let hour = 3_600_000;
    let midnight = 1_795_363_200_000; // 2026-11-23T00:00+08:00
    for (text, expect) in [
        ("2026-11-23", Some((midnight, midnight + 24 * hour))),
        ("2026-11-23/2026-11-24", Some((midnight, midnight + 48 * hour))),
        ("2026-11-23T08:00/12:00", Some((midnight + 8 * hour, midnight + 12 * hour))),
        ("2026-11-23 08:00 / 12:00", Some((midnight + 8 * hour, midnight + 12 * hour))),
        ("2026-11-23T08:00/24:00", Some((midnight + 8 * hour, midnight + 24 * hour))),
        ("2026-11-23T22:00/2026-11-24T02:00", Some((midnight + 22 * hour, midnight + 26 * hour))),
        ("2026-11-23T00:00:00Z/2026-11-23T10:00:00+08:00", Some((midnight + 8 * hour, midnight + 10 * hour))),
        ("2026-11-23T12:00/08:00", None),
        ("2026-11-23T08:00", None),
        ("2026-02-30", None),
        ("08:00/12:00", None),
        ("tomorrow", None),
        ("鱼鱼鱼鱼鱼/12:00", None),
    ] {
        assert_eq!(window(text, &beijing()).ok(), expect, "{text}: {:?}", window(text, &beijing()));
    }
}

/// Times are shown by the reader's own clock, and a window by no more than it needs.
#[test]
fn windows_are_shown() {
    for (text, expect) in [
        ("2026-11-22T16:00:00.000Z/2026-11-23T16:00:00.000Z", "2026-11-23"),
        ("2026-11-22T16:00:00.000Z/2026-11-25T16:00:00.000Z", "2026-11-23–2026-11-25"),
        ("2026-11-23T00:00:00.000Z/2026-11-23T04:00:00.000Z", "2026-11-23 08:00–12:00"),
        ("2026-11-23T14:00:00.000Z/2026-11-23T18:00:00.000Z", "2026-11-23 22:00–2026-11-24 02:00"),
        ("soon", "soon"),
        ("a/b", "a/b"),
    ] {
        assert_eq!(local_window(text, &beijing()), expect);
    }
    assert_eq!(local("2026-11-22T16:05:00.000Z", &beijing()), "2026-11-23 00:05");
}
