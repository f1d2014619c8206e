//! Devices release shipments that they need not keep, between real `creel` processes.

mod shared;

use creel::demo::node::eventually;
use serde_json::json;
use shared::{LIMIT, Office};
use std::time::Duration;

/// A driver's device releases shipments that have ended and shipments that are another driver's now; the hub keeps both. A message
/// brings back the first and not the second, which comes back when it is the driver's again.
#[test]
fn a_device_releases_shipments() {
    let mut office = Office::open(41);
    let (mut driver, numbers) = office.driver("li-wei", 41, 3);
    let [signed, given, kept] = [&numbers[0], &numbers[1], &numbers[2]];
    office.record(&driver, signed, &json!({ "step": "signed", "receiver": "Wang Li", "signature": "PHN2Zy8+" }));
    let give = |office: &Office, to: &str| {
        let plan = json!({ "shipments": [given], "fields": { "driver": to } });
        let hub = office.firm.hub.api().expect("it runs");
        hub.post("/plans", &[to, given].concat(), &plan).expect("it is planned");
    };
    give(&office, "driver:zhang");
    let api = driver.node.api().expect("it runs");
    eventually("everything to be at the hub, and the plan at the driver", LIMIT, || {
        let heard = api.get(&format!("/shipments/{given}"))?["plan"]["driver"] == "driver:zhang";
        Ok((heard && api.get("/status")?["waiting"] == 0).then_some(()))
    })
    .expect("they speak");

    driver.node.stop().expect("it stops");
    driver.node.start(&["--quic", "127.0.0.1:0", "--keep-closed", "0"]).expect("it starts");
    // The device asks after five seconds. This hub has had all of it for a moment only, whatever the device's clock says.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(driver.node.api().expect("it runs").get("/status").expect("it answers")["shipments"], 3);

    let address = office.firm.hub.quic().expect("it runs").to_string();
    office.firm.hub.stop().expect("it stops");
    office.firm.hub.start(&["--quic", &address, "--keep-closed", "0"]).expect("it starts");
    driver.node.stop().expect("it stops");
    driver.node.start(&["--quic", "127.0.0.1:0", "--keep-closed", "0"]).expect("it starts");
    let api = driver.node.api().expect("it runs");
    let held = |number: &str| api.get(&format!("/shipments/{number}")).is_ok();
    eventually("the driver's device to let go", LIMIT, || Ok((!held(signed) && !held(given)).then_some(())))
        .expect("it lets go");
    assert!(held(kept), "what is still to be delivered stays");
    assert_eq!(api.get("/status").expect("it answers")["shipments"], 1);
    assert_eq!(office.hub("/status")["shipments"], 3, "the hub keeps everything");

    let hub = office.firm.hub.api().expect("it runs");
    for number in [given, signed] {
        let message = json!({ "shipment": number, "text": "Is it there?" });
        hub.post("/messages", &[number.as_str(), "message"].concat(), &message).expect("it is said");
    }
    eventually("the signed one to come back with the message", LIMIT, || {
        let history = api.get(&format!("/shipments/{signed}/history")).unwrap_or_default();
        let said = history.as_array().is_some_and(|rows| rows.iter().any(|row| row["action"] == "say"));
        Ok(said.then_some(()))
    })
    .expect("it comes back");
    assert!(!held(given), "what is another's now is not sent");

    give(&office, "driver:li-wei");
    eventually("what is theirs again to come back", LIMIT, || Ok(held(given).then_some(()))).expect("it comes back");
}
