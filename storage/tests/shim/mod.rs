//! What both power-cut tests need: the shim, compiled, and numbers from a seed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the shim exits with when the power has failed.
pub(crate) const POWER_FAILED: i32 = 99;

/// The compiled shim.
pub(crate) struct Shim {
    pub(crate) library: PathBuf,
    _dir: tempfile::TempDir,
}

impl Shim {
    /// `None`, loudly, where it cannot be built; in CI that is a failure.
    pub(crate) fn compile() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let library = dir.path().join("powercut.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../storage/tests/powercut.c");
        let compiled = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .args([source, "-ldl", "-lpthread"])
            .status();
        if cfg!(target_os = "linux") && compiled.as_ref().is_ok_and(std::process::ExitStatus::success) {
            return Some(Self { library, _dir: dir });
        }
        let why = format!("NO POWER CUT WAS TESTED: this needs Linux and a C compiler called cc ({compiled:?})");
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("{why}");
        None
    }
}

pub(crate) fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory in our own temporary one");
    // There is none yet when the power failed before it was made.
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let entry = entry.expect("a readable directory");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("room for a copy");
        }
    }
}

pub(crate) fn number_from(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// `SplitMix64`: a few lines, and the same numbers for ever, which a regression's seed needs.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next().to_le_bytes());
        words.take(length.div_ceil(8)).flatten().take(length).collect()
    }
}
