//! Scenarios with real `creel` processes: init, invite, join and serve through the command, cut networks, dead batteries.

mod shared;

use creel::demo::api::{Api, Refused};
use creel::demo::day::Random;
use creel::demo::judge::HUB;
use creel::demo::node::eventually;
use creel_protocol::cbor::{Decode, Encode};
use creel_protocol::core::keys;
use creel_protocol::id::DeviceKey;
use creel_protocol::roster::invite::Issued;
use creel_protocol::roster::{Change, Enrol, Role, Roster};
use creel_protocol::store::{Batch, Store};
use creel_storage::{Engine, Options, SledEngine};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use shared::hostile::{block_on, dial, framed, say, stolen_key};
use shared::{LIMIT, Office};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// A record to be made, under a tap of its own.
#[derive(Clone)]
struct Job {
    tap: String,
    body: Value,
}

/// Every shipment picked up, taken out and signed, in that order.
fn jobs(office: &Office, numbers: &[String]) -> Vec<Job> {
    let steps = [
        json!({ "step": "picked_up" }),
        json!({ "step": "out_for_delivery" }),
        json!({ "step": "signed", "receiver": "王丽 Wang Li", "signature": "PHN2Zy8+" }),
    ];
    let all = steps.iter().flat_map(|record| numbers.iter().map(move |number| (record, number)));
    all.map(|(record, number)| Job { tap: office.firm.tap(), body: json!({ "shipments": [number], "record": record }) })
        .collect()
}

/// Makes records until one is not answered; tells each answer as it comes, and returns what is left.
fn work(api: &Api, jobs: &[Job], answers: &Sender<Value>) -> Vec<Job> {
    for (at, job) in jobs.iter().enumerate() {
        match api.post("/records", &job.tap, &job.body) {
            Ok(answer) => answers.send(answer).expect("the test listens"),
            Err(error) => {
                assert!(error.downcast_ref::<Refused>().is_none(), "a good record was refused: {error:#}");
                return jobs[at..].to_vec();
            }
        }
    }
    Vec::new()
}

/// Promise 1: whatever a driver was told is recorded is at the hub in the end, whenever the battery was pulled; and a tap
/// that is tried again because its answer was lost is one edit.
#[test]
fn batteries_die_at_random_moments() {
    let mut office = Office::open(11);
    let mut random = Random::new(11);
    let (mut driver, numbers) = office.driver("li-wei", 11, 20);
    driver.relay.cut(true);
    let all = jobs(&office, &numbers);
    let mut left = all.clone();
    let mut deaths = 0;
    while !left.is_empty() {
        let api = driver.node.api().expect("it runs").clone();
        let (sender, answers) = channel();
        let worker = std::thread::spawn({
            let jobs = left.clone();
            move || work(&api, &jobs, &sender)
        });
        let mut until_death = 4 + random.below(16);
        for answer in &answers {
            office.judge.note("li-wei", &answer).expect("it names its edit");
            until_death -= 1;
            if until_death == 0 {
                // Somewhere within the next records, in the middle of whatever is going on there.
                std::thread::sleep(Duration::from_micros(random.below(12_000) as u64));
                driver.node.pull_battery();
                deaths += 1;
                break;
            }
        }
        answers.iter().try_for_each(|answer| office.judge.note("li-wei", &answer)).expect("they name their edits");
        left = worker.join().expect("the worker does not panic");
        if !driver.node.is_running() {
            driver.node.start(&["--quic", "127.0.0.1:0"]).expect("it starts again");
        }
    }
    driver.relay.cut(false);
    let verdict = office.converge([&driver]);
    assert!(deaths >= 3, "the battery died {deaths} times only");
    assert_eq!(verdict.acknowledged, all.len(), "each tap was acknowledged once");
    assert_eq!(verdict.edits, all.len() + numbers.len(), "a tap that was tried again made a second edit");
}

