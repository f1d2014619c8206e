//! Single cores, to whom a test speaks as their peers and people: letting go, who brings back what was let go of, the list of photos, and
//! taps that are used twice.

use creel_protocol::core::io::{Act, Input, Named, Query, Refusal, Reply};
use creel_protocol::core::keys;
use creel_protocol::edit::Edit;
use creel_protocol::edit::action::PlanFields;
use creel_protocol::id::{DeviceKey, DocumentId, EditId, FileHash, Tap};
use creel_protocol::roster::{Change, Enrol, Role};
use creel_protocol::store::{Batch, Store as _};
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::{Holds, Parting};
use creel_storage::Engine as _;
use creel_tests::firm::{Firm, NOON, key_of};
use creel_tests::lone::Node;

/// The sessions.
const PHONE: u64 = 1;
const DORA: u64 = 2;
const TABLET: u64 = 3;
const HUB: u64 = 4;
const SHOP: u64 = 5;

fn device(who: &str) -> DeviceKey {
    DeviceKey(key_of(who).verifying_key().to_bytes())
}

/// A firm in which a driver has a phone and a tablet.
fn firm() -> Firm {
    let mut firm = Firm::following("standard");
    let (role, party) = (Role::Driver, Some("driver:li-wei".to_owned()));
    let enrol = Enrol { key: device("tablet"), role, party, name: "tablet".to_owned() };
    let entry = firm.roster.write(Change::Enrol(enrol), NOON, &key_of("issuer")).expect("the issuer writes");
    firm.roster.append(&entry).expect("it follows");
    firm
}

/// A plan that gives a shipment to another driver.
fn to(firm: &Firm, driver: &str, document: DocumentId, after: EditId) -> Edit {
    firm.plan("dora", document, &[after], PlanFields { driver: Some(format!("driver:{driver}")), ..Default::default() })
}

/// To whom edits of a document are sent, in order and each once.
fn sent(said: &[(u64, Frame)], document: DocumentId) -> Vec<u64> {
    let about =
        |frame: &Frame| matches!(frame, Frame::Edits(edits) if edits.iter().any(|edit| edit.document == document));
    let mut sent: Vec<u64> = said.iter().filter(|(_, frame)| about(frame)).map(|(session, _)| *session).collect();
    sent.sort_unstable();
    sent.dedup();
    sent
}

fn may_go(said: &[(u64, Frame)], document: DocumentId) -> bool {
    said.iter().any(|(_, frame)| {
        matches!(frame, Frame::Parted(documents) if documents.iter().any(|parting| parting.document == document))
    })
}

fn part(document: DocumentId, head: EditId) -> Frame {
    Frame::Part(vec![Parting { document, heads: vec![head] }])
}

/// A hub that devices of one driver speak to, a shipment that was the driver's and is another's now, and the plan that said so.
fn left(firm: &Firm, sessions: &[(u64, &str)]) -> (Node, DocumentId, EditId) {
    let mut hub = Node::of(firm, "hub");
    hub.tidy(0);
    hub.meet(DORA, "dora", false);
    sessions.iter().for_each(|(session, who)| hub.meet(*session, who, false));
    let open = firm.open("SO-1");
    hub.hear_edits(DORA, &[&open]);
    hub.rest();
    let given = to(firm, "zhang", open.document, open.id);
    hub.hear_edits(DORA, &[&given]);
    hub.rest();
    // What is on its way is not sent twice.
    for (session, _) in sessions {
        hub.hear(*session, Frame::Ack(vec![open.id, given.id]));
    }
    (hub, open.document, given.id)
}

/// The hub lets a device go of what it has held for long enough itself, and of no less than that, whatever the device's clock says.
#[test]
fn the_hubs_clock_decides() {
    let firm = firm();
    let (mut hub, document, head) = left(&firm, &[(PHONE, "li-wei")]);
    hub.tidy(1_000);
    assert!(!may_go(&hub.hear(PHONE, part(document, head)), document));
    hub.now += 1_000;
    assert!(may_go(&hub.hear(PHONE, part(document, head)), document));
    assert!(!may_go(&hub.hear(PHONE, part(document, EditId([7; 32]))), document), "this it does not hold");
}

/// A device that holds nothing of what it is taken to have let go of says so unasked, and is sent it.
#[test]
fn who_tells_of_it_is_sent_it() {
    let firm = firm();
    let (mut hub, document, head) = left(&firm, &[(PHONE, "li-wei")]);
    assert!(may_go(&hub.hear(PHONE, part(document, head)), document));
    let said = hub.hear(PHONE, Frame::Holds(vec![Holds::of(document, &[], false)]));
    assert_eq!(sent(&said, document), [PHONE]);
}

/// It is a party's again as a whole: its other devices have not let go of it any more either.
#[test]
fn it_comes_back_to_a_whole_party() {
    let firm = firm();
    let (mut hub, document, head) = left(&firm, &[(PHONE, "li-wei"), (TABLET, "tablet")]);
    for session in [PHONE, TABLET] {
        assert!(may_go(&hub.hear(session, part(document, head)), document));
    }
    let said = hub.hear(PHONE, Frame::Holds(vec![Holds::of(document, &[], false)]));
    assert_eq!(sent(&said, document), [PHONE, TABLET]);
    // And what is added later comes to both.
    let said = hub.hear_edits(DORA, &[&to(&firm, "zhou", document, head)]);
    assert_eq!(sent(&said, document), [PHONE, TABLET]);
}

