//! A relay for datagrams that simulates a bad network: slow, lossy, narrow, out of order, or cut.
//!
//! It stands between nodes and the one they dial, as a mobile network does: every client has a socket of its own towards
//! the target, so the target sees them as different peers. All state is owned by one thread; the ways' conditions can be
//! changed at any time, and the counts read.
//!
//! Left out: fragmentation, and corruption of what is carried (QUIC drops that as it drops garbage, which the tests of
//! hostile ports send).

use crate::demo::day::Random;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// Clients at once; the one that was quiet for longest makes room for another.
const CLIENTS_MAX: usize = 64;
/// Bytes under way both ways together; what comes beyond is lost, as in a router.
const UNDER_WAY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Datagrams that wait to be taken up from the target.
const INBOX: usize = 256;
/// Bytes of a datagram.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// What IPv4 and UDP add to each datagram; it takes time on a narrow way, and is not counted in the bytes.
const OVERHEAD_BYTES: u64 = 28;
/// How long the relay rests when its own socket fails, so that it does not spin.
const REST: Duration = Duration::from_millis(5);

/// What a way is like. The default loses nothing and takes no time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conditions {
    /// How long each datagram takes, in milliseconds.
    pub delay_ms: u64,
    /// How many in a million are lost.
    pub loss_ppm: u32,
    /// How many in a million come later than those sent after them.
    pub reorder_ppm: u32,
    /// How many in a million come twice.
    pub duplicate_ppm: u32,
    /// Bits a second; 0 for as many as there are.
    pub rate_bits_s: u64,
}

/// What came through one way so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Datagrams that arrived, duplicates included.
    pub datagrams: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Datagrams that were lost: by chance, by a cut, or because too many were under way.
    pub lost: u64,
}

#[derive(Debug, Default)]
struct Way {
    conditions: Mutex<Conditions>,
    datagrams: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
}

impl Way {
    fn carried(&self) -> Carried {
        Carried {
            datagrams: self.datagrams.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }
}

#[derive(Debug)]
struct Shared {
    target: Mutex<SocketAddr>,
    cut: AtomicBool,
    /// Whether the network behind the target is cut off.
    beyond: AtomicBool,
    /// From the clients to the target, and back.
    ways: [Way; 2],
}

impl Shared {
    /// Whether nothing gets through, at whichever end.
    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst) || self.beyond.load(Ordering::SeqCst)
    }
}

/// The way from the clients to the target, and the way back: indexes into `Shared::ways`.
const UP: usize = 0;
const DOWN: usize = 1;

