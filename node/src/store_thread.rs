//! The store's thread: owns the core and the store, and is the only one that touches either.
//!
//! Inputs that wait are stepped through as one group; then the store is made durable once for all of them, and only then
//! does what depends on it go out. That is group commit, and it is all the locking there is.

use crate::error::NodeError;
use crate::folder::Folder;
use creel_protocol::cbor::Bytes;
use creel_protocol::core::Core;
use creel_protocol::core::io::{
    Act, Input, Keep, Named, Now, Output, PhotoNews, Query, Refusal, Reply, RequestId, SessionId,
};
use creel_protocol::edit::Edit;
use creel_protocol::id::{DeviceKey, DocumentId, FileHash, Tap};
use creel_protocol::store::StoreError;
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::Redeem;
use creel_storage::{Engine, SledEngine};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

/// Inputs stepped through as one group.
const GROUP_MAX: usize = 256;
/// Portions of background work made durable at once; what is not durable yet is kept in memory.
const PORTIONS_MAX: usize = 16;
/// Inputs that may queue up; a connection with more waits, which slows its peer down.
const INBOX_MAX: usize = 512;
/// Changes that a slow live screen may fall behind by before it must reload.
const CHANGES_MAX: usize = 4_096;
/// Frames that may wait for a connection: more than the answer to any honest peer, and less than fills the memory.
const QUEUED_FRAMES_MAX: usize = 131_072;

/// How long after its start a device first releases shipments that it need not keep, and how often after that.
const RELEASE_DELAY: Duration = Duration::from_secs(5);
const RELEASE_INTERVAL: Duration = Duration::from_secs(60);

/// What goes to a connection.
#[derive(Debug)]
pub(crate) enum ConnectionOutput {
    Send(Frame),
    /// Sends a frame again in a datagram: after an interruption the stream may still wait for its probe timer.
    Repeat(Frame),
    Close(String),
}

/// What comes to the store's thread.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a message is made once, taken apart at once and never kept")]
enum Message {
    Command { tap: Tap, by: Option<String>, act: Act, reply: Answer },
    Query { query: Query, reply: Answer },
    Redeem { device: DeviceKey, exporter: [u8; 32], redeem: Redeem, reply: Answer },
    Unpack { entries: Vec<Bytes>, edits: Vec<Edit>, reply: Answer },
    Connected { session: SessionId, peer: DeviceKey, dialled: bool, out: mpsc::Sender<ConnectionOutput> },
    Received { session: SessionId, frame: Frame, refused: Vec<String> },
    Repeat { session: SessionId },
    Disconnected { session: SessionId },
    Photo { photo: FileHash, news: PhotoNews },
    Release { keep: Keep },
    Stop,
}

type Answer = oneshot::Sender<Result<Reply, Refusal>>;

/// What the rest of the node sees of the store's thread.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Edits held here that the hub is not known to have.
    pub(crate) waiting: AtomicU64,
    /// What was refused before the core saw it: what is not even a frame, and strangers.
    pub(crate) malformed: AtomicU64,
    /// While an edit waits: the hub does not answer on the live connection.
    pub(crate) hub_is_silent: AtomicBool,
    /// Notified when an edit begins to wait.
    pub(crate) waiting_began: Notify,
    /// Documents that changed.
    pub(crate) changes: broadcast::Sender<DocumentId>,
    /// Notified when the network has changed or somebody nudges: the hub is dialled at once.
    pub(crate) redial_hub: Notify,
    /// Notified with it: other devices are dialled at once.
    pub(crate) redial_peers: Notify,
    /// Who belongs by the roster held here: who is to be dialled at all. The core has the last word on every connection.
    pub(crate) members: watch::Sender<HashSet<DeviceKey>>,
}

impl Signals {
    /// Has the hub and all other peers dialled at once: the network may be back.
    pub(crate) fn redial_now(&self) {
        self.redial_hub.notify_one();
        self.redial_peers.notify_waiters();
    }

    /// Whether a device is a member by the roster held here.
    pub(crate) fn is_member(&self, device: &DeviceKey) -> bool {
        self.members.borrow().contains(device)
    }
}