/// A device lets go between two plans of which neither was looked at yet, and the second names its party again: it is sent the
/// shipment.
#[test]
fn plans_are_looked_at_before_it_is_let_go_of() {
    let firm = firm();
    let mut hub = Node::of(&firm, "hub");
    hub.tidy(0);
    hub.meet(DORA, "dora", false);
    hub.meet(PHONE, "li-wei", false);
    let open = firm.open("SO-1");
    hub.hear_edits(DORA, &[&open]);
    hub.rest();
    let away = to(&firm, "zhang", open.document, open.id);
    let again = to(&firm, "li-wei", open.document, away.id);
    hub.hear_edits(DORA, &[&away]);
    assert!(may_go(&hub.hear(PHONE, part(open.document, away.id)), open.document));
    let mut said = hub.hear_edits(DORA, &[&again]);
    said.extend(hub.rest());
    assert!(sent(&said, open.document).contains(&PHONE), "it is hidden from the driver whose it is");
}

/// When a third device, which may have missed a part of it, brings back what was let go of, the hub is told that it is wanted again.
#[test]
fn the_hub_is_asked_for_what_a_third_brings() {
    let firm = firm();
    let (open, mut phone) = (firm.open("SO-1"), Node::of(&firm, "li-wei"));
    let document = open.document;
    let given = to(&firm, "zhang", document, open.id);
    phone.meet(HUB, "hub", true);
    phone.meet(SHOP, "west-lake", false);
    phone.hear_edits(HUB, &[&open, &given]);
    phone.rest();
    let asked = phone.tidy(0);
    let asked = asked.iter().any(|(session, frame)| *session == HUB && *frame == part(document, given.id));
    assert!(asked, "the phone keeps what is another's");
    phone.hear(HUB, Frame::Parted(vec![Parting { document, heads: vec![given.id] }]));
    let said = phone.hear_edits(SHOP, &[&open]);
    let wanted = Frame::Holds(vec![Holds::of(document, &[], false)]);
    assert_eq!(said.iter().filter(|(session, frame)| *session == HUB && *frame == wanted).count(), 1, "{said:?}");
    // What the hub itself brings is all of it.
    phone.hear_edits(HUB, &[&given]);
    phone.rest();
    phone.tidy(0);
    phone.hear(HUB, Frame::Parted(vec![Parting { document, heads: vec![given.id] }]));
    let said = phone.hear_edits(HUB, &[&open, &given]);
    assert!(!said.iter().any(|(_, frame)| *frame == wanted), "{said:?}");
}

/// However many photos one device names, those of the others are on the list of what is wanted, a few pages on.
#[test]
fn the_list_of_photos_has_more_pages() {
    let firm = firm();
    let mut dora = Node::of(&firm, "dora");
    let (busy, other) = (DeviceKey([1; 32]), DeviceKey([2; 32]));
    let mut batch = Batch::default();
    let names: Vec<Named> = (0..10_000_u32)
        .map(|nth| (busy, FileHash(*blake3::hash(&nth.to_be_bytes()).as_bytes())))
        .chain([(other, FileHash([0; 32]))])
        .collect();
    names.iter().for_each(|(author, photo)| batch.put(keys::wanted_photo(author, photo), Vec::new()));
    dora.engine.apply(&batch).expect("memory takes a batch");
    let mut walk = |from| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            dora.feed(Input::Ask { request: 1, query: Query::WantedPhotos { from, after } });
            let Some(Ok(Reply::Photos(page))) = dora.replies.pop() else { panic!("it is not answered") };
            after = page.last().copied();
            found.extend(page);
            if after.is_none() {
                return found;
            }
        }
    };
    let mut all = names.clone();
    all.sort_unstable();
    assert_eq!(walk(None), all);
    assert_eq!(walk(Some(other)), names[10_000..]);
}

/// The same request again makes nothing new; another one by the same tap is refused, and was not done.
#[test]
fn a_tap_is_one_request() {
    let firm = firm();
    let mut hub = Node::of(&firm, "hub");
    let opened = firm.open("SO-1");
    hub.meet(DORA, "dora", false);
    hub.hear_edits(DORA, &[&opened]);
    let mut say = |by: Option<&str>, text: &str| {
        let act = Act::Say { shipment: opened.document.to_string(), text: text.to_owned() };
        hub.feed(Input::Act { request: 1, tap: Tap([7; 16]), by: by.map(str::to_owned), act });
        hub.replies.pop().expect("it is answered")
    };
    let made = |reply| match reply {
        Ok(Reply::Made(made)) => made,
        other => panic!("{other:?}"),
    };
    let first = made(say(Some("Ann"), "hello"));
    assert_eq!(made(say(Some("Ann"), "hello")), first);
    assert!(matches!(say(Some("Ann"), "another"), Err(Refusal::TapUsed)));
    assert!(matches!(say(Some("Bo"), "hello"), Err(Refusal::TapUsed)));
    assert!(matches!(say(None, "hello"), Err(Refusal::TapUsed)));
    let (from, to) = keys::under(&keys::edits(&opened.document));
    assert_eq!(hub.engine.scan(&from, &to, 10).expect("memory reads").len(), 2);
}
