//! The fields of what an edit states: each rule about a single body, without regard to who states it or what they knew.

use super::effect::Void;
use super::text::{Form, LONG_CHARS_MAX, NAME_CHARS_MAX, NUMBER_CHARS_MAX, may_be_empty, optional, text};
use crate::edit::action::{
    CLEARABLE, LINE_CLEARABLE, Line, LineCount, Measure, PlanFields, Record, Resolve, Retract, Say,
};
use crate::kind::{Field, Kind};
use crate::roster::is_party_name;
use std::collections::BTreeSet;

/// Photos of one record, and files of one message.
pub const PHOTOS_MAX: usize = 20;
/// Bytes of a drawn signature: what leaves room for the rest of an edit.
pub const SIGNATURE_BYTES_MAX: usize = 12 * 1024;

const NAME: Form = Form::Line(NAME_CHARS_MAX);
const NUMBER: Form = Form::Line(NUMBER_CHARS_MAX);

fn wrong(why: impl Into<String>) -> Result<(), Void> {
    Err(Void::Field(why.into()))
}

fn each_once<T: Ord>(items: impl IntoIterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}

/// The first plan of a document of this kind.
pub(super) fn opening(kind: &Kind, plan: &PlanFields) -> Result<(), Void> {
    let set: BTreeSet<Field> = Field::set_by(plan).collect();
    match kind.required.iter().find(|field| !set.contains(field)) {
        Some(field) => wrong(format!("a {} needs a {}", kind.name, field.name())),
        None => fields(kind, plan),
    }
}

/// A change of plan of a document of this kind.
pub(super) fn planning(kind: &Kind, plan: &PlanFields) -> Result<(), Void> {
    if plan.is_empty() { wrong("a change of plan must set at least one field") } else { fields(kind, plan) }
}

fn fields(kind: &Kind, plan: &PlanFields) -> Result<(), Void> {
    for field in Field::set_by(plan) {
        if !kind.fields.contains(&field) {
            return wrong(format!("a {} has no {}", kind.name, field.name()));
        }
        if kind.required.contains(&field) && field.text(plan).is_some_and(String::is_empty) {
            return wrong(format!("a {} needs a {}", kind.name, field.name()));
        }
    }
    for (name, value, form) in [
        ("the number", &plan.number, NUMBER),
        ("the consignee", &plan.consignee, NAME),
        ("the address", &plan.address, Form::Long),
        ("the run", &plan.run, NAME),
        ("the handling", &plan.handling, Form::Long),
        ("the note", &plan.note, Form::Long),
        ("the phone", &plan.phone, NAME),
        ("the reference", &plan.reference, NAME),
        ("the region", &plan.region, NAME),
        ("the group", &plan.group, NAME),
    ] {
        if let Some(value) = value {
            may_be_empty(name, value, form)?;
        }
    }
    if plan.stop == Some(0) {
        return wrong("stops are counted from 1");
    }
    let named = plan.parties.iter().map(|(kind, party)| (Some(kind.as_str()), party));
    for (kind, party) in named.chain(plan.driver.iter().map(|driver| (None, driver))) {
        let fits = kind.is_none_or(|kind| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase()));
        if !fits || !party.is_empty() && !is_party_name(party) {
            return not_a_party(party);
        }
    }
    let set = |name: &str| match name {
        "place" => plan.place.is_some(),
        "window" => plan.window.is_some(),
        "stop" => plan.stop.is_some(),
        "amount_due" => plan.amount_due.is_some(),
        "service" => plan.service.is_some(),
        _ => true,
    };
    check_cleared(&plan.cleared, &CLEARABLE, set)?;
    if !each_once(plan.lines.iter().map(|line| &line.line)) {
        return wrong("a line is named twice in one change of plan");
    }
    plan.lines.iter().try_for_each(check_line)
}

fn not_a_party(party: &str) -> Result<(), Void> {
    wrong(format!("“{party}” is not a party: write kind:name in lower case, such as driver:li-wei or shop:west-lake"))
}

/// Each name stands once, and what can be taken back is not set by the same edit. Other names are a later version's, and say
/// nothing to this one.
fn check_cleared(cleared: &[String], clearable: &[&str], set: impl Fn(&str) -> bool) -> Result<(), Void> {
    if !each_once(cleared) {
        return wrong("a field is taken back twice");
    }
    match cleared.iter().find(|name| clearable.contains(&name.as_str()) && set(name)) {
        Some(name) => wrong(format!("“{name}” is set and taken back by one change")),
        None => Ok(()),
    }
}

