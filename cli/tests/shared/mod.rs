//! A firm of real `creel` processes for one test, on a folder that goes with it.

#![allow(dead_code, reason = "each test program uses its part of what they share")]

pub(crate) mod hostile;

use creel::demo::day::made_up_day;
use creel::demo::firm::{Firm, Member, converged};
use creel::demo::judge::{Judge, Verdict};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// How long anything awaited may take before the test fails: busy machines get there too.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A firm, its judge, and the folder all of it lies in.
pub(crate) struct Office {
    pub(crate) firm: Firm,
    pub(crate) judge: Judge,
    // Last, so that nobody writes into it any more when it is removed.
    pub(crate) folder: TempDir,
}

impl Office {
    /// A new firm whose hub runs.
    pub(crate) fn open(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let creel = Path::new(env!("CARGO_BIN_EXE_creel"));
        let firm = Firm::found(creel, folder.path(), "试验渔具 Test Tackle", seed).expect("a hub starts");
        Self { firm, judge: Judge::default(), folder }
    }

    /// A driver who runs and holds `shipments`, given to them at the hub; their numbers.
    pub(crate) fn driver(&mut self, name: &str, seed: u64, shipments: usize) -> (Member, Vec<String>) {
        let party = format!("driver:{name}");
        let member = self.firm.admit("driver", Some(&party), name).expect("a driver is admitted");
        let numbers = self.orders(name, seed, shipments);
        let api = member.node.api().expect("it runs");
        creel::demo::node::eventually("the driver to hold the shipments", LIMIT, || {
            Ok((api.get("/status")?["shipments"] == shipments).then_some(()))
        })
        .expect("the shipments come");
        (member, numbers)
    }

    /// Opens shipments for a driver at the hub; their numbers.
    pub(crate) fn orders(&mut self, driver: &str, seed: u64, shipments: usize) -> Vec<String> {
        let mut orders = made_up_day(seed, shipments, "2026-06-01");
        for order in &mut orders {
            order.number = format!("{driver}-{}", order.number);
            order.fields.driver = Some(format!("driver:{driver}"));
            order.fields.parties.clear();
        }
        self.firm.import(&mut self.judge, &orders).expect("the orders are taken");
        let numbers: Vec<_> = orders.into_iter().map(|order| order.number).collect();
        numbers.iter().for_each(|number| self.judge.expect(number, [driver.to_owned()]));
        numbers
    }

    /// A record at a member's node, noted by the judge.
    pub(crate) fn record(&mut self, member: &Member, number: &str, record: &Value) -> Value {
        let body = json!({ "shipments": [number], "record": record });
        self.firm.act(&mut self.judge, &member.node, "/records", &body).expect("the record is acknowledged")
    }

    /// What the judge finds once nothing is wrong any more; fails the test where something stays wrong.
    pub(crate) fn converge<'a>(&self, members: impl IntoIterator<Item = &'a Member>) -> Verdict {
        let apis = self.firm.apis(members).expect("all of them run");
        let verdict = converged(&self.judge, &apis, LIMIT).expect("the judge can ask everyone");
        assert!(verdict.is_good(), "the judge finds: {:#?}", verdict.wrong);
        verdict
    }

    /// How many things of peers the hub has refused.
    pub(crate) fn refused(&self) -> u64 {
        self.hub("/status")["refused"].as_u64().expect("a status counts what was refused")
    }

    /// What the hub answers.
    pub(crate) fn hub(&self, path: &str) -> Value {
        self.firm.hub.api().and_then(|api| api.get(path)).expect("the hub answers")
    }
}
