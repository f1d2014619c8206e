//! The road to the hub: dialling until somebody answers, and noticing when nobody does any more.
//!
//! A device that holds a ticket speaks in its first flight: the edits that wait go out with the handshake's first datagrams.
//! While edits wait and the hub is silent two things go on side by side. On the connection that stands, the oldest edits are
//! sent again and again, a few datagrams at a time, so that a road that is there again carries them at once; QUIC by itself
//! would wait for a probe timer that doubles. And new connections are tried, in case the hub has forgotten the old one. The
//! first that answers wins.

use super::backoff::Pause;
use super::connection::{Links, Side};
use super::tickets::Tickets;
use super::transport::{CLOSE_DONE, CLOSE_REFUSED, HANDSHAKE, peer_key, truncated};
use crate::store_thread::Shell;
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

/// The first pause between two attempts to connect; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause while nothing waits to be delivered: what is sent in an hour is in docs/benchmarks.md.
const PAUSE_IDLE_MAX: Duration = Duration::from_secs(60);
/// The longest pause while an edit waits.
const PAUSE_WAITING_MAX: Duration = Duration::from_secs(1);
/// How long an attempt is given at least beside a connection that stands: less than QUIC's first probe timer (1 s, RFC 9002,
/// section 6.2.2). What its probe would have answered is answered too late to be of use, and the next attempt is there by then.
const ATTEMPT: Duration = Duration::from_millis(900);
/// After so long a time without an answer the pauses grow to those of idle devices.
const HOPE: Duration = Duration::from_secs(1_800);
/// How often it is looked whether a peer is still there.
const LOOK: Duration = Duration::from_millis(50);
/// While an edit waits, a peer that says nothing for two round trips and this long is taken to be away.
const SILENCE: Duration = Duration::from_millis(150);
/// The shortest and the longest pause between two repetitions on a connection whose peer is away.
const REPEAT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// After so long the repetitions come at their longest pause.
const REPEAT_HOPE: Duration = Duration::from_secs(90);

/// After so long a silence while an edit waits, people are told that there is no road: several attempts and repetitions were not
/// answered by then.
const UNHEARD: Duration = Duration::from_secs(3);

/// An answer that takes two round trips and so much longer is one to datagrams that were sent again.
const LATE: Duration = Duration::from_millis(300);

/// A way to the hub.
#[derive(Debug, Clone)]
pub(crate) struct Road {
    pub(crate) links: Links,
    pub(crate) endpoint: Endpoint,
    pub(crate) config: quinn::ClientConfig,
    pub(crate) tickets: Arc<Tickets>,
    pub(crate) hub: DeviceKey,
    pub(crate) addresses: Vec<String>,
}

/// A connection that was answered.
#[derive(Debug)]
struct Standing {
    connection: Connection,
    session: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
    since: Instant,
}

impl Standing {
    fn heard(&self) -> u64 {
        self.connection.stats().udp_rx.datagrams
    }

    fn is_over(&self) -> bool {
        // The task may not have noticed yet.
        self.task.is_finished() || self.connection.close_reason().is_some()
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.connection.close(CLOSE_DONE, b"it is not needed any more");
    }
}

/// Rings when the device gets an address: its network has changed, and what stood before may be gone.
pub(crate) async fn watch_network(shell: Shell) {
    let mut watcher = match if_watch::tokio::IfWatcher::new() {
        Ok(watcher) => watcher,
        Err(error) => {
            return tracing::info!("changes of the network are not noticed here ({error}); creel nudge helps");
        }
    };
    // The first events tell what there is.
    let settled = Instant::now() + PAUSE_MIN;
    while let Some(event) = watcher.next().await {
        match event {
            Ok(if_watch::IfEvent::Up(net)) if Instant::now() > settled => {
                tracing::debug!(%net, "the network changed");
                shell.signals.road_is_there();
            }
            Ok(_) => {}
            Err(error) => return tracing::info!("changes of the network are not noticed any more: {error}"),
        }
    }
}

impl Road {
    /// Keeps a connection to the hub, for as long as the node runs.
    pub(crate) async fn keep(self) {
        let mut standing: Option<Standing> = None;
        let mut pause = Pause::new(PAUSE_MIN, PAUSE_IDLE_MAX);
        loop {
            let began = Instant::now();
            let answered = self.seek(standing.as_ref()).await;
            self.links.shell.signals.unheard.store(false, Ordering::Relaxed);
            if let Some(answered) = answered {
                tracing::info!(address = %answered.connection.remote_address(), "connected to the hub");
                standing = Some(answered);
            }
            if let Some(current) = &standing {
                self.stay(current).await;
            }
            if let Some(current) = standing.take_if(|current| current.is_over()) {
                tracing::info!("the connection to the hub ended");
                let stood = current.since.elapsed();
                self.rest(&mut pause, stood).await;
            }
            tokio::time::sleep(PAUSE_MIN.saturating_sub(began.elapsed())).await;
        }
    }

