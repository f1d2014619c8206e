//! The connection to the hub: dialling until the hub answers, and noticing when it no longer does.
//!
//! A device that holds a ticket sends early data: the edits that wait go out with the handshake's first datagrams. While edits
//! wait and the hub is silent, two things happen side by side. On the live connection the oldest edits are sent again, a few
//! datagrams at a time, so that they arrive as soon as the network is back; QUIC by itself would wait for a probe timer that
//! doubles. And new connections are tried, in case the hub has forgotten the old one. The first that answers is used.

use super::backoff::Backoff;
use super::connection::{Connections, Side};
use super::tickets::Tickets;
use super::transport::{CLOSE_DONE, CLOSE_REFUSED, HANDSHAKE_TIMEOUT, peer_key, truncated};
use crate::store_thread::StoreHandle;
use creel_protocol::id::DeviceKey;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use quinn::{Connection, Endpoint};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// The first delay between two attempts to connect; it doubles.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// The longest delay while no edit waits: docs/benchmarks.md has the bytes that this sends in an hour.
const BACKOFF_IDLE_MAX: Duration = Duration::from_secs(60);
/// The longest delay while an edit waits.
const BACKOFF_WAITING_MAX: Duration = Duration::from_secs(1);
/// How long an attempt may take at least while there is a live connection: less than QUIC's first probe timer (1 s, RFC 9002,
/// section 6.2.2). An answer to that probe would come too late to be of use, and the next attempt has begun by then.
const HANDSHAKE_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(900);
/// After this long without an answer the delays grow to those of a device with nothing to deliver.
const FAST_RETRY_PERIOD: Duration = Duration::from_secs(1_800);
/// How often the live connection is checked while an edit waits.
const LIVENESS_POLL: Duration = Duration::from_millis(50);
/// While an edit waits, a hub that sends nothing for two round trips and this long is taken to be unreachable.
const LIVENESS_TIMEOUT: Duration = Duration::from_millis(150);
/// The shortest and the longest interval between two repetitions on a live connection whose hub is silent.
const REPEAT_INTERVAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// After this long the repetitions come at their longest interval.
const FAST_REPEAT_PERIOD: Duration = Duration::from_secs(90);

/// After this long a silence while an edit waits, screens show that the hub cannot be reached: several attempts and repetitions
/// were not answered by then.
const SILENT_AFTER: Duration = Duration::from_secs(3);

/// An answer that takes two round trips and this much longer answers datagrams that were sent again.
const LATE_ANSWER: Duration = Duration::from_millis(300);

/// Dials the hub.
#[derive(Debug, Clone)]
pub(crate) struct Dialler {
    pub(crate) connections: Connections,
    pub(crate) endpoint: Endpoint,
    pub(crate) config: quinn::ClientConfig,
    pub(crate) tickets: Arc<Tickets>,
    pub(crate) hub: DeviceKey,
    pub(crate) addresses: Vec<String>,
}

/// A connection to the hub whose first datagrams were answered.
#[derive(Debug)]
struct LiveConnection {
    connection: Connection,
    /// The session's number.
    session: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
    since: Instant,
}

impl LiveConnection {
    fn datagrams_received(&self) -> u64 {
        self.connection.stats().udp_rx.datagrams
    }

    fn has_ended(&self) -> bool {
        // The task may not have noticed yet.
        self.task.is_finished() || self.connection.close_reason().is_some()
    }
}

impl Drop for LiveConnection {
    fn drop(&mut self) {
        self.connection.close(CLOSE_DONE, b"it is not needed any more");
    }
}

/// Has every peer dialled again when the device gets an address: its network has changed, and live connections may be dead.
pub(crate) async fn watch_network(store: StoreHandle) {
    let mut watcher = match if_watch::tokio::IfWatcher::new() {
        Ok(watcher) => watcher,
        Err(error) => {
            return tracing::info!("changes of the network are not noticed here ({error}); creel nudge helps");
        }
    };
    // The first events name the addresses that are there already.
    let settled = Instant::now() + BACKOFF_MIN;
    while let Some(event) = watcher.next().await {
        match event {
            Ok(if_watch::IfEvent::Up(net)) if Instant::now() > settled => {
                tracing::debug!(%net, "the network changed");
                store.signals.redial_now();
            }
            Ok(_) => {}
            Err(error) => return tracing::info!("changes of the network are not noticed any more: {error}"),
        }
    }
}

