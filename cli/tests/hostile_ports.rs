//! Whatever a stranger, a thief or a broken program sends to a node's ports, the node stays up, says what is wrong, and
//! honest peers notice nothing.

mod shared;

use anyhow::Result;
use creel::demo::day::Random;
use creel::demo::node::eventually;
use creel_node::{API_TOKEN_FILE, HTTP_ADDRESS_FILE};
use creel_protocol::cbor::{Bytes, Decode, Encode};
use creel_protocol::id::{Digest, OrganisationId};
use creel_protocol::roster::Roster;
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::{FRAME_BYTES_MAX, Hello, Redeem, Summed, VERSION};
use creel_protocol::sync::packed::{pack, unpack};
use quinn::RecvStream;
use serde_json::{Value, json};
use shared::hostile::{block_on, dial, framed, say, stolen_key};
use shared::{LIMIT, Office};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use tokio::time::timeout;

/// Garbage datagrams, also ones that begin like QUIC's, cost the hub nothing but the look at them.
#[test]
fn garbage_datagrams() {
    let mut office = Office::open(21);
    let (driver, numbers) = office.driver("li-wei", 21, 6);
    let hub = office.firm.hub.quic().expect("it runs");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut random = Random::new(21);
    for count in 0..6_000 {
        let length = 1 + random.below(1_400);
        let mut bytes: Vec<u8> =
            (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).take(length).collect();
        match count % 4 {
            // A long header of version 1: an Initial, a 0-RTT packet, a Handshake or a Retry.
            0 if length > 5 => {
                bytes[0] |= 0xc0;
                bytes[1..5].copy_from_slice(&[0, 0, 0, 1]);
            }
            // A short header: a packet of a connection that is not there.
            1 => bytes[0] = (bytes[0] & 0x3f) | 0x40,
            _ => {}
        }
        // What the system drops is as good as what the hub drops.
        let _dropped = socket.send_to(&bytes, hub);
        if let Some(number) = numbers.get(count / 1_000).filter(|_| count % 1_000 == 500) {
            office.record(&driver, number, &json!({ "step": "picked_up" }));
        }
    }
    office.converge([&driver]);
    assert_eq!(office.hub("/status")["peers"].as_array().map(Vec::len), Some(1));
}

/// The roster as a device in `data` has it.
fn roster(data: &Path) -> Roster {
    let bytes = std::fs::read(data.join("roster.cbor")).expect("a member has a copy of the roster");
    let entries = Vec::<Bytes>::from_cbor(&bytes).expect("it is whole");
    let mut roster = Roster::begin(&entries[0].0).expect("it begins with the genesis");
    for entry in &entries[1..] {
        roster.append(&entry.0).expect("it is whole");
    }
    roster
}

fn hello(roster: &Roster) -> Hello {
    Hello::of(roster.organisation(), roster.height(), roster.head())
}

/// What a member whose device was taken over may send: each closes its own connection, and is counted.
fn bad_streams(roster: &Roster) -> Vec<(&'static str, Vec<u8>)> {
    let greeting = framed(&Frame::Hello(hello(roster)).to_cbor());
    let after_greeting = |body: &[u8]| [greeting.clone(), framed(body)].concat();
    let mut random = Random::new(22);
    let garbage: Vec<u8> = (0..100).flat_map(|_| random.next().to_le_bytes()).collect();
    let too_long = u32::try_from(FRAME_BYTES_MAX + 2).expect("256 KiB fit").to_be_bytes().to_vec();
    let other = Hello { organisation: OrganisationId([7; 32]), ..hello(roster) };
    let newer = Hello { version: VERSION + 1, ..hello(roster) };
    let redeem = Frame::Redeem(Redeem { invite: Digest([1; 32]), proof: Digest([2; 32]) });
    vec![
        ("a length of 4 GiB", vec![0xff; 4]),
        ("a frame one byte too long", too_long),
        ("an empty frame", framed(&[])),
        ("garbage", framed(&garbage)),
        ("garbage after the greeting", after_greeting(&garbage)),
        ("an acknowledgement before the greeting", framed(&Frame::Ack(Vec::new()).to_cbor())),
        ("a greeting of another organisation", framed(&Frame::Hello(other).to_cbor())),
        ("a greeting of another version", framed(&Frame::Hello(newer).to_cbor())),
        ("a list of 2^64 acknowledgements", after_greeting(&[&[0x82, 0x04, 0x9b][..], &[0xff; 8]].concat())),
        ("a deep nest", framed(&[&[0x82, 0x01][..], &[0x81; 100_000]].concat())),
        ("a frame with more after its end", after_greeting(&[0x82, 0x06, 0x80, 0x00])),
        ("a frame packed in no known way", [&[0, 0, 0, 2][..], &[9, 0]].concat()),
        ("a frame that unpacks to more than there may be", bomb()),
        ("an enrolment among members", after_greeting(&redeem.to_cbor())),
        ("a roster of garbage", after_greeting(&Frame::Roster(vec![Bytes(garbage.clone())]).to_cbor())),
    ]
}