/// Promise 1 at the hub: it is killed twice while two drivers deliver to it, and what it had acknowledged is there, and
/// what it had not comes again.
#[test]
fn the_hub_dies_under_load() {
    let mut office = Office::open(12);
    let mut random = Random::new(12);
    let members = ["li-wei", "zhang-min"].map(|name| (name, office.driver(name, 12, 20)));
    let (sender, answers) = channel();
    let workers: Vec<_> = members
        .iter()
        .map(|(name, (member, numbers))| {
            let (api, jobs, sender) =
                (member.node.api().expect("it runs").clone(), jobs(&office, numbers), sender.clone());
            let name = (*name).to_owned();
            std::thread::spawn(move || {
                for job in &jobs {
                    let answer = api.post("/records", &job.tap, &job.body).expect("a driver needs no hub");
                    sender.send((name.clone(), answer)).expect("the test listens");
                }
            })
        })
        .collect();
    drop(sender);
    let mut deaths = [10, 50].map(|from| from + random.below(30)).to_vec();
    for (count, (name, answer)) in answers.iter().enumerate() {
        office.judge.note(&name, &answer).expect("it names its edit");
        if deaths.first().is_some_and(|death| *death <= count) {
            deaths.remove(0);
            office.firm.hub.pull_battery();
            office.firm.restart_hub("127.0.0.1:0".parse().expect("an address")).expect("the hub starts again");
            let address = office.firm.hub.quic().expect("it runs");
            members.iter().for_each(|(_, (member, _))| member.relay.lead_to(address));
        }
    }
    workers.into_iter().for_each(|worker| worker.join().expect("a driver works on"));
    assert!(deaths.is_empty(), "the hub died too seldom");
    let verdict = office.converge(members.iter().map(|(_, (member, _))| member));
    assert_eq!(verdict.acknowledged, 120);
}

/// Two nodes on one folder would sign twice: the second is told who holds it, and the first goes on.
#[test]
fn a_second_serve_is_refused() {
    let office = Office::open(13);
    let pid = office.firm.hub.pid().expect("it runs");
    let error = office.firm.hub.creel(&["serve"]).expect_err("the folder is held").to_string();
    assert!(error.contains(&format!("process {pid}")), "{error}");
    // Whoever starts it in the background finds the reason in its log.
    let error = office.firm.device(HUB).start(&[]).expect_err("the folder is held").to_string();
    assert!(error.contains("hub did not start") && error.contains("served by another creel"), "{error}");
    assert_eq!(office.hub("/status")["hub"], true);
}

/// A damaged store is set aside as it was found, and the driver's shipments come again from the hub, ✓✓ included.
#[test]
fn a_damaged_store_is_refilled() {
    let mut office = Office::open(14);
    let (mut driver, numbers) = office.driver("li-wei", 14, 8);
    for number in &numbers {
        office.record(&driver, number, &json!({ "step": "picked_up" }));
    }
    office.converge([&driver]);
    driver.node.pull_battery();
    let garbage = spoil(&driver.node.data.join("store"), |_| true);
    driver.node.start(&["--quic", "127.0.0.1:0"]).expect("it starts with a damaged store");
    let aside = driver.node.set_aside().expect("it says where the damaged store lies").to_owned();
    assert_eq!(std::fs::read(aside.join("db")).expect("it lies there"), garbage, "what was set aside was changed");
    office.converge([&driver]);
    for number in &numbers {
        office.record(&driver, number, &json!({ "step": "out_for_delivery" }));
    }
    office.converge([&driver]);
}

