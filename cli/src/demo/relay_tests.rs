use super::*;
use std::net::UdpSocket as Socket;

/// A target that answers every datagram with itself and its own mark. It ends with the test program.
fn echo(mark: &'static str) -> SocketAddr {
    let socket = Socket::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let mut buffer = [0; 2_000];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if socket.send_to(&[&buffer[..length], mark.as_bytes()].concat(), from).is_err() {
                return;
            }
        }
    });
    address
}

fn client(relay: &Relay) -> Socket {
    let socket = Socket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(relay.address()).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time");
    socket
}

fn take(socket: &Socket) -> Vec<u8> {
    let mut buffer = [0; 2_000];
    let length = socket.recv(&mut buffer).expect("an answer");
    buffer[..length].to_vec()
}

/// What clients send comes back to each of them, and is counted both ways.
#[test]
fn carries_for_several_clients() {
    let relay = Relay::start(echo(""), 1).expect("a relay");
    let clients = [client(&relay), client(&relay), client(&relay)];
    for (count, client) in clients.iter().enumerate() {
        client.send(format!("client {count}").as_bytes()).expect("sent");
    }
    for (count, client) in clients.iter().enumerate() {
        assert_eq!(take(client), format!("client {count}").as_bytes());
    }
    assert_eq!((relay.up().datagrams, relay.up().bytes), (3, 24));
    assert_eq!((relay.down().datagrams, relay.down().bytes), (3, 24));
}

/// A cut loses what is sent and what is under way, and nothing after it was joined.
#[test]
fn a_cut_loses_all() {
    let relay = Relay::start(echo(""), 1).expect("a relay");
    let client = client(&relay);
    relay.cut(true);
    client.send(b"lost").expect("sent");
    let began = Instant::now();
    while relay.up().lost == 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "the relay took nothing up");
        std::thread::yield_now();
    }
    relay.cut(false);
    client.send(b"carried").expect("sent");
    assert_eq!(take(&client), b"carried");
}

/// Duplicates and late datagrams come, and nothing comes that was not sent.
#[test]
fn duplicates_and_reorders() {
    let relay = Relay::start(echo(""), 3).expect("a relay");
    let bad = Conditions { delay_ms: 2, duplicate_ppm: 1_000_000, reorder_ppm: 300_000, ..Conditions::default() };
    relay.set(bad, Conditions::default());
    let client = client(&relay);
    let sent: Vec<u8> = (0..20).collect();
    for number in &sent {
        client.send(&[*number]).expect("sent");
    }
    let mut came: Vec<u8> = (0..40).map(|_| take(&client)[0]).collect();
    assert!(!came.is_sorted(), "none overtook another: {came:?}");
    came.sort_unstable();
    assert_eq!(came, sent.iter().flat_map(|number| [*number, *number]).collect::<Vec<_>>());
}

/// It leads to where the target is now, and ends when it is dropped.
#[test]
fn follows_its_target_and_ends() {
    let relay = Relay::start(echo(" here"), 1).expect("a relay");
    let client = client(&relay);
    client.send(b"one").expect("sent");
    assert_eq!(take(&client), b"one here");
    relay.lead_to(echo(" there"));
    client.send(b"two").expect("sent");
    assert_eq!(take(&client), b"two there");
    let address = relay.address();
    drop(relay);
    Socket::bind(address).expect("the relay's address is free again");
}
