//! Logs on stderr: all that the configuration asks for while serving, warnings in the foreground.
//!
//! Promises: an event is one line, whoever's words are in it, and no terminal does anything at them.

use std::io::{IsTerminal, Write, stderr};

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use crate::terminal::acts;

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
    let coloured = stderr().is_terminal() && log.format == LogFormat::Text;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(coloured)
        // It would tell of a line that could not be written there by writing there, and panic.
        .log_internal_errors(false)
        .with_writer(move || Events { coloured });
    // A second start in one process (tests) keeps the first one's settings.
    match log.format {
        LogFormat::Text => lines.try_init().ok(),
        LogFormat::Json => lines.json().try_init().ok(),
    };
    Ok(())
}

/// Where events go, each in one write.
struct Events {
    /// Escapes are the log's own; those in its values are spelled out before.
    coloured: bool,
}

impl Events {
    fn line(&self, event: &[u8]) -> String {
        let text = String::from_utf8_lossy(event);
        let foreign = |c: char| acts(c) && !(self.coloured && c == '\x1b');
        let mut line = text.trim_end_matches('\n').replace(foreign, "\u{fffd}");
        line.push('\n');
        line
    }
}

impl Write for Events {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        stderr().lock().write_all(self.line(event).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::Events;

    #[test]
    fn an_event_is_one_line_that_does_nothing() {
        let event = b"WARN a\nERROR forged\r\x1b[2J \xe2\x80\xae end\n";
        let shown = Events { coloured: false }.line(event);
        assert_eq!(
            shown,
            "WARN a\u{fffd}ERROR forged\u{fffd}\u{fffd}[2J \u{fffd} end\n"
        );
    }

    #[test]
    fn the_colours_of_the_log_are_its_own() {
        let shown = Events { coloured: true }.line(b"\x1b[33mWARN\x1b[0m a\rb\n");
        assert_eq!(shown, "\x1b[33mWARN\x1b[0m a\u{fffd}b\n");
    }
}