/// What a driver recorded without signal survives a damaged store: its log has them, and the hub what they stand on.
#[test]
fn a_damaged_store_loses_no_record() {
    let mut office = Office::open(18);
    let (mut driver, numbers) = office.driver("li-wei", 18, 8);
    // More than a log holds, so that it does not go back to the store's beginning.
    let text = "鱼".repeat(4_000);
    for act in 0..250 {
        let message = json!({ "shipment": numbers[act % numbers.len()], "text": text });
        office.firm.act(&mut office.judge, &driver.node, "/messages", &message).expect("it is said");
    }
    office.converge([&driver]);
    driver.relay.cut(true);
    for number in &numbers {
        office.record(&driver, number, &json!({ "step": "picked_up" }));
    }
    let (tap, again) = (office.firm.tap(), json!({ "shipment": numbers[0], "text": "on the way" }));
    let said = driver.node.api().and_then(|api| api.post("/messages", &tap, &again)).expect("it is said");
    office.judge.note("li-wei", &said).expect("it names its edit");
    driver.node.pull_battery();
    spoil(&driver.node.data.join("store"), |file| file == "db");
    driver.node.start(&["--quic", "127.0.0.1:0"]).expect("it starts with a damaged store");
    assert!(driver.node.set_aside().is_some(), "the store was not found to be damaged");
    driver.relay.cut(false);
    let verdict = office.converge([&driver]);
    assert_eq!(verdict.acknowledged, 259);
    // The same tap is the same edit still.
    let answer = driver.node.api().and_then(|api| api.post("/messages", &tap, &again)).expect("it was said");
    assert_eq!(answer["edit"], said["edit"]);
    // And with everything back, the next start has nothing left to save.
    assert!(driver.node.stop().expect("it ends").success());
    driver.node.start(&["--quic", "127.0.0.1:0"]).expect("it starts again");
    let saved = driver.node.data.join("salvage.cbor");
    eventually("what was saved to be in the store", LIMIT, || Ok((!saved.exists()).then_some(())))
        .expect("it is there now");
}

/// Overwrites the files of a store that `which` names with garbage of the same length; that of `db` is returned.
fn spoil(store: &Path, which: impl Fn(&str) -> bool) -> Vec<u8> {
    let mut random = Random::new(14);
    let mut of_db = Vec::new();
    for entry in store.read_dir().expect("a store is a folder").flatten() {
        if entry.path().is_file() && which(&entry.file_name().to_string_lossy()) {
            let length = usize::try_from(entry.metadata().expect("it is there").len()).expect("it is small");
            let garbage: Vec<u8> =
                (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).take(length).collect();
            std::fs::write(entry.path(), &garbage).expect("it is writable");
            if entry.file_name() == "db" {
                of_db = garbage;
            }
        }
    }
    of_db
}

/// An invite lets one device in: that device again if its answer was lost, and no other.
#[test]
fn an_invite_is_for_one_device() {
    let office = Office::open(15);
    let invite = office.firm.invite("driver", Some("driver:li-wei"), "li-wei").expect("the hub invites");
    let device = office.firm.device("li-wei");
    device.creel(&["join", &invite]).expect("an invite lets a device in");
    let other = office.firm.device("other").creel(&["join", &invite]).expect_err("it was used").to_string();
    assert!(other.contains("used by another device"), "{other}");
    // As if the hub's answer had been lost: the device has its key, and nothing else.
    std::fs::remove_dir_all(device.data.join("store")).expect("the store goes");
    std::fs::remove_file(device.data.join("roster.cbor")).expect("the roster's copy goes");
    let joined = device.creel(&["join", &invite]).expect("the same device may come again");
    assert_eq!(joined["party"], "driver:li-wei");
    let peers = office.hub("/status")["peers"].as_array().expect("there are peers").len();
    assert_eq!(peers, 1, "the device was enrolled twice, or the other too");
}

