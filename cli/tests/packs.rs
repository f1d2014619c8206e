//! Edits and photos that travel by hand, between real `creel` processes.

mod shared;

use creel::demo::node::{Node, eventually};
use serde_json::{Value, json};
use shared::{LIMIT, Office};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn creel(node: &Node, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_creel"));
    command.args(["--json", "--data"]).arg(&node.data).args(words).output().expect("the program starts")
}

fn unpacked(node: &Node, file: &Path) -> Value {
    let output = creel(node, &["unpack", &file.to_string_lossy()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it tells JSON")
}

/// Whether a shipment's node knows that the hub has a photo.
fn is_at_hub(shipment: &Value, photo: &Value) -> bool {
    shipment["photos_at_hub"].as_array().is_some_and(|photos| photos.contains(photo))
}

/// Promise 1 without any network: a driver's records and photos come to the hub on a stick, and count once however often the pack is
/// read; when the network is back, everybody agrees.
#[test]
fn a_day_comes_by_hand() {
    let mut office = Office::open(41);
    let (driver, numbers) = office.driver("li-wei", 41, 5);
    driver.relay.cut(true);
    let api = driver.node.api().expect("it runs");
    let photo: Vec<u8> = (0..=255).cycle().take(50_000).collect();
    let hash = api.post_bytes("/photos", &office.firm.tap(), &photo).expect("it is kept")["hash"].clone();
    for number in &numbers[..3] {
        office.record(&driver, number, &json!({ "step": "picked_up", "photos": [hash] }));
    }
    let file = office.folder.path().join("day.creel");
    let packed = creel(&driver.node, &["pack", "--for", "hub", "--photos", "-o", &file.to_string_lossy()]);
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let packed: Value = serde_json::from_slice(&packed.stdout).expect("it tells JSON");
    assert_eq!((&packed["shipments"], &packed["photos"]), (&json!(3), &json!(1)), "{packed}");

    let hub = &office.firm.hub;
    let first = unpacked(hub, &file);
    assert_eq!((&first["taken"], &first["refused"], &first["photos"]), (&json!(3), &json!(0), &json!(1)), "{first}");
    let again = unpacked(hub, &file);
    assert_eq!((&again["taken"], &again["held"]), (&json!(0), &json!(first["held"].as_u64().expect("a count") + 3)));
    let hash = hash.as_str().expect("a photo has a hash");
    let at_hub = hub.api().and_then(|api| api.get_bytes(&format!("/photos/{hash}"))).expect("it came along");
    assert_eq!(at_hub, photo);

    driver.relay.cut(false);
    api.post("/nudge", &office.firm.tap(), &json!({})).expect("it is told");
    eventually("the driver to be told", LIMIT, || Ok((api.get("/status")?["waiting"] == 0).then_some(())))
        .expect("the driver is told that the hub has it");
    office.converge([&driver]);
}

/// A photo that was carried to another than the hub is not taken to be at the hub, which would let it go before the hub has it; when
/// the hub has it in the end, that is told.
#[test]
fn a_photo_by_hand_is_not_the_hubs() {
    let mut office = Office::open(47);
    let (driver, numbers) = office.driver("li-wei", 47, 1);
    let dora = office.firm.admit("dispatcher", None, "dora").expect("a dispatcher is admitted");
    driver.relay.cut(true);
    let api = driver.node.api().expect("it runs");
    let hash = api.post_bytes("/photos", &office.firm.tap(), &[47; 10_000]).expect("it is kept")["hash"].clone();
    office.record(&driver, &numbers[0], &json!({ "step": "picked_up", "photos": [hash] }));
    let file = office.folder.path().join("day.creel");
    assert!(creel(&driver.node, &["pack", "--photos", "-o", &file.to_string_lossy()]).status.success());
    unpacked(&dora.node, &file);

    let shipment = |node: &Node| node.api()?.get(&format!("/shipments/{}", numbers[0]));
    eventually("the record to be at the hub", LIMIT, || {
        Ok((shipment(&office.firm.hub)?["photos"] == json!([hash])).then_some(()))
    })
    .expect("dora's device brings it");
    // Another photo of dora's own comes to be known at the hub: by then the hub was asked about what dora holds.
    let own = dora.node.api().expect("it runs");
    let later = own.post_bytes("/photos", &office.firm.tap(), &[48; 10_000]).expect("it is kept")["hash"].clone();
    let record = json!({ "shipments": [numbers[0]], "record": { "step": "picked_up", "photos": [later] } });
    own.post("/records", &office.firm.tap(), &record).expect("it is recorded");
    eventually("dora to know that the hub has the later photo", LIMIT, || {
        Ok(is_at_hub(&shipment(&dora.node)?, &later).then_some(()))
    })
    .expect("it is told");
    assert_eq!(shipment(&dora.node).expect("it is there")["photos_at_hub"], json!([later]));

    driver.relay.cut(false);
    api.post("/nudge", &office.firm.tap(), &json!({})).expect("it is told");
    eventually("dora to know that the hub has the photo", LIMIT, || {
        Ok(is_at_hub(&shipment(&dora.node)?, &hash).then_some(()))
    })
    .expect("it is told");
}

/// A file that was cut off, changed or packed elsewhere is told for what it is, and spoils nothing.
#[test]
fn a_bad_pack_is_told() {
    let mut office = Office::open(43);
    let (driver, _) = office.driver("li-wei", 43, 5);
    let file = office.folder.path().join("all.creel");
    let hub = &office.firm.hub;
    assert!(creel(hub, &["pack", "-o", &file.to_string_lossy()]).status.success());
    let good = fs::read(&file).expect("it was written");
    let refused = |bytes: &[u8], why: &str| {
        let bad = office.folder.path().join("bad.creel");
        fs::write(&bad, bytes).expect("it is written");
        let output = creel(&driver.node, &["unpack", &bad.to_string_lossy()]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(why), "{why}: {told}");
    };
    refused(b"", "no file that creel pack wrote");
    refused(
        b"PK\x03\x04 something else entirely, and long enough to be read as a head of a pack, or so it seems",
        "no file",
    );
    refused(&good[..good.len() - 10], "cut off");
    let mut elsewhere = good.clone();
    elsewhere[15] = if elsewhere[15] == b'0' { b'1' } else { b'0' };
    refused(&elsewhere, "another organisation");
    let mut changed = good.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 0xff;
    let bad = office.folder.path().join("changed.creel");
    fs::write(&bad, &changed).expect("it is written");
    let output = creel(&driver.node, &["unpack", &bad.to_string_lossy()]);
    assert!(!output.status.success(), "a changed pack was taken: {}", String::from_utf8_lossy(&output.stdout));
    let none = creel(hub, &["pack", "--for", "nobody", "-o", &file.to_string_lossy()]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("no member's name"));
    office.converge([&driver]);
}
