//! Command lines that clap takes and creel does not.

/// A combination of arguments that clap cannot refuse by itself. The exit code is 2, as for clap's own refusals.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);
