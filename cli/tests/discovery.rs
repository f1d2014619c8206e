//! Two devices that meet on a network of their own, with no hub and no internet. Each runs in a network namespace made for
//! the test, because loopback carries no multicast; that needs Linux, root and iproute2.

#![cfg(target_os = "linux")]

mod shared;

use creel::demo::api::Api;
use creel::demo::node::eventually;
use serde_json::{Value, json};
use shared::{LIMIT, Office};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The two ends of a wire between two namespaces; gone when this is dropped.
struct Wire(Vec<String>);

impl Wire {
    /// None where this user may make no namespaces.
    fn lay() -> Option<Self> {
        let mark = std::process::id() % 10_000;
        let wire = Self(vec![format!("creel-{mark}-a"), format!("creel-{mark}-b")]);
        let (one, other) = (&wire.0[0], &wire.0[1]);
        let (near, far) = (format!("ca{mark}"), format!("cb{mark}"));
        let words = [
            format!("netns add {one}"),
            format!("netns add {other}"),
            format!("link add {near} type veth peer name {far}"),
            format!("link set {near} netns {one}"),
            format!("link set {far} netns {other}"),
            format!("-n {one} addr add 198.51.100.1/24 dev {near}"),
            format!("-n {other} addr add 198.51.100.2/24 dev {far}"),
            format!("-n {one} link set lo up"),
            format!("-n {other} link set lo up"),
            format!("-n {one} link set {near} up"),
            format!("-n {other} link set {far} up"),
        ];
        words.iter().all(|words| ip(words)).then_some(wire)
    }

    /// Runs `creel` at one end.
    fn creel(&self, end: usize, data: &Path, words: &[&str]) -> Child {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0[end], env!("CARGO_BIN_EXE_creel"), "--data"]).arg(data);
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ip was there a moment ago")
    }

    /// What a command at one end prints.
    fn ask(&self, end: usize, data: &Path, words: &[&str]) -> anyhow::Result<Value> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0[end], env!("CARGO_BIN_EXE_creel"), "--json", "--data"]).arg(data);
        let output = command.args(words).output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for name in &self.0 {
            ip(&format!("netns delete {name}"));
        }
    }
}

fn ip(words: &str) -> bool {
    let quiet = Command::new("ip").args(words.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A driver's and a shop's device on one network, which never had a connection before and reach no hub, exchange their records. The shop
/// gets only shipments in its scope.
#[test]
fn devices_on_one_network_exchange_records() {
    let Some(wire) = Wire::lay() else {
        eprintln!("left out: this user may make no network namespaces (needs root and iproute2)");
        return;
    };
    let mut office = Office::open(51);
    let (driver, numbers) = office.driver("li-wei", 51, 2);
    let shop = office.firm.admit("shop", Some("shop:west-lake"), "west-lake").expect("a shop is admitted");
    let hub: Api = office.firm.hub.api().expect("it runs").clone();
    let plan = json!({ "shipments": [numbers[0]], "fields": { "parties": { "shop": "shop:west-lake" } } });
    hub.post("/plans", &office.firm.tap(), &plan).expect("it is planned");
    for member in [&driver, &shop] {
        eventually("the plan", LIMIT, || {
            let shipment = member.node.api()?.get(&format!("/shipments/{}", numbers[0]))?;
            Ok((shipment["plan"]["parties"]["shop"] == "shop:west-lake").then_some(()))
        })
        .expect("it comes");
    }
    let (mut driver, mut shop) = (driver.node, shop.node);
    assert!(driver.stop().expect("it ends").success() && shop.stop().expect("it ends").success());

    let serve = ["serve", "--quic", "0.0.0.0:0"];
    let _driver = Ended(wire.creel(0, &driver.data, &serve));
    let _shop = Ended(wire.creel(1, &shop.data, &serve));
    let on = |end: usize, data: &Path, words: &[&str]| wire.ask(end, data, words);
    eventually("both to run", LIMIT, || {
        on(0, &driver.data, &["status"])?;
        on(1, &shop.data, &["status"])?;
        Ok(Some(()))
    })
    .expect("they start");
    on(0, &driver.data, &["record", &numbers[0], "picked_up"]).expect("it is recorded");
    on(0, &driver.data, &["record", &numbers[1], "picked_up"]).expect("it is recorded");
    let status = |end: usize, data: &Path| -> anyhow::Result<String> {
        let shipment = on(end, data, &["show", &numbers[0]])?;
        Ok(shipment["status"].as_str().unwrap_or_default().to_owned())
    };
    eventually("the record to be at the shop", LIMIT, || Ok((status(1, &shop.data)? == "picked_up").then_some(())))
        .expect("they find each other");
    on(1, &shop.data, &["say", &numbers[0], "the door is open"]).expect("it is said");
    eventually("the message to be with the driver", LIMIT, || {
        let history = on(0, &driver.data, &["history", &numbers[0]])?;
        Ok(history.to_string().contains("the door is open").then_some(()))
    })
    .expect("it comes back");
    let listed = on(1, &shop.data, &["list"]).expect("it lists");
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "the shop was shown what is not its own: {listed}");
}
