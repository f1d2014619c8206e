//! `cargo xtask`: what CI runs, and the benches. No dependencies, so that it builds in a second.

mod picture;
mod web;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

const HELP: &str = "\
cargo xtask COMMAND

  test            everything CI runs: format, lints, tests, screens, planted bugs, interop, a browser, simulator, a demo
  test --quick    format, lints and tests only
  soak            what takes hours: 10,000 seeds of the simulator, 100,000 random histories against the oracle and in
                  another language, 10,000 searched for bends, 200 power cuts
  picture         makes the pictures in docs: what the demo prints, and its page
  shots FOLDER    a picture of every screen, zh and en, phone and desktop
  bench NAME      a bench whose figures stand in docs/benchmarks.md: board, drivers, durable, flight, ingest,
                  photo, reconnect, scale, sync
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["test"] => test(false),
        ["test", "--quick"] => test(true),
        ["soak"] => soak(),
        ["bench", "sync", ref more @ ..] => sync(more),
        ["bench", "board"] => web::board(),
        ["bench", name] => bench(name),
        ["picture"] => picture::draw().and_then(|()| web::pictures()),
        ["shots", folder] => web::shots(folder),
        _ => {
            print!("{HELP}");
            return if matches!(words[..], [] | ["help" | "--help" | "-h"]) {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(2)
            };
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nxtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The steps of a run, and how many passed.
struct Steps {
    passed: usize,
    began: Instant,
}

impl Steps {
    fn new() -> Self {
        Self { passed: 0, began: Instant::now() }
    }

    fn run(&mut self, name: &str, command: &mut Command) -> Result<(), String> {
        let seconds = self.began.elapsed().as_secs();
        println!("\n=== [{seconds} s] {name}: {}", shown(command));
        let status =
            command.status().map_err(|error| format!("{name}: could not start {}: {error}", shown(command)))?;
        if !status.success() {
            return Err(format!("{name} failed ({status}); run it alone with: {}", shown(command)));
        }
        self.passed += 1;
        Ok(())
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

fn root() -> PathBuf {
    // tests/xtask lies two folders below the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}

fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words).current_dir(root());
    command
}

fn test(quick: bool) -> Result<(), String> {
    let mut steps = Steps::new();
    steps.run("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    steps.run("lints", &mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    steps.run("tests", &mut cargo(&["test", "--workspace", "--no-fail-fast"]))?;
    if !quick {
        web::build(&mut steps)?;
        // The planted bugs are compiled in for this step alone; what is shipped never holds them.
        steps.run(
            "planted bugs",
            &mut cargo(&[
                "test",
                "--workspace",
                "--features",
                "creel-tests/planted",
                "--test",
                "planted",
                "--",
                "--nocapture",
            ]),
        )?;
        interop(&mut steps)?;
        // All at once: each package by itself would build their dependencies again, with other features.
        steps.run("release build", &mut cargo(&["build", "--release", "--workspace", "--bins"]))?;
        check_random(&mut steps, 1, 2_000)?;
        web::walk(&mut steps)?;
        steps.run("simulator", Command::new(built("sim")).args(["--seeds", "0..300"]))?;
        steps.run("demo", Command::new(built("creel")).args(["demo", "--json"]))?;
    }
    println!("\nall steps passed in {} s", steps.began.elapsed().as_secs());
    println!("{} passed, 0 failed", steps.passed);
    Ok(())
}

/// What takes too long for every change. Each step replays by itself, with the seeds that it prints.
fn soak() -> Result<(), String> {
    let mut steps = Steps::new();
    steps.run("release build", &mut cargo(&["build", "--release", "--workspace", "--bins"]))?;
    steps.run("simulator", Command::new(built("sim")).args(["--seeds", "0..10000"]))?;
    let histories = ["--judge", "--seed", "1", "--count", "100000"];
    steps.run("histories against the oracle", Command::new(built("histories")).args(histories))?;
    interop(&mut steps)?;
    check_random(&mut steps, 2, 20_000)?;
    steps.run("bends", Command::new(built("bends")).args(["--seed", "1", "--count", "10000"]))?;
    steps.run(
        "power cuts",
        cargo(&["test", "--release", "--package", "creel", "--test", "power_cuts"]).env("CREEL_POWER_CUTS", "200"),
    )?;
    println!("{} passed, 0 failed", steps.passed);
    Ok(())
}

/// A program of the release build.
fn built(name: &str) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("release").join(name).with_extension(env::consts::EXE_EXTENSION)
}

/// A proof is verified in another language, by the text of docs/wire.md alone.
fn interop(steps: &mut Steps) -> Result<(), String> {
    let python = ["python3", "python"].into_iter().find(|name| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    });
    let Some(python) = python else {
        return Err("the interop step needs Python 3.9 or newer: install python3 with its venv module \
                    (Debian: apt-get install python3-venv)"
            .to_owned());
    };
    let venv = root().join("target/interop-venv");
    let inside = venv.join("bin/python");
    if !inside.exists() {
        steps.run("interop: Python environment", Command::new(python).args(["-m", "venv"]).arg(&venv))?;
    }
    let interop = root().join("tests/interop");
    let requirements = interop.join("requirements.txt");
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    steps.run("interop: libraries", Command::new(&inside).args(install).arg(requirements))?;
    let script = interop.join("verify_proof.py");
    let wire = root().join("docs/wire.md");
    steps.run("interop: a proof verifies", Command::new(&inside).arg(&script).arg("--vector").arg(&wire))?;
    steps.run(
        "interop: a proof with any one byte changed does not",
        Command::new(&inside).arg(&script).arg("--mutate").arg("--vector").arg(&wire),
    )?;
    let vectors = root().join("docs/vectors/histories.jsonl");
    steps.run("interop: histories give their views", Command::new(&inside).arg(checker()).arg(vectors))
}

/// An implementation of docs/status.md in Python, from the document alone.
fn checker() -> PathBuf {
    root().join("tests/interop/check_histories.py")
}

/// Random hostile histories give the same views in another language. The environment is that of [`interop`].
fn check_random(steps: &mut Steps, seed: u64, count: u64) -> Result<(), String> {
    let path = root().join("target/histories.jsonl");
    let file = std::fs::File::create(&path).map_err(|why| format!("could not write {}: {why}", path.display()))?;
    let (seed, count) = (seed.to_string(), count.to_string());
    let arguments = ["--seed", &seed, "--count", &count];
    steps.run("random histories", Command::new(built("histories")).args(arguments).stdout(file))?;
    let python = root().join("target/interop-venv/bin/python");
    steps.run("interop: random histories give the same views", Command::new(python).arg(checker()).arg(path))
}

/// creel beside other systems. Their drivers are a workspace of their own, so that nothing of them is in creel's lock file.
fn sync(more: &[&str]) -> Result<(), String> {
    let mut steps = Steps::new();
    let peers = root().join("tests/peers");
    steps.run(
        "other systems: npm packages",
        Command::new("npm").args(["install", "--no-fund", "--no-audit"]).current_dir(peers.join("js")),
    )?;
    steps.run("release build", &mut cargo(&["build", "--release", "-p", "creel", "--bins"]))?;
    let manifest = peers.join("Cargo.toml");
    let manifest = manifest.to_string_lossy();
    steps.run("other systems: build", &mut cargo(&["build", "--release", "--manifest-path", &manifest]))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| peers.join("target"), PathBuf::from);
    steps.run("sync", Command::new(target.join("release/bench-sync")).arg("--creel").arg(built("creel")).args(more))
}

fn bench(name: &str) -> Result<(), String> {
    let mut steps = Steps::new();
    match name {
        "durable" => {
            steps.run(name, &mut cargo(&["run", "--release", "-p", "creel-storage", "--example", "durable_latency"]))
        }
        "drivers" | "flight" | "ingest" | "photo" | "reconnect" | "scale" => {
            steps.run("release build", &mut cargo(&["build", "--release", "--workspace", "--bins"]))?;
            steps.run(name, Command::new(built("bench")).arg(name))
        }
        _ => Err(format!(
            "there is no bench “{name}”: board, drivers, durable, flight, ingest, photo, reconnect, scale, sync"
        )),
    }
}
