//! docs/wire.md and the code say the same: every vector that stands there is what the code writes, and reads back.

#[path = "../interop/vectors.rs"]
mod vectors;

use creel_protocol::cbor::{Bytes, Decode, Encode, Reader};
use creel_protocol::cose::{self, Purpose};
use creel_protocol::edit::action::{
    Action, Line, LineCount, Measure, Open, Place, Plan, PlanFields, Record, Resolve, Retract, Say, Window,
};
use creel_protocol::edit::{Edit, RawAction, Statement};
use creel_protocol::id::{DeviceKey, Digest, DocumentId, EditId, EntryId, FileHash, OrganisationId, Tap};
use creel_protocol::proof::{self, Proof, Signature};
use creel_protocol::roster::cut::{Cut, Cuts};
use creel_protocol::roster::invite::{Invite, device_proof, hub_proof, invite_id};
use creel_protocol::roster::{Change, Enrol, Extend, Genesis, Publish, Revoke, Role, Roster, SetRole, verify_entry};
use creel_protocol::shipment::effect::Effects;
use creel_protocol::shipment::{History, Void};
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::{Hello, Holds, Parting, Redeem, Summed, Welcome};
use creel_protocol::sync::ranges::Told;
use creel_protocol::workflow::Workflow;
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use vectors::{Document, Vector};

/// 2026-03-01 12:00 UTC, in milliseconds since the Unix epoch.
const AT: u64 = 1_772_366_400_000;
const SECRET: [u8; 16] = [0x0a; 16];
const EXPORTER: [u8; 32] = [0x0e; 32];

/// What the reader of CBOR refuses, each for the reason that is its name.
const REFUSED: [(&str, &str); 14] = [
    ("integer-not-shortest", "1817"),
    ("length-not-shortest", "580100"),
    ("keys-not-sorted", "a202000100"),
    ("integer-below-the-least", "3b8000000000000000"),
    ("key-twice", "a201000100"),
    ("texts-not-sorted-by-encoding", "a262626200616100"),
    ("key-of-bytes", "a1410100"),
    ("indefinite-length", "9f00ff"),
    ("float", "f93c00"),
    ("tag", "c000"),
    ("null", "f6"),
    ("text-not-utf-8", "62c328"),
    ("too-short", "4201"),
    ("trailing-byte", "0000"),
];

