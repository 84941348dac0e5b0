//! A line that nobody is to read over a shoulder: from a terminal without echo, or from a pipe.

use std::io::{BufRead, IsTerminal, stdin};

use anyhow::{Context, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use tokio::sync::oneshot;

/// Whether a person types.
pub(super) fn is_terminal() -> bool {
    stdin().is_terminal()
}

/// Asks for one line. The question goes to stderr, and only where a person reads it.
pub(super) async fn ask(question: &str) -> anyhow::Result<SecretString> {
    let silence = match is_terminal() {
        true => {
            eprint!("{question}");
            Some(Silence::begin().context("the terminal does not stop to show what is typed")?)
        }
        false => None,
    };
    let (tell, told) = oneshot::channel();
    // A thread of its own and not one of the runtime's: Ctrl-C must not wait for the line to end.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = stdin().lock().read_line(&mut line).map(|_| line);
        tell.send(read).ok();
    });
    let line = tokio::select! {
        line = told => line.context("the line was not read")??,
        _ = tokio::signal::ctrl_c() => bail!("interrupted; nothing was changed"),
    };
    if silence.is_some() {
        eprintln!();
    }
    let line = line.trim_end_matches(['\r', '\n']);
    Ok(SecretString::from(line))
}

/// While it lives, the terminal does not show what is typed.
struct Silence {
    before: Termios,
}

impl Silence {
    fn begin() -> anyhow::Result<Silence> {
        let before = tcgetattr(stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Flush, &silent)?;
        Ok(Silence { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        tcsetattr(stdin(), OptionalActions::Flush, &self.before).ok();
    }
}