/// An invite ends with its term, by the hub's clock. A week is not awaited: the hub's own entry is made to be over.
#[test]
fn an_expired_invite_is_refused() {
    let mut office = Office::open(16);
    let invite = office.firm.invite("viewer", None, "late").expect("the hub invites");
    assert!(office.firm.hub.stop().expect("it ends").success());
    let store = office.firm.hub.data.join("store");
    {
        let mut engine = SledEngine::open(&store, Options::hub()).expect("the hub's store is whole").engine;
        let mut batch = Batch::default();
        for (key, value) in engine.scan(&[], &[0xff; 8], usize::MAX).expect("it can be read") {
            if let Ok(mut issued) = Issued::from_cbor(&value) {
                issued.expires = 1;
                batch.put(key, issued.to_cbor());
            }
        }
        assert_eq!(batch.writes().len(), 1, "there is one invite");
        engine.apply(&batch).and_then(|()| engine.sync()).expect("it can be written");
    }
    office.firm.restart_hub("127.0.0.1:0".parse().expect("an address")).expect("the hub starts again");
    let address = office.firm.hub.quic().expect("it runs").to_string();
    let error =
        office.firm.device("late").creel(&["join", &invite, "--hub", &address]).expect_err("it is over").to_string();
    assert!(error.contains("expired"), "{error}");
    assert_eq!(office.hub("/status")["peers"], json!([]));
}

/// One tap is one act, also where its own effect changes what it names: a filter, or a new invite.
#[test]
fn a_tap_is_one_act() {
    let mut office = Office::open(40);
    office.orders("nobody", 40, 9);
    let api = office.firm.hub.api().expect("it runs").clone();
    let plan = json!({ "filter": "driver:nobody limit:3", "fields": { "driver": "driver:li-wei" } });
    let tap = office.firm.tap();
    let made: Vec<Value> = (0..3).map(|_| api.post("/plans", &tap, &plan).expect("it is planned")).collect();
    assert_eq!(made[0].as_array().map(Vec::len), Some(3));
    assert!(made.iter().all(|again| again == &made[0]), "the same tap planned something else: {made:#?}");
    let moved = office.hub("/shipments?filter=driver:li-wei");
    assert_eq!(moved.as_array().map(Vec::len), Some(3));

    let invite = json!({ "role": "viewer", "name": "Ann" });
    let tap = office.firm.tap();
    let invites: Vec<Value> = (0..2).map(|_| api.post("/invites", &tap, &invite).expect("the hub invites")).collect();
    assert_eq!(invites[0]["invite"], invites[1]["invite"]);
    let other = api.post("/invites", &office.firm.tap(), &invite).expect("the hub invites");
    assert_ne!(invites[0]["invite"], other["invite"]);
}

/// Nothing is half taken: an order that is too long for one edit and wrong at its end is refused whole.
#[test]
fn a_long_order_is_taken_whole_or_not() {
    let office = Office::open(41);
    let line = |number: usize, name: &str| json!({ "line": format!("{number}{name}"), "sku": format!("HOOK-{number}"), "name": "鱼钩".repeat(50), "quantity": 1000 });
    let order = |last: &str| {
        let lines: Vec<_> = (1..=100).map(|number| line(number, if number == 100 { last } else { "" })).collect();
        json!({ "orders": [{ "number": "LONG-1", "row": 7, "lines": lines }] })
    };
    let api = office.firm.hub.api().expect("it runs");
    let report = api.post("/imports", &office.firm.tap(), &order("/1")).expect("a report comes");
    assert_eq!((&report["taken"], &report["refused"][0]["line"]), (&json!(0), &json!(7)), "{report}");
    assert!(api.get("/shipments/LONG-1").is_err(), "half of a refused order was taken");
    let report = api.post("/imports", &office.firm.tap(), &order("")).expect("a report comes");
    assert_eq!(report["taken"], 1, "{report}");
    let shown = api.get("/shipments/LONG-1").expect("it is there");
    assert_eq!(
        shown["plan"]["lines"]
            .as_array()
            .map_or_else(|| shown["plan"]["lines"].as_object().map(serde_json::Map::len), |lines| Some(lines.len()),),
        Some(100)
    );
}

