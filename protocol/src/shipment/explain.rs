//! The status and its exceptions in words a shopkeeper understands, in both languages.

use super::effect::Effects;
use super::history::History;
use super::status::{ExceptionKind, Fact, Status};
use super::time;
use super::view::{Exception, who};
use crate::edit::action::Action;
use crate::roster::Roster;
use crate::workflow::{CREATED, Label, Workflow};

/// An exception in words.
pub fn exception(
    kind: ExceptionKind,
    places: &[usize],
    history: &History,
    roster: &Roster,
    workflow: &Workflow,
) -> Exception {
    let edits = places.iter().map(|place| history.events()[*place].edit.id).collect();
    let (en, zh): (Vec<_>, Vec<_>) =
        places.iter().map(|place| told(*place, history, roster, workflow)).map(|label| (label.en, label.zh)).unzip();
    let nth = |words: &[String], place: usize| words.get(place).cloned().unwrap_or_default();
    let (text, text_zh) = match kind {
        ExceptionKind::Contradiction => (
            format!("Both can't be true: {}, and {}. Somebody has to settle it.", nth(&en, 0), nth(&en, 1)),
            format!("两条记录互相矛盾：{}；{}。需要有人裁定。", nth(&zh, 0), nth(&zh, 1)),
        ),
        ExceptionKind::ResolutionDisputed => (
            format!(
                "Settled in two ways at once: {}, and {}. Somebody has to settle it again.",
                nth(&en, 0),
                nth(&en, 1)
            ),
            format!("同时有两个不同的裁定：{}；{}。需要重新裁定。", nth(&zh, 0), nth(&zh, 1)),
        ),
        ExceptionKind::ResolutionOnRetracted => (
            format!("{}, but the record it upholds was taken back: {}.", nth(&en, 1), nth(&en, 0)),
            format!("{}，但它所维持的记录已被撤回：{}。", nth(&zh, 1), nth(&zh, 0)),
        ),
        ExceptionKind::RetractedAfterUse => (
            format!("Taken back after it was built on: {}; then {}.", nth(&en, 0), nth(&en, 2)),
            format!("记录在被后续记录引用之后撤回：{}；之后 {}。", nth(&zh, 0), nth(&zh, 2)),
        ),
        ExceptionKind::NumberTwice => (
            "This number was opened twice: two shipments carry it.".to_owned(),
            "同一个单号开了两次：有两票货使用它。".to_owned(),
        ),
    };
    Exception { kind, edits, text, text_zh }
}

/// One event in words, without a full stop.
fn told(place: usize, history: &History, roster: &Roster, workflow: &Workflow) -> Label {
    let event = &history.events()[place];
    let who = who(event, roster);
    let at = time::rfc3339_at(event.edit.statement.at);
    let at = at.get(..16).unwrap_or(&at).replace('T', " ");
    match &event.action {
        Ok(Action::Record(record)) => {
            let step = label(workflow, &record.step);
            let said = |text: &Option<String>, before: &str| {
                text.as_ref().map_or_else(String::new, |text| format!("{before}{text}"))
            };
            let en = said(&record.receiver, ", received by ") + &said(&record.reason, ", because: ");
            let zh = said(&record.receiver, "，签收人 ") + &said(&record.reason, "，原因：");
            Label {
                en: format!("{who} recorded “{}”{en} ({at} UTC by their clock)", step.en),
                zh: format!("{who} 记录了“{}”{zh}（其时钟 {at} UTC）", step.zh),
            }
        }
        Ok(Action::Resolve(resolve)) => {
            let upheld = resolve.uphold.and_then(|id| history.place(&id)).and_then(|place| {
                match &history.events()[place].action {
                    Ok(Action::Record(record)) => Some(label(workflow, &record.step)),
                    _ => None,
                }
            });
            match upheld {
                Some(step) => Label {
                    en: format!("{who} settled it for “{}” ({at} UTC by their clock)", step.en),
                    zh: format!("{who} 裁定“{}”有效（其时钟 {at} UTC）", step.zh),
                },
                None => Label {
                    en: format!("{who} settled it for none of them ({at} UTC by their clock)"),
                    zh: format!("{who} 裁定均无效（其时钟 {at} UTC）"),
                },
            }
        }
        _ => Label { en: format!("{who} ({at} UTC by their clock)"), zh: format!("{who}（其时钟 {at} UTC）") },
    }
}

