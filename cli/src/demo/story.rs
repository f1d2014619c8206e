//! The made-up day: who does what, where the network is cut and the battery is pulled.

use super::day::{MADE_UP, Random};
use super::firm::{Firm, Member, converged};
use super::judge::{HUB, Judge, Verdict};
use super::node::eventually;
use super::relay::Conditions;
use super::stage::{Glimpse, Stage};
use crate::import::Order;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Shipments of the day.
pub(super) const SHIPMENTS: usize = 80;
/// The day. It is fixed, so that a seed is the same day for everybody.
pub(super) const DAY: &str = "2026-06-01";
/// How long anything awaited may take before the demo says that it failed.
const LIMIT: Duration = Duration::from_secs(45);
/// The network of a phone in a moving car.
const MOBILE: Conditions =
    Conditions { delay_ms: 25, loss_ppm: 5_000, reorder_ppm: 2_000, duplicate_ppm: 1_000, rate_bits_s: 4_000_000 };
/// A shop's own line.
const LINE: Conditions =
    Conditions { delay_ms: 8, loss_ppm: 500, reorder_ppm: 0, duplicate_ppm: 0, rate_bits_s: 20_000_000 };
const DISPATCHER: &str = "陈静 Chen Jing";
const RECEIVERS: [&str; 5] = ["王丽 Wang Li", "老陈 Old Chen", "周强 Zhou Qiang", "孙梅 Sun Mei", "何伟 He Wei"];
/// The members: role, party, device, and what they are called. The places of two of them in this list stand below.
const MEMBERS: [(&str, &str, &str, &str); 4] = [
    ("driver", "driver:li-wei", "li-wei", "李伟 Li Wei"),
    ("driver", "driver:zhang-min", "zhang-min", "张敏 Zhang Min"),
    ("shop", "shop:west-lake", "west-lake", "西湖渔具店 West Lake Tackle"),
    ("shop", "shop:east-gate", "east-gate", "东门渔具店 East Gate Tackle"),
];
/// Of five stops, the one where nobody opens.
const FAILED_TURN: usize = 2;
const LI_WEI: usize = 0;
const ZHANG_MIN: usize = 1;
const SHOPS: [usize; 2] = [2, 3];

/// What the day came to, beside the verdict.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) contradictions_shown: usize,
    pub(super) contradictions_settled: usize,
    pub(super) power_losses: usize,
    /// Edits of the driver that waited when the link came back.
    pub(super) waited: usize,
    /// From then until the hub had all of them.
    pub(super) link_up_to_hub: Duration,
    /// From then until the driver knew that.
    pub(super) link_up_to_mark: Duration,
}

/// The day under way.
pub(super) struct Story<'a> {
    pub(super) firm: Firm,
    pub(super) members: Vec<Member>,
    pub(super) judge: Judge,
    pub(super) tally: Tally,
    stage: &'a mut Stage,
    orders: Vec<Order>,
    random: Random,
}

impl<'a> Story<'a> {
    pub(super) fn begin(firm: Firm, stage: &'a mut Stage, seed: u64, orders: Vec<Order>) -> Result<Self> {
        let mut members = Vec::new();
        for (role, party, name, called) in MEMBERS {
            let member = firm.admit_as(role, Some(party), name, called)?;
            let network = if role == "driver" { MOBILE } else { LINE };
            member.relay.set(network, network);
            members.push(member);
        }
        let (judge, tally) = (Judge::default(), Tally::default());
        Ok(Self { firm, members, judge, tally, stage, orders, random: Random::new(seed) })
    }

    /// Until the drivers have left.
    pub(super) fn morning(&mut self) -> Result<()> {
        self.turn()?;
        self.orders_come_in()?;
        self.drivers_load()
    }

    /// The whole day.
    pub(super) fn play(&mut self) -> Result<Verdict> {
        self.morning()?;
        let (li_wei, zhang_min) = (self.first_run(LI_WEI), self.first_run(ZHANG_MIN));
        let (connected, offline) = li_wei.split_at(li_wei.len().min(2));
        let (while_loading, later) = zhang_min.split_at(zhang_min.len().min(2));
        self.stage.tell(
            "Both drivers deliver; every record is at the hub within moments.",
            "两位司机开始送货，记录随即到达中心。",
        );
        self.deliver(LI_WEI, connected)?;
        self.deliver(ZHANG_MIN, while_loading)?;
        self.all_at_hub(LI_WEI)?;
        self.turn()?;

        let before = self.judge.acknowledged().len();
        self.members[LI_WEI].relay.cut(true);
        self.stage.tell("Li Wei drives into the hills and loses signal. He works on.", "李伟进山失去信号，照常工作。");
        self.turn()?;
        let (first, rest) = offline.split_at(offline.len() / 2);
        self.deliver(LI_WEI, first)?;
        self.turn()?;
        let contradicted = self.to_contradict(first)?;
        self.the_office_works(&contradicted, later)?;
        self.power_goes(rest)?;
        self.link_returns(before)?;
        self.settle()
    }

