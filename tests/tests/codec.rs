//! Bytes that come from outside: one encoding, no panic, and no byte that can be changed unseen.

use creel_protocol::cbor::Bytes;
use creel_protocol::cbor::{Decode as _, Encode as _, Reader, Writer};
use creel_protocol::edit::action::{Action, LineCount, Measure, Place, PlanFields, Record, Say, Window};
use creel_protocol::edit::{Edit, RawAction};
use creel_protocol::id::{Digest, DocumentId, EditId, FileHash};
use creel_protocol::roster::invite::Invite;
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::{Hello, Holds, Summed};
use creel_protocol::sync::packed::{pack, unpack};
use creel_protocol::sync::ranges::Told;
use creel_tests::firm::Firm;
use proptest::prelude::*;
use std::sync::LazyLock;

static ORGANISATION: LazyLock<creel_protocol::id::OrganisationId> =
    LazyLock::new(|| Firm::following("simple").roster.organisation());

/// A value of creel's CBOR, written as it must be.
#[derive(Debug, Clone)]
enum Value {
    Unsigned(u64),
    Negative(i64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Value>),
    Map(Vec<Value>),
    Truth(bool),
}

impl Value {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Unsigned(value) => writer.unsigned(*value),
            Self::Negative(value) => writer.signed(*value),
            Self::Bytes(value) => writer.byte_string(value),
            Self::Text(value) => writer.text(value),
            Self::Array(items) => {
                writer.array(items.len());
                items.iter().for_each(|item| item.write(writer));
            }
            Self::Map(items) => {
                writer.map(items.len());
                (0..).zip(items).for_each(|(key, item)| {
                    writer.unsigned(key);
                    item.write(writer);
                });
            }
            Self::Truth(value) => writer.boolean(*value),
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Value::Unsigned),
        (i64::MIN..0).prop_map(Value::Negative),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        "\\PC{0,20}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Truth),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::vec(inner, 0..30).prop_map(Value::Map),
        ]
    })
}

fn text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("\\PC{0,30}")
}

fn record() -> impl Strategy<Value = Record> {
    let photos = proptest::collection::vec(any::<[u8; 32]>().prop_map(FileHash), 0..4);
    let lines = proptest::collection::vec(
        ("[a-z0-9]{1,4}", proptest::option::of(any::<i64>())).prop_map(|(line, received)| LineCount {
            line,
            received,
            ..LineCount::default()
        }),
        0..4,
    );
    let place = proptest::option::of((-900_000_000..=900_000_000_i32, -1_800_000_000..=1_800_000_000_i32));
    let signature = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    ("[a-z_]{1,20}", text(), text(), signature, photos, place, proptest::option::of(any::<i64>()), lines).prop_map(
        |(step, reason, receiver, signature, photos, place, collected, lines)| Record {
            step,
            reason,
            receiver,
            signature: signature.map(Bytes),
            photos,
            place: place.map(|(latitude, longitude)| Place(latitude, longitude)),
            collected,
            lines,
            ..Record::default()
        },
    )
}

fn action() -> impl Strategy<Value = RawAction> {
    let fields = (text(), text(), any::<(u64, u16)>(), proptest::option::of(any::<u32>())).prop_map(
        |(consignee, note, (from, length), stop)| {
            let from = from / 2;
            let window = Some(Window(from, from + u64::from(length)));
            PlanFields { consignee, note, window, stop, ..PlanFields::default() }
        },
    );
    prop_oneof![
        record().prop_map(|record| Action::Record(record).to_raw()),
        fields
            .prop_map(|fields| { Action::Plan(creel_protocol::edit::action::Plan { fields, import: None }).to_raw() }),
        "\\PC{0,60}".prop_map(|text| Action::Say(Say::of(&text)).to_raw()),
        ("\\PC{1,9}", any::<i64>()).prop_map(|(quantity, value)| {
            Action::Measure(Measure { quantity, value, unit: "°C".to_owned(), sensor: None }).to_raw()
        }),
        // Of a version that nobody here knows.
        (8..u64::MAX, any::<u64>(), proptest::collection::vec(value(), 0..5)).prop_map(|(kind, version, items)| {
            let mut writer = Writer::default();
            Value::Map(items).write(&mut writer);
            RawAction { kind, version, body: Bytes(writer.bytes) }
        }),
    ]
}

prop_compose! {
    fn edit()(action in action(), after in proptest::collection::btree_set(any::<[u8; 32]>(), 0..6), tap: [u8; 16],
              document: [u8; 24], at in 0..1_u64 << 48, by in proptest::option::of("\\PC{1,20}")) -> Edit {
        let firm = Firm::following("simple");
        let key = creel_tests::firm::key_of("li-wei");
        let statement = creel_protocol::edit::Statement {
            author: creel_protocol::id::DeviceKey(key.verifying_key().to_bytes()),
            by,
            after: after.into_iter().map(EditId).collect(),
            roster: firm.roster.head(),
            tap: creel_protocol::id::Tap(tap),
            at,
            action,
        };
        Edit::sign(&ORGANISATION, Some(DocumentId(document)), statement, &key).expect("it is within the limits")
    }
}

fn told() -> impl Strategy<Value = Vec<Told>> {
    let one = (any::<u8>(), any::<u64>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(depth, index, bits, digests)| Told { depth, index, bits, digests: Bytes(digests) });
    proptest::collection::vec(one, 0..5)
}