fn label(workflow: &Workflow, key: &str) -> Label {
    workflow.step(key).map_or_else(|| Label { zh: key.to_owned(), en: key.to_owned() }, |step| step.label.clone())
}

/// Why the status is what it is, a sentence each.
pub fn why(history: &History, effects: &Effects, roster: &Roster) -> Vec<Label> {
    let Some(workflow) = &effects.workflow else {
        return vec![Label {
            en: "This shipment was not opened by anybody who may, so nothing about it counts.".to_owned(),
            zh: "这票货不是由有权限的人创建的，因此没有任何记录有效。".to_owned(),
        }];
    };
    let status = Status::of(history, effects, workflow);
    let told = |fact: &Fact<'_>| told(fact.place, history, roster, workflow);
    let mut sentences = Vec::new();
    let Some(decided_by) = status.decided_by else {
        let created = label(workflow, CREATED);
        sentences.push(Label {
            en: format!("The status is “{}”: no record that stands says more.", created.en),
            zh: format!("当前状态为“{}”：没有其他有效记录。", created.zh),
        });
        return conclude(sentences, history, effects, roster, workflow, &status);
    };
    let decisive = &status.facts[decided_by];
    let (step, words) = (&decisive.step.label, told(decisive));
    sentences.push(Label {
        en: format!("The status is “{}”, because {}.", step.en, words.en),
        zh: format!("当前状态为“{}”，依据：{}。", step.zh, words.zh),
    });
    for (index, fact) in status.facts.iter().enumerate() {
        let words = told(fact);
        let sentence = if index == decided_by {
            continue;
        } else if fact.retracted {
            Label {
                en: format!("Not counted, because it was taken back: {}.", words.en),
                zh: format!("已撤回，不计：{}。", words.zh),
            }
        } else if fact.rejected {
            Label {
                en: format!("Not counted, because somebody settled against it: {}.", words.en),
                zh: format!("已被裁定无效，不计：{}。", words.zh),
            }
        } else if decisive.supersedes.contains(index) {
            Label {
                en: format!(
                    "It took the place of an earlier record that its author, or somebody before, knew of: {}.",
                    words.en
                ),
                zh: format!("它取代了此前已知的记录：{}。", words.zh),
            }
        } else if status.superseded(index) {
            Label {
                en: format!("Another record had taken this one's place already: {}.", words.en),
                zh: format!("已被其他记录取代：{}。", words.zh),
            }
        } else if history.knew(fact.place, decisive.place) {
            Label {
                en: format!("Filled in afterwards, which moves nothing: {}.", words.en),
                zh: format!("事后补记，不改变状态：{}。", words.zh),
            }
        } else {
            Label {
                en: format!(
                    "Recorded without knowing of each other; “{}” is further along than this: {}.",
                    step.en, words.en
                ),
                zh: format!("互不知情时记录；“{}”更靠后，优先于：{}。", step.zh, words.zh),
            }
        };
        sentences.push(sentence);
    }
    conclude(sentences, history, effects, roster, workflow, &status)
}

fn conclude(
    mut sentences: Vec<Label>,
    history: &History,
    effects: &Effects,
    roster: &Roster,
    workflow: &Workflow,
    status: &Status<'_>,
) -> Vec<Label> {
    for (place, verdict) in effects.verdicts.iter().enumerate() {
        if let Err(void) = verdict {
            let words = told(place, history, roster, workflow);
            sentences.push(Label {
                en: format!("Not counted, because {void}: {}.", words.en),
                zh: format!("不计（{void}）：{}。", words.zh),
            });
        }
    }
    for (kind, places) in &status.exceptions {
        let exception = exception(*kind, places, history, roster, workflow);
        sentences.push(Label { en: exception.text, zh: exception.text_zh });
    }
    sentences
}
