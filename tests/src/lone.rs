//! A single core on a store in memory, to which a test speaks as its peers and people.

use crate::firm::{Firm, NOON, key_of};
use creel_protocol::core::io::{Act, Input, Keep, Now, Output, Query, Refusal, Reply, Shown};
use creel_protocol::core::{Core, Identity, joined, keys};
use creel_protocol::edit::Edit;
use creel_protocol::id::{DeviceKey, DocumentId, Tap};
use creel_protocol::store::Store as _;
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::Hello;
use creel_storage::{Engine as _, MemoryEngine};

/// A node by itself.
#[derive(Debug)]
pub struct Node {
    /// Its core.
    pub core: Core,
    /// Its store.
    pub engine: MemoryEngine,
    hello: Hello,
    /// Its clock.
    pub now: u64,
    /// What it replied.
    pub replies: Vec<Result<Reply, Refusal>>,
    /// Why it refused what peers sent.
    pub refused: Vec<String>,
}

impl Node {
    /// The node of a member.
    pub fn of(firm: &Firm, who: &str) -> Self {
        let mut engine = MemoryEngine::default();
        engine.apply(&joined(&firm.roster)).expect("memory takes a batch");
        let issuer = (who == "hub").then(|| key_of("issuer"));
        let (core, batch) = Core::open(&engine, Identity { device: key_of(who), issuer }).expect("it is a member");
        batch.iter().for_each(|batch| engine.apply(batch).expect("memory takes a batch"));
        let roster = &firm.roster;
        let hello = Hello::of(roster.organisation(), roster.height(), roster.head());
        Self { core, engine, hello, now: NOON, replies: Vec::new(), refused: Vec::new() }
    }

    /// One step, everything it commits made durable, and whatever is sent then.
    pub fn feed(&mut self, input: Input) -> Vec<(u64, Frame)> {
        let (mut said, mut inputs) = (Vec::new(), vec![input]);
        while let Some(input) = inputs.pop() {
            for output in self.core.step(&self.engine, Now(self.now), input) {
                match output {
                    Output::Commit { commit, batch } => {
                        self.engine.apply(&batch).expect("memory takes a batch");
                        inputs.insert(0, Input::Committed { commit });
                    }
                    Output::Send { session, frame } => said.push((session, frame)),
                    Output::Reply { reply, .. } => self.replies.push(reply),
                    Output::Refused { why, .. } => self.refused.push(why),
                    Output::Failed(error) => panic!("{error}"),
                    _ => {}
                }
            }
        }
        said
    }

    /// A member is met.
    pub fn meet(&mut self, session: u64, who: &str, dialled: bool) {
        self.feed(Input::Connected { session, peer: device(who), dialled });
        self.hear(session, Frame::Hello(self.hello.clone()));
    }

    /// A member says something.
    pub fn hear(&mut self, session: u64, frame: Frame) -> Vec<(u64, Frame)> {
        self.feed(Input::Received { session, frame, refused: Vec::new() })
    }

    /// A member sends edits.
    pub fn hear_edits(&mut self, session: u64, edits: &[&Edit]) -> Vec<(u64, Frame)> {
        self.hear(session, Frame::Edits(edits.iter().copied().cloned().collect()))
    }

    /// What need not be kept is released.
    pub fn tidy(&mut self, keep: u64) -> Vec<(u64, Frame)> {
        self.feed(Input::Tidy { keep: Keep { closed_ms: keep, left_ms: keep } })
    }

    /// What is left to be done is done.
    pub fn rest(&mut self) -> Vec<(u64, Frame)> {
        let mut said = Vec::new();
        while self.core.has_background_work() {
            said.extend(self.feed(Input::Idle));
        }
        said
    }

    /// The edits it holds of a document.
    pub fn edits(&self, document: DocumentId) -> Vec<Edit> {
        let (from, to) = keys::under(&keys::edits(&document));
        let pairs = self.engine.scan(&from, &to, usize::MAX).expect("memory reads");
        let organisation = self.core.roster().organisation();
        pairs.into_iter().map(|(_, bytes)| Edit::stored(&organisation, bytes).expect("it was stored")).collect()
    }

    /// Somebody at it acts.
    pub fn act(&mut self, tap: u8, act: Act) -> Result<Reply, Refusal> {
        self.feed(Input::Act { request: 1, tap: Tap([tap; 16]), by: None, act });
        self.replies.pop().expect("it is answered")
    }

    /// Somebody at it asks.
    pub fn ask(&mut self, query: Query) -> Result<Reply, Refusal> {
        self.feed(Input::Ask { request: 1, query });
        self.replies.pop().expect("it is answered")
    }

    /// A shipment as it shows it.
    pub fn show(&mut self, document: DocumentId) -> Shown {
        match self.ask(Query::Show { shipment: document.to_string() }) {
            Ok(Reply::Shown(shown)) => *shown,
            other => panic!("{other:?}"),
        }
    }
}

/// A member's key.
pub fn device(who: &str) -> DeviceKey {
    DeviceKey(key_of(who).verifying_key().to_bytes())
}