fn frame() -> impl Strategy<Value = Frame> {
    let ids = || proptest::collection::vec(any::<[u8; 32]>().prop_map(EditId), 0..20);
    let digest = || any::<[u8; 32]>().prop_map(Digest);
    prop_oneof![
        (any::<u64>(), any::<[u8; 32]>()).prop_map(|(height, head)| Frame::Hello(Hello::of(
            *ORGANISATION,
            height,
            creel_protocol::id::EntryId(head),
        ))),
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50).prop_map(Bytes), 0..4)
            .prop_map(Frame::Roster),
        proptest::collection::vec(edit(), 0..3).prop_map(Frame::Edits),
        ids().prop_map(Frame::Ack),
        (any::<u64>(), digest()).prop_map(|(count, sum)| Frame::Prove(Summed { count, sum })),
        told().prop_map(Frame::Ranges),
        told().prop_map(Frame::Wants),
        (any::<[u8; 24]>(), ids(), any::<bool>()).prop_map(|(document, held, ask)| Frame::Holds(vec![Holds::of(
            DocumentId(document),
            &held,
            ask
        )])),
        "\\PC{0,100}".prop_map(Frame::Refuse),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Promise 10: what the one writer writes, the one reader takes whole.
    #[test]
    fn what_is_written_is_read(value in value()) {
        let mut writer = Writer::default();
        value.write(&mut writer);
        let mut reader = Reader::new(&writer.bytes);
        prop_assert_eq!(reader.any().map(<[u8]>::to_vec), Ok(writer.bytes.clone()));
        prop_assert_eq!(reader.end(), Ok(()));
    }

    /// Promise 10: there is no second encoding. Bytes that are taken for an action are the bytes it encodes to.
    #[test]
    fn there_is_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(raw) = RawAction::from_cbor(&bytes) {
            prop_assert_eq!(raw.to_cbor(), bytes);
        }
    }

    /// Promise 10: an edit is kept and passed on byte for byte, whether or not its action is understood.
    #[test]
    fn an_edit_encodes_to_its_own_bytes(edit in edit()) {
        let read = Edit::verify(&ORGANISATION, &edit.bytes).expect("what was signed verifies");
        prop_assert_eq!(&read, &edit);
        prop_assert_eq!(Edit::stored(&ORGANISATION, edit.bytes.clone()), Ok(edit));
        if let Ok(action) = Action::from_raw(&read.statement.action) {
            prop_assert_eq!(action.to_raw(), read.statement.action);
        }
    }

    /// Promise 2: no byte of an edit can be changed, added or left out without its being refused.
    #[test]
    fn a_changed_edit_is_refused(edit in edit(), place: prop::sample::Index, flip in 1..=255_u8) {
        let mut bytes = edit.bytes.clone();
        bytes[place.index(edit.bytes.len())] ^= flip;
        prop_assert!(Edit::verify(&ORGANISATION, &bytes).is_err());
        prop_assert!(Edit::verify(&ORGANISATION, &edit.bytes[..place.index(edit.bytes.len())]).is_err());
        let longer = [edit.bytes.as_slice(), &[flip]].concat();
        prop_assert!(Edit::verify(&ORGANISATION, &longer).is_err());
        let other = creel_protocol::id::OrganisationId([flip; 32]);
        prop_assert!(Edit::verify(&other, &edit.bytes).is_err());
    }

    /// A frame arrives as it was sent, with every edit in it.
    #[test]
    fn a_frame_is_read_as_written(frame in frame()) {
        let packed = pack(&frame.to_cbor());
        let bytes = unpack(&packed).expect("what was packed is unpacked");
        let (read, refused) = Frame::decode(&bytes, &ORGANISATION).expect("an honest frame decodes");
        prop_assert_eq!(read, frame);
        prop_assert_eq!(refused, []);
    }

    /// Nothing a peer sends can panic: arbitrary bytes, and frames with bytes changed or cut off.
    #[test]
    fn no_frame_panics(frame in frame(), noise in proptest::collection::vec(any::<u8>(), 0..200),
                       changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
                       cut: prop::sample::Index) {
        let _ = Frame::decode(&noise, &ORGANISATION);
        let _ = unpack(&noise);
        let _ = unpack(&[&[1], noise.as_slice()].concat());
        let mut bytes = frame.to_cbor();
        let _ = Frame::decode(&bytes[..cut.index(bytes.len())], &ORGANISATION);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let _ = Frame::decode(&bytes, &ORGANISATION);
        }
    }

    /// An invite survives any messenger: white space and lower case change nothing, a slip is noticed.
    #[test]
    fn an_invite_survives_a_messenger(secret: [u8; 16], root: [u8; 32], expires: u64, slip: prop::sample::Index) {
        let invite = Invite {
            root: Digest(root),
            addresses: vec!["hub.example:4040".to_owned()],
            secret: Bytes(secret.to_vec()),
            expires,
        };
        let text = invite.to_text();
        let mangled: String = text.to_lowercase().chars().flat_map(|letter| [letter, ' ']).collect();
        prop_assert_eq!(Invite::parse(&mangled), Ok(invite));
        let mut letters: Vec<char> = text.chars().collect();
        let place = slip.index(letters.len());
        letters[place] = if letters[place] == 'A' { 'B' } else { 'A' };
        prop_assert!(Invite::parse(&letters.into_iter().collect::<String>()).is_err());
    }
}
