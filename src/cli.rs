//! The command line: one file per command under `cli/`; this one parses, dispatches and ends.
//!
//! Promises: errors say what, where and what to do, on stderr; exit codes are those of [`Exit`].

pub mod dns;
pub mod keys;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::App;

/// Sends an email newsletter: one copy to every subscriber, none lost, none doubled.
#[derive(Debug, Parser)]
#[command(name = "pressrun", version, about, propagate_version = true)]
pub struct Cli {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        default_value = "pressrun.toml",
        value_name = "FILE"
    )]
    pub config: PathBuf,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Dns(dns::Dns),
    Keys(keys::Keys),
}

/// How a command ended, as a number for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It could not be done; stderr says why.
    Failed = 1,
    /// The command line was wrong (clap's own number).
    Usage = 2,
    /// Done, and something needs a person: rejects, uncertain or held deliveries, an unbalanced ledger.
    Attention = 3,
    /// Interrupted; what remains goes on with the command printed.
    Interrupted = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl Cli {
    /// Opens the database and the keys that the configuration file names.
    pub async fn open(&self) -> anyhow::Result<App> {
        App::from_file(&std::path::absolute(&self.config)?).await
    }
}

/// Parses the arguments, runs the command, prints the error.
pub async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli).await {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::Failed.into()
        }
    }
}

async fn run(cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Dns(dns) => dns::run(cli, dns),
        Command::Keys(keys) => keys::run(cli, keys),
    }
}
