//! Logs on stderr: all that the configuration asks for while serving, warnings in the foreground.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// What a foreground command tells beside its own output.
const FOREGROUND: &str = "error";

/// Starts logging for this process.
pub(crate) fn start(log: &Log, serving: bool) -> anyhow::Result<()> {
    let level = if serving {
        log.level.as_str()
    } else {
        FOREGROUND
    };
    let filter = EnvFilter::builder().parse(level).with_context(|| {
        format!("`log.level` is `{level}`; expected `info` or `pressrun=debug`")
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        // It would tell of a line that could not be written there by writing there, and panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first one's settings.
    match log.format {
        LogFormat::Text => lines.try_init().ok(),
        LogFormat::Json => lines.json().try_init().ok(),
    };
    Ok(())
}