impl Dialler {
    /// Keeps a connection to the hub, for as long as the node runs.
    pub(crate) async fn run(self) {
        let mut live: Option<LiveConnection> = None;
        let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_IDLE_MAX);
        loop {
            let began = Instant::now();
            let answered = self.connect(live.as_ref()).await;
            self.connections.store.signals.hub_is_silent.store(false, Ordering::Relaxed);
            if let Some(answered) = answered {
                tracing::info!(address = %answered.connection.remote_address(), "connected to the hub");
                live = Some(answered);
            }
            if let Some(current) = &live {
                self.watch(current).await;
            }
            if let Some(current) = live.take_if(|current| current.has_ended()) {
                tracing::info!("the connection to the hub ended");
                let lifetime = current.since.elapsed();
                self.wait_before_redial(&mut backoff, lifetime).await;
            }
            tokio::time::sleep(BACKOFF_MIN.saturating_sub(began.elapsed())).await;
        }
    }

    /// Waits after a connection that ended. A hub that answers and closes at once, because it refuses this device or speaks another
    /// version, is dialled with growing delays, until the network changes or somebody nudges.
    async fn wait_before_redial(&self, backoff: &mut Backoff, lifetime: Duration) {
        let signals = &self.connections.store.signals;
        tokio::select! {
            () = tokio::time::sleep(backoff.next_delay(lifetime).saturating_sub(lifetime)) => {}
            () = signals.redial_hub.notified() => {
                self.tickets.set_urgent(true);
                backoff.reset();
            }
            () = signals.waiting_began.notified() => {}
        }
    }

    fn has_waiting_edits(&self) -> bool {
        self.connections.store.signals.waiting.load(Ordering::Relaxed) > 0
    }

    /// Returns when the connection has ended, when the hub is silent while edits wait for it, or when the network has changed.
    async fn watch(&self, current: &LiveConnection) {
        let signals = &self.connections.store.signals;
        let (mut heard, mut since) = (current.datagrams_received(), Instant::now());
        let mut waited = self.has_waiting_edits();
        loop {
            tokio::select! {
                _ = current.connection.closed() => return,
                () = signals.redial_hub.notified() => return self.tickets.set_urgent(true),
                () = tokio::time::sleep(LIVENESS_POLL), if waited => {}
                () = signals.waiting_began.notified(), if !waited => {}
            }
            let now = current.datagrams_received();
            let waits = self.has_waiting_edits();
            if now != heard || !waits || !waited {
                (heard, since) = (now, Instant::now());
            } else if since.elapsed() >= LIVENESS_TIMEOUT + 2 * current.connection.rtt() {
                return;
            }
            if current.has_ended() {
                return;
            }
            waited = waits;
        }
    }

    /// Tries to connect until an attempt is answered, or the live connection receives again.
    async fn connect(&self, live: Option<&LiveConnection>) -> Option<LiveConnection> {
        let signals = &self.connections.store.signals;
        let mut heard = live.map(LiveConnection::datagrams_received);
        let began = Instant::now();
        let round_trip = live.map_or(Duration::ZERO, |live| live.connection.rtt());
        // A second attempt before the first can be answered sends everything twice.
        let delay_min = BACKOFF_MIN.max(round_trip.mul_f32(1.25));
        // Giving up an attempt costs nothing while the network is down; an attempt that is open when another is answered costs a
        // padded datagram to close.
        let attempt_timeout = live.map_or(HANDSHAKE_TIMEOUT, |_| {
            HANDSHAKE_TIMEOUT.min(HANDSHAKE_ATTEMPT_TIMEOUT.max(LATE_ANSWER + 2 * round_trip))
        });
        let (mut delay, mut next) = (delay_min, Instant::now());
        let mut repeat_each = round_trip.mul_f32(0.75).clamp(REPEAT_INTERVAL.0, REPEAT_INTERVAL.1);
        let (mut repeat, mut heard_again) = (Instant::now() + self.repeat_delay(round_trip), false);
        let (silent_at, mut is_told) = (began + SILENT_AFTER + 2 * round_trip, false);
        let mut addresses = self.addresses.iter().cycle();
        let mut tries = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => {
                    if let Some(address) = addresses.next() {
                        tries.push(self.attempt(address, attempt_timeout));
                    }
                    let is_fast = self.has_waiting_edits() && began.elapsed() < FAST_RETRY_PERIOD;
                    next += delay;
                    delay = (delay * 2).min(if is_fast { BACKOFF_WAITING_MAX } else { BACKOFF_IDLE_MAX });
                }
                Some(result) = tries.next() => match result {
                    Ok(answered) => {
                        self.tickets.set_urgent(false);
                        return Some(answered);
                    }
                    Err(why) => {
                        tracing::debug!("the hub could not be reached: {why}");
                        if heard_again && tries.is_empty() {
                            return None;
                        }
                    }
                },
                () = tokio::time::sleep_until(silent_at), if !is_told && !heard_again && live.is_some() => {
                    is_told = true;
                    signals.hub_is_silent.store(true, Ordering::Relaxed);
                }
                () = tokio::time::sleep_until(repeat), if live.is_some() => {
                    let Some(live) = live.filter(|live| !live.has_ended()) else {
                        repeat += BACKOFF_IDLE_MAX;
                        continue;
                    };
                    let now = Some(live.datagrams_received());
                    if now != heard {
                        // Once something is received QUIC itself sends lost data again.
                        heard = now;
                        repeat = Instant::now() + LIVENESS_TIMEOUT + 2 * round_trip;
                        if !heard_again {
                            // The network is back. A new connection has a full congestion window, where the silence has shrunk
                            // this one's, and brings new tickets. The edits arrive on either.
                            heard_again = true;
                            signals.hub_is_silent.store(false, Ordering::Relaxed);
                            next = Instant::now() + BACKOFF_IDLE_MAX;
                            tries.extend(self.addresses.first().map(|address| self.attempt(address, attempt_timeout)));
                        }
                        continue;
                    }
                    if self.has_waiting_edits() {
                        self.connections.store.repeat(live.session.load(Ordering::Relaxed)).await;
                    }
                    if began.elapsed() > FAST_REPEAT_PERIOD {
                        repeat_each = REPEAT_INTERVAL.1;
                    }
                    repeat += repeat_each;
                }
                () = signals.redial_hub.notified() => {
                    self.tickets.set_urgent(true);
                    (delay, next) = (delay_min, Instant::now());
                    repeat = Instant::now() + self.repeat_delay(round_trip);
                }
                () = signals.waiting_began.notified() => {
                    delay = delay.min(BACKOFF_WAITING_MAX);
                    next = next.min(Instant::now() + BACKOFF_MIN);
                }
            }
        }
    }

    /// How long nothing is repeated. After a nudge an attempt with a ticket carries all waiting edits. Until that should have been
    /// answered a repetition would only send the edits twice, and make the hub send its own twice: on the old connection and on
    /// the new one.
    fn repeat_delay(&self, round_trip: Duration) -> Duration {
        if self.tickets.has_urgent_ticket() { LATE_ANSWER + 2 * round_trip } else { Duration::ZERO }
    }

    /// One attempt: with a ticket if there is one, so that waiting edits go out at once.
    async fn attempt(&self, address: &str, attempt_timeout: Duration) -> Result<LiveConnection, String> {
        let found: Vec<SocketAddr> =
            tokio::net::lookup_host(address).await.map_err(|error| format!("“{address}”: {error}"))?.collect();
        let mut last = format!("“{address}” has no address");
        for target in found {
            let connecting = match self.endpoint.connect_with(self.config.clone(), target, "creel") {
                Ok(connecting) => connecting,
                Err(error) => {
                    last = error.to_string();
                    continue;
                }
            };
            match connecting.into_0rtt() {
                Ok((connection, accepted)) => {
                    let began = Instant::now();
                    if let Some(live) = self.connect_early(connection, accepted, attempt_timeout).await {
                        if began.elapsed() < LATE_ANSWER + 2 * live.connection.rtt() {
                            return Ok(live);
                        }
                        // The first datagrams were lost, and QUIC would send their content again only by its slow timer. The
                        // hub can be reached now: another attempt is faster.
                        return self.retry(target).await.or(Ok(live));
                    }
                    last = format!("{target} does not answer");
                }
                Err(connecting) => match timeout(attempt_timeout, connecting).await {
                    Ok(Ok(connection)) => {
                        let session = Arc::new(AtomicU64::default());
                        let (dialler, connection_too, number) =
                            (self.clone(), connection.clone(), Arc::clone(&session));
                        let task = tokio::spawn(async move { dialler.run_session(&connection_too, &number).await });
                        return Ok(LiveConnection { connection, session, task, since: Instant::now() });
                    }
                    Ok(Err(error)) => last = format!("{target}: {error}"),
                    Err(_) => last = format!("{target} does not answer"),
                },
            }
        }
        Err(last)
    }

    /// A second attempt at an address that has just answered.
    async fn retry(&self, target: SocketAddr) -> Result<LiveConnection, String> {
        let connecting = self.endpoint.connect_with(self.config.clone(), target, "creel");
        let connecting = connecting.map_err(|error| error.to_string())?;
        let (connection, accepted) = connecting.into_0rtt().map_err(|_| "no ticket is left".to_owned())?;
        self.connect_early(connection, accepted, HANDSHAKE_TIMEOUT)
            .await
            .ok_or_else(|| format!("{target} does not answer"))
    }

    /// Sends early data before the handshake has ended, and waits for an answer.
    async fn connect_early(
        &self,
        connection: Connection,
        accepted: quinn::ZeroRttAccepted,
        attempt_timeout: Duration,
    ) -> Option<LiveConnection> {
        let session = Arc::new(AtomicU64::default());
        let (answered, answer) = oneshot::channel();
        let early = self.clone().run_early_session(connection.clone(), accepted, Arc::clone(&session), answered);
        // Made before the answer, so that a connection that nobody waits for any more is closed.
        let live = LiveConnection { connection, session, task: tokio::spawn(early), since: Instant::now() };
        (timeout(attempt_timeout, answer).await == Ok(Ok(true))).then_some(live)
    }

    /// A session that begins before the handshake has ended. If the hub rejects the ticket, the early data is lost and a new
    /// session sends it again.
    async fn run_early_session(
        self,
        connection: Connection,
        accepted: quinn::ZeroRttAccepted,
        number: Arc<AtomicU64>,
        answered: oneshot::Sender<bool>,
    ) {
        let session = tokio::spawn({
            let (connections, connection, number, hub) =
                (self.connections.clone(), connection.clone(), Arc::clone(&number), self.hub);
            async move { connections.run_session(&connection, hub, Side::Dialled, &number).await }
        });
        let accepted = accepted.await;
        // Whoever asked may have given up.
        let _ = answered.send(connection.close_reason().is_none());
        let why = session.await.unwrap_or_else(|error| error.to_string());
        if !accepted && connection.close_reason().is_none() {
            self.run_session(&connection, &number).await;
        } else {
            connection.close(CLOSE_REFUSED, truncated(&why).as_bytes());
        }
    }

    /// A session on a connection whose handshake has ended.
    async fn run_session(&self, connection: &Connection, number: &AtomicU64) {
        let why = if peer_key(connection) == Some(self.hub) {
            self.connections.run_session(connection, self.hub, Side::Dialled, number).await
        } else {
            "this is not the hub".to_owned()
        };
        connection.close(CLOSE_REFUSED, truncated(&why).as_bytes());
    }
}
