//! `pressrun completions`: what a shell needs to complete commands and flags.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::cli::output::print_file;
use crate::cli::{Cli, Exit};

/// Prints what a shell needs to complete commands.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

/// Runs `pressrun completions`.
pub(super) fn run(completions: &Completions) -> anyhow::Result<Exit> {
    print_file(&script(completions.shell)?)?;
    Ok(Exit::Done)
}

fn script(shell: Shell) -> anyhow::Result<String> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "pressrun", &mut script);
    Ok(String::from_utf8(script)?)
}

#[cfg(test)]
mod tests {
    use super::{Shell, script};

    #[test]
    fn each_shell_is_told_of_commands_and_flags() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell).expect("text");
            for word in ["reschedule", "subject-b"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