    /// After a connection that ended. A hub that answers and hangs up, because it refuses us or speaks another version, is dialled
    /// ever more seldom, until somebody says that there is a road.
    async fn rest(&self, pause: &mut Pause, stood: Duration) {
        let signals = &self.links.shell.signals;
        tokio::select! {
            () = tokio::time::sleep(pause.after(stood).saturating_sub(stood)) => {}
            () = signals.nudge.notified() => {
                self.tickets.set_urgent(true);
                pause.reset();
            }
            () = signals.waits.notified() => {}
        }
    }

    fn waits(&self) -> bool {
        self.links.shell.signals.waiting.load(Ordering::Relaxed) > 0
    }

    /// Returns when the connection is over, when its peer is silent though edits wait for it, or when the network changed.
    async fn stay(&self, current: &Standing) {
        let signals = &self.links.shell.signals;
        let (mut heard, mut since) = (current.heard(), Instant::now());
        let mut waited = self.waits();
        loop {
            tokio::select! {
                _ = current.connection.closed() => return,
                () = signals.nudge.notified() => return self.tickets.set_urgent(true),
                () = tokio::time::sleep(LOOK), if waited => {}
                () = signals.waits.notified(), if !waited => {}
            }
            let now = current.heard();
            let waits = self.waits();
            if now != heard || !waits || !waited {
                (heard, since) = (now, Instant::now());
            } else if since.elapsed() >= SILENCE + 2 * current.connection.rtt() {
                return;
            }
            if current.is_over() {
                return;
            }
            waited = waits;
        }
    }