fn check_line(line: &Line) -> Result<(), Void> {
    text("a line's name", &line.line, NUMBER)?;
    // The name becomes part of a register's key, whose parts the slash divides.
    if line.line.contains('/') {
        return wrong(format!("line {}: a line's name must not contain “/”", line.line));
    }
    for (name, value) in [
        ("an article's number", &line.sku),
        ("an article's name", &line.name),
        ("a unit", &line.unit),
        ("a lot", &line.lot),
        ("a GTIN", &line.gtin),
    ] {
        if let Some(value) = value {
            may_be_empty(name, value, NAME)?;
        }
    }
    if line.expiry.as_ref().is_some_and(|expiry| !expiry.is_empty() && !is_date(expiry)) {
        return wrong(format!("line {}: an expiry date is written YYYY-MM-DD", line.line));
    }
    if line.quantity.is_some_and(|quantity| quantity < 0) {
        return wrong(format!("line {}: the quantity is below zero", line.line));
    }
    let set = |name: &str| match name {
        "quantity" => line.quantity.is_some(),
        "weight" => line.weight.is_some(),
        "volume" => line.volume.is_some(),
        "price" => line.price.is_some(),
        _ => true,
    };
    check_cleared(&line.cleared, &LINE_CLEARABLE, set)
}

/// An ISO 8601 calendar date, of the years 0001 to 9999.
fn is_date(text: &str) -> bool {
    let digits = |range| text.get(range).filter(|part: &&str| part.bytes().all(|byte| byte.is_ascii_digit()));
    let number = |range| digits(range).and_then(|part| part.parse().ok());
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else { return false };
    let dashes = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else { return false };
    dashes && year > 0 && jiff::civil::Date::new(year, month, day).is_ok()
}

/// A record's own fields; its step and evidence are judged by the workflow.
pub(super) fn record(record: &Record) -> Result<(), Void> {
    for (name, value, form) in [
        ("the reason", &record.reason, NAME),
        ("the receiver", &record.receiver, NAME),
        ("the relation", &record.relation, NAME),
        ("the scanned code", &record.scan, Form::Scan),
        ("the PIN", &record.pin, NAME),
        ("the note", &record.note, Form::Long),
        ("the method of payment", &record.payment, NAME),
    ] {
        optional(name, value.as_ref(), form)?;
    }
    if record.signed_as.as_ref().is_some_and(|signed_as| signed_as != "recipient" && signed_as != "proxy") {
        return wrong("who signed is either recipient or proxy (--as recipient|proxy)");
    }
    if let Some(party) = record.handed_to.as_ref().filter(|party| !is_party_name(party)) {
        return not_a_party(party);
    }
    if record.signature.as_ref().is_some_and(|signature| signature.0.len() > SIGNATURE_BYTES_MAX) {
        return wrong(format!("a signature may have at most {SIGNATURE_BYTES_MAX} bytes: simplify it"));
    }
    check_files(&record.photos)?;
    if !each_once(record.lines.iter().map(|count| (&count.line, &count.lot))) {
        return wrong("a line is counted twice in one record");
    }
    record.lines.iter().try_for_each(check_count)
}

fn check_files<T: Ord>(files: &[T]) -> Result<(), Void> {
    if files.len() > PHOTOS_MAX {
        return wrong(format!("at most {PHOTOS_MAX} photos or files go with one edit"));
    }
    if each_once(files) { Ok(()) } else { wrong("a photo or file stands there twice") }
}

fn check_count(count: &LineCount) -> Result<(), Void> {
    text("a line's name", &count.line, NUMBER)?;
    optional("a lot", count.lot.as_ref(), NAME)?;
    if [count.received, count.short, count.damaged, count.returned].iter().flatten().any(|quantity| *quantity < 0) {
        return wrong(format!("line {}: a quantity is below zero", count.line));
    }
    Ok(())
}

/// A measured value.
pub(super) fn measure(measure: &Measure) -> Result<(), Void> {
    text("the measured quantity", &measure.quantity, NAME)?;
    text("the unit", &measure.unit, NAME)?;
    optional("the sensor", measure.sensor.as_ref(), NAME)
}

/// A message.
pub(super) fn say(say: &Say) -> Result<(), Void> {
    if say.text.is_none() && say.files.is_empty() {
        return wrong("the message is empty");
    }
    optional("the message", say.text.as_ref(), Form::Long)?;
    optional("the kind of file", say.file_kind.as_ref(), NAME)?;
    check_files(&say.files)
}

/// A resolve's own fields.
pub(super) fn resolve(resolve: &Resolve) -> Result<(), Void> {
    optional("the note", resolve.note.as_ref(), Form::Long)?;
    if resolve.settle.is_empty() || !each_once(&resolve.settle) {
        return wrong("name each record to settle once (--settle EDIT)");
    }
    Ok(())
}

/// A retraction's own fields.
pub(super) fn retract(retract: &Retract) -> Result<(), Void> {
    optional("the note", retract.note.as_ref(), Form::Long)
}

/// The person under `by`.
pub(super) fn by(by: Option<&String>) -> Result<(), Void> {
    // Its length is tested at admission, in bytes.
    optional("the person's name", by, Form::Line(LONG_CHARS_MAX))
}
