//! `pressrun completions`: what a shell needs to complete commands and flags.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::cli::output::print;
use crate::cli::{Cli, Exit};

/// Prints what a shell needs to complete commands.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

/// Runs `pressrun completions`.
pub(super) fn run(completions: &Completions) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    generate(
        completions.shell,
        &mut Cli::command(),
        "pressrun",
        &mut script,
    );
    print(&String::from_utf8(script)?)?;
    Ok(Exit::Done)
}
