//! Devices that know each other's fixed address, with no hub running and nothing found on a network.

mod shared;

use creel::demo::node::{Node, eventually};
use serde_json::{Value, json};
use shared::{LIMIT, Office};

/// The status of a shipment at a node.
fn status(node: &Node, number: &str) -> anyhow::Result<Value> {
    Ok(node.api()?.get(&format!("/shipments/{number}"))?["status"].clone())
}

/// A driver that dials a configured address of a shop exchanges records and messages with it while no hub runs; the
/// connection is made again after the shop was stopped; and a device of another firm at such an address gets nothing.
#[test]
fn a_driver_dials_a_shop_at_a_configured_address() {
    let mut office = Office::open(61);
    let (driver, numbers) = office.driver("li-wei", 61, 2);
    let shop = office.firm.admit("shop", Some("shop:west-lake"), "west-lake").expect("a shop is admitted");
    let plan = json!({ "shipments": [numbers[0]], "fields": { "parties": { "shop": "shop:west-lake" } } });
    office.firm.hub.api().expect("it runs").post("/plans", &office.firm.tap(), &plan).expect("it is planned");
    for member in [&driver, &shop] {
        eventually("the plan", LIMIT, || {
            let shipment = member.node.api()?.get(&format!("/shipments/{}", numbers[0]))?;
            Ok((shipment["plan"]["parties"]["shop"] == "shop:west-lake").then_some(()))
        })
        .expect("it comes");
    }
    let stranger = Office::open(62);
    let (mut driver, mut shop) = (driver.node, shop.node);
    for node in [&mut driver, &mut shop, &mut office.firm.hub] {
        assert!(node.stop().expect("it runs").success(), "it did not end well");
    }

    shop.start(&["--quic", "127.0.0.1:0", "--no-lan"]).expect("the shop starts");
    let at = shop.quic().expect("it runs").to_string();
    let elsewhere = stranger.firm.hub.quic().expect("it runs").to_string();
    driver
        .start(&["--quic", "127.0.0.1:0", "--no-lan", "--peer", &elsewhere, "--peer", &at])
        .expect("the driver starts");
    let record = |step: &str| {
        let body = json!({ "shipments": numbers, "record": { "step": step } });
        driver.api().and_then(|api| api.post("/records", &office.firm.tap(), &body)).expect("it is recorded");
    };
    record("picked_up");
    eventually(
        "the record to be at the shop",
        LIMIT,
        || Ok((status(&shop, &numbers[0])? == "picked_up").then_some(())),
    )
    .expect("they meet");
    let said = json!({ "shipment": numbers[0], "text": "the door is open" });
    shop.api().and_then(|api| api.post("/messages", &office.firm.tap(), &said)).expect("it is said");
    eventually("the message to be with the driver", LIMIT, || {
        let history = driver.api()?.get(&format!("/shipments/{}/history", numbers[0]))?;
        Ok(history.to_string().contains("the door is open").then_some(()))
    })
    .expect("it comes back");

    shop.pull_battery();
    record("in_transit");
    shop.start(&["--quic", &at, "--no-lan"]).expect("the shop starts again");
    eventually("the next record to be at the shop", LIMIT, || {
        Ok((status(&shop, &numbers[0])? == "in_transit").then_some(()))
    })
    .expect("they meet again");

    let listed = shop.api().and_then(|api| api.get("/shipments")).expect("it lists");
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "the shop was shown what is not its own: {listed}");
    let stranger = stranger.hub("/status");
    assert_eq!(stranger["shipments"], 0, "a stranger was told something: {stranger}");
}
