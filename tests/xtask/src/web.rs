//! The screens: built again and held against what is committed, and walked through in a real browser.

use super::{Steps, built, cargo, root};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Debian's Chromium and others are found.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn npm(words: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(words).current_dir(root().join("node/web"));
    command
}

/// What is compiled into the binary is what its sources say.
pub(crate) fn build(steps: &mut Steps) -> Result<(), String> {
    if !is_there("npm") {
        return Err(
            "the screens' step needs Node.js 20 or newer with npm: install them (Debian: apt-get install nodejs npm)"
                .to_owned(),
        );
    }
    steps.run("screens: npm packages", &mut npm(&["ci", "--no-fund", "--no-audit"]))?;
    steps.run("screens: types", &mut npm(&["run", "check"]))?;
    let fresh = root().join("target/web-dist");
    let out = fresh.to_string_lossy().into_owned();
    steps.run("screens: build", &mut npm(&["run", "build", "--", "--outDir", &out, "--emptyOutDir"]))?;
    let (ours, committed) = (files(&fresh)?, files(&root().join("node/web/dist"))?);
    let differs = ours.keys().chain(committed.keys()).find(|name| ours.get(*name) != committed.get(*name));
    match differs {
        Some(name) => Err(format!(
            "node/web/dist/{} is not what its sources build: run npm run build in node/web and commit",
            name.display()
        )),
        None => Ok(()),
    }
}

/// The files below a folder.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        let broken = |error: std::io::Error| format!("{}: {error}", inner.display());
        for entry in fs::read_dir(&inner).map_err(broken)? {
            let path = entry.map_err(broken)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(name) = path.strip_prefix(folder) {
                found.insert(name.to_owned(), fs::read(&path).map_err(broken)?);
            }
        }
    }
    Ok(found)
}

/// A browser, installed where it is missing and can be.
fn browser(steps: &mut Steps) -> Result<&'static str, String> {
    if !BROWSERS.into_iter().any(is_there) {
        // Debian, as root: what a clean CI machine is.
        let mut update = Command::new("apt-get");
        let mut install = Command::new("apt-get");
        let advice = "the browser step needs Chromium: install it (Debian: apt-get install chromium fonts-noto-cjk)";
        steps.run("browser: package lists", update.args(["update", "-qq"])).map_err(|_| advice.to_owned())?;
        let packages = ["install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-noto-cjk"];
        steps
            .run("browser: Chromium", install.args(packages).env("DEBIAN_FRONTEND", "noninteractive"))
            .map_err(|_| advice.to_owned())?;
    }
    Ok(BROWSERS.into_iter().find(|name| is_there(name)).unwrap_or("chromium"))
}

/// A script of `tests/e2e`.
fn script(words: &[&str], browser: &str) -> Command {
    let mut node = Command::new("node");
    node.args(words).current_dir(root()).env("CREEL", built("creel")).env("CREEL_BROWSER", browser);
    node
}

/// Real nodes, a real browser.
pub(crate) fn walk(steps: &mut Steps) -> Result<(), String> {
    let browser = browser(steps)?;
    let mut tests: Vec<String> =
        files(&root().join("tests/e2e"))?.into_keys().map(|name| format!("tests/e2e/{}", name.display())).collect();
    tests.retain(|name| name.ends_with(".test.mjs"));
    let words = ["--test", "--test-concurrency=1"].into_iter().chain(tests.iter().map(String::as_str));
    steps.run("browser: screens", &mut script(&words.collect::<Vec<_>>(), browser))
}

/// What a script of `tests/e2e` needs, and the script.
fn with_browser(name: &str, words: &[&str], more: &[(&str, &str)]) -> Result<(), String> {
    let mut steps = Steps::new();
    steps.run("build", &mut cargo(&["build", "--release", "--package", "creel"]))?;
    steps.run("screens: npm packages", &mut npm(&["ci", "--no-fund", "--no-audit"]))?;
    let browser = browser(&mut steps)?;
    steps.run(name, script(words, browser).envs(more.iter().copied()))
}

/// A picture of every screen, into a folder.
pub(crate) fn shots(folder: &str) -> Result<(), String> {
    let folder = std::path::absolute(folder).map_err(|error| format!("{folder}: {error}"))?;
    let folder = folder.to_string_lossy().into_owned();
    with_browser("pictures", &["--test", "tests/e2e/screens.test.mjs"], &[("CREEL_SHOTS", &folder)])
}

/// README's picture, in both languages.
pub(crate) fn pictures() -> Result<(), String> {
    with_browser("a picture", &["tests/e2e/picture.mjs", "en", "docs/screens.png"], &[])?;
    with_browser("a picture", &["tests/e2e/picture.mjs", "zh", "docs/screens.zh.png"], &[])
}

/// A board of ten thousand shipments.
pub(crate) fn board() -> Result<(), String> {
    with_browser("bench", &["tests/e2e/board.bench.mjs"], &[])
}
