//! Photos between real `creel` processes, over a network that is cut.

mod shared;

use creel::demo::day::Random;
use creel::demo::node::eventually;
use creel::demo::relay::Conditions;
use serde_json::json;
use shared::{LIMIT, Office};
use std::fs;
use std::path::Path;

const PHOTO_BYTES: usize = 300_000;
/// A network on which that takes some seconds.
const RATE_BITS_S: u64 = 1_000_000;

fn photo(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..PHOTO_BYTES / 8).flat_map(|_| random.next().to_be_bytes()).collect()
}

/// Promise 8: a cut link makes a photo go on where it was, whatever the byte; it arrives whole, the driver is told when it is at
/// the hub, and who has nothing to do with the shipment is not given it.
#[test]
fn a_photo_goes_on_where_it_was_cut() {
    let mut office = Office::open(31);
    let (driver, numbers) = office.driver("li-wei", 31, 1);
    let (stranger, _) = office.driver("zhang", 32, 1);
    let way = Conditions { delay_ms: 20, rate_bits_s: RATE_BITS_S, ..Conditions::default() };
    driver.relay.set(way, way);
    let bytes = photo(31);
    let api = driver.node.api().expect("it runs");
    let hash = api.post_bytes("/photos", &office.firm.tap(), &bytes).expect("it is kept")["hash"].clone();
    let hash = hash.as_str().expect("a photo has a hash").to_owned();
    let before = driver.relay.up().bytes;
    let record = json!({ "step": "signed", "receiver": "Wang Li", "signature": "PHN2Zy8+", "photos": [hash] });
    office.record(&driver, &numbers[0], &record);

    let part = office.firm.hub.data.join("photos").join(format!("{hash}.fetch"));
    let grown = |least: u64| {
        eventually("the photo to come on", LIMIT, || Ok((fs::metadata(&part)?.len() > least).then_some(())))
            .expect("it comes on");
    };
    for least in [40_000, 120_000] {
        grown(least);
        driver.relay.cut(true);
        let stopped = rested(&part);
        assert!(stopped < PHOTO_BYTES as u64, "the network was not cut in the middle");
        driver.relay.cut(false);
        api.post("/nudge", &office.firm.tap(), &json!({})).expect("it is told");
        grown(stopped);
    }
    let hub = office.firm.hub.api().expect("it runs");
    eventually("the photo to be at the hub", LIMIT, || {
        let known = api.get(&format!("/shipments/{}", numbers[0]))?["photos_at_hub"] == json!([hash]);
        Ok(known.then_some(()))
    })
    .expect("the driver is told");
    assert_eq!(hub.get_bytes(&format!("/photos/{hash}")).expect("the hub has it"), bytes);
    let sent = driver.relay.up().bytes - before;
    // The bytes in flight when the network was cut are sent again, and nothing else.
    assert!(sent < PHOTO_BYTES as u64 * 5 / 4, "{sent} bytes were sent for a photo of {PHOTO_BYTES}");

    let other = stranger.node.api().expect("it runs");
    let refused = other.get_bytes(&format!("/photos/{hash}")).expect_err("it is none of their business");
    assert!(format!("{refused:#}").contains("not on this device yet"), "{refused:#}");
    office.converge([&driver, &stranger]);
}

/// The length of a file once nothing of what was under way is added to it any more: thirty looks find the same.
fn rested(part: &Path) -> u64 {
    let (mut last, mut same) = (0, 0);
    eventually("the photo to stop", LIMIT, || {
        let length = fs::metadata(part)?.len();
        same = if length == last { same + 1 } else { 0 };
        last = length;
        Ok((same >= 30).then_some(length))
    })
    .expect("it stops")
}

/// A shop's device fetches a photo when somebody looks at it, and not before; staff's devices have it without asking.
#[test]
fn photos_are_fetched_on_demand() {
    let mut office = Office::open(33);
    let (driver, numbers) = office.driver("li-wei", 33, 1);
    let shop = office.firm.admit("shop", Some("shop:west-lake"), "west-lake").expect("a shop is admitted");
    let dora = office.firm.admit("dispatcher", None, "dora").expect("a dispatcher is admitted");
    let plan = json!({ "shipments": [numbers[0]], "fields": { "parties": { "shop": "shop:west-lake" } } });
    let hub = office.firm.hub.api().expect("it runs");
    hub.post("/plans", &office.firm.tap(), &plan).expect("it is planned");
    let api = driver.node.api().expect("it runs");
    let bytes = photo(33);
    let hash = api.post_bytes("/photos", &office.firm.tap(), &bytes).expect("it is kept")["hash"].clone();
    let hash = hash.as_str().expect("a photo has a hash").to_owned();
    office.record(&driver, &numbers[0], &json!({ "step": "picked_up", "photos": [hash] }));
    let lies_at = |node: &creel::demo::node::Node| node.data.join("photos").join(&hash).exists();
    eventually("the photo to be with staff", LIMIT, || Ok(lies_at(&dora.node).then_some(()))).expect("it comes");
    eventually("the record to be at the shop", LIMIT, || {
        let shipment = shop.node.api()?.get(&format!("/shipments/{}", numbers[0]))?;
        Ok((shipment["photos"] == json!([hash])).then_some(()))
    })
    .expect("it comes");
    assert!(!lies_at(&shop.node), "the shop's device fetched what nobody looked at");
    let seen = shop.node.api().expect("it runs").get_bytes(&format!("/photos/{hash}")).expect("it is fetched");
    assert_eq!(seen, bytes);
}