/// A few bytes that claim to be a frame of a megabyte.
fn bomb() -> Vec<u8> {
    let packed = pack(&vec![0; 1 << 20]);
    let length = u32::try_from(packed.len()).expect("it is small");
    [&length.to_be_bytes()[..], &packed].concat()
}

/// A stolen key and every kind of bad stream: each ends its own connection with a reason, is counted, and the honest
/// driver's records reach the hub meanwhile.
#[test]
fn hostile_streams() {
    let mut office = Office::open(22);
    let (driver, numbers) = office.driver("li-wei", 22, 20);
    let mallory = office.firm.admit("driver", Some("driver:mallory"), "mallory").expect("nobody knows yet");
    let (hub, seed) = (office.firm.hub.quic().expect("it runs"), stolen_key(&mallory.node.data));
    let roster = roster(&mallory.node.data);
    drop(mallory);
    let mut numbers = numbers.iter();
    let bad = bad_streams(&roster);
    for (what, bytes) in &bad {
        let before = office.refused();
        let closed = block_on(async {
            let (_endpoint, connection) = dial(hub, &seed, "creel/1").await?;
            say(&connection, bytes, false).await
        });
        let closed = closed.unwrap_or_else(|error| panic!("{what}: {error:#}"));
        assert!(closed.starts_with("closed by peer: ") && closed.len() > 25, "{what}: {closed}");
        assert!(office.refused() > before, "{what} was not counted");
        office.record(&driver, numbers.next().expect("there are enough"), &json!({ "step": "picked_up" }));
    }
    // A frame that breaks off is a broken connection: nothing was said, so nothing is refused.
    let broken = block_on(async {
        let (_endpoint, connection) = dial(hub, &seed, "creel/1").await?;
        say(&connection, &[&1_000_u32.to_be_bytes()[..], &[1; 10]].concat(), true).await
    });
    broken.expect("the hub closes what broke off");
    // A frame of a later version is passed over. An edit that is none is counted. Neither ends the session.
    let unknown = [0x82, 0x18, 0x63, 0xf5];
    let (before, edit) = (office.refused(), [&[0x82, 0x03, 0x81, 0x44][..], &[0xde, 0xad, 0xbe, 0xef]].concat());
    block_on(async {
        let (_endpoint, connection) = dial(hub, &seed, "creel/1").await.expect("a member is let in");
        let (mut stream, _answers) = connection.open_bi().await.expect("a stream");
        let bytes = [framed(&Frame::Hello(hello(&roster)).to_cbor()), framed(&unknown), framed(&edit)].concat();
        stream.write_all(&bytes).await.expect("the hub listens");
        eventually("the bad edit to be counted", LIMIT, || Ok((office.refused() > before).then_some(())))
            .expect("it is counted");
        assert_eq!(connection.close_reason(), None, "one bad edit ended the session");
    });
    let verdict = office.converge([&driver]);
    assert_eq!(verdict.edits, 20 + bad.len(), "something of Mallory's is at the hub");
}

/// Edits that are sent again in a datagram may overtake the greeting on the stream, and the session goes on.
#[test]
fn a_datagram_before_the_greeting() {
    let office = Office::open(25);
    let member = office.firm.admit("driver", Some("driver:li-wei"), "li-wei").expect("nobody else is there");
    let (hub, seed) = (office.firm.hub.quic().expect("it runs"), stolen_key(&member.node.data));
    let roster = roster(&member.node.data);
    drop(member);
    let greeting = framed(&Frame::Hello(hello(&roster)).to_cbor());
    let (begin, rest) = greeting.split_at(greeting.len() / 2);
    let summed = Summed { count: 1, sum: Digest([7; 32]) };
    let question = framed(&Frame::Prove(summed).to_cbor());
    let again = pack(&Frame::Edits(Vec::new()).to_cbor());
    // Which of the two the hub looks at first is not up to the test: in eight rounds it is the datagram at least once.
    for round in 0..8 {
        block_on(async {
            let (_endpoint, connection) = dial(hub, &seed, "creel/1").await.expect("a member is let in");
            let (mut stream, mut answers) = connection.open_bi().await.expect("a stream");
            stream.write_all(begin).await.expect("the hub listens");
            connection.send_datagram(again.clone().into()).expect("a datagram fits");
            stream.write_all(&[rest, &question].concat()).await.expect("the hub listens");
            // The hub holds something else than the question says, and answers with what it holds.
            loop {
                let frame = next_frame(&mut answers, &roster.organisation()).await;
                match frame.unwrap_or_else(|why| panic!("round {round}: the session ended: {why:#}")) {
                    Frame::Ranges(_) => break,
                    other => assert!(!matches!(other, Frame::Refuse(_)), "round {round}: {other:?}"),
                }
            }
        });
    }
}

