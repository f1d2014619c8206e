//! `FIELD=VALUE` as it is typed, into what a plan or a record holds.

use crate::value;
use creel_protocol::edit::action::{Line, LineCount, Place, PlanFields, Window};
use creel_protocol::roster::is_party_name;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The fields of a plan, for the help and for whoever mistypes one.
pub(crate) const KNOWN: &str = "consignee, address, place=LAT,LON, window=FROM/TO, driver, run, stop, shop, warehouse, \
     party.KIND, amount_due, handling, note, number, line.ID.quantity, line.ID.name, line.ID.sku, line.ID.unit, \
     line.ID.lot, line.ID.expiry";

/// Puts `FIELD=VALUE` into the plan's fields. A field that is named twice is an error, because only one can be meant.
pub(crate) fn set(plan: &mut PlanFields, assignment: &str, zone: &TimeZone) -> Result<(), String> {
    let unknown = || format!("“{assignment}” sets no field of a plan: write FIELD=VALUE with one of {KNOWN}");
    let (field, value) = assignment.split_once('=').ok_or_else(unknown)?;
    let (field, value) = (field.trim(), value.trim());
    let told = |why: String| format!("{field}: {why}");
    let text = || Ok::<_, String>(value.to_owned());
    match field {
        "number" | "consignee" | "address" | "run" | "handling" | "note" => {
            let slot = match field {
                "number" => &mut plan.number,
                "consignee" => &mut plan.consignee,
                "address" => &mut plan.address,
                "run" => &mut plan.run,
                "handling" => &mut plan.handling,
                _ => &mut plan.note,
            };
            once(slot, text()?, field)
        }
        "place" => {
            let (latitude, longitude) = value::place(value).map_err(told)?;
            once(&mut plan.place, Place(latitude, longitude), field)
        }
        "window" => {
            let (from, to) = value::window(value, zone).map_err(told)?;
            once(&mut plan.window, Window(from, to), field)
        }
        "stop" => {
            let stop = value.parse().ok().filter(|stop| *stop > 0);
            once(&mut plan.stop, stop.ok_or_else(|| told(format!("“{value}” is not a stop: count from 1")))?, field)
        }
        "amount_due" => once(&mut plan.amount_due, value::money(value).map_err(told)?, field),
        "driver" => once(&mut plan.driver, party("driver", value).map_err(told)?, field),
        _ => {
            if let Some(rest) = field.strip_prefix("line.") {
                let (line, of_line) = rest.rsplit_once('.').filter(|(line, _)| !line.is_empty()).ok_or_else(unknown)?;
                return set_line(line_of(&mut plan.lines, line), of_line, field, value, unknown);
            }
            let kind = match field {
                "shop" | "warehouse" => field,
                _ => field.strip_prefix("party.").filter(|kind| !kind.is_empty()).ok_or_else(unknown)?,
            };
            let party = party(kind, value).map_err(told)?;
            match plan.parties.insert(kind.to_owned(), party) {
                None => Ok(()),
                Some(_) => Err(twice(field)),
            }
        }
    }
}

fn set_line(
    line: &mut Line,
    of_line: &str,
    field: &str,
    value: &str,
    unknown: impl Fn() -> String,
) -> Result<(), String> {
    let text = || value.to_owned();
    match of_line {
        "quantity" => once(&mut line.quantity, value::quantity(value).map_err(|why| format!("{field}: {why}"))?, field),
        "sku" => once(&mut line.sku, text(), field),
        "name" => once(&mut line.name, text(), field),
        "unit" => once(&mut line.unit, text(), field),
        "lot" => once(&mut line.lot, text(), field),
        "expiry" if value.is_empty() || value.parse::<Date>().is_ok() => once(&mut line.expiry, text(), field),
        "expiry" => Err(format!("{field}: “{value}” is not a date such as 2026-11-23")),
        _ => Err(unknown()),
    }
}

/// A party by its whole name, or by its own part of it; `none` takes it back.
fn party(kind: &str, value: &str) -> Result<String, String> {
    if value.is_empty() || value == "none" {
        return Ok(String::new());
    }
    let party = if value.contains(':') { value.to_owned() } else { format!("{kind}:{value}") };
    if is_party_name(&party) {
        Ok(party)
    } else {
        Err(format!("“{value}” is not a party: write its name in lower case with hyphens, such as {kind}:west-lake"))
    }
}

fn line_of<'a>(lines: &'a mut Vec<Line>, name: &str) -> &'a mut Line {
    let at = lines.iter().position(|line| line.line == name).unwrap_or_else(|| {
        lines.push(Line { line: name.to_owned(), ..Line::default() });
        lines.len() - 1
    });
    &mut lines[at]
}