/// A hub whose store is gone still is the hub: its keys and its recovery file are not replaced.
#[test]
fn a_lost_store_is_not_a_new_organisation() {
    let mut office = Office::open(42);
    assert!(office.firm.hub.stop().expect("it ends").success());
    let data = office.firm.hub.data.clone();
    let files = || {
        ["issuer.key", "device.key", "recovery.txt"].map(|file| std::fs::read(data.join(file)).expect("it is there"))
    };
    let before = files();
    std::fs::remove_dir_all(data.join("store")).expect("the store goes");
    let error = office.firm.hub.creel(&["init", "--org", "Another"]).expect_err("it has one").to_string();
    assert!(error.contains("belongs to the organisation"), "{error}");
    assert_eq!(files(), before);
    office.firm.restart_hub("127.0.0.1:0".parse().expect("an address")).expect("it is served as before");
}

/// A roster that is longer than a frame is sent to a new member all the same.
#[test]
fn a_firm_of_thousands_is_joined() {
    let mut office = Office::open(43);
    assert!(office.firm.hub.stop().expect("it ends").success());
    let data = office.firm.hub.data.clone();
    {
        let mut engine =
            SledEngine::open(&data.join("store"), Options::hub()).expect("the hub's store is whole").engine;
        let issuer = stolen_issuer(&data);
        let stored = |engine: &SledEngine, height| engine.get(&keys::roster(height)).expect("it can be read");
        let mut roster = Roster::begin(&stored(&engine, 0).expect("there is a genesis")).expect("it verifies");
        while let Some(entry) = stored(&engine, roster.height() + 1) {
            roster.append(&entry).expect("it verifies");
        }
        let mut batch = Batch::default();
        for number in 0..1_500_u16 {
            let mut seed = [43; 32];
            seed[..2].copy_from_slice(&number.to_be_bytes());
            let key = DeviceKey(SigningKey::from_bytes(&seed).verifying_key().to_bytes());
            let enrol =
                Enrol { key, role: Role::Viewer, party: None, name: format!("viewer {number} {}", "x".repeat(60)) };
            let entry = roster.write(Change::Enrol(enrol), 1, &issuer).expect("the issuer may");
            roster.append(&entry).expect("it fits");
            batch.put(keys::roster(roster.height()), entry);
        }
        assert!(batch.writes().filter_map(|(_, entry)| entry).map(<[u8]>::len).sum::<usize>() > 256 * 1024);
        engine.apply(&batch).and_then(|()| engine.sync()).expect("it can be written");
    }
    office.firm.restart_hub("127.0.0.1:0".parse().expect("an address")).expect("the hub starts again");
    let member = office.firm.admit("driver", Some("driver:late"), "late").expect("the last one joins too");
    eventually("the hub to be met", LIMIT, || {
        let status = member.node.api()?.get("/status")?;
        Ok((status["roster_height"] == office.hub("/status")["roster_height"]).then_some(()))
    })
    .expect("it holds the whole roster");
}

/// The key by which a hub writes the roster.
fn stolen_issuer(data: &Path) -> SigningKey {
    let text = std::fs::read_to_string(data.join("issuer.key")).expect("a hub has an issuer's key");
    let seed = data_encoding::HEXLOWER.decode(text.trim().as_bytes()).expect("hexadecimal digits");
    SigningKey::from_bytes(&seed.try_into().expect("32 bytes"))
}

/// A member of one organisation is a stranger to another: refused, counted, and without effect.
#[test]
fn strangers_are_refused() {
    let (ours, theirs) = (Office::open(17), Office::open(18));
    let mut stranger = theirs.firm.admit("driver", Some("driver:li-wei"), "li-wei").expect("they let it in");
    assert!(stranger.node.stop().expect("it ends").success());
    let before = ours.hub("/status");
    let hub = ours.firm.hub.quic().expect("it runs");
    // The device itself will not speak to our hub, which its roster does not name.
    let settings = stranger.node.data.join("node.toml");
    std::fs::write(&settings, format!("hub = [\"{hub}\"]\n")).expect("its settings are writable");
    stranger.node.start(&["--quic", "127.0.0.1:0"]).expect("it starts");
    // And a program that uses its key and does not care is refused by our hub.
    let closed = block_on(async {
        let (_endpoint, connection) = dial(hub, &stolen_key(&stranger.node.data), "creel/1").await?;
        say(&connection, &framed(&[0x82, 0x06, 0x80]), false).await
    });
    let closed = closed.expect("the handshake is anybody's");
    assert!(closed.contains("not a member"), "{closed}");
    eventually("the refusal to be counted", LIMIT, || Ok((ours.refused() > 0).then_some(()))).expect("it is counted");
    let after = ours.hub("/status");
    assert_eq!((&after["peers"], &after["shipments"]), (&before["peers"], &before["shipments"]));
    assert_eq!(after["roster_height"], before["roster_height"]);
    let own = stranger.node.api().and_then(|api| api.get("/status")).expect("it runs on");
    assert_eq!(own["peers"][0]["connected"], false);
}

