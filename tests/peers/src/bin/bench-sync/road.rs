//! The road between the two devices: slow, lossy, narrow or cut, and counted.
//!
//! Left out: reordering and duplicates. IPv6 is dropped: nothing here speaks it but the kernel's own discovery.

use anyhow::Result;
use creel_peers::clock::now_ns;
use creel_peers::orders::Chance;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tun_rs::SyncDevice;

const PACKET_BYTES_MAX: usize = 65_536;
/// How much may wait in front of a narrow road, in time: a mobile network's buffers hold seconds.
const QUEUE_NS_MAX: u64 = 2_000_000_000;
const MILLISECOND_NS: u64 = 1_000_000;

/// What both ways are like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// How long each packet takes, in milliseconds.
    pub(crate) delay_ms: u64,
    /// How many in a hundred are lost.
    pub(crate) loss_percent: u64,
    /// Bits a second; 0 for as many as there are.
    pub(crate) rate_bits_s: u64,
}

/// What was sent on one way, whether it came through or not.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) ip_bytes: u64,
    /// What UDP or TCP carried in them.
    pub(crate) payload_bytes: u64,
    pub(crate) lost: u64,
}

impl Sent {
    /// One of so many equal parts.
    pub(crate) fn part_of(self, parts: u64) -> Self {
        let Self { packets, ip_bytes, payload_bytes, lost } = self;
        Self {
            packets: packets / parts,
            ip_bytes: ip_bytes / parts,
            payload_bytes: payload_bytes / parts,
            lost: lost / parts,
        }
    }
}

/// What was seen since the counts began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// From the driver to the hub, and back.
    pub(crate) ways: [Sent; 2],
    /// A flight is a burst of packets one way, as seen at the driver's end, until one comes the other way. Only packets with
    /// payload count: TCP's bare acknowledgements can be told from the rest, while QUIC's can't and are counted.
    pub(crate) flights: u64,
    /// When a packet with payload was last seen at either end.
    pub(crate) last_ns: u64,
    last_way: Option<usize>,
}

/// From the driver to the hub, and back: indexes into whatever there is two of.
const UP: usize = 0;
const DOWN: usize = 1;

struct State {
    /// Whether each packet is told on standard error.
    trace: bool,
    joined_ns: u64,
    conditions: Conditions,
    cut: bool,
    chance: Chance,
    counts: Counts,
    /// When each way has sent all that was put on it.
    free_ns: [u64; 2],
    under_way: [VecDeque<(u64, Vec<u8>)>; 2],
}

/// The road. Its threads end with the process.
pub(crate) struct Road {
    state: Mutex<State>,
    put_on: [Condvar; 2],
}

impl Road {
    pub(crate) fn open(driver: SyncDevice, hub: SyncDevice, seed: u64) -> Arc<Self> {
        let state = State {
            trace: false,
            joined_ns: now_ns(),
            conditions: Conditions::default(),
            cut: false,
            chance: Chance::new(seed),
            counts: Counts::default(),
            free_ns: [0; 2],
            under_way: [VecDeque::new(), VecDeque::new()],
        };
        let road = Arc::new(Self { state: Mutex::new(state), put_on: [Condvar::new(), Condvar::new()] });
        let devices = [Arc::new(driver), Arc::new(hub)];
        for way in [UP, DOWN] {
            let (from, to) = (Arc::clone(&devices[way]), Arc::clone(&devices[1 - way]));
            let (takes, brings) = (Arc::clone(&road), Arc::clone(&road));
            std::thread::spawn(move || takes.take(way, &from));
            std::thread::spawn(move || brings.bring(way, &to));
        }
        road
    }

    /// From now on it is like this. Nothing is under way that was put on before.
    pub(crate) fn set(&self, conditions: Conditions) {
        let mut state = self.lock();
        state.conditions = conditions;
        state.free_ns = [0; 2];
    }