/// Puts `ID:FIELD=QTY` into a record's lines; several fields of one line come together.
pub(crate) fn count(lines: &mut Vec<LineCount>, assignment: &str) -> Result<(), String> {
    let form = || {
        format!(
            "“{assignment}” counts nothing: write ID:FIELD=QTY with received, short, damaged or returned, such as 2:short=1"
        )
    };
    let (named, quantity) = assignment.rsplit_once('=').ok_or_else(form)?;
    let (name, field) = named.rsplit_once(':').filter(|(name, _)| !name.is_empty()).ok_or_else(form)?;
    let quantity = value::quantity(quantity)?;
    let at = lines.iter().position(|line| line.line == name).unwrap_or_else(|| {
        lines.push(LineCount { line: name.to_owned(), ..LineCount::default() });
        lines.len() - 1
    });
    let line = &mut lines[at];
    match field {
        "received" => once(&mut line.received, quantity, named),
        "short" => once(&mut line.short, quantity, named),
        "damaged" => once(&mut line.damaged, quantity, named),
        "returned" => once(&mut line.returned, quantity, named),
        _ => Err(form()),
    }
}

fn once<T>(slot: &mut Option<T>, value: T, field: &str) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(twice(field)),
    }
}

fn twice(field: &str) -> String {
    format!("{field} is given twice: give it once")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn planned(assignments: &[&str]) -> Result<serde_json::Value, String> {
        let mut plan = PlanFields::default();
        for assignment in assignments {
            set(&mut plan, assignment, &TimeZone::UTC)?;
        }
        let mut plan = serde_json::to_value(&plan).expect("a plan is plain data");
        let is_filled = |value: &serde_json::Value| !value.is_null() && *value != json!([]) && *value != json!({});
        plan.as_object_mut().expect("a plan is an object").retain(|_, value| is_filled(value));
        Ok(plan)
    }

    /// What a dispatcher types is what the plan says, in the units that edits hold.
    #[test]
    fn fields() {
        for (assignment, expect) in [
            ("consignee=West Lake = Tackle", json!({"consignee": "West Lake = Tackle"})),
            ("note=", json!({"note": ""})),
            ("place=30.5,-0.1", json!({"place": [305_000_000, -1_000_000]})),
            ("window=1970-01-02", json!({"window": [86_400_000, 172_800_000]})),
            ("driver=li-wei", json!({"driver": "driver:li-wei"})),
            ("driver=driver:李伟", json!({"driver": "driver:李伟"})),
            ("driver=none", json!({"driver": ""})),
            ("shop=west-lake", json!({"parties": {"shop": "shop:west-lake"}})),
            ("party.carrier=fast", json!({"parties": {"carrier": "carrier:fast"}})),
            ("stop=3", json!({"stop": 3})),
            ("amount_due=12.5", json!({"amount_due": 1250})),
        ] {
            assert_eq!(planned(&[assignment]), Ok(expect), "{assignment}");
        }
        let lines = planned(&["line.1.quantity=2.5", "line.a.b.lot=L7", "line.1.expiry=2026-12-01"])
            .map(|plan| plan["lines"].clone());
        let lines = lines.expect("they are fields of lines");
        assert_eq!((&lines[0]["quantity"], &lines[0]["expiry"]), (&json!(2500), &json!("2026-12-01")));
        assert_eq!((&lines[1]["line"], &lines[1]["lot"]), (&json!("a.b"), &json!("L7")));
    }

    /// A slip is told before anything is sent, and whoever mistypes a field sees those that there are.
    #[test]
    fn slips() {
        for (assignments, expect) in [
            (&["colour=red"][..], "amount_due"),
            (&["consignee"], "FIELD=VALUE"),
            (&["line.quantity=1"], "line.ID.quantity"),
            (&["line.1.weight=1"], "line.ID.quantity"),
            (&["party.=x"], "party.KIND"),
            (&["driver=Li Wei"], "lower case"),
            (&["place=here"], "LAT,LON"),
            (&["stop=0"], "count from 1"),
            (&["amount_due=1.234"], "decimals"),
            (&["line.1.expiry=soon"], "date"),
            (&["run=1", "run=2"], "twice"),
            (&["shop=a", "party.shop=b"], "twice"),
        ] {
            let why = planned(assignments).expect_err("it is a slip");
            assert!(why.contains(expect), "{assignments:?}: {why}");
        }
    }

    /// What became of a line is counted in thousandths, and comes together by line.
    #[test]
    fn counts() {
        let counted = |assignments: &[&str]| {
            let mut lines = Vec::new();
            assignments.iter().try_for_each(|assignment| count(&mut lines, assignment)).map(|()| lines)
        };
        let lines = counted(&["1:received=8", "x:y:short=0.5", "1:short=2"]).expect("they are counts");
        assert_eq!((lines[0].received, lines[0].short, lines.len()), (Some(8000), Some(2000), 2));
        assert_eq!((lines[1].line.as_str(), lines[1].short), ("x:y", Some(500)));
        for (assignments, expect) in [
            (&["1:lost=2"][..], "received, short"),
            (&["short=2"], "ID:FIELD=QTY"),
            (&["1:short"], "ID:FIELD=QTY"),
            (&["1:short=two"], "number"),
            (&["1:short=1", "1:short=2"], "twice"),
        ] {
            let why = counted(assignments).expect_err("it is a slip");
            assert!(why.contains(expect), "{assignments:?}: {why}");
        }
    }
}