/// Where a record waits, the status shows within seconds that the hub cannot be reached, and that it can be reached again.
#[test]
fn an_unreachable_hub_is_shown() {
    let mut office = Office::open(20);
    let (driver, numbers) = office.driver("li-wei", 20, 1);
    let api = driver.node.api().expect("it runs");
    let near = |near: bool| {
        // Less than it takes until a connection on which nothing is heard is not counted on any more.
        eventually("the status to show it", Duration::from_secs(20), || {
            let status = api.get("/status")?;
            let hub = status["peers"].as_array().into_iter().flatten().find(|peer| peer["hub"] == true);
            Ok(hub.is_some_and(|hub| hub["connected"] == near).then_some(()))
        })
    };
    near(true).expect("they speak");
    driver.relay.cut(true);
    office.record(&driver, &numbers[0], &json!({ "step": "picked_up" }));
    near(false).expect("the hub is shown as unreachable");
    // Attempts that nobody answers are no signs of life.
    let lost = driver.relay.up().lost;
    eventually("further attempts", LIMIT, || Ok((driver.relay.up().lost > lost + 3).then_some(())))
        .expect("the hub is dialled again");
    assert_eq!(api.get("/status").expect("it answers")["peers"][0]["connected"], false);
    driver.relay.cut(false);
    near(true).expect("it is back");
    office.converge([&driver]);
}

/// A service manager's SIGTERM is a clean end: exit code 0, no address left behind, and everything there again.
#[test]
fn sigterm_is_a_clean_end() {
    let mut office = Office::open(19);
    let (mut driver, numbers) = office.driver("li-wei", 19, 3);
    driver.relay.cut(true);
    office.record(&driver, &numbers[0], &json!({ "step": "picked_up" }));
    assert_eq!(driver.node.stop().expect("it ends").code(), Some(0));
    assert!(!driver.node.data.join(creel_node::HTTP_ADDRESS_FILE).exists(), "a client would ask a node that is gone");
    assert_eq!(office.firm.hub.stop().expect("it ends").code(), Some(0));
    office.firm.restart_hub("127.0.0.1:0".parse().expect("an address")).expect("the hub starts again");
    driver.relay.lead_to(office.firm.hub.quic().expect("it runs"));
    driver.node.start(&["--quic", "127.0.0.1:0"]).expect("it starts again");
    driver.relay.cut(false);
    office.converge([&driver]);
}

/// The demo goes well, says so in figures, and leaves nothing behind that it was not asked to keep.
#[test]
fn the_demo_passes() {
    let keep = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(env!("CARGO_BIN_EXE_creel"))
        .args(["demo", "--json", "--seed", "7", "--keep"])
        .arg(keep.path())
        .output()
        .expect("creel runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let figures: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((&figures["passed"], &figures["made_up"]), (&json!(true), &json!(true)), "{figures}");
    assert_eq!(figures["present"], figures["acknowledged"]);
    assert_eq!(figures["contradictions_shown"], figures["contradictions_settled"]);
    let hub = keep.path().join(HUB);
    assert!(hub.join("store").is_dir(), "the hub's store was to be kept");
    assert!(!hub.join(creel_node::HTTP_ADDRESS_FILE).exists(), "the hub was left running");
}
