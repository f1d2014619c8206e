//! The status and its exceptions in words a shopkeeper understands, in both languages.

use creel_protocol::core::io::NumberTwice;
use creel_protocol::id::EditId;
use creel_protocol::proof::{ExportError, Proven};
use creel_protocol::shipment::ExceptionKind;
use creel_protocol::shipment::time::quantity;
use creel_protocol::shipment::view::{Exception, NO_STATUS, Standing, TimelineEntry, View};
use creel_protocol::workflow::{CREATED, Label, Workflow};
use serde_json::Value;
use std::collections::HashMap;

/// The colour of a status that no workflow gives one.
const PLAIN_COLOUR: &str = "#6e7781";
/// Records of the other side that a contradicted proof tells of.
const TOLD_MAX: usize = 3;

fn both(zh: impl Into<String>, en: impl Into<String>) -> Label {
    Label { zh: zh.into(), en: en.into() }
}

/// A status for people, and its colour.
pub fn status(key: &str, workflow: Option<&Workflow>) -> (Label, String) {
    match workflow.and_then(|workflow| workflow.step(key)) {
        Some(step) => (step.label.clone(), step.colour.clone()),
        None if key == NO_STATUS => (both("无效", "Not valid"), PLAIN_COLOUR.to_owned()),
        None => (both(key, key), PLAIN_COLOUR.to_owned()),
    }
}

/// Why an edit does not count, by its code.
pub fn why_not(code: &str) -> Label {
    match code {
        "unknown_action" => {
            both("由更新版本的 creel 记录：请升级此设备", "made by a newer creel: update this device to see it")
        }
        "malformed" => both("内容格式有误", "its content is malformed"),
        "not_its_id" => both("所用货单编号不属于它", "it opens a shipment under an id that is not its own"),
        "unknown_kind" => both("此设备不认识这种单据", "it opens a kind of document that this device does not know"),
        "unknown_workflow" => both("记录时所用流程尚未发布", "its workflow was not published when it was made"),
        "no_open" => both("记录时不知道这票货的创建", "it does not know the shipment it speaks of"),
        "no_step" => both("流程中没有这一步", "its step is none of the workflow's"),
        "role" => both("此角色无权这样做", "its author's role may not do that"),
        "field" => both("有字段不合要求", "one of its fields is not of its form"),
        "target" => {
            both("所指的记录不存在或类型不符", "it names an edit that its author did not know, or of the wrong kind")
        }
        "not_own" => both("只能撤回自己设备的记录", "only the device that wrote something can take it back"),
        "evidence" => both("缺少这一步所需的凭证", "it lacks evidence that its step needs"),
        "repeat" => both("重复提交，已记录过", "it repeats a tap that was recorded already"),
        "limit" => both("同一设备的记录已超过上限", "its device has made more edits to this shipment than count"),
        _ => both("不计", "it does not count"),
    }
}

/// Tells of a shipment's edits.
pub struct Teller<'a> {
    entries: HashMap<EditId, &'a TimelineEntry>,
    workflow: Option<&'a Workflow>,
}

impl<'a> Teller<'a> {
    /// Of these edits.
    pub fn new(entries: &'a [TimelineEntry], workflow: Option<&'a Workflow>) -> Self {
        Self { entries: entries.iter().map(|entry| (entry.edit, entry)).collect(), workflow }
    }

    /// An exception in words.
    pub fn exception(&self, exception: &Exception) -> Label {
        let told: Vec<Label> = exception.edits.iter().map(|edit| self.edit(edit)).collect();
        let nth = |place: usize| told.get(place).cloned().unwrap_or_else(|| both("", ""));
        let (one, other, third) = (nth(0), nth(1), nth(2));
        match exception.kind {
            ExceptionKind::Contradiction => both(
                format!("两条记录互相矛盾：{}；{}。需要有人裁定。", one.zh, other.zh),
                format!("Both can't be true: {}, and {}. Somebody has to settle it.", one.en, other.en),
            ),
            ExceptionKind::ResolutionDisputed => both(
                format!("同时有两个不同的裁定：{}；{}。需要重新裁定。", one.zh, other.zh),
                format!("Settled in two ways at once: {}, and {}. Somebody has to settle it again.", one.en, other.en),
            ),
            ExceptionKind::ResolutionOnRetracted => both(
                format!("{}，但它所维持的记录已被撤回或不计：{}。", other.zh, one.zh),
                format!("{}, but the record it upholds was taken back or does not count: {}.", other.en, one.en),
            ),
            ExceptionKind::RetractedAfterUse => {
                let more = exception.edits.len().saturating_sub(3);
                let (more_zh, more_en) = match more {
                    0 => (String::new(), String::new()),
                    1 => ("，另有 1 条".to_owned(), ", and one more".to_owned()),
                    more => (format!("，另有 {more} 条"), format!(", and {more} more")),
                };
                both(
                    format!("记录在被后续记录引用之后撤回：{}；之后 {}{more_zh}。", one.zh, third.zh),
                    format!("Taken back after it was built on: {}; then {}{more_en}.", one.en, third.en),
                )
            }
            ExceptionKind::EvidenceCut => both(
                format!("{}，但所依据的测量值已不被承认：{}。", one.zh, other.zh),
                format!("{}, but the measured value it stands on is not accepted any more: {}.", one.en, other.en),
            ),
            ExceptionKind::NumberTwice => {
                both("这个单号开了两次：有两票货使用它。", "This number was opened twice: two shipments carry it.")
            }
        }
    }