/// The organisation of the vectors, and everything made in it.
struct World {
    roster: Roster,
    genesis: Vec<u8>,
    entries: Vec<(&'static str, Vec<u8>)>,
    edits: Vec<(&'static str, Edit, Option<Action>)>,
    cuts: [Cut; 3],
    toml: String,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(key: &SigningKey) -> DeviceKey {
    DeviceKey(key.verifying_key().to_bytes())
}

fn root() -> SigningKey {
    key(1)
}

fn issuer() -> SigningKey {
    key(2)
}

fn hub() -> SigningKey {
    key(3)
}

fn driver() -> SigningKey {
    key(4)
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    data_encoding::HEXLOWER.encode(bytes.as_ref())
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// The workflow of the vectors: the one TOML block of the document.
fn workflow_in(document: &Document) -> String {
    let (_, rest) = document.text.split_once("```toml\n").expect("docs/wire.md shows the workflow");
    rest.split_once("```").expect("a block ends").0.to_owned()
}

impl World {
    fn new(toml: String) -> Self {
        Workflow::parse(&toml).expect("the workflow of the vectors is one");
        let genesis = Roster::found("Example Tackle", &root(), &issuer(), &hub(), AT);
        let roster = Roster::begin(&genesis).expect("the genesis was just made");
        let mut world = Self { roster, genesis, entries: Vec::new(), edits: Vec::new(), cuts: cuts(&[]), toml };
        let enrol = |key: &SigningKey, role, party, name: &str| {
            Change::Enrol(Enrol { key: public(key), role, party, name: name.to_owned() })
        };
        world.write("entry-enrol-hub", enrol(&hub(), Role::Admin, None, "hub"));
        world
            .write("entry-enrol-driver", enrol(&driver(), Role::Driver, Some(text("driver:li-wei")), "Li Wei's phone"));
        world.write("entry-publish", Change::Publish(Publish { toml: world.toml.clone() }));
        world.sign_all();
        world.cuts = cuts(&[world.id_of("edit-record"), world.id_of("edit-measure")]);
        let (two, three) = (Cuts::over(&world.cuts[..2]), Cuts::over(&world.cuts));
        let extend = Change::Extend(Extend { edits: vec![world.id_of("edit-say")] });
        world.write("entry-revoke", Change::Revoke(Revoke { key: public(&driver()), cuts: two }));
        let set_role =
            SetRole { key: public(&driver()), role: Role::Shop, party: Some(text("shop:西湖")), cuts: three };
        world.write("entry-set-role", Change::SetRole(set_role));
        world.write("entry-extend", extend);
        world
    }

    fn write(&mut self, name: &'static str, change: Change) {
        let entry = self.roster.write(change, AT, &issuer()).expect("the issuer writes");
        self.roster.append(&entry).expect("what was just written follows");
        self.entries.push((name, entry));
    }

    fn sign_all(&mut self) {
        let workflow = Workflow::id(&self.toml);
        let plan = PlanFields {
            number: Some(text("SO-1001")),
            consignee: Some(text("西湖渔具店")),
            address: Some(text("1 Lake Road")),
            place: Some(Place(302_592_000, 1_201_300_000)),
            window: Some(Window(1_772_406_000_000, 1_772_416_800_000)),
            driver: Some(text("driver:li-wei")),
            run: Some(text("2026-03-02 A")),
            stop: Some(3),
            parties: [("shop".to_owned(), "shop:西湖".to_owned()), ("bank".to_owned(), "bank:a".to_owned())].into(),
            amount_due: Some(125_000),
            handling: Some(text("keep dry")),
            note: Some(text("ring twice")),
            lines: vec![Line {
                line: "1".to_owned(),
                sku: Some(text("ROD-360")),
                name: Some(text("Carp rod 3.6 m")),
                quantity: Some(12_000),
                unit: Some(text("pcs")),
                lot: Some(text("L7")),
                expiry: Some(text("2027-01-31")),
                withdrawn: Some(false),
                weight: Some(310),
                volume: Some(2_400),
                price: Some(12_800),
                gtin: Some(text("06901234567892")),
                cleared: Vec::new(),
            }],
            phone: Some(text("+86 571 8700 0000")),
            reference: Some(text("PO 77")),
            service: Some(15),
            region: Some(text("West")),
            group: Some(text("G-12")),
            cleared: Vec::new(),
            unknown: 0,
        };
        let open =
            Action::Open(Open { kind: "shipment".to_owned(), workflow: Some(workflow), plan, import: Some(true) });
        self.sign("edit-open", &hub(), &[], open);
        let line = Line { line: "1".to_owned(), cleared: vec![text("volume")], ..Line::default() };
        let fields = PlanFields {
            stop: Some(4),
            note: Some(text("")),
            cleared: vec![text("amount_due")],
            lines: vec![line],
            ..PlanFields::default()
        };
        self.sign("edit-plan", &hub(), &["edit-open"], Action::Plan(Plan { fields, import: None }));
        let record = Record {
            step: "signed".to_owned(),
            reason: Some(text("none")),
            receiver: Some(text("王芳")),
            signed_as: Some(text("proxy")),
            relation: Some(text("neighbour")),
            signature: Some(Bytes(b"<svg/>".to_vec())),
            photos: vec![FileHash([7; 32])],
            scan: Some(text("LOT-7")),
            pin: Some(text("4711")),
            place: Some(Place(-338_688_000, -1_512_093_000)),
            collected: Some(125_000),
            note: Some(text("left at the gate")),
            lines: vec![LineCount {
                line: "1".to_owned(),
                received: Some(10_000),
                short: Some(1_000),
                damaged: Some(1_000),
                returned: Some(0),
                lot: Some(text("L7")),
            }],
            further: Some(true),
            payment: Some(text("cash")),
            handed_to: Some(text("shop:西湖")),
        };
        self.sign("edit-record", &driver(), &["edit-plan"], Action::Record(record));
        let (quantity, unit) = ("temperature".to_owned(), "°C".to_owned());
        let measure = Action::Measure(Measure { quantity, value: -7_900, unit, sensor: Some(text("box 2")) });
        self.sign("edit-measure", &driver(), &["edit-plan"], measure);
        let say = Action::Say(Say::of("Gate 2, please."));
        self.sign("edit-say", &driver(), &["edit-record", "edit-measure"], say);
        let answer = Say {
            text: Some(text("Here is the gate.")),
            reply_to: Some(self.id_of("edit-say")),
            files: vec![FileHash([8; 32])],
            file_kind: Some(text("photo")),
        };
        self.sign("edit-answer", &driver(), &["edit-say"], Action::Say(answer));
        // What this version reads of {1: "grown", 100: {"later": 1}}.
        let grown = Bytes(b"\xa2\x01\x65grown\x18\x64\xa1\x65later\x01".to_vec());
        let read = Action::Say(Say::of("grown"));
        self.sign_raw(
            "edit-grown",
            &driver(),
            &["edit-answer"],
            RawAction { kind: 5, version: 1, body: grown },
            Some(read),
        );
        self.sign_on_others();
    }

    /// Edits about other edits, and one that this version does not know.
    fn sign_on_others(&mut self) {
        let record = self.id_of("edit-record");
        let resolve = Resolve { settle: vec![record], uphold: Some(record), note: Some(text("called the shop")) };
        self.sign("edit-resolve", &hub(), &["edit-say"], Action::Resolve(resolve));
        let retract = Retract { edit: self.id_of("edit-measure"), note: Some(text("wrong box")) };
        self.sign("edit-retract", &driver(), &["edit-say"], Action::Retract(retract));
        // {1: "later", "key": [-1, true, h'00']}
        let body = Bytes(b"\xa2\x01\x65later\x63key\x83\x20\xf5\x41\x00".to_vec());
        self.sign_raw("edit-unknown", &driver(), &["edit-open"], RawAction { kind: 99, version: 1, body }, None);
    }

    fn sign(&mut self, name: &'static str, key: &SigningKey, after: &[&str], action: Action) {
        self.sign_raw(name, key, after, action.to_raw(), Some(action));
    }

    fn sign_raw(
        &mut self,
        name: &'static str,
        key: &SigningKey,
        after: &[&str],
        raw: RawAction,
        action: Option<Action>,
    ) {
        let number = u8::try_from(self.edits.len()).expect("there are few");
        let statement = Statement {
            author: public(key),
            by: (public(key) == public(&driver())).then(|| "李伟".to_owned()),
            after: after.iter().map(|name| self.id_of(name)).collect(),
            roster: self.roster.head(),
            tap: Tap([0x10 + number; 16]),
            at: AT + 1_000 * u64::from(number),
            action: raw,
        };
        let document = self.edits.first().map(|(_, open, _)| open.document);
        let edit = Edit::sign(&self.roster.organisation(), document, statement, key).expect("it is within the limits");
        self.edits.push((name, edit, action));
    }

    fn edit(&self, wanted: &str) -> &Edit {
        &self.edits.iter().find(|(name, ..)| *name == wanted).expect("the vector's edit was made before").1
    }

    fn id_of(&self, name: &str) -> EditId {
        self.edit(name).id
    }

    fn entry(&self, wanted: &str) -> &Vec<u8> {
        &self.entries.iter().find(|(name, _)| *name == wanted).expect("the vector's entry was made before").1
    }

    /// The digests of two documents, as docs/wire.md says it and not as the code does.
    fn digests(&self) -> [Digest; 2] {
        let mut heads = vec!["edit-resolve", "edit-retract", "edit-unknown", "edit-grown"]
            .into_iter()
            .map(|name| self.id_of(name))
            .collect::<Vec<_>>();
        heads.sort_unstable();
        let of = |document: DocumentId, heads: &[EditId]| {
            let bytes: Vec<u8> = document.0.into_iter().chain(heads.iter().flat_map(|head| head.0)).collect();
            Digest(blake3::derive_key("creel/fingerprint/1", &bytes))
        };
        [of(self.edits[0].1.document, &heads), of(DocumentId([0x55; 24]), &[EditId([0x33; 32])])]
    }

    fn summed(&self) -> Summed {
        let [one, other] = self.digests();
        let mut sum = [0; 32];
        let mut carry = 0;
        for (sum, (one, other)) in sum.iter_mut().zip(one.0.into_iter().zip(other.0)) {
            carry += u32::from(one) + u32::from(other);
            *sum = u8::try_from(carry % 256).expect("it is below 256");
            carry /= 256;
        }
        Summed { count: 2, sum: Digest(sum) }
    }

    /// Both documents one by one, and the whole in four parts.
    fn told(&self) -> [Told; 2] {
        let salt = self.summed().sum;
        let short = |bytes: &[u8]| blake3::keyed_hash(&salt.0, bytes).as_bytes()[..5].to_vec();
        let [first, second] = self.digests();
        let place = |document: DocumentId| blake3::derive_key("creel/place/1", &document.0)[..16].to_vec();
        let mut documents = [(place(self.edits[0].1.document), first), (place(DocumentId([0x55; 24])), second)];
        documents.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let one_by_one = documents.iter().flat_map(|(_, digest)| short(&digest.0)).collect();
        let parts = (0..4).flat_map(|part| {
            let inside: Vec<_> = documents.iter().filter(|(place, _)| place[0] >> 6 == part).collect();
            match inside[..] {
                [] => vec![0; 5],
                [(_, digest)] => short(&[&1_u64.to_le_bytes()[..], &digest.0].concat()),
                _ => unreachable!("the two stand in different parts"),
            }
        });
        let parts = parts.collect();
        [
            Told { depth: 0, index: 0, bits: 0, digests: Bytes(one_by_one) },
            Told { depth: 0, index: 0, bits: 2, digests: Bytes(parts) },
        ]
    }

    fn invite(&self) -> Invite {
        Invite {
            root: Digest(*blake3::hash(&self.roster.genesis().root.0).as_bytes()),
            addresses: vec!["192.0.2.10:4910".to_owned(), "hub.example:4910".to_owned()],
            secret: Bytes(SECRET.to_vec()),
            expires: AT + 86_400_000,
        }
    }

    fn frames(&self) -> Vec<(&'static str, Frame)> {
        let hello = Hello::of(self.roster.organisation(), self.roster.height(), self.roster.head());
        let held = [self.id_of("edit-open"), self.id_of("edit-say")];
        let holds = Holds::of(self.edits[0].1.document, &held, true);
        let parting = Parting { document: self.edits[0].1.document, heads: held.to_vec() };
        let redeem = Redeem { invite: invite_id(&SECRET), proof: device_proof(&SECRET, &EXPORTER, &public(&driver())) };
        let entries = [&self.genesis, self.entry("entry-enrol-hub"), self.entry("entry-enrol-driver")];
        let welcome = Welcome {
            proof: hub_proof(&SECRET, &EXPORTER, &public(&hub())),
            entries: entries.map(|entry| Bytes(entry.clone())).to_vec(),
        };
        vec![
            ("frame-hello", Frame::Hello(hello)),
            ("frame-roster", Frame::Roster(vec![Bytes(self.entry("entry-extend").clone())])),
            ("frame-edits", Frame::Edits(vec![self.edit("edit-say").clone()])),
            ("frame-ack", Frame::Ack(vec![self.id_of("edit-open"), self.id_of("edit-say")])),
            ("frame-prove", Frame::Prove(self.summed())),
            ("frame-ranges", Frame::Ranges(self.told().to_vec())),
            ("frame-wants", Frame::Wants(self.told()[..1].to_vec())),
            ("frame-holds", Frame::Holds(vec![holds])),
            ("frame-part", Frame::Part(vec![parting])),
            ("frame-redeem", Frame::Redeem(redeem)),
            ("frame-welcome", Frame::Welcome(welcome)),
            ("frame-refuse", Frame::Refuse("this invite has expired: ask for a new one".to_owned())),
        ]
    }

    /// Frames of a later version, as bytes, and what this version reads.
    fn grown_frames(&self) -> Vec<(&'static str, Vec<u8>, Frame)> {
        let hello = Hello::of(self.roster.organisation(), self.roster.height(), self.roster.head());
        let known = Hello { features: vec![text("later")], unknown: 1, ..hello };
        // One key more: 9: true.
        let mut grown = Frame::Hello(known.clone()).to_cbor();
        grown[2] += 1;
        grown.extend([0x09, 0xf5]);
        // [99, {"later": [1]}]
        let unknown = b"\x82\x18\x63\xa1\x65later\x81\x01".to_vec();
        vec![("frame-hello-grown", grown, Frame::Hello(known)), ("frame-unknown", unknown, Frame::Unknown(99))]
    }

    fn proof(&self) -> Proof {
        Proof {
            format: "creel/proof/1".to_owned(),
            genesis: Bytes(self.genesis.clone()),
            enrolment: Bytes(self.entry("entry-enrol-driver").clone()),
            named: Some(Bytes(self.entry("entry-publish").clone())),
            open: Bytes(self.edit("edit-open").bytes.clone()),
            record: Bytes(self.edit("edit-record").bytes.clone()),
            opener: Some(Bytes(self.entry("entry-enrol-hub").clone())),
            signature: None,
            between: Vec::new(),
        }
    }

    /// A proof of the driver's record that the goods came back, made after the message, with the signature beside it.
    fn proof_with_signature(&self) -> Proof {
        let returned = Record { step: "returned".to_owned(), ..Record::default() };
        let statement = Statement {
            author: public(&driver()),
            by: None,
            after: vec![self.id_of("edit-say")],
            roster: self.edit("edit-record").statement.roster,
            tap: Tap([0x30; 16]),
            at: AT + 60_000,
            action: Action::Record(returned).to_raw(),
        };
        let document = Some(self.edit("edit-open").document);
        let record = Edit::sign(&self.roster.organisation(), document, statement, &driver()).expect("it is small");
        let signature = Signature {
            record: Bytes(self.edit("edit-record").bytes.clone()),
            enrolment: None,
            named: Some(Bytes(self.entry("entry-publish").clone())),
        };
        Proof {
            record: Bytes(record.bytes),
            signature: Some(signature),
            between: vec![Bytes(self.edit("edit-say").bytes.clone())],
            ..self.proof()
        }
    }

    /// Every vector of docs/wire.md, made by the code.
    fn vectors(&self) -> BTreeMap<&'static str, Vector> {
        let mut vectors = BTreeMap::from([
            ("cbor-refused", REFUSED.map(|(why, bytes)| (why, bytes.to_owned())).to_vec()),
            ("keys", keys_vector()),
            ("genesis", self.genesis_vector()),
            ("workflow", vec![("id", Workflow::id(&self.toml).to_string())]),
            ("cuts", self.cuts_vector()),
            ("invite", self.invite_vector()),
            ("proof", proof_vector(&self.proof())),
            ("proof-with-signature", proof_vector(&self.proof_with_signature())),
        ]);
        for (name, bytes) in &self.entries {
            let (id, _) = self.entry_of(bytes);
            vectors.insert(name, vec![("id", id.to_string()), ("bytes", hex(bytes))]);
        }
        for (name, edit, _) in &self.edits {
            let mut vector = vec![("id", edit.id.to_string()), ("bytes", hex(&edit.bytes))];
            if *name == "edit-open" {
                vector.insert(0, ("statement", hex(edit.statement.to_cbor())));
                vector.insert(1, ("document", edit.document.to_string()));
            }
            vectors.insert(name, vector);
        }
        for (name, frame) in self.frames() {
            vectors.insert(name, vec![("bytes", hex(frame.to_cbor()))]);
        }
        for (name, bytes, _) in self.grown_frames() {
            vectors.insert(name, vec![("bytes", hex(bytes))]);
        }
        vectors
    }

    fn genesis_vector(&self) -> Vector {
        let payload = self.roster.genesis().to_cbor();
        vec![
            ("payload", hex(&payload)),
            ("sig-structure", hex(cose::sig_structure(Purpose::Genesis, &[], &payload))),
            ("id", self.roster.organisation().to_string()),
            ("bytes", hex(&self.genesis)),
        ]
    }

    fn cuts_vector(&self) -> Vector {
        vec![
            ("cut-1", hex(self.cuts[0].to_cbor())),
            ("cut-2", hex(self.cuts[1].to_cbor())),
            ("cut-3", hex(self.cuts[2].to_cbor())),
            ("root-of-none", Cuts::over(&[]).root.to_string()),
            ("root-of-2", Cuts::over(&self.cuts[..2]).root.to_string()),
            ("root-of-3", Cuts::over(&self.cuts).root.to_string()),
        ]
    }

    fn invite_vector(&self) -> Vector {
        let invite = self.invite();
        vec![
            ("bytes", hex(invite.to_cbor())),
            ("text", invite.to_text()),
            ("id", invite_id(&SECRET).to_string()),
            ("exporter", hex(EXPORTER)),
            ("device-proof", device_proof(&SECRET, &EXPORTER, &public(&driver())).to_string()),
            ("hub-proof", hub_proof(&SECRET, &EXPORTER, &public(&hub())).to_string()),
        ]
    }

    fn entry_of(&self, bytes: &[u8]) -> (EntryId, Change) {
        let (id, entry) =
            verify_entry(self.roster.genesis(), &self.roster.organisation(), bytes).expect("the entry verifies");
        (id, entry.change)
    }
}

fn proof_vector(proof: &Proof) -> Vector {
    let bytes = proof.to_cbor();
    let proven = proof::verify(&bytes).expect("the proof of the vectors holds");
    let record = proven.record;
    let mut vector = vec![
        ("organisation", proven.organisation),
        ("organisation-id", proven.organisation_id.to_string()),
        ("root-fingerprint", proven.root_fingerprint.to_string()),
        ("author", record.author),
        ("device", record.device.to_string()),
        ("by", record.by.unwrap_or_default()),
        ("at", record.at),
        ("number", proven.number),
        ("step", record.step),
        ("receiver", record.receiver.unwrap_or_default()),
        ("edit", record.edit.to_string()),
    ];
    if let Some(signature) = proven.signature {
        vector.extend([
            ("signature-author", signature.author),
            ("signature-at", signature.at),
            ("signature-step", signature.step),
            ("signature-receiver", signature.receiver.unwrap_or_default()),
            ("signature-edit", signature.edit.to_string()),
            ("signature-known", (proven.signature_known == Some(true)).to_string()),
        ]);
    }
    vector.push(("bytes", hex(bytes)));
    vector
}

fn keys_vector() -> Vector {
    vec![
        ("root", public(&root()).to_string()),
        ("issuer", public(&issuer()).to_string()),
        ("hub", public(&hub()).to_string()),
        ("driver", public(&driver()).to_string()),
    ]
}

/// Three documents' cuts, the first with these heads.
fn cuts(heads: &[EditId]) -> [Cut; 3] {
    let mut heads = heads.to_vec();
    heads.sort_unstable();
    [
        Cut { document: DocumentId([0x11; 24]), heads },
        Cut { document: DocumentId([0x22; 24]), heads: vec![EditId([0x33; 32])] },
        Cut { document: DocumentId([0x44; 24]), heads: Vec::new() },
    ]
}

fn document_and_world() -> (Document, World) {
    let document = Document::open("wire.md");
    let world = World::new(workflow_in(&document));
    (document, world)
}

/// What docs/wire.md shows is what this code writes, byte for byte.
#[test]
fn the_code_writes_the_vectors() {
    let (document, world) = document_and_world();
    document.check(&world.vectors());
}

/// A value has one encoding: what docs/wire.md lists as refused is refused.
#[test]
fn other_encodings_are_refused() {
    let document = Document::open("wire.md");
    for (why, _) in REFUSED {
        let bytes = document.bytes("cbor-refused", why);
        let mut reader = Reader::new(&bytes);
        let read = reader.any().map(drop).and_then(|()| reader.end());
        assert!(read.is_err(), "{why} was accepted");
    }
}

/// The roster of docs/wire.md reads back as the changes it was made of, each entry under its id and chained to the one before.
#[test]
fn the_roster_reads_back() {
    let (document, world) = document_and_world();
    let genesis = document.bytes("genesis", "bytes");
    let mut roster = Roster::begin(&genesis).expect("the genesis verifies");
    assert_eq!(roster.organisation().to_string(), document.value("genesis", "id"));
    assert_eq!(roster.genesis(), &Genesis::from_cbor(&document.bytes("genesis", "payload")).expect("it is one"));
    assert_eq!(blake3::hash(&document.bytes("genesis", "sig-structure")).to_string(), document.value("genesis", "id"));
    for (name, made) in &world.entries {
        let bytes = document.bytes(name, "bytes");
        let (id, change) = world.entry_of(&bytes);
        assert_eq!(id.to_string(), document.value(name, "id"), "{name}");
        assert_eq!(change, world.entry_of(made).1, "{name}");
        assert_eq!(roster.append(&bytes), Ok(true), "{name}");
        assert_eq!(roster.head(), id, "{name}");
    }
    for (number, cut) in world.cuts.iter().enumerate() {
        let read = Cut::from_cbor(&document.bytes("cuts", &format!("cut-{}", number + 1)));
        assert_eq!(read.as_ref(), Ok(cut));
    }
}

/// The roots over cuts follow from the text of RFC 9162 as docs/wire.md gives it, computed here once more by hand.
#[test]
fn the_root_of_cuts_is_that_of_the_text() {
    let document = Document::open("wire.md");
    let hash = |parts: &[&[u8]]| *blake3::hash(&parts.concat()).as_bytes();
    let leaf = |number: u8| hash(&[&[0], &document.bytes("cuts", &format!("cut-{number}"))]);
    let two = hash(&[&[1], &leaf(1), &leaf(2)]);
    assert_eq!(hex(hash(&[])), document.value("cuts", "root-of-none"));
    assert_eq!(hex(two), document.value("cuts", "root-of-2"));
    assert_eq!(hex(hash(&[&[1], &two, &leaf(3)])), document.value("cuts", "root-of-3"));
}

/// The edits of docs/wire.md verify, are about the document they say, mean what they were made of, and count, all but the
/// one whose action this version does not know, which is admitted and void.
#[test]
fn the_edits_read_back() {
    let (document, world) = document_and_world();
    let mut edits = Vec::new();
    for (name, made, action) in &world.edits {
        let edit = Edit::verify(&world.roster.organisation(), &document.bytes(name, "bytes")).expect("it verifies");
        assert_eq!(edit.id.to_string(), document.value(name, "id"), "{name}");
        assert_eq!(edit.document.to_string(), document.value("edit-open", "document"), "{name}");
        assert_eq!(edit.statement, made.statement, "{name}");
        assert_eq!(Action::from_raw(&edit.statement.action).ok(), *action, "{name}");
        edits.push(edit);
    }
    let opened = Statement::from_cbor(&document.bytes("edit-open", "statement")).expect("it is a statement");
    assert_eq!(opened.document_opened(), edits[0].document);
    let history = History::new(edits);
    let effects = Effects::of(&history, &world.roster);
    for (event, verdict) in history.events().iter().zip(&effects.verdicts) {
        let known = event.action.is_ok();
        assert!(verdict.is_ok() == known && (known || matches!(verdict, Err(Void::Unknown))), "{verdict:?}");
    }
}

/// An invite reads back from its text, also after a messenger broke it into lines and lowered its case.
#[test]
fn the_invite_reads_back() {
    let (document, world) = document_and_world();
    let text = document.value("invite", "text");
    assert_eq!(Invite::parse(&text), Ok(world.invite()));
    assert_eq!(Invite::from_cbor(&document.bytes("invite", "bytes")), Ok(world.invite()));
    let (first, second) = text.split_at(40);
    assert_eq!(Invite::parse(&format!(" {first}\n{}", second.to_lowercase())), Ok(world.invite()));
}

/// Every frame of docs/wire.md reads back as the frame it was made of.
#[test]
fn the_frames_read_back() {
    let (document, world) = document_and_world();
    for (name, frame) in world.frames() {
        let read = Frame::decode(&document.bytes(name, "bytes"), &world.roster.organisation());
        assert_eq!(read, Ok((frame, Vec::new())), "{name}");
    }
    for (name, _, frame) in world.grown_frames() {
        let read = Frame::decode(&document.bytes(name, "bytes"), &world.roster.organisation());
        assert_eq!(read, Ok((frame, Vec::new())), "{name}");
    }
    let stranger = Frame::decode(&document.bytes("frame-edits", "bytes"), &OrganisationId::default());
    let (frame, refused) = stranger.expect("the frame itself is one");
    assert_eq!((frame, refused.len()), (Frame::Edits(Vec::new()), 1), "a signature holds in one organisation only");
}

/// The proofs of docs/wire.md read back. After any one byte changes they don't hold any more, or show the same record and
/// signature; then only whether the one knew of the other may be unproven.
#[test]
fn the_proofs_hold_and_no_changed_one_shows_another() {
    let (document, world) = document_and_world();
    for (name, proof) in [("proof", world.proof()), ("proof-with-signature", world.proof_with_signature())] {
        let mut bytes = document.bytes(name, "bytes");
        assert_eq!(Proof::from_cbor(&bytes), Ok(proof));
        let shown = proof::verify(&bytes).expect("it holds");
        for place in 0..bytes.len() {
            for flip in [0x01, 0x80] {
                bytes[place] ^= flip;
                if let Ok(other) = proof::verify(&bytes) {
                    let same = proof::Proven { signature_known: shown.signature_known, ..other.clone() };
                    assert_eq!(same, shown, "{name}: byte {place} xor {flip:#04x} shows something else");
                    assert_ne!(other.signature_known, Some(true), "{name}: byte {place} xor {flip:#04x}");
                }
                bytes[place] ^= flip;
            }
        }
    }
}

/// A record made in knowledge of the signature shows it by the edits between; without them the relation is unproven, and edits that
/// lead elsewhere are refused.
#[test]
fn the_relation_is_shown_by_the_edits_between() {
    let (_, world) = document_and_world();
    let proof = world.proof_with_signature();
    let shown = |proof: &Proof| proof::verify(&proof.to_cbor());
    assert_eq!(shown(&proof).expect("it holds").signature_known, Some(true));
    let without = Proof { between: Vec::new(), ..proof.clone() };
    assert_eq!(shown(&without).expect("it holds").signature_known, Some(false));
    for elsewhere in ["edit-plan", "edit-answer", "edit-record"] {
        let between = vec![Bytes(world.edit(elsewhere).bytes.clone())];
        assert!(shown(&Proof { between, ..proof.clone() }).is_err(), "{elsewhere}");
    }
    assert!(shown(&Proof { signature: None, ..proof }).is_err());
}
