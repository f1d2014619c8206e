//! The figures at the end, for a person or a script.

use super::Options;
use super::judge::Verdict;
use super::relay::Carried;
use super::stage::Stage;
use super::story::Story;
use anyhow::Result;
use owo_colors::Style;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Faults told to a person; a script gets them all.
const FAULTS_SHOWN: usize = 10;

/// The traffic between one member and the hub.
#[derive(Debug, Serialize)]
struct Traffic {
    name: String,
    bytes_to_hub: u64,
    bytes_from_hub: u64,
    datagrams_to_hub: u64,
    datagrams_from_hub: u64,
    datagrams_lost: u64,
}

/// The demo's figures.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    made_up: bool,
    seed: u64,
    pub(super) passed: bool,
    participants: usize,
    #[serde(flatten)]
    pub(super) verdict: Verdict,
    contradictions_shown: usize,
    contradictions_settled: usize,
    power_losses: usize,
    waited_for_link: usize,
    link_up_to_hub_ms: u128,
    link_up_to_mark_ms: u128,
    #[serde(rename = "roads")]
    traffic: Vec<Traffic>,
    seconds: f64,
    kept: Option<PathBuf>,
}

impl Summary {
    pub(super) fn of(story: &Story<'_>, verdict: Verdict, options: &Options, took: Duration) -> Self {
        let traffic = story.members.iter().map(|member| {
            let (up, down): (Carried, Carried) = (member.relay.up(), member.relay.down());
            Traffic {
                name: member.node.name.clone(),
                bytes_to_hub: up.bytes,
                bytes_from_hub: down.bytes,
                datagrams_to_hub: up.datagrams,
                datagrams_from_hub: down.datagrams,
                datagrams_lost: up.lost + down.lost,
            }
        });
        let tally = &story.tally;
        // A day on which nothing contradicted would show nothing: the story makes one, and it must be settled.
        let settled = tally.contradictions_shown > 0 && tally.contradictions_settled == tally.contradictions_shown;
        Self {
            made_up: true,
            seed: options.seed,
            passed: verdict.is_good() && settled,
            participants: story.members.len() + 1,
            contradictions_shown: tally.contradictions_shown,
            contradictions_settled: tally.contradictions_settled,
            power_losses: tally.power_losses,
            waited_for_link: tally.waited,
            link_up_to_hub_ms: tally.link_up_to_hub.as_millis(),
            link_up_to_mark_ms: tally.link_up_to_mark.as_millis(),
            traffic: traffic.collect(),
            seconds: (took.as_secs_f64() * 10.0).round() / 10.0,
            kept: options.keep.clone(),
            verdict,
        }
    }

    /// Tells it: JSON if the demo was asked for that.
    pub(super) fn show(&self, stage: &Stage) -> Result<()> {
        if stage.is_silent() {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        let verdict = &self.verdict;
        stage.print("");
        let (word, style) = if self.passed {
            (stage.pick("Nothing is lost, everyone sees the same", "一条不少，各处一致"), Style::new().green().bold())
        } else {
            (stage.pick("FAILED", "未通过"), Style::new().red().bold())
        };
        stage.print(&stage.paint(word, style));
        let row = |en: &str, zh: &str, value: String| stage.print(&format!("  {value:>14}  {}", stage.pick(en, zh)));
        row("edits at the hub", "条记录在中心", verdict.edits.to_string());
        row(
            "acknowledged edits are everywhere they belong",
            "条已确认的记录在所有应在之处",
            format!("{} / {}", verdict.present, verdict.acknowledged),
        );
        row(
            "shipments are the same on every device that has them",
            "张货单在所有持有设备上一致",
            format!("{} / {}", verdict.converged, verdict.shipments),
        );
        row("contradictions shown", "处矛盾已显示", self.contradictions_shown.to_string());
        row("of them settled by a person", "处由人裁定", self.contradictions_settled.to_string());
        row(
            &format!("from link-up until the hub had the {} records that waited", self.waited_for_link),
            &format!("从信号恢复到中心收齐等待中的{}条记录", self.waited_for_link),
            format!("{} ms", self.link_up_to_hub_ms),
        );
        for member in &self.traffic {
            row(
                &format!("bytes to the hub and back: {} ({} datagrams lost)", member.name, member.datagrams_lost),
                &format!("字节往返中心：{}（丢失{}个数据包）", member.name, member.datagrams_lost),
                format!("{} / {}", member.bytes_to_hub, member.bytes_from_hub),
            );
        }
        row("in all", "总用时", format!("{} s", self.seconds));
        for wrong in verdict.wrong.iter().take(FAULTS_SHOWN) {
            stage.print(&format!("  ! {wrong}"));
        }
        if let Some(kept) = &self.kept {
            stage.print(&format!("  {} {}", stage.pick("Stores and logs are in", "数据与日志在"), kept.display()));
        }
        Ok(())
    }
}
