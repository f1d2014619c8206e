//! What an edit states, in a line for a person.

use crate::language::Language;
use crate::value::{local_window, shown_money, shown_quantity};
use jiff::tz::TimeZone;
use serde_json::Value;

/// Hexadecimal digits of an id that a person reads and types; the node asks for more where they are not enough.
const SHORT_ID_DIGITS: usize = 12;

/// The beginning of an edit's id.
pub(crate) fn short(id: &(impl ToString + ?Sized)) -> String {
    id.to_string().chars().take(SHORT_ID_DIGITS).collect()
}

/// Who made an edit: the person at the device, where one is named, with the device.
pub(crate) fn who(author: &str, by: Option<&str>) -> String {
    match by {
        Some(by) => format!("{by} ({author})"),
        None => author.to_owned(),
    }
}

/// A field's value, as a person reads it.
pub(crate) fn field(name: &str, value: &Value, zone: &TimeZone) -> String {
    let last = name.rsplit(['/', '.']).next().unwrap_or(name);
    match (last, value) {
        ("amount_due" | "collected", Value::Number(minor)) => minor.as_i64().map(shown_money).unwrap_or_default(),
        ("quantity" | "value" | "received" | "short" | "damaged" | "returned", Value::Number(thousandths)) => {
            thousandths.as_i64().map(shown_quantity).unwrap_or_default()
        }
        ("window", Value::String(window)) => local_window(window, zone),
        ("window", Value::Array(ends)) => {
            let end = |nth: usize| jiff::Timestamp::from_millisecond(ends.get(nth)?.as_i64()?).ok();
            match (end(0), end(1)) {
                (Some(from), Some(to)) => local_window(&format!("{from}/{to}"), zone),
                _ => value.to_string(),
            }
        }
        ("place", Value::Array(degrees)) => {
            let degrees: Vec<_> =
                degrees.iter().filter_map(Value::as_i64).map(|half| crate::value::shown(half, 7, 0)).collect();
            degrees.join(",")
        }
        ("place", Value::String(text)) => match crate::value::place(text) {
            Ok((latitude, longitude)) => {
                [latitude, longitude].map(|half| crate::value::shown(half.into(), 7, 0)).join(",")
            }
            Err(_) => text.clone(),
        },
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

/// What an edit states: `step` is the step's label where it is known, else its key.
pub(crate) fn edit(action: &str, step: Option<&str>, detail: Option<&Value>, language: Language) -> String {
    let text = |key: &str| detail.and_then(|detail| detail.get(key)).and_then(Value::as_str);
    match action {
        "open" => language.pick("opened", "建单").to_owned(),
        "plan" => format!("{} {}", language.pick("planned", "计划"), planned(detail)),
        "record" => {
            let step = step.or_else(|| text("step")).unwrap_or_default();
            let evidence = detail.map(|detail| evidence(detail, language)).unwrap_or_default();
            [vec![step.to_owned()], evidence].concat().join(" · ")
        }
        "measure" => {
            let value = detail.and_then(|detail| detail.get("value")).and_then(Value::as_i64).unwrap_or_default();
            let (quantity, unit) = (text("quantity").unwrap_or_default(), text("unit").unwrap_or_default());
            format!("{quantity} {} {unit}", shown_quantity(value))
        }
        "say" => format!("“{}”", text("text").unwrap_or_default()),
        "resolve" => match text("uphold") {
            Some(upheld) => format!("{} {}", language.pick("settled: upholds", "裁定有效："), short(&upheld)),
            None => language.pick("settled: none of them stands", "裁定：均无效").to_owned(),
        },
        "retract" => format!("{} {}", language.pick("took back", "撤回"), text("edit").map(short).unwrap_or_default()),
        _ => language.pick("made by a newer creel", "由更新版本的 creel 记录").to_owned(),
    }
}

/// The fields a plan sets.
fn planned(detail: Option<&Value>) -> String {
    let Some(fields) = detail.and_then(Value::as_object) else { return String::new() };
    let zone = TimeZone::system();
    let mut words = Vec::new();
    for (name, value) in fields {
        match value {
            Value::Object(parties) => {
                words.extend(parties.iter().map(|(kind, party)| format!("{kind}={}", field(kind, party, &zone))));
            }
            Value::Array(lines) if name == "lines" => {
                words.extend(lines.iter().flat_map(|line| planned_line(line, &zone)));
            }
            value => words.push(format!("{name}={}", field(name, value, &zone))),
        }
    }
    words.join(", ")
}

fn planned_line(line: &Value, zone: &TimeZone) -> Vec<String> {
    let name = line.get("line").and_then(Value::as_str).unwrap_or_default();
    let fields = line.as_object().into_iter().flatten().filter(|(field, _)| *field != "line");
    fields.map(|(key, value)| format!("line.{name}.{key}={}", field(key, value, zone))).collect()
}

/// What a record brings along.
fn evidence(detail: &Value, language: Language) -> Vec<String> {
    let text = |key: &str| detail.get(key).and_then(Value::as_str);
    let mut words = Vec::new();
    if let Some(receiver) = text("receiver") {
        let role = match text("signed_as") {
            Some("proxy") => text("relation").unwrap_or(language.pick("proxy", "代签")),
            _ => "",
        };
        words.push(if role.is_empty() { receiver.to_owned() } else { format!("{receiver} ({role})") });
    }
    words.extend(text("reason").map(str::to_owned));
    for line in detail.get("lines").and_then(Value::as_array).into_iter().flatten() {
        let name = line.get("line").and_then(Value::as_str).unwrap_or_default();
        for (key, en, zh) in [
            ("received", "received", "实收"),
            ("short", "short", "短少"),
            ("damaged", "damaged", "破损"),
            ("returned", "returned", "退回"),
        ] {
            if let Some(quantity) = line.get(key).and_then(Value::as_i64) {
                words.push(format!("{name}: {} {}", shown_quantity(quantity), language.pick(en, zh)));
            }
        }
    }
    if let Some(collected) = detail.get("collected").and_then(Value::as_i64) {
        words.push(format!("{} {}", language.pick("collected", "代收"), shown_money(collected)));
    }
    if detail.get("signature").is_some() {
        words.push(language.pick("signature", "签名").to_owned());
    }
    if let Some(photos) = detail.get("photos").and_then(Value::as_array) {
        words.push(match (photos.len(), language) {
            (1, Language::En) => "1 photo".to_owned(),
            (count, Language::En) => format!("{count} photos"),
            (count, Language::Zh) => format!("{count} 张照片"),
        });
    }
    words.extend(text("scan").map(|scan| format!("{} {scan}", language.pick("scan", "扫码"))));
    words.extend(text("note").map(|note| format!("“{note}”")));
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A history's line says what was done, in both languages.
    #[test]
    fn edits_in_words() {
        let signed = json!({"step": "signed", "receiver": "Wang", "signed_as": "proxy", "relation": "son",
            "lines": [{"line": "1", "short": 2000}], "photos": ["ab"], "signature": "cd", "collected": 1250});
        for (action, step, detail, language, expect) in [
            (
                "record",
                Some("Signed"),
                signed.clone(),
                Language::En,
                "Signed · Wang (son) · 1: 2 short · collected 12.50 · signature · 1 photo",
            ),
            ("record", None, signed, Language::Zh, "signed · Wang (son) · 1: 2 短少 · 代收 12.50 · 签名 · 1 张照片"),
            ("say", None, json!({"text": "hi"}), Language::En, "“hi”"),
            (
                "measure",
                None,
                json!({"quantity": "temperature", "value": 7900, "unit": "°C"}),
                Language::En,
                "temperature 7.9 °C",
            ),
            (
                "plan",
                None,
                json!({"driver": "driver:li-wei", "lines": [{"line": "1", "quantity": 500}]}),
                Language::En,
                "planned driver=driver:li-wei, line.1.quantity=0.5",
            ),
            ("resolve", None, json!({"settle": ["a"]}), Language::Zh, "裁定：均无效"),
            ("dance", None, json!(null), Language::En, "made by a newer creel"),
        ] {
            assert_eq!(edit(action, step, Some(&detail), language), expect);
        }
    }
}
