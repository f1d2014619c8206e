//! The same edits, in whatever order and in whatever pieces they come, are the same shipment.

use creel_protocol::cbor::Decode as _;
use creel_protocol::core::io::{Input, Now, Output, Query, Reply, Shown};
use creel_protocol::core::{Core, Identity, joined, keys};
use creel_protocol::edit::Edit;
use creel_protocol::edit::action::{Action, Measure, PlanFields, Say, Window};
use creel_protocol::id::{DeviceKey, EditId};
use creel_protocol::store::Store as _;
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::Hello;
use creel_storage::{Engine as _, MemoryEngine};
use creel_tests::firm::{Firm, key_of};
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use std::collections::BTreeMap;

const PEOPLE: [&str; 6] = ["hub", "dora", "dirk", "li-wei", "zhang", "west-lake"];

/// A random history of `shipments`: each step is somebody who stands on some of the earlier edits of a shipment.
fn history(firm: &Firm, shipments: usize, steps: &[[u8; 4]]) -> Vec<Edit> {
    let mut edits: Vec<Edit> = (0..shipments).map(|nth| firm.open(&format!("SO-{nth}"))).collect();
    let opens = edits.clone();
    let all: Vec<&str> = firm.workflow().steps.iter().map(|step| step.key.as_str()).collect();
    for [who, what, base, which] in steps.iter().map(|numbers| numbers.map(usize::from)) {
        let open = &opens[which % opens.len()];
        let who = PEOPLE[who % PEOPLE.len()];
        let same: Vec<&Edit> = edits.iter().filter(|edit| edit.document == open.document).collect();
        let mut after = vec![same[base % same.len()].id, same[base / 7 % same.len()].id];
        after.sort();
        after.dedup();
        let records: Vec<EditId> = same
            .iter()
            .filter(|edit| matches!(Action::from_raw(&edit.statement.action), Ok(Action::Record(_))))
            .map(|edit| edit.id)
            .collect();
        let hour = u64::try_from(base % 5).unwrap_or_default() * 3_600_000;
        let edit = match what % 10 {
            0 => {
                let window = Some(Window(hour, hour + 7_200_000));
                firm.plan(who, open.document, &after, PlanFields { window, ..PlanFields::default() })
            }
            1 => {
                let number = Some(format!("SO-{}", base % 3));
                firm.plan(who, open.document, &after, PlanFields { number, ..PlanFields::default() })
            }
            2 => firm.sign(who, Some(open.document), &after, &Action::Say(Say::of(&format!("{base}")))),
            3 => {
                let measure = Measure {
                    quantity: "t".to_owned(),
                    value: hour.cast_signed(),
                    unit: "°C".to_owned(),
                    sensor: None,
                };
                firm.sign(who, Some(open.document), &after, &Action::Measure(measure))
            }
            4 if !records.is_empty() => firm.retract(who, open.document, &after, records[base % records.len()]),
            5 if !records.is_empty() => {
                let uphold = records[base % records.len()];
                firm.resolve(who, open.document, &after, &records[..records.len().min(3)], Some(uphold))
            }
            _ => {
                let receiver = ["Wang", "Chen"][base % 2];
                firm.record(who, open.document, &after, all[1 + what % (all.len() - 1)], Some(receiver))
            }
        };
        edits.push(edit);
    }
    edits
}

fn shuffled<T: Clone>(items: &[T], order: &[prop::sample::Index]) -> Vec<T> {
    let mut items = items.to_vec();
    for (place, other) in (1..items.len()).rev().zip(order) {
        items.swap(place, other.index(place + 1));
    }
    items
}

/// A dispatcher's device, that another dispatcher's speaks to.
struct Device {
    core: Core,
    engine: MemoryEngine,
}

impl Device {
    fn of(firm: &Firm) -> Self {
        let mut engine = MemoryEngine::default();
        engine.apply(&joined(&firm.roster)).expect("memory takes a batch");
        let identity = Identity { device: key_of("dora"), issuer: None };
        let (core, batch) = Core::open(&engine, identity).expect("it is a member");
        batch.iter().for_each(|batch| engine.apply(batch).expect("memory takes a batch"));
        let mut device = Self { core, engine };
        let peer = DeviceKey(key_of("hub").verifying_key().to_bytes());
        device.feed(Input::Connected { session: 1, peer, dialled: false });
        let roster = &firm.roster;
        let hello = Hello::of(roster.organisation(), roster.height(), roster.head());
        device.hear(Frame::Hello(hello));
        device
    }

    fn hear(&mut self, frame: Frame) -> Vec<Output> {
        self.feed(Input::Received { session: 1, frame, refused: Vec::new() })
    }