    fn orders_come_in(&mut self) -> Result<()> {
        let story = format!("The hub takes in {SHIPMENTS} orders of a made-up day.");
        self.stage.tell(&story, &format!("中心导入虚构一天的{SHIPMENTS}张订单。"));
        let without_driver: Vec<Order> = self
            .orders
            .iter()
            .cloned()
            .map(|mut order| {
                order.fields.driver = None;
                order
            })
            .collect();
        self.firm.import(&mut self.judge, &without_driver)?;
        self.turn()?;
        self.stage.tell("The dispatcher gives each shipment to a driver.", "调度员把货单分配给司机。");
        for (_, party, ..) in &MEMBERS[..2] {
            let theirs: Vec<_> = self
                .orders
                .iter()
                .filter(|order| order.fields.driver.as_deref() == Some(*party))
                .map(|order| &order.number)
                .collect();
            let body = json!({ "shipments": theirs, "by": DISPATCHER, "fields": { "driver": party } });
            self.firm.act(&mut self.judge, &self.firm.hub, "/plans", &body)?;
        }
        for order in &self.orders {
            let parties = order.fields.driver.iter().chain(order.fields.parties.values());
            let holders = parties.filter_map(|party| MEMBERS.iter().find(|(_, of, ..)| of == party));
            self.judge.expect(&order.number, holders.map(|(_, _, name, _)| (*name).to_owned()));
        }
        for member in 0..self.members.len() {
            let name = self.members[member].node.name.clone();
            let expected = self.judge.expected_at(&name);
            self.until(&format!("{name} to hold its {expected} shipments"), |story| {
                let rows = story.members[member].node.api()?.get("/shipments")?;
                Ok(rows.as_array().is_some_and(|rows| rows.len() == expected))
            })?;
        }
        self.turn()
    }

    fn drivers_load(&mut self) -> Result<()> {
        self.stage.tell("The drivers load their vans and set out.", "司机装车出发。");
        for driver in [LI_WEI, ZHANG_MIN] {
            let all = self.of_driver(driver);
            let run = self.first_run(driver);
            for (step, shipments) in [("picked_up", &all), ("out_for_delivery", &run)] {
                let body = json!({ "shipments": shipments, "record": { "step": step } });
                self.act(driver, "/records", &body)?;
            }
        }
        [LI_WEI, ZHANG_MIN].into_iter().try_for_each(|driver| self.all_at_hub(driver))?;
        self.turn()
    }

    /// A driver's stops, each with the evidence that its turn brings.
    fn deliver(&mut self, driver: usize, stops: &[String]) -> Result<()> {
        for (count, number) in stops.iter().enumerate() {
            let record = match count % 5 {
                FAILED_TURN => json!({ "step": "attempt_failed", "reason": "没人 nobody there" }),
                1 => self.signed_with_a_short_line(number),
                3 => self.signed_with_a_photo(driver)?,
                _ => self.signed(),
            };
            self.act(driver, "/records", &json!({ "shipments": [number], "record": record }))?;
            self.refresh();
        }
        Ok(())
    }

    fn signed(&mut self) -> Value {
        let receiver = *self.random.pick(&RECEIVERS);
        let signature = data_encoding::BASE64.encode(self.drawn_signature().as_bytes());
        json!({ "step": "signed", "receiver": receiver, "signed_as": "recipient", "signature": signature })
    }

    fn signed_with_a_short_line(&mut self, number: &str) -> Value {
        let mut record = self.signed();
        record["lines"] = json!([self.one_short(number)]);
        record
    }

