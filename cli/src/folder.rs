//! Where a device keeps its data.

use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};

/// The data folder: as given, else the platform's place for an application's own data.
pub(crate) fn data(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(given) = given.filter(|given| !given.as_os_str().is_empty()) {
        // Absolute, so that what is printed for copying works from any folder.
        return std::path::absolute(given).with_context(|| format!("cannot use {} as data folder", given.display()));
    }
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        // The XDG base directory specification says that a relative path there is to be ignored.
        variable("XDG_DATA_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
    };
    base.map(|base| base.join("creel"))
        .context("there is no home folder to keep data in: name a folder with --data DIR")
}

/// The folder as it is written into a command to copy: quoted where a shell would split it.
pub(crate) fn quoted(folder: &Path) -> String {
    let text = folder.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '/' | '.' | '_' | '-' | '\\' | ':');
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// ` --data DIR` for a command to copy; nothing where the folder is found without it.
pub(crate) fn option(folder: &Path) -> String {
    let unasked = env::var_os("CREEL_DATA").map(PathBuf::from);
    match data(unasked.as_deref()) {
        Ok(found) if found == folder => String::new(),
        _ => format!(" --data {}", quoted(folder)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed to be copied survives a shell.
    #[test]
    fn folders_are_quoted() {
        for (folder, expect) in
            [("/tmp/hub", "/tmp/hub"), ("/tmp/my hub", "'/tmp/my hub'"), ("/tmp/o'hub", r"'/tmp/o'\''hub'")]
        {
            assert_eq!(quoted(Path::new(folder)), expect);
        }
    }
}
