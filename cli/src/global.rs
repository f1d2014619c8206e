//! The options of every command. Apart from `args`, so that what reads them does not import every command.

use crate::language::Language;
use clap::Args;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// This device's data folder [default: the user's own, such as ~/.local/share/creel]
    #[arg(long, global = true, env = "CREEL_DATA", value_name = "DIR", help_heading = "Global options")]
    pub(crate) data: Option<PathBuf>,
    /// Print JSON, for scripts
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// What to log: error, warn, info, debug, trace, or a filter such as `creel_node=debug` [default: info for serve, else warn]
    #[arg(long, global = true, value_name = "LEVEL", value_parser = log_level, help_heading = "Global options")]
    pub(crate) log_level: Option<String>,
    /// Language of tables and sheets [default: that of the environment]
    #[arg(long, global = true, value_enum, help_heading = "Global options")]
    pub(crate) lang: Option<Language>,
}

fn log_level(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}
