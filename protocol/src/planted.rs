//! Bugs planted on purpose, to show that the simulator catches them. Outside its feature nothing of them is compiled in:
//! [`is`] is the constant `false`.

/// A bug that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// Acknowledges an edit before it is durable.
    AckBeforeCommit = 1,
    /// Admits an edit without waiting for its predecessors.
    IgnoredAfter,
    /// Lets the later clock decide the status.
    LastWriterByClock,
    /// Forgets to acknowledge some edits.
    SkippedAck,
    /// Sends a party shipments that are not its own.
    ScopeLeaks,
    /// Renders a view that depends on the order of arrival.
    ViewByArrival,
    /// Takes some ranges that differ to be the same.
    BlindRanges,
    /// Passes by a session that something new concerns.
    PassedBy,
    /// Lets go of a document without asking whether the hub holds all of it.
    PartsUnasked,
    /// Takes every edit of one tap to be the same, whatever it states.
    TapVoidsAll,
    /// Voids the later edit of a tap although its author did not know the other.
    RepeatUnknown,
    /// Counts an author's edits in canonical order, not those that an edit knows.
    LimitByOrder,
    /// Chooses what an edit knows by ids alone.
    AfterById,
    /// Fills what an edit may know with void edits first.
    VoidHeadsFirst,
    /// Lets any chain of steps supersede a record that excludes its end.
    SupersedesThroughAny,
    /// Lets a resolve that upholds what was taken back go on rejecting other facts.
    UpheldPerFact,
    /// Shows the first exceptions and no more, whoever made them.
    FloodHides,
    /// Lets a key that only later versions know void an edit.
    LaterKeyVoids,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Self; 18] = [
        Self::AckBeforeCommit,
        Self::IgnoredAfter,
        Self::LastWriterByClock,
        Self::SkippedAck,
        Self::ScopeLeaks,
        Self::ViewByArrival,
        Self::BlindRanges,
        Self::PassedBy,
        Self::PartsUnasked,
        Self::TapVoidsAll,
        Self::RepeatUnknown,
        Self::LimitByOrder,
        Self::AfterById,
        Self::VoidHeadsFirst,
        Self::SupersedesThroughAny,
        Self::UpheldPerFact,
        Self::FloodHides,
        Self::LaterKeyVoids,
    ];
}

#[cfg(feature = "planted")]
static PLANTED: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Plants a bug, or none.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.store(bug.map_or(0, |bug| bug as u8), std::sync::atomic::Ordering::Relaxed);
}

/// Whether the bug is planted.
#[cfg(feature = "planted")]
pub fn is(bug: Bug) -> bool {
    PLANTED.load(std::sync::atomic::Ordering::Relaxed) == bug as u8
}

/// Whether the bug is planted: never, in what is shipped.
#[cfg(not(feature = "planted"))]
pub const fn is(_bug: Bug) -> bool {
    false
}
