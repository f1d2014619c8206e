//! What happened, as one digest and, if asked for, in words.

/// The trace of a run.
#[derive(Debug)]
pub(super) struct Trace {
    hasher: blake3::Hasher,
    print: bool,
}

impl Trace {
    /// An empty trace.
    pub(super) fn new(print: bool) -> Self {
        Self { hasher: blake3::Hasher::new(), print }
    }

    /// Something happened.
    pub(super) fn note(&mut self, at: u64, what: &str) {
        self.hasher.update(&at.to_be_bytes()).update(what.as_bytes()).update(b"\n");
        if self.print {
            eprintln!("{at:>7} {what}");
        }
    }

    /// Digest of everything so far.
    pub(super) fn digest(&self) -> String {
        self.hasher.finalize().to_string()
    }
}
