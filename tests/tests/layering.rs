//! The house keeps its shape: who may import whom, and what the engine may not touch.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the workspace").to_owned()
}

/// Every `.rs` file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The dependencies of each crate of ours, without those of its tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("there are packages").iter();
    packages
        .map(|package| {
            let name = package["name"].as_str().unwrap_or_default().to_owned();
            let normal = package["dependencies"].as_array().into_iter().flatten().filter(|one| one["kind"].is_null());
            (name, normal.filter_map(|one| one["name"].as_str().map(str::to_owned)).collect())
        })
        .collect()
}

/// DESIGN's layout: storage imports protocol; node imports both; cli imports node; tests import all.
#[test]
fn no_edge_is_added() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("creel-protocol", &[] as &[&str]),
        ("creel-storage", &["creel-protocol"]),
        ("creel-api", &["creel-protocol"]),
        ("creel-node", &["creel-api", "creel-protocol", "creel-storage"]),
        ("creel", &["creel-api", "creel-node", "creel-protocol"]),
        ("creel-tests", &["creel", "creel-node", "creel-protocol", "creel-storage"]),
        ("creel-xtask", &[]),
    ]);
    let dependencies = dependencies();
    let ours: BTreeSet<_> = dependencies.keys().cloned().collect();
    assert_eq!(ours, allowed.keys().map(|name| (*name).to_owned()).collect(), "a crate came or went");
    for (name, edges) in &dependencies {
        for edge in edges.intersection(&ours) {
            assert!(allowed[name.as_str()].contains(&edge.as_str()), "{name} must not import {edge}");
        }
    }
}

/// Each heavy library lives in one crate only.
#[test]
fn libraries_stay_in_their_crates() {
    let homes: [(&str, &[&str]); 8] = [
        ("automerge", &["creel-protocol"]),
        ("sled", &["creel-storage"]),
        ("tokio", &["creel-node", "creel", "creel-tests"]),
        ("quinn", &["creel-node", "creel-tests"]),
        ("rustls", &["creel-node", "creel-tests"]),
        // The demo's page is a server of its own.
        ("axum", &["creel-node", "creel"]),
        ("clap", &["creel", "creel-tests"]),
        ("anyhow", &["creel", "creel-tests"]),
    ];
    for (name, edges) in dependencies() {
        for (library, allowed) in homes {
            assert!(!edges.contains(library) || allowed.contains(&name.as_str()), "{name} must not use {library}");
        }
    }
}

/// The engine is free of IO, clocks, threads and randomness, so that a phone's replica can be this very crate.
#[test]
fn the_engine_is_pure() {
    let forbidden = [
        "std::fs",
        "std::net",
        "std::io",
        "std::thread",
        "std::time",
        "std::env",
        "std::process",
        "Instant::",
        "SystemTime",
        "Timestamp::now",
        "Zoned::now",
        "getrandom",
        "rand::",
        "tokio",
        "println!",
        "eprintln!",
        "thread_local!",
    ];
    for path in sources(&root().join("protocol/src")) {
        let text = fs::read_to_string(&path).expect("a source is readable");
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in forbidden {
                assert!(!code.contains(word), "{}:{}: the engine must not use {word}", path.display(), number + 1);
            }
        }
    }
    let edges = &dependencies()["creel-protocol"];
    for library in ["getrandom", "rand", "tokio", "tracing", "chrono", "time", "libc"] {
        assert!(!edges.contains(library), "the engine must not use {library}");
    }
}

/// `sync` knows edits and documents, and nothing of shipments, workflow or Automerge.
#[test]
fn sync_knows_nothing_of_shipments() {
    for path in sources(&root().join("protocol/src/sync")) {
        let text = fs::read_to_string(&path).expect("a source is readable");
        for word in ["crate::shipment", "crate::workflow", "crate::core", "automerge", "edit::action"] {
            assert!(!text.contains(word), "{} must not know {word}", path.display());
        }
    }
    for folder in ["cbor.rs", "cose.rs", "id.rs", "store.rs", "edit", "roster", "workflow", "shipment", "sync"] {
        let path = root().join("protocol/src").join(folder);
        let files = if path.is_dir() { sources(&path) } else { vec![path] };
        for file in files {
            let text = fs::read_to_string(&file).expect("a source is readable");
            assert!(!text.contains("crate::core"), "{} must not know the core", file.display());
        }
    }
}

/// Nothing committed carries a path of the machine it was written on.
#[test]
fn no_path_of_a_machine() {
    // In parts, so that this file passes its own test.
    let word = ["/", "work", "/"].concat();
    for folder in ["protocol", "storage", "node", "cli", "tests", "docs"] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("a source is readable");
            assert!(!text.contains(&word), "{} names a path of this machine", path.display());
        }
    }
}

/// The modules of `node/src` keep apart: QUIC knows no HTTP, HTTP uses no connection, and what lies on the disk knows neither.
#[test]
fn modules_of_the_node_stay_apart() {
    let node = root().join("node/src");
    let forbidden: [(&str, &[&str]); 7] = [
        ("quic", &["crate::http"]),
        ("http", &["crate::quic::connection", "crate::quic::dial", "crate::quic::transport"]),
        ("photos/files.rs", &["crate::http", "crate::quic"]),
        ("photos/wanted.rs", &["crate::http", "crate::quic"]),
        ("folder.rs", &["crate::http", "crate::quic", "crate::store_thread"]),
        ("store_thread.rs", &["crate::http", "crate::quic"]),
        ("export", &["crate::http", "crate::quic", "crate::store_thread"]),
    ];
    for (module, words) in forbidden {
        let path = node.join(module);
        let files = if path.is_dir() { sources(&path) } else { vec![path] };
        assert!(!files.is_empty(), "{module} has no sources");
        for file in files {
            let text = fs::read_to_string(&file).expect("a source is readable");
            for word in words {
                assert!(!text.contains(word), "{} must not import {word}", file.display());
            }
        }
    }
}

/// No command of the command line imports the whole command line, which imports every command.
#[test]
fn commands_do_not_import_the_command_line() {
    for file in sources(&root().join("cli/src")) {
        let text = fs::read_to_string(&file).expect("a source is readable");
        assert!(!text.contains("crate::args"), "{} must not import args", file.display());
    }
}