/// A handle to the store's thread.
#[derive(Debug, Clone)]
pub(crate) struct StoreHandle {
    inbox: mpsc::Sender<Message>,
    sessions: Arc<AtomicU64>,
    pub(crate) signals: Arc<Signals>,
}

impl StoreHandle {
    /// Starts the thread. The receiver yields how it ended.
    pub(crate) fn start(
        folder: Folder,
        core: Core,
        engine: SledEngine,
    ) -> Result<(Self, oneshot::Receiver<Result<(), StoreError>>), NodeError> {
        let (inbox, messages) = mpsc::channel(INBOX_MAX);
        let (ended, end) = oneshot::channel();
        let signals = Arc::new(Signals {
            waiting: AtomicU64::new(core.waiting()),
            malformed: AtomicU64::new(0),
            hub_is_silent: AtomicBool::new(false),
            waiting_began: Notify::new(),
            changes: broadcast::channel(CHANGES_MAX).0,
            redial_hub: Notify::new(),
            redial_peers: Notify::new(),
            members: watch::Sender::default(),
        });
        let mut thread = StoreThread {
            core,
            engine,
            folder,
            signals: Arc::clone(&signals),
            replies: HashMap::new(),
            connections: HashMap::new(),
            next_request: 0,
            commits: Vec::new(),
            must_sync: false,
            outputs: Vec::new(),
            roster_height: None,
        };
        thread.copy_roster();
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                let result = thread.run(messages);
                if let Err(error) = &result {
                    tracing::error!("{error}");
                }
                // Nobody listens any more when the node is gone already.
                let _ = ended.send(result);
            })
            .map_err(|error| NodeError::System(format!("the store's thread could not be started: {error}")))?;
        Ok((Self { inbox, sessions: Arc::default(), signals }, end))
    }

    async fn request(&self, message: impl FnOnce(Answer) -> Message) -> Result<Reply, Refusal> {
        let stopped = || Refusal::Store(StoreError::Failed("creel is stopping".to_owned()));
        let (reply, answer) = oneshot::channel();
        self.inbox.send(message(reply)).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Carries out a command; answered when its edits are durable.
    pub(crate) async fn command(&self, tap: Tap, by: Option<String>, act: Act) -> Result<Reply, Refusal> {
        self.request(|reply| Message::Command { tap, by, act, reply }).await
    }

    /// Answers a query.
    pub(crate) async fn query(&self, query: Query) -> Result<Reply, Refusal> {
        self.request(|reply| Message::Query { query, reply }).await
    }

    /// Enrols a device that proves an invite.
    pub(crate) async fn redeem(&self, device: DeviceKey, exporter: [u8; 32], redeem: Redeem) -> Result<Reply, Refusal> {
        self.request(|reply| Message::Redeem { device, exporter, redeem, reply }).await
    }

    /// Admits edits of a pack or of a damaged store's salvage; answered when the admitted edits are durable.
    pub(crate) async fn unpack(&self, entries: Vec<Bytes>, edits: Vec<Edit>) -> Result<Reply, Refusal> {
        self.request(|reply| Message::Unpack { entries, edits, reply }).await
    }

    /// Begins a session on a connection. The receiver yields what to send on it.
    pub(crate) async fn connected(
        &self,
        peer: DeviceKey,
        dialled: bool,
    ) -> (SessionId, mpsc::Receiver<ConnectionOutput>) {
        let (out, frames) = mpsc::channel(QUEUED_FRAMES_MAX);
        let session = self.sessions.fetch_add(1, Ordering::Relaxed);
        self.send(Message::Connected { session, peer, dialled, out }).await;
        (session, frames)
    }

    pub(crate) async fn received(&self, session: SessionId, frame: Frame, refused: Vec<String>) {
        self.send(Message::Received { session, frame, refused }).await;
    }

    /// Sends the oldest edits that the peer has not acknowledged once more.
    pub(crate) async fn repeat(&self, session: SessionId) {
        self.send(Message::Repeat { session }).await;
    }

    /// Notes a photo's progress.
    pub(crate) async fn photo(&self, photo: FileHash, news: PhotoNews) {
        self.send(Message::Photo { photo, news }).await;
    }

    /// Releases shipments that need not be kept here any more, at intervals, for as long as the node runs.
    pub(crate) async fn release_regularly(self, keep: Keep, at_once: bool) {
        if !at_once {
            tokio::time::sleep(RELEASE_DELAY).await;
        }
        let mut interval = tokio::time::interval(RELEASE_INTERVAL);
        loop {
            interval.tick().await;
            self.send(Message::Release { keep }).await;
        }
    }

    /// A page of the photos that are wanted. Empty at the list's end, and while the node stops.
    pub(crate) async fn wanted_photos(&self, from: Option<DeviceKey>, after: Option<Named>) -> Vec<Named> {
        match self.query(Query::WantedPhotos { from, after }).await {
            Ok(Reply::Photos(photos)) => photos,
            _ => Vec::new(),
        }
    }

    /// Whether a peer may have a photo.
    pub(crate) async fn may_fetch(&self, peer: DeviceKey, photo: FileHash) -> bool {
        matches!(self.query(Query::MayFetch { peer, photo }).await, Ok(Reply::Is(true)))
    }

    /// Whether the hub is known to have a photo.
    pub(crate) async fn photo_at_hub(&self, photo: FileHash) -> bool {
        matches!(self.query(Query::PhotoAtHub { photo }).await, Ok(Reply::Is(true)))
    }

    pub(crate) async fn disconnected(&self, session: SessionId) {
        self.send(Message::Disconnected { session }).await;
    }

    /// Ends the thread after what was sent before.
    pub(crate) async fn stop(&self) {
        self.send(Message::Stop).await;
    }

    async fn send(&self, message: Message) {
        // If the thread has ended, the node is about to end too, and says why.
        let _ = self.inbox.send(message).await;
    }
}