    fn signed_with_a_photo(&mut self, driver: usize) -> Result<Value> {
        let photo = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"320\" height=\"240\"><text x=\"20\" y=\"120\">{MADE_UP} {}</text></svg>",
            self.random.next()
        );
        let kept = self.members[driver].node.api()?.post_bytes("/photos", &self.firm.tap(), photo.as_bytes())?;
        let mut record = self.signed();
        record["photos"] = json!([kept["hash"]]);
        Ok(record)
    }

    /// The first line of an order, counted: one unit is missing.
    fn one_short(&self, number: &str) -> Value {
        let order = self.orders.iter().find(|order| order.number == number);
        let line = order.and_then(|order| order.lines.first());
        let ordered = line.and_then(|line| line.quantity).unwrap_or(1_000);
        let short = ordered.min(1_000);
        json!({ "line": line.map(|line| &line.line), "received": ordered - short, "short": short })
    }

    fn drawn_signature(&mut self) -> String {
        let strokes: Vec<_> = (1..24).map(|x| format!(" L{} {}", 10 + x * 8, 20 + self.random.below(60))).collect();
        let path = format!("M10 60{}", strokes.concat());
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 210 100\"><path d=\"{path}\" fill=\"none\" stroke=\"black\"/></svg>"
        )
    }

    /// Of shipments that were just delivered one that was signed, and that a shop sees too if there is one.
    fn to_contradict(&self, delivered: &[String]) -> Result<String> {
        let signed =
            || delivered.iter().enumerate().filter(|(count, _)| count % 5 != FAILED_TURN).map(|(_, number)| number);
        let seen = signed().find(|number| SHOPS.iter().any(|shop| self.is_for(number, MEMBERS[*shop].1)));
        seen.or_else(|| signed().next()).cloned().context("the driver has stops enough")
    }

    /// Meanwhile, where there is signal.
    fn the_office_works(&mut self, contradicted: &str, zhang_min: &[String]) -> Result<()> {
        self.stage.tell(
            &format!(
                "Meanwhile the dispatcher cancels {contradicted}, which Li Wei has just handed over, out of reach."
            ),
            &format!("与此同时，调度员取消了{contradicted}，而李伟在无信号处刚刚交付了它。"),
        );
        let cancel = json!({ "step": "cancelled", "reason": "店家来电取消 the shop called", "note": MADE_UP });
        let body = json!({ "shipments": [contradicted], "by": DISPATCHER, "record": cancel });
        self.firm.act(&mut self.judge, &self.firm.hub, "/records", &body)?;
        self.deliver(ZHANG_MIN, zhang_min)?;
        self.turn()?;
        self.stage
            .tell("The shops count what Zhang Min brought; one thing is missing.", "门店清点张敏送来的货，少了一件。");
        let delivered: Vec<_> = self.first_run(ZHANG_MIN);
        for shop in SHOPS {
            let for_shop = delivered.iter().find(|number| self.is_for(number, MEMBERS[shop].1)).cloned();
            let Some(number) = for_shop else { continue };
            self.until(&format!("{} to see the delivery of {number}", MEMBERS[shop].2), |story| {
                let shown = story.members[shop].node.api()?.get(&format!("/shipments/{number}"))?;
                Ok(shown["status"] != "out_for_delivery")
            })?;
            let record = json!({ "step": "received", "lines": [self.one_short(&number)] });
            self.act(shop, "/records", &json!({ "shipments": [number], "record": record }))?;
        }
        self.turn()
    }

    fn power_goes(&mut self, rest: &[String]) -> Result<()> {
        let (last, afterwards) = rest.split_at(rest.len().min(1));
        self.deliver(LI_WEI, last)?;
        self.members[LI_WEI].node.pull_battery();
        self.tally.power_losses += 1;
        self.stage
            .tell("Right after a ✓, Li Wei's battery dies (SIGKILL).", "刚显示✓，李伟的手机就断电了（SIGKILL）。");
        self.turn()?;
        self.members[LI_WEI].node.start(&["--quic", "127.0.0.1:0"])?;
        self.stage.tell(
            "Power is back, signal is not. Nothing is lost; he goes on.",
            "重新开机，仍无信号。记录一条不少，继续工作。",
        );
        self.deliver(LI_WEI, afterwards)?;
        self.turn()
    }

    /// The link is back: how long until the hub has what waited?
    fn link_returns(&mut self, before: usize) -> Result<()> {
        let made_since = self.judge.acknowledged()[before..].iter();
        let mut missing: Vec<_> = made_since.filter(|made| made.node == MEMBERS[LI_WEI].2).cloned().collect();
        self.tally.waited = missing.len();
        self.members[LI_WEI].relay.cut(false);
        let began = Instant::now();
        self.until("the hub to have what waited", |story| {
            let hub = story.firm.hub.api()?;
            // One shipment a look: the one that is still missing, so that a look is quick.
            while let Some(made) = missing.last() {
                let history = hub.get(&format!("/shipments/{}/history", made.number))?;
                if history.as_array().is_none_or(|rows| rows.iter().all(|row| row["edit"] != made.edit.as_str())) {
                    return Ok(false);
                }
                missing.pop();
            }
            Ok(true)
        })?;
        self.tally.link_up_to_hub = began.elapsed();
        self.all_at_hub(LI_WEI)?;
        self.tally.link_up_to_mark = began.elapsed();
        let (waited, took) = (self.tally.waited, self.tally.link_up_to_hub.as_millis());
        self.stage.tell(
            &format!("Signal again. All {waited} records are at the hub after {took} ms."),
            &format!("信号恢复。{waited}条记录在{took}毫秒后全部到达中心。"),
        );
        self.turn()
    }

    /// A person settles what contradicts; then the judge judges.
    fn settle(&mut self) -> Result<Verdict> {
        let apis = self.firm.apis(&self.members)?;
        let verdict = converged(&self.judge, &apis, LIMIT)?;
        self.tally.contradictions_shown = verdict.contradictions.len();
        for (number, edits) in &verdict.contradictions {
            self.stage.tell(
                &format!("Everyone who has {number} sees: signed here, cancelled there. The dispatcher upholds the signature."),
                &format!("凡持有{number}者都看到：一边已签收，一边已取消。调度员认定签收有效。"),
            );
            self.turn()?;
            let history = self.firm.hub.api()?.get(&format!("/shipments/{number}/history"))?;
            let rows = history.as_array().cloned().unwrap_or_default();
            let signed = rows
                .iter()
                .find(|row| row["step"] == "signed" && edits.iter().any(|edit| row["edit"] == edit.as_str()));
            let body = json!({
                "shipment": number, "by": DISPATCHER, "settle": edits, "uphold": signed.map(|row| &row["edit"]),
                "note": "店家已收货 the shop has the goods",
            });
            self.firm.act(&mut self.judge, &self.firm.hub, "/resolutions", &body)?;
        }
        let verdict = converged(&self.judge, &apis, LIMIT)?;
        self.tally.contradictions_settled = self.tally.contradictions_shown - verdict.contradictions.len();
        self.turn()?;
        Ok(verdict)
    }

    fn act(&mut self, member: usize, path: &str, body: &Value) -> Result<Value> {
        self.firm.act(&mut self.judge, &self.members[member].node, path, body)
    }

    fn of_driver(&self, driver: usize) -> Vec<String> {
        let theirs = self.orders.iter().filter(|order| order.fields.driver.as_deref() == Some(MEMBERS[driver].1));
        theirs.map(|order| order.number.clone()).collect()
    }

    /// The shipments of a driver's first run, in the order of its stops.
    fn first_run(&self, driver: usize) -> Vec<String> {
        let run = format!("{}-1", MEMBERS[driver].2);
        let stops: BTreeMap<_, _> = self
            .orders
            .iter()
            .filter(|order| order.fields.run.as_ref() == Some(&run))
            .map(|order| (order.fields.stop, order.number.clone()))
            .collect();
        stops.into_values().collect()
    }

    fn is_for(&self, number: &str, party: &str) -> bool {
        let order = self.orders.iter().find(|order| order.number == number);
        order.is_some_and(|order| order.fields.parties.values().any(|of| of == party))
    }

    /// Waits until the hub is known to have everything of a member.
    fn all_at_hub(&mut self, member: usize) -> Result<()> {
        self.until("every record to be at the hub", |story| {
            Ok(story.members[member].node.api()?.get("/status")?["waiting"] == 0)
        })
    }

    fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> Result<bool>) -> Result<()> {
        eventually(what, LIMIT, || {
            let so = is_so(self)?.then_some(());
            self.refresh();
            Ok(so)
        })
    }

    fn refresh(&mut self) {
        self.stage.refresh(&glimpses(&self.firm, &self.members));
    }

    fn turn(&mut self) -> Result<()> {
        self.stage.turn(&glimpses(&self.firm, &self.members))
    }
}

fn glimpses<'a>(firm: &'a Firm, members: &'a [Member]) -> Vec<Glimpse<'a>> {
    let hub = Glimpse { name: HUB, api: firm.hub.api().ok(), has_signal: true };
    let members = members.iter().map(|member| Glimpse {
        name: &member.node.name,
        api: member.node.api().ok(),
        has_signal: !member.relay.is_cut(),
    });
    std::iter::once(hub).chain(members).collect()
}