/// The next frame that the hub sends on a stream.
async fn next_frame(stream: &mut RecvStream, organisation: &OrganisationId) -> Result<Frame> {
    let mut length = [0; 4];
    timeout(LIMIT, stream.read_exact(&mut length)).await??;
    let mut packed = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    timeout(LIMIT, stream.read_exact(&mut packed)).await??;
    Ok(Frame::decode(&unpack(&packed)?, organisation)?.0)
}

/// A stranger's key gets no further than a refusal, whichever protocol it names and however many connections it opens.
#[test]
fn devices_that_are_no_members() {
    let mut office = Office::open(23);
    let (driver, numbers) = office.driver("li-wei", 23, 3);
    let hub = office.firm.hub.quic().expect("it runs");
    let before = office.refused();
    block_on(async {
        let mut silent = Vec::new();
        for count in 0..40 {
            silent.push(dial(hub, &[count; 32], "creel/1").await.expect("the handshake is anybody's"));
        }
        let greeting = framed(&[0x82, 0x06, 0x80]);
        let closed = say(&silent[0].1, &greeting, false).await.expect("the hub closes");
        assert!(closed.contains("not a member") && closed.contains("invite"), "{closed}");
        // Nobody listens to what they would say: they are told at once.
        for (_endpoint, connection) in &silent {
            let closed = timeout(LIMIT, connection.closed()).await.expect("the hub closes").to_string();
            assert!(closed.contains("not a member"), "{closed}");
        }
        for bytes in [vec![0xff; 4], greeting, vec![0, 0, 0, 3, 1, 2, 3]] {
            let (_endpoint, connection) = dial(hub, &[9; 32], "creel-enrol/1").await.expect("anybody may try to enrol");
            let closed = say(&connection, &bytes, false).await.expect("the hub closes");
            assert!(closed.contains("enrolment refused"), "{closed}");
        }
        let redeem = Frame::Redeem(Redeem { invite: Digest([1; 32]), proof: Digest([2; 32]) });
        let (_endpoint, connection) = dial(hub, &[9; 32], "creel-enrol/1").await.expect("anybody may try to enrol");
        let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
        send.write_all(&framed(&redeem.to_cbor())).await.expect("the hub listens");
        let answer = receive.read_to_end(FRAME_BYTES_MAX).await.expect("the hub answers");
        let answer = unpack(&answer[4..]).expect("it is packed as frames are");
        let (answer, _) = Frame::decode(&answer, &OrganisationId::default()).expect("it is a frame");
        assert!(matches!(&answer, Frame::Refuse(why) if why.contains("ask for a new one")), "{answer:?}");
        dial(hub, &[9; 32], "h3").await.expect_err("the hub does not speak that");
        for number in &numbers {
            office.record(&driver, number, &json!({ "step": "picked_up" }));
        }
        office.converge([&driver]);
    });
    assert!(office.refused() >= before + 5, "strangers were not counted");
    assert_eq!(office.hub("/status")["peers"].as_array().map(Vec::len), Some(1));
}

/// Sends bytes to the HTTP port, and returns the status and the answer's JSON, if there is one. What is no whole request
/// must end, or both sides would wait.
fn exchange(address: SocketAddr, request: &[u8], ends: bool) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).expect("the node listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a time");
    let mut sender = stream.try_clone().expect("a socket has two ends");
    let request = request.to_vec();
    // On a thread of its own: a node that has heard enough answers before everything was sent.
    let sent = std::thread::spawn(move || {
        let _cut_short = sender.write_all(&request);
        if ends {
            let _gone = sender.shutdown(Shutdown::Write);
        }
    });
    let mut answer = Vec::new();
    // A connection that is reset after the answer has still answered.
    let _reset = stream.read_to_end(&mut answer);
    sent.join().expect("sending does not panic");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