struct StoreThread {
    core: Core,
    engine: SledEngine,
    folder: Folder,
    signals: Arc<Signals>,
    replies: HashMap<RequestId, Answer>,
    connections: HashMap<SessionId, mpsc::Sender<ConnectionOutput>>,
    next_request: RequestId,
    /// Commits that are applied and not durable yet.
    commits: Vec<u64>,
    must_sync: bool,
    outputs: Vec<Output>,
    /// The roster's height when it was last copied.
    roster_height: Option<u64>,
}

impl StoreThread {
    fn run(&mut self, mut messages: mpsc::Receiver<Message>) -> Result<(), StoreError> {
        // What an earlier run had not finished does not wait for somebody to come.
        self.work_in_background(&messages)?;
        loop {
            let Some(first) = messages.blocking_recv() else { return self.make_durable() };
            let mut next = Some(first);
            for _ in 0..GROUP_MAX {
                match next {
                    Some(Message::Stop) => {
                        self.make_durable()?;
                        return Ok(());
                    }
                    Some(message) => self.take(message)?,
                    None => break,
                }
                next = messages.try_recv().ok();
            }
            if let Some(message) = next {
                self.take(message)?;
            }
            if self.must_sync {
                self.make_durable()?;
            }
            self.dispatch();
            self.work_in_background(&messages)?;
        }
    }

    /// Refreshes what is stale while nobody waits.
    fn work_in_background(&mut self, messages: &mpsc::Receiver<Message>) -> Result<(), StoreError> {
        let mut worked = false;
        // One portion even while others wait: what waits for summaries must not starve.
        while self.core.has_background_work() && (messages.is_empty() || !worked) {
            self.step(Input::Idle)?;
            worked = true;
            if self.commits.len() >= PORTIONS_MAX {
                self.make_durable()?;
                self.dispatch();
            }
        }
        if worked {
            self.make_durable()?;
            self.dispatch();
        }
        Ok(())
    }