    /// One edit in words, without a full stop.
    pub fn edit(&self, edit: &EditId) -> Label {
        match self.entries.get(edit) {
            Some(entry) => self.entry(entry),
            None => both(format!("记录 {}", edit.short()), format!("edit {}", edit.short())),
        }
    }

    fn entry(&self, entry: &TimelineEntry) -> Label {
        let who = match &entry.by {
            Some(by) => format!("{by} ({})", entry.author),
            None => entry.author.clone(),
        };
        let at = entry.at.get(..16).unwrap_or(&entry.at).replace('T', " ");
        let (when_zh, when_en) = (format!("（其时钟 {at} UTC）"), format!(" ({at} UTC by their clock)"));
        let said = |field: &str, before: &str| {
            let text = entry.detail.as_ref().and_then(|detail| detail.get(field)).and_then(Value::as_str);
            text.map_or_else(String::new, |text| format!("{before}{text}"))
        };
        match entry.action {
            "record" => {
                let step = self.label(entry.step.as_deref().unwrap_or_default());
                let en = said("receiver", ", received by ") + &said("reason", ", because: ");
                let zh = said("receiver", "，签收人 ") + &said("reason", "，原因：");
                both(
                    format!("{who} 记录了“{}”{zh}{when_zh}", step.zh),
                    format!("{who} recorded “{}”{en}{when_en}", step.en),
                )
            }
            "measure" => {
                let value = entry.detail.as_ref().and_then(|detail| detail.get("value")).and_then(Value::as_i64);
                let value = value.map(quantity).unwrap_or_default() + &said("unit", " ");
                let what = said("quantity", "");
                both(format!("{who} 测得 {what} {value}{when_zh}"), format!("{who} measured {what} {value}{when_en}"))
            }
            "resolve" => match self.upheld(entry) {
                Some(step) => both(
                    format!("{who} 裁定“{}”有效{when_zh}", step.zh),
                    format!("{who} settled it for “{}”{when_en}", step.en),
                ),
                None => {
                    both(format!("{who} 裁定均无效{when_zh}"), format!("{who} settled it for none of them{when_en}"))
                }
            },
            _ => both(format!("{who}{when_zh}"), format!("{who}{when_en}")),
        }
    }

    fn upheld(&self, resolve: &TimelineEntry) -> Option<Label> {
        let upheld = EditId::parse(resolve.detail.as_ref()?.get("uphold")?.as_str()?).ok()?;
        Some(self.label(self.entries.get(&upheld)?.step.as_deref()?))
    }

    /// A step's name for people.
    pub fn label(&self, key: &str) -> Label {
        let step = self.workflow.and_then(|workflow| workflow.step(key));
        step.map_or_else(|| both(key, key), |step| step.label.clone())
    }
}

/// Several shipments of one number, in words.
pub fn number_twice(number: &str, twice: &NumberTwice) -> Label {
    let ids: Vec<_> = twice.shipments.iter().map(ToString::to_string).collect();
    let (more_zh, more_en) = match twice.more {
        0 => (String::new(), String::new()),
        more => (format!("，另有 {more} 票"), format!(", and {more} more")),
    };
    both(
        format!("单号 {number} 被开了不止一次：{}{more_zh}。", ids.join("、")),
        format!("The number {number} was opened more than once: {}{more_en}.", ids.join(", ")),
    )
}

/// Why the status is what it is, a sentence each: the first is the answer.
pub fn why(view: &View, workflow: Option<&Workflow>) -> Vec<Label> {
    let teller = Teller::new(&view.timeline, workflow);
    let mut sentences = Vec::new();
    if view.status == NO_STATUS {
        sentences.push(both(
            "这票货不是由有权限的人创建的，因此没有任何记录有效。",
            "This shipment was not opened by anybody who may, so nothing about it counts.",
        ));
    } else {
        sentences.push(decision(view, &teller));
    }
    sentences.extend(view.timeline.iter().filter_map(|entry| standing(view, entry, &teller)));
    for entry in view.timeline.iter().filter(|entry| !entry.counted) {
        let (words, void) = (teller.edit(&entry.edit), why_not(entry.why_not.unwrap_or_default()));
        sentences.push(both(
            format!("不计（{}）：{}。", void.zh, words.zh),
            format!("Not counted, because {}: {}.", void.en, words.en),
        ));
    }
    let left_out: u64 = view.void_more.values().sum();
    if left_out > 0 {
        sentences
            .push(both(format!("另有 {left_out} 条不计的记录。"), format!("{left_out} more edits are not counted.")));
    }
    sentences.extend(view.exceptions.iter().map(|exception| teller.exception(exception)));
    let more: u64 = view.exceptions_more.values().sum();
    if more > 0 {
        sentences.push(both(format!("另有 {more} 处类似情况。"), format!("There are {more} more like these.")));
    }
    sentences
}