/// Whatever comes to the HTTP port is answered with a status and words that say what to do, and changes nothing.
#[test]
fn hostile_http() {
    let mut office = Office::open(24);
    let (driver, numbers) = office.driver("li-wei", 24, 4);
    let read = |file: &str| std::fs::read_to_string(office.firm.hub.data.join(file)).expect("the node wrote it");
    let (address, token) = (read(HTTP_ADDRESS_FILE), read(API_TOKEN_FILE));
    let address: SocketAddr = address.trim().parse().expect("an address");
    let (host, bearer) = (format!("Host: {address}"), format!("Authorization: Bearer {}", token.trim()));
    let key = "Idempotency-Key: 1";
    let before = office.hub("/shipments");
    let request = |line: &str, headers: &[&str], body: &[u8]| {
        let length = format!("Content-Length: {}", body.len());
        let head = [&[line], headers, &[&length, "Connection: close", "", ""]].concat().join("\r\n");
        exchange(address, &[head.as_bytes(), body].concat(), false)
    };
    let status = "GET /api/v1/status HTTP/1.1";
    let records = "POST /api/v1/records HTTP/1.1";
    let good = json!({ "shipments": [numbers[0]], "record": { "step": "picked_up" } }).to_string();
    let elsewhere = "Host: evil.example:80";
    let own: &[&str] = &[&host, &bearer, key];
    let stale = good.replace("picked_up", "no_such_step");
    let cases: Vec<(&str, u16, (u16, Value))> = vec![
        ("another host", 403, request(status, &[elsewhere, &bearer], b"")),
        ("no host", 403, request("GET /api/v1/status HTTP/1.0", &[&bearer], b"")),
        ("another origin", 403, request(status, &[&host, &bearer, "Origin: https://evil.example"], b"")),
        ("the origin of a file", 403, request(status, &[&host, &bearer, "Origin: null"], b"")),
        ("no token", 401, request(status, &[&host], b"")),
        ("another token", 401, request(status, &[&host, "Authorization: Bearer AAAA"], b"")),
        ("a token in another manner", 401, request(status, &[&host, "Authorization: Basic AAAA"], b"")),
        ("nothing there", 404, request("GET /api/v1/nothing HTTP/1.1", own, b"")),
        ("outside the API", 404, request("GET /../../etc/passwd HTTP/1.1", own, b"")),
        ("no such shipment", 404, request("GET /api/v1/shipments/none HTTP/1.1", own, b"")),
        ("a shipment that is no text", 400, request("GET /api/v1/shipments/%ff HTTP/1.1", own, b"")),
        ("another method", 405, request("DELETE /api/v1/shipments HTTP/1.1", own, b"")),
        ("a period without an end", 400, request("GET /api/v1/sheet?from=1 HTTP/1.1", own, b"")),
        ("a photo by another name", 400, request("GET /api/v1/photos/..%2Fdevice.key HTTP/1.1", own, b"")),
        ("no key", 400, request(records, &[&host, &bearer], good.as_bytes())),
        ("a key too long", 400, {
            request(records, &[&host, &bearer, &format!("Idempotency-Key: {}", "k".repeat(201))], good.as_bytes())
        }),
        ("no JSON", 400, request(records, own, b"\x00\xff garbage")),
        ("another type", 400, request(records, own, br#"{"shipments": "all", "record": 7}"#)),
        ("an unknown field", 400, request(records, own, br#"{"shipments": [], "record": {"step": "x", "y": 1}}"#)),
        ("a deep nest", 400, request(records, own, &[b'['; 100_000])),
        ("an unknown step", 400, request(records, own, stale.as_bytes())),
        ("30 MB of orders", 413, request("POST /api/v1/imports HTTP/1.1", own, &vec![b' '; 30_000_000])),
        ("30 MB of photo", 413, request("POST /api/v1/photos HTTP/1.1", own, &vec![7; 30_000_000])),
    ];
    for (what, expected, (status, answer)) in cases {
        assert_eq!(status, expected, "{what}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| error.len() > 10), "{what} gives no reason: {answer}");
    }
    let mut random = Random::new(24);
    for length in [1, 100, 5_000, 200_000] {
        let garbage: Vec<u8> = (0..length).map(|_| random.next().to_le_bytes()[0]).collect();
        let (status, _) = exchange(address, &garbage, true);
        assert!(matches!(status, 0 | 400), "garbage was answered with {status}");
    }
    let (status, _) = request(status, &[&host, &bearer, &format!("X-Long: {}", "x".repeat(1_000_000))], b"");
    assert!(matches!(status, 0 | 400 | 431), "a header of 1 MB was answered with {status}");
    // Clients that connect and say nothing, or say it by and by, are in nobody's way.
    let idle: Vec<_> = (0..50).map(|_| TcpStream::connect(address).expect("the node listens")).collect();
    idle.iter().for_each(|mut stream| stream.write_all(b"POST /api/v1/records HTTP/1.1\r\n").expect("it listens"));
    assert_eq!(office.hub("/shipments"), before, "something took effect");
    for number in &numbers {
        office.record(&driver, number, &json!({ "step": "picked_up" }));
    }
    office.converge([&driver]);
}