/// A relay; it ends when this is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts a relay to `target` on a loopback address. Chance is drawn from `seed`.
    pub fn start(target: SocketAddr, seed: u64) -> io::Result<Self> {
        let front = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        front.set_nonblocking(true)?;
        let address = front.local_addr()?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            cut: AtomicBool::new(false),
            beyond: AtomicBool::new(false),
            ways: Default::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let carrier = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(move || {
            runtime.block_on(async {
                match UdpSocket::from_std(front) {
                    Ok(front) => Carrier::new(carrier, front, seed).run(stopped).await,
                    Err(error) => tracing::error!("the relay has no socket: {error}"),
                }
            });
        })?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where clients send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads to another target from now on, as when the target came back elsewhere.
    pub fn lead_to(&self, target: SocketAddr) {
        *lock(&self.shared.target) = target;
    }

    /// Cuts both ways, or joins them again. What is under way when they are cut is lost.
    pub fn cut(&self, cut: bool) {
        self.shared.cut.store(cut, Ordering::SeqCst);
    }

    /// The same at the target's end, beside what is cut here.
    pub fn cut_beyond(&self, cut: bool) {
        self.shared.beyond.store(cut, Ordering::SeqCst);
    }

    /// Whether both ways are cut at this end.
    pub fn is_cut(&self) -> bool {
        self.shared.cut.load(Ordering::SeqCst)
    }

    /// Makes the ways to the target and back like this from now on.
    pub fn set(&self, up: Conditions, down: Conditions) {
        *lock(&self.shared.ways[UP].conditions) = up;
        *lock(&self.shared.ways[DOWN].conditions) = down;
    }

    /// What came through to the target.
    pub fn up(&self) -> Carried {
        self.shared.ways[UP].carried()
    }

    /// What came back from it.
    pub fn down(&self) -> Carried {
        self.shared.ways[DOWN].carried()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; there is nothing to save.
            let _ended = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A datagram under way. Ordered by when it is due, then by when it was sent.
#[derive(Debug)]
struct UnderWay {
    due: Instant,
    number: u64,
    way: usize,
    bytes: Vec<u8>,
    socket: Arc<UdpSocket>,
    to: SocketAddr,
}

impl PartialEq for UnderWay {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for UnderWay {}

impl PartialOrd for UnderWay {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UnderWay {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

/// A client's socket towards the target, and the task that reads it.
#[derive(Debug)]
struct Client {
    socket: Arc<UdpSocket>,
    reader: AbortHandle,
    used: Instant,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

struct Carrier {
    shared: Arc<Shared>,
    front: Arc<UdpSocket>,
    clients: BTreeMap<SocketAddr, Client>,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    under_way_bytes: usize,
    /// When each way is free for the next datagram.
    free: [Instant; 2],
    random: Random,
    number: u64,
    inbox: mpsc::Sender<(SocketAddr, Vec<u8>)>,
    answers: mpsc::Receiver<(SocketAddr, Vec<u8>)>,
}

impl Carrier {
    fn new(shared: Arc<Shared>, front: UdpSocket, seed: u64) -> Self {
        let (inbox, answers) = mpsc::channel(INBOX);
        Self {
            shared,
            front: Arc::new(front),
            clients: BTreeMap::new(),
            under_way: BinaryHeap::new(),
            under_way_bytes: 0,
            free: [Instant::now(); 2],
            random: Random::new(seed),
            number: 0,
            inbox,
            answers,
        }
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let front = Arc::clone(&self.front);
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let due = self.under_way.peek().map(|Reverse(next)| next.due.into());
            tokio::select! {
                _ = &mut stopped => return,
                received = front.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => self.take_up(from, &buffer[..length]),
                    // Some systems report here that an earlier datagram found nobody.
                    Err(_) => tokio::time::sleep(REST).await,
                },
                Some((client, bytes)) = self.answers.recv() => {
                    self.send(DOWN, &bytes, &front, client);
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {
                    self.deliver().await;
                }
            }
        }
    }

    fn take_up(&mut self, from: SocketAddr, bytes: &[u8]) {
        let target = *lock(&self.shared.target);
        match self.client(from, target) {
            Ok(socket) => self.send(UP, bytes, &socket, target),
            Err(error) => tracing::warn!("the relay has no socket for another client: {error}"),
        }
    }

    fn client(&mut self, from: SocketAddr, target: SocketAddr) -> io::Result<Arc<UdpSocket>> {
        if let Some(client) = self.clients.get_mut(&from) {
            client.used = Instant::now();
            return Ok(Arc::clone(&client.socket));
        }
        if self.clients.len() >= CLIENTS_MAX
            && let Some(quiet) = self.clients.iter().min_by_key(|(_, client)| client.used).map(|(from, _)| *from)
        {
            self.clients.remove(&quiet);
        }
        let own: SocketAddr =
            if target.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = std::net::UdpSocket::bind(own)?;
        socket.set_nonblocking(true)?;
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        let reader = tokio::spawn(read(Arc::clone(&socket), from, self.inbox.clone())).abort_handle();
        self.clients.insert(from, Client { socket: Arc::clone(&socket), reader, used: Instant::now() });
        Ok(socket)
    }

    /// Puts a datagram on its way, or loses it.
    fn send(&mut self, way: usize, bytes: &[u8], socket: &Arc<UdpSocket>, to: SocketAddr) {
        let conditions = *lock(&self.shared.ways[way].conditions);
        let lost = self.shared.is_cut() || self.happens(conditions.loss_ppm);
        if lost || self.under_way_bytes + bytes.len() > UNDER_WAY_BYTES_MAX {
            self.shared.ways[way].lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let now = Instant::now();
        let start = self.free[way].max(now);
        let bits = (bytes.len() as u64 + OVERHEAD_BYTES) * 8;
        let on_the_wire = (bits * 1_000_000_000).checked_div(conditions.rate_bits_s).unwrap_or(0);
        self.free[way] = start + Duration::from_nanos(on_the_wire);
        let mut due = self.free[way] + Duration::from_millis(conditions.delay_ms);
        if self.happens(conditions.reorder_ppm) {
            // Late enough for a whole flight to overtake it.
            due += Duration::from_millis(conditions.delay_ms + 5);
        }
        let copies = if self.happens(conditions.duplicate_ppm) { 2 } else { 1 };
        for _ in 0..copies {
            self.number += 1;
            self.under_way_bytes += bytes.len();
            let (bytes, socket) = (bytes.to_vec(), Arc::clone(socket));
            self.under_way.push(Reverse(UnderWay { due, number: self.number, way, bytes, socket, to }));
        }
    }

    /// Delivers what is due.
    async fn deliver(&mut self) {
        let now = Instant::now();
        while self.under_way.peek().is_some_and(|Reverse(next)| next.due <= now) {
            let Some(Reverse(next)) = self.under_way.pop() else { return };
            self.under_way_bytes -= next.bytes.len();
            let way = &self.shared.ways[next.way];
            if self.shared.is_cut() {
                way.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            // Counted before it goes, so that whoever has it finds it counted.
            let length = next.bytes.len() as u64;
            way.datagrams.fetch_add(1, Ordering::Relaxed);
            way.bytes.fetch_add(length, Ordering::Relaxed);
            if next.socket.send_to(&next.bytes, next.to).await.is_err() {
                // A receiver that has ended loses it, as on any network.
                way.datagrams.fetch_sub(1, Ordering::Relaxed);
                way.bytes.fetch_sub(length, Ordering::Relaxed);
                way.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn happens(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.random.below(1_000_000) < usize::try_from(ppm).unwrap_or(usize::MAX)
    }
}

/// Takes up what the target sends to one client.
async fn read(socket: Arc<UdpSocket>, client: SocketAddr, inbox: mpsc::Sender<(SocketAddr, Vec<u8>)>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, _)) => {
                if inbox.send((client, buffer[..length].to_vec())).await.is_err() {
                    return;
                }
            }
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