    /// One step, everything it commits made durable, and whatever that puts out.
    fn feed(&mut self, input: Input) -> Vec<Output> {
        let mut said = Vec::new();
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for output in self.core.step(&self.engine, Now(0), input) {
                match output {
                    Output::Commit { commit, batch } => {
                        self.engine.apply(&batch).expect("memory takes a batch");
                        inputs.insert(0, Input::Committed { commit });
                    }
                    other => said.push(other),
                }
            }
        }
        said
    }

    fn rest(&mut self) {
        while self.core.has_background_work() {
            self.feed(Input::Idle);
        }
    }

    /// Every cache that is made from the edits, and every shipment as it is shown.
    fn caches(&mut self) -> (BTreeMap<String, String>, Vec<Shown>) {
        self.rest();
        let mut caches = BTreeMap::new();
        for letter in [b"s", b"n", b"p", b"d", b"e", b"x"] {
            let (from, to) = keys::under(letter);
            for (key, value) in self.engine.scan(&from, &to, usize::MAX).expect("memory is read") {
                let name = String::from_utf8_lossy(letter).into_owned() + &HEXLOWER.encode(&key[1..]);
                let value = if letter == b"s" { summary(&value) } else { HEXLOWER.encode(&value) };
                caches.insert(name, value);
            }
        }
        let (from, to) = keys::under(b"d");
        let documents = self.engine.scan(&from, &to, usize::MAX).expect("memory is read");
        let shown = documents.iter().filter_map(|(key, _)| {
            let shipment = keys::tail(key).map(creel_protocol::id::DocumentId)?.to_string();
            let outputs = self.feed(Input::Ask { request: 1, query: Query::Show { shipment } });
            outputs.into_iter().find_map(|output| match output {
                Output::Reply { reply: Ok(Reply::Shown(shown)), .. } => Some(*shown),
                _ => None,
            })
        });
        let shown = shown.collect();
        (caches, shown)
    }
}

/// A summary in words; its parties stand in the order in which they came into scope, which may differ.
fn summary(bytes: &[u8]) -> String {
    let mut summary = keys::Summary::from_cbor(bytes).expect("a summary decodes");
    summary.parties.sort();
    format!("{summary:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Promise 6: same set, same view and same Automerge heads, byte for byte, and the oracle's view.
    #[test]
    fn any_order_is_one_view(steps in proptest::collection::vec(any::<[u8; 4]>(), 1..25),
                             order in proptest::collection::vec(any::<prop::sample::Index>(), 30)) {
        let firm = Firm::following("standard");
        let edits = history(&firm, 1, &steps);
        let render = firm.render(&edits);
        let again = firm.render(&shuffled(&edits, &order));
        prop_assert_eq!(&render.view, &again.view);
        prop_assert_eq!((render.view_hash, render.edits_hash), (again.view_hash, again.edits_hash));
        prop_assert_eq!(serde_json::to_value(&render.view).expect("a view is JSON"), firm.oracle(&edits));
    }

    /// Promise 6 at the store: the same edits in another order and in other pieces make the same summaries, indexes, heads and
    /// views, wherever a device paused to bring its summaries up to date; and each is acknowledged exactly when it is admitted.
    #[test]
    fn any_pieces_are_one_store(steps in proptest::collection::vec(any::<[u8; 4]>(), 1..20),
                                order in proptest::collection::vec(any::<prop::sample::Index>(), 30),
                                pieces in proptest::collection::vec((1..5_usize, any::<bool>()), 30)) {
        let firm = Firm::following("standard");
        let edits = history(&firm, 3, &steps);
        let (mut whole, mut pieced) = (Device::of(&firm), Device::of(&firm));
        whole.hear(Frame::Edits(edits.clone()));
        let mut rest = shuffled(&edits, &order);
        let mut acknowledged = Vec::new();
        for (count, pause) in pieces.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let piece: Vec<Edit> = rest.drain(..count.min(rest.len())).collect();
            for output in pieced.hear(Frame::Edits(piece)) {
                if let Output::Send { frame: Frame::Ack(ids), .. } = output {
                    acknowledged.extend(ids);
                }
            }
            if pause {
                pieced.rest();
            }
        }
        acknowledged.sort();
        acknowledged.dedup();
        let mut ids: Vec<EditId> = edits.iter().map(|edit| edit.id).collect();
        ids.sort();
        prop_assert_eq!(acknowledged, ids);
        let ((one, shown), (other, shown_too)) = (whole.caches(), pieced.caches());
        prop_assert_eq!(shown, shown_too);
        let differs: Vec<_> = one.iter().filter(|(key, value)| other.get(*key) != Some(value)).collect();
        prop_assert!(one == other, "{:?} are not {:?}", differs, other);
    }
}