    fn take(&mut self, message: Message) -> Result<(), StoreError> {
        let input = match message {
            Message::Command { tap, by, act, reply } => Input::Act { request: self.expect(reply), tap, by, act },
            Message::Query { query, reply } => Input::Ask { request: self.expect(reply), query },
            Message::Redeem { device, exporter, redeem, reply } => {
                Input::Redeem { request: self.expect(reply), device, exporter, redeem }
            }
            Message::Unpack { entries, edits, reply } => Input::Unpack { request: self.expect(reply), entries, edits },
            Message::Connected { session, peer, dialled, out } => {
                self.connections.insert(session, out);
                Input::Connected { session, peer, dialled }
            }
            Message::Received { session, frame, refused } => Input::Received { session, frame, refused },
            Message::Photo { photo, news } => Input::Photo { photo, news },
            Message::Release { keep } => Input::Tidy { keep },
            Message::Repeat { session } => Input::Repeat { session },
            Message::Disconnected { session } => {
                self.connections.remove(&session);
                Input::Disconnected { session }
            }
            Message::Stop => return Ok(()),
        };
        self.step(input)
    }

    fn expect(&mut self, reply: Answer) -> RequestId {
        self.next_request += 1;
        self.replies.insert(self.next_request, reply);
        self.next_request
    }

    fn step(&mut self, input: Input) -> Result<(), StoreError> {
        for output in self.core.step(&self.engine, now(), input) {
            match output {
                Output::Commit { commit, batch } => {
                    self.engine.apply(&batch)?;
                    self.must_sync |= batch.must_be_durable;
                    self.commits.push(commit);
                }
                Output::Failed(error) => return Err(error),
                output => self.outputs.push(output),
            }
        }
        Ok(())
    }

    /// Makes everything applied so far durable, and lets the core release what waited for it.
    fn make_durable(&mut self) -> Result<(), StoreError> {
        while !self.commits.is_empty() {
            self.engine.sync()?;
            self.must_sync = false;
            for commit in std::mem::take(&mut self.commits) {
                self.step(Input::Committed { commit })?;
            }
            if !self.must_sync {
                // What the releases wrote is bookkeeping that nobody waits for.
                return Ok(());
            }
        }
        Ok(())
    }

    fn dispatch(&mut self) {
        self.copy_roster();
        // Before anybody is woken by it: who wakes and sees that nothing waits sleeps until the next edit.
        self.signals.waiting.store(self.core.waiting(), Ordering::Relaxed);
        for output in std::mem::take(&mut self.outputs) {
            match output {
                Output::Reply { request, reply } => {
                    if let Some(answer) = self.replies.remove(&request) {
                        // The asker may have gone; what was done stays done.
                        let _ = answer.send(reply);
                    }
                }
                Output::Send { session, frame } => self.send_on(session, ConnectionOutput::Send(frame)),
                Output::Repeat { session, frame } => self.send_on(session, ConnectionOutput::Repeat(frame)),
                Output::Close { session, why } => self.send_on(session, ConnectionOutput::Close(why)),
                Output::Changed(document) => {
                    // Nobody may be watching.
                    let _ = self.signals.changes.send(document);
                }
                Output::Refused { peer, why } => tracing::warn!(peer = %peer.short(), "refused: {why}"),
                Output::Waiting => self.signals.waiting_began.notify_one(),
                // Taken in `step`.
                Output::Commit { .. } | Output::Failed(_) => {}
            }
        }
    }

    fn send_on(&mut self, session: SessionId, out: ConnectionOutput) {
        let Some(connection) = self.connections.get(&session) else { return };
        // A connection that has ended reports that by itself.
        if let Err(mpsc::error::TrySendError::Full(_)) = connection.try_send(out) {
            tracing::warn!("a peer does not take what it asks for: its connection is closed");
            // Without its end of the channel the writer stops, and with it the session.
            self.connections.remove(&session);
        }
    }

    /// Keeps the roster's copy when it has grown, and tells who belongs.
    fn copy_roster(&mut self) {
        let roster = self.core.roster();
        if self.roster_height == Some(roster.height()) {
            return;
        }
        self.roster_height = Some(roster.height());
        self.signals.members.send_replace(roster.members().into_iter().map(|member| member.key).collect());
        if let Err(error) = self.folder.write_roster(roster) {
            tracing::warn!("the roster's copy could not be written: {error}");
        }
    }
}

/// The device's clock.
pub(crate) fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