fn decision(view: &View, teller: &Teller<'_>) -> Label {
    let decides = view.timeline.iter().find(|entry| entry.standing == Some(Standing::Decides));
    let Some(decides) = decides else {
        let created = teller.label(CREATED);
        return both(
            format!("当前状态为“{}”：没有其他有效记录。", created.zh),
            format!("The status is “{}”: no record that stands says more.", created.en),
        );
    };
    let (step, words) = (teller.label(&view.status), teller.edit(&decides.edit));
    both(
        format!("当前状态为“{}”，依据：{}。", step.zh, words.zh),
        format!("The status is “{}”, because {}.", step.en, words.en),
    )
}

fn standing(view: &View, entry: &TimelineEntry, teller: &Teller<'_>) -> Option<Label> {
    let words = teller.edit(&entry.edit);
    Some(match entry.standing? {
        Standing::Decides => return None,
        Standing::Retracted => both(
            format!("已撤回，不计：{}。", words.zh),
            format!("Not counted, because it was taken back: {}.", words.en),
        ),
        Standing::Rejected => both(
            format!("已被裁定无效，不计：{}。", words.zh),
            format!("Not counted, because somebody settled against it: {}.", words.en),
        ),
        Standing::Superseded => both(
            format!("已被之后知情的记录取代：{}。", words.zh),
            format!("A later record, whose author knew of this one, took its place: {}.", words.en),
        ),
        Standing::Backfill => both(
            format!("事后补记，不改变状态：{}。", words.zh),
            format!("Filled in afterwards, which moves nothing: {}.", words.en),
        ),
        Standing::Outranked => {
            let step = teller.label(&view.status);
            both(
                format!("“{}”更靠后，优先于：{}。", step.zh, words.zh),
                format!("“{}” is further along than this: {}.", step.en, words.en),
            )
        }
    })
}

/// Why nothing is proven of a shipment, or not without a choice.
pub fn unproven(why: &ExportError, view: &View, workflow: Option<&Workflow>) -> Label {
    match why {
        ExportError::Nothing => both(
            "这票货还没有有效的记录，没有可以证明的内容。",
            "No record of this shipment stands yet, so there is nothing to prove.",
        ),
        ExportError::NoRecord(edit) => both(
            format!("{} 不是这票货的有效记录，无法证明。", edit.short()),
            format!("Edit {} is no record of this shipment that counts: take one from its history.", edit.short()),
        ),
        ExportError::Contradicted { record, by } => {
            let teller = Teller::new(&view.timeline, workflow);
            let others: Vec<Label> = by.iter().take(TOLD_MAX).map(|edit| teller.edit(edit)).collect();
            let all = |of: fn(&Label) -> &str, between: &str| others.iter().map(of).collect::<Vec<_>>().join(between);
            let (zh, en) = (all(|label| &label.zh, "；"), all(|label| &label.en, ", and "));
            let record = teller.edit(record);
            both(
                format!("要证明的记录有争议：{}；与之矛盾：{zh}。请先裁定，或选定要证明的一方。", record.zh),
                format!(
                    "What would be proven is contradicted: {}, against {en}. Settle it first, or choose the record that is to be proven.",
                    record.en
                ),
            )
        }
        ExportError::Lost => {
            both("此设备的成员名册缺少记录者，无法证明。", "The roster kept here does not hold the record's author.")
        }
    }
}

/// What a proof of so many bytes shows.
pub fn proven(proven: &Proven, bytes: usize) -> Label {
    let (number, record) = (&proven.number, &proven.record);
    let (step, author, at) = (&record.step, &record.author, &record.at);
    let plain = both(
        format!("有效：“{author}”为 {number} 签署了“{step}”，其设备时间为 {at}。共校验 {bytes} 字节。"),
        format!("Valid: “{author}” signed “{step}” for {number}; its clock said {at}. {bytes} bytes were checked."),
    );
    let Some(signature) = &proven.signature else { return plain };
    let receiver = signature.receiver.clone().unwrap_or_default();
    let (zh, en) = if proven.signature_known == Some(true) {
        ("该记录知道此签收", "the record was made with knowledge of it")
    } else {
        ("该记录是否知道此签收未经证明", "whether the record was made with knowledge of it is unproven")
    };
    let (author, at) = (&signature.author, &signature.at);
    both(
        format!("{}另含签收：“{author}”，签收人 {receiver}，设备时间 {at}（{zh}）。", plain.zh),
        format!("{} It also holds the signature: “{author}”, received by {receiver}, clock {at} ({en}).", plain.en),
    )
}