    /// Cuts the road; what is under way is lost.
    pub(crate) fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        state.under_way.iter_mut().for_each(VecDeque::clear);
    }

    /// Joins it, and begins to count. Returns when that was.
    pub(crate) fn join(&self) -> u64 {
        let mut state = self.lock();
        state.cut = false;
        state.counts = Counts { last_ns: now_ns(), ..Counts::default() };
        state.joined_ns = state.counts.last_ns;
        state.joined_ns
    }

    /// Tells of each packet on standard error from now on.
    pub(crate) fn trace(&self) {
        self.lock().trace = true;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().under_way.iter().all(VecDeque::is_empty)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, way: usize, from: &SyncDevice) {
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        // A device fails when it is gone, with the bench.
        while let Ok(length) = from.recv(&mut buffer) {
            let packet = &buffer[..length];
            if let Some(payload) = payload_bytes(packet) {
                self.lock().put(way, packet, payload);
                self.put_on[way].notify_one();
            }
        }
    }

    fn bring(&self, way: usize, to: &SyncDevice) {
        loop {
            let packet = self.next(way);
            // A packet the device does not take is a packet lost.
            let _lost: Result<usize, _> = to.send(&packet);
        }
    }

    /// Waits for the next packet that is due.
    fn next(&self, way: usize) -> Vec<u8> {
        let mut state = self.lock();
        loop {
            let now = now_ns();
            let wait = match state.under_way[way].front() {
                Some((due, _)) if *due <= now => None,
                Some((due, _)) => Some(Duration::from_nanos(due - now)),
                None => Some(Duration::from_secs(1)),
            };
            if let Some(wait) = wait {
                state = self.put_on[way].wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
            } else if let Some((_, packet)) = state.under_way[way].pop_front() {
                let payload = payload_bytes(&packet).unwrap_or_default();
                state.counts.seen(way, way == DOWN, payload);
                return packet;
            }
        }
    }
}

impl State {
    fn since_joined(&self, now: u64) -> f64 {
        Duration::from_nanos(now.saturating_sub(self.joined_ns)).as_secs_f64() * 1_000.0
    }

    fn put(&mut self, way: usize, packet: &[u8], payload: u64) {
        let length = packet.len() as u64;
        let now = now_ns();
        let sent = &mut self.counts.ways[way];
        sent.packets += 1;
        sent.ip_bytes += length;
        sent.payload_bytes += payload;
        let begins = self.free_ns[way].max(now);
        let lost = self.cut || self.chance.below(100) < self.conditions.loss_percent || begins - now > QUEUE_NS_MAX;
        sent.lost += u64::from(lost);
        if !self.cut {
            self.counts.seen(way, way == UP, payload);
        }
        if self.trace {
            let what = if lost { "lost" } else { "" };
            let (at, way, kind) = (self.since_joined(now), ["up  ", "down"][way], quic_kind(packet));
            eprintln!("{at:>10.1} ms {way} {length} {payload} {kind} {what}");
        }
        if lost {
            return;
        }
        let takes = (length * 8 * 1_000 * MILLISECOND_NS).checked_div(self.conditions.rate_bits_s).unwrap_or_default();
        self.free_ns[way] = begins + takes;
        let due = begins + takes + self.conditions.delay_ms * MILLISECOND_NS;
        self.under_way[way].push_back((due, packet.to_vec()));
    }
}

impl Counts {
    fn seen(&mut self, way: usize, at_driver: bool, payload: u64) {
        if payload == 0 {
            return;
        }
        self.last_ns = now_ns();
        if at_driver && self.last_way != Some(way) {
            self.flights += 1;
            self.last_way = Some(way);
        }
    }
}

/// How the first QUIC packet in an IPv4 packet begins: its kind and whose connection it is, so that a trace tells connections
/// apart. Empty where it is no UDP.
fn quic_kind(packet: &[u8]) -> String {
    let header = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    let (Some(17), Some([first, rest @ ..])) = (packet.get(9), packet.get(header + 8..)) else { return String::new() };
    let long = first & 0x80 != 0;
    let kind = if long { ["initial", "0-rtt", "handshake", "retry"][usize::from(first >> 4 & 3)] } else { "1-rtt" };
    // A long header has a version and a length before the id.
    let id = rest.get(if long { 5 } else { 0 }..).unwrap_or_default();
    id.iter().take(4).fold(format!("{kind} "), |text, byte| format!("{text}{byte:02x}"))
}

/// What UDP or TCP carries in an IPv4 packet; nothing where it is none.
fn payload_bytes(packet: &[u8]) -> Option<u64> {
    let first = *packet.first()?;
    if first >> 4 != 4 {
        return None;
    }
    let header = usize::from(first & 0x0f) * 4;
    let carried = match packet.get(9)? {
        6 => usize::from(packet.get(header + 12)? >> 4) * 4,
        17 => 8,
        // ICMP and others carry nothing of a system's own.
        _ => return Some(0),
    };
    Some(packet.len().saturating_sub(header + carried) as u64)
}
