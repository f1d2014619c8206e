//! `creel show`: one shipment with everything about it.

use crate::answer::{Entry, Exception, Shown};
use crate::client::{Client, segment};
use crate::describe::{self, short, who};
use crate::language::Language;
use crate::screen::{Paint, Screen, clean};
use crate::table::{Cell, table};
use crate::value::local;
use anyhow::Result;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::process::ExitCode;

/// Show one shipment: its plan, what was done, and what somebody has to look at.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel show M20261123-0001\n  creel show 019a3f --json | jq .status")]
pub(crate) struct Args {
    /// The firm's own number, or a unique prefix of the id
    #[arg(value_name = "REF")]
    shipment: String,
}

/// The plan's fields in the order in which people think of a delivery.
const FIELDS: [(&str, &str, &str); 11] = [
    ("consignee", "consignee", "收货人"),
    ("address", "address", "地址"),
    ("place", "place", "坐标"),
    ("window", "window", "时段"),
    ("driver", "driver", "司机"),
    ("run", "run", "车次"),
    ("stop", "stop", "站序"),
    ("parties", "parties", "相关方"),
    ("amount_due", "amount due", "应收"),
    ("handling", "handling", "搬运要求"),
    ("note", "note", "备注"),
];

pub(crate) fn run(args: &Args, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let path = format!("/shipments/{}", segment(&args.shipment));
    if screen.json {
        screen.value(&node.fetch::<Value>(&path)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown: Shown = node.fetch(&path)?;
    let zone = TimeZone::system();
    let status = screen.paint(screen.language.label(&shown.status_label), Paint::hex(&shown.colour));
    screen.print(&format!("{}  {status}\n", screen.paint(&clean(&shown.number), Paint::Bold)))?;
    screen.print(&plan(&shown, screen, &zone))?;
    screen.print(&lines(&shown, screen))?;
    screen.print(&conflicts(&shown, screen, &zone))?;
    screen.print(&format!("\n{}\n", screen.heading("What was done", "经过")))?;
    screen.print(&timeline(&shown.timeline, screen, &zone))?;
    let left_out: u64 = shown.void_more.values().sum();
    if left_out > 0 {
        let words = screen.language.pick("… and {} more edits that do not count\n", "……另有 {} 条不计的记录\n");
        screen.print(&words.replace("{}", &left_out.to_string()))?;
    }
    screen.print(&exceptions(&shown, screen))?;
    let hashes = format!("\nid {}\nedits {}\nview  {}", shown.id, shown.edits_hash, shown.view_hash);
    screen.print(&screen.paint(&hashes, Paint::Dim))?;
    Ok(ExitCode::SUCCESS)
}

fn plan(shown: &Shown, screen: &Screen, zone: &TimeZone) -> String {
    let rows = FIELDS.iter().filter_map(|(key, en, zh)| {
        let value = match shown.plan.get(*key)? {
            Value::Object(parties) => {
                let parties: Vec<_> = parties.values().filter_map(Value::as_str).collect();
                parties.join(", ")
            }
            value => describe::field(key, value, zone),
        };
        Some(vec![Cell::text(screen.language.pick(en, zh)).painted(Paint::Dim), Cell::text(value)])
    });
    table(screen, &["", ""], rows.collect())
}

fn lines(shown: &Shown, screen: &Screen) -> String {
    let Some(lines) = shown.plan.get("lines").and_then(Value::as_array) else { return String::new() };
    let pick = |en, zh| screen.language.pick(en, zh);
    let headers = [
        pick("LINE", "行"),
        pick("ARTICLE", "货号"),
        pick("NAME", "品名"),
        pick("QUANTITY", "数量"),
        pick("UNIT", "单位"),
        pick("LOT", "批次"),
        pick("EXPIRY", "有效期"),
    ];
    let rows = lines.iter().map(|line| {
        let text = |key: &str| {
            Cell::text(line.get(key).map(|value| describe::field(key, value, &TimeZone::UTC)).unwrap_or_default())
        };
        let quantity = line.get("quantity").map(|value| describe::field("quantity", value, &TimeZone::UTC));
        vec![
            text("line"),
            text("sku"),
            text("name"),
            Cell::number(quantity.unwrap_or_default()),
            text("unit"),
            text("lot"),
            text("expiry"),
        ]
    });
    format!("\n{}", table(screen, &headers, rows.collect()))
}

fn conflicts(shown: &Shown, screen: &Screen, zone: &TimeZone) -> String {
    if shown.conflicts.is_empty() {
        return String::new();
    }
    let rows = shown.conflicts.iter().flat_map(|conflict| {
        conflict.values.iter().enumerate().map(|(nth, candidate)| {
            vec![
                Cell::text(if nth == 0 { conflict.field.as_str() } else { "" }),
                Cell::text(describe::field(&conflict.field, &candidate.value, zone)),
                Cell::text(&candidate.author),
                Cell::text(short(&candidate.edit)).painted(Paint::Dim),
            ]
        })
    });
    let heading = screen
        .heading("Changed by several people at once (set it again to settle it)", "多人同时修改（重新设置即可确定）");
    format!("\n{heading}\n{}", table(screen, &["", "", "", ""], rows.collect()))
}

fn timeline(timeline: &[Entry], screen: &Screen, zone: &TimeZone) -> String {
    let rows = timeline.iter().map(|entry| {
        let label = entry.label.as_ref().map(|label| screen.language.label(label));
        let what = describe::edit(&entry.action, label, entry.detail.as_ref(), screen.language);
        let (remark, paint) = remark(entry, screen);
        let what = if remark.is_empty() { what } else { format!("{what}  [{remark}]") };
        vec![
            Cell::text(local(&entry.at, zone)).painted(if entry.clock_behind || entry.clock_ahead {
                Paint::Yellow
            } else {
                Paint::Plain
            }),
            Cell::text(short(&entry.edit)).painted(Paint::Dim),
            Cell::text(who(&entry.author, entry.by.as_deref())),
            Cell::whole(what).painted(paint),
        ]
    });
    table(screen, &["", "", "", ""], rows.collect())
}

/// What is to be said of an edit beside what it states.
fn remark(entry: &Entry, screen: &Screen) -> (String, Paint) {
    let pick = |en, zh| screen.language.pick(en, zh);
    let why_not = match screen.language {
        Language::Zh => entry.why_not_zh.as_ref().or(entry.why_not.as_ref()),
        Language::En => entry.why_not.as_ref(),
    };
    if let Some(why_not) = why_not {
        return (format!("{} {why_not}", pick("not counted:", "不计：")), Paint::Yellow);
    }
    let mut words = Vec::new();
    let paint = match entry.standing.as_deref() {
        Some("decides") => {
            words.push(pick("decides", "决定状态").to_owned());
            Paint::Green
        }
        Some("superseded") => Paint::Dim,
        Some("outranked") => {
            words.push(pick("outranked", "被更靠后的记录优先").to_owned());
            Paint::Dim
        }
        Some("backfill") => {
            words.push(pick("filled in afterwards", "事后补记").to_owned());
            Paint::Dim
        }
        Some("retracted") => {
            words.push(pick("taken back", "已撤回").to_owned());
            Paint::Yellow
        }
        Some("rejected") => {
            words.push(pick("settled against", "被裁定无效").to_owned());
            Paint::Yellow
        }
        _ => Paint::Plain,
    };
    if !entry.skipped.is_empty() {
        words.push(format!("{} {}", pick("skipped", "跳过"), entry.skipped.join(", ")));
    }
    if entry.clock_behind {
        words.push(pick("clock behind", "时钟落后").to_owned());
    }
    if entry.clock_ahead {
        words.push(pick("clock ahead", "时钟超前").to_owned());
    }
    (words.join(" · "), paint)
}

fn exceptions(shown: &Shown, screen: &Screen) -> String {
    if shown.exceptions.is_empty() {
        return String::new();
    }
    let told: String = shown.exceptions.iter().map(|exception| told(exception, &shown.number, screen)).collect();
    let more: u64 = shown.more.values().sum();
    let more = match more {
        0 => String::new(),
        more => screen
            .language
            .pick("… and {} more like these\n", "……另有 {} 处类似情况\n")
            .replace("{}", &more.to_string()),
    };
    format!("\n{}\n{told}{more}", screen.heading("To be looked at", "需要处理"))
}

fn told(exception: &Exception, number: &str, screen: &Screen) -> String {
    let text = match screen.language {
        Language::Zh if !exception.text_zh.is_empty() => &exception.text_zh,
        _ => &exception.text,
    };
    let told = format!("{} {}\n", screen.paint("!", Paint::Red), clean(text));
    if exception.kind != "contradiction" {
        return told;
    }
    let edits: Vec<_> = exception.edits.iter().map(short).collect();
    // Which of them stands is for a person to say, so the command can't be copied as it is.
    let command = format!("  creel resolve {} --uphold EDIT|none --settle {}", clean(number), edits.join(" "));
    told + &screen.paint(&command, Paint::Dim) + "\n"
}