    /// Tries to connect until an attempt is answered, or the connection that stands is heard again.
    async fn seek(&self, standing: Option<&Standing>) -> Option<Standing> {
        let signals = &self.links.shell.signals;
        let mut heard = standing.map(Standing::heard);
        let began = Instant::now();
        let round_trip = standing.map_or(Duration::ZERO, |standing| standing.connection.rtt());
        // A second attempt before the first can be answered says everything twice.
        let pause_min = PAUSE_MIN.max(round_trip.mul_f32(1.25));
        // An attempt that is given up while there is no road costs nothing; one that is still there when another is answered
        // takes a padded datagram to close.
        let patience = standing.map_or(HANDSHAKE, |_| HANDSHAKE.min(ATTEMPT.max(LATE + 2 * round_trip)));
        let (mut pause, mut next) = (pause_min, Instant::now());
        let mut repeat_each = round_trip.mul_f32(0.75).clamp(REPEAT.0, REPEAT.1);
        let (mut repeat, mut revived) = (Instant::now() + self.held_back(round_trip), false);
        let (unheard, mut told) = (began + UNHEARD + 2 * round_trip, false);
        let mut addresses = self.addresses.iter().cycle();
        let mut tries = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => {
                    if let Some(address) = addresses.next() {
                        tries.push(self.attempt(address, patience));
                    }
                    let hopes = self.waits() && began.elapsed() < HOPE;
                    next += pause;
                    pause = (pause * 2).min(if hopes { PAUSE_WAITING_MAX } else { PAUSE_IDLE_MAX });
                }
                Some(result) = tries.next() => match result {
                    Ok(answered) => {
                        self.tickets.set_urgent(false);
                        return Some(answered);
                    }
                    Err(why) => {
                        tracing::debug!("the hub could not be reached: {why}");
                        if revived && tries.is_empty() {
                            return None;
                        }
                    }
                },
                () = tokio::time::sleep_until(unheard), if !told && !revived && standing.is_some() => {
                    told = true;
                    signals.unheard.store(true, Ordering::Relaxed);
                }
                () = tokio::time::sleep_until(repeat), if standing.is_some() => {
                    let Some(standing) = standing.filter(|standing| !standing.is_over()) else {
                        repeat += PAUSE_IDLE_MAX;
                        continue;
                    };
                    let now = Some(standing.heard());
                    if now != heard {
                        // Where something is heard QUIC itself sends again what was lost.
                        heard = now;
                        repeat = Instant::now() + SILENCE + 2 * round_trip;
                        if !revived {
                            // There is a road again. A fresh connection goes on at full width, where this one has learned
                            // from the silence to send a little at a time, and brings new tickets. What waits comes on either.
                            revived = true;
                            signals.unheard.store(false, Ordering::Relaxed);
                            next = Instant::now() + PAUSE_IDLE_MAX;
                            tries.extend(self.addresses.first().map(|address| self.attempt(address, patience)));
                        }
                        continue;
                    }
                    if self.waits() {
                        self.links.shell.repeat(standing.session.load(Ordering::Relaxed)).await;
                    }
                    if began.elapsed() > REPEAT_HOPE {
                        repeat_each = REPEAT.1;
                    }
                    repeat += repeat_each;
                }
                () = signals.nudge.notified() => {
                    self.tickets.set_urgent(true);
                    (pause, next) = (pause_min, Instant::now());
                    repeat = Instant::now() + self.held_back(round_trip);
                }
                () = signals.waits.notified() => {
                    pause = pause.min(PAUSE_WAITING_MAX);
                    next = next.min(Instant::now() + PAUSE_MIN);
                }
            }
        }
    }

    /// For how long nothing is repeated. Somebody said that there is a road, and an attempt with a ticket carries all that
    /// waits: until it should have been answered, a repetition would only say the same twice, and make the hub say again on
    /// the old connection what it says on the new one.
    fn held_back(&self, round_trip: Duration) -> Duration {
        if self.tickets.carry_all() { LATE + 2 * round_trip } else { Duration::ZERO }
    }

    /// One attempt: with a ticket if there is one, so that what waits goes out at once.
    async fn attempt(&self, address: &str, patience: Duration) -> Result<Standing, String> {
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
                    if let Some(standing) = self.hail(connection, accepted, patience).await {
                        if began.elapsed() < LATE + 2 * standing.connection.rtt() {
                            return Ok(standing);
                        }
                        // The first datagrams were lost, and QUIC would send what was in them again only by its slow timer.
                        // There is a road now: the same once more is faster.
                        return self.again(target).await.or(Ok(standing));
                    }
                    last = format!("{target} does not answer");
                }
                Err(connecting) => match timeout(patience, connecting).await {
                    Ok(Ok(connection)) => {
                        let session = Arc::new(AtomicU64::default());
                        let (road, carried, number) = (self.clone(), connection.clone(), Arc::clone(&session));
                        let task = tokio::spawn(async move { road.carry(&carried, &number).await });
                        return Ok(Standing { connection, session, task, since: Instant::now() });
                    }
                    Ok(Err(error)) => last = format!("{target}: {error}"),
                    Err(_) => last = format!("{target} does not answer"),
                },
            }
        }
        Err(last)
    }

    /// Once more to an address that has just answered.
    async fn again(&self, target: SocketAddr) -> Result<Standing, String> {
        let connecting = self.endpoint.connect_with(self.config.clone(), target, "creel");
        let connecting = connecting.map_err(|error| error.to_string())?;
        let (connection, accepted) = connecting.into_0rtt().map_err(|_| "no ticket is left".to_owned())?;
        self.hail(connection, accepted, HANDSHAKE).await.ok_or_else(|| format!("{target} does not answer"))
    }

    /// Speaks before the handshake has ended, and waits for an answer.
    async fn hail(
        &self,
        connection: Connection,
        accepted: quinn::ZeroRttAccepted,
        patience: Duration,
    ) -> Option<Standing> {
        let session = Arc::new(AtomicU64::default());
        let (answered, answer) = oneshot::channel();
        let early = self.clone().early(connection.clone(), accepted, Arc::clone(&session), answered);
        // Made before the answer, so that a connection that nobody waits for any more is closed.
        let standing = Standing { connection, session, task: tokio::spawn(early), since: Instant::now() };
        (timeout(patience, answer).await == Ok(Ok(true))).then_some(standing)
    }

    /// A session that begins before the handshake has ended. If the hub did not want the ticket, what was said is void and
    /// said again.
    async fn early(
        self,
        connection: Connection,
        accepted: quinn::ZeroRttAccepted,
        number: Arc<AtomicU64>,
        answered: oneshot::Sender<bool>,
    ) {
        let session = tokio::spawn({
            let (links, connection, number, hub) =
                (self.links.clone(), connection.clone(), Arc::clone(&number), self.hub);
            async move { links.session(&connection, hub, Side::Dialled, &number).await }
        });
        let accepted = accepted.await;
        // Whoever asked may have given up.
        let _ = answered.send(connection.close_reason().is_none());
        let why = session.await.unwrap_or_else(|error| error.to_string());
        if !accepted && connection.close_reason().is_none() {
            self.carry(&connection, &number).await;
        } else {
            connection.close(CLOSE_REFUSED, truncated(&why).as_bytes());
        }
    }

    /// A session on a connection whose handshake has ended.
    async fn carry(&self, connection: &Connection, number: &AtomicU64) {
        let why = if peer_key(connection) == Some(self.hub) {
            self.links.session(connection, self.hub, Side::Dialled, number).await
        } else {
            "this is not the hub".to_owned()
        };
        connection.close(CLOSE_REFUSED, truncated(&why).as_bytes());
    }
}
