//! The command line: one file per command under `cli/`; this one parses, dispatches and ends.
//!
//! Promises: errors say what, where and what to do, on stderr; exit codes are those of [`Exit`].

mod control;
mod deliveries;
pub mod dns;
mod follow;
pub mod keys;
mod logs;
mod send;
mod signal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::App;

mod config;
mod init;
mod lists;
mod output;
mod subscribers;
mod suppressions;

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
    /// Makes a folder for a publication: configuration, keys and emails.
    Init(init::Init),
    /// Shows the configuration in force.
    #[command(subcommand)]
    Config(config::Command),
    /// Adds and shows lists.
    #[command(subcommand)]
    Lists(lists::Command),
    /// Adds, imports, shows, removes and exports readers.
    #[command(subcommand)]
    Subscribers(subscribers::Command),
    /// Addresses never to be mailed.
    #[command(subcommand)]
    Suppressions(suppressions::Command),
    Send(send::Send),
    Test(send::Test),
    Resume(send::Resume),
    Pause(control::Pause),
    Cancel(control::Cancel),
    Status(control::Status),
    Verify(control::Verify),
    Deliveries(deliveries::Deliveries),
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
        let app = App::from_file(&std::path::absolute(&self.config)?).await?;

        logs::start(&app.config.log, false)?;
        Ok(app)
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
        Command::Send(send) => send.run(&cli.open().await?).await,
        Command::Test(test) => test.run(&cli.open().await?).await,
        Command::Resume(resume) => resume.run(&cli.open().await?).await,
        Command::Pause(pause) => pause.run(&cli.open().await?).await,
        Command::Cancel(cancel) => cancel.run(&cli.open().await?).await,
        Command::Status(status) => status.run(&cli.open().await?).await,
        Command::Verify(verify) => verify.run(&cli.open().await?).await,
        Command::Deliveries(deliveries) => deliveries.run(&cli.open().await?).await,
        Command::Dns(dns) => dns::run(cli, dns),
        Command::Keys(keys) => keys::run(cli, keys),
        Command::Init(init) => init::run(init),
        Command::Config(command) => config::run(cli, command),
        Command::Lists(command) => lists::run(cli, command).await,
        Command::Subscribers(command) => subscribers::run(cli, command).await,
        Command::Suppressions(command) => suppressions::run(cli, command).await,
    }
}

/// Text from outside (a relay, a reader) as a terminal may show it: no control characters.
pub(crate) fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// Prints a value as JSON for scripts.
pub(crate) fn print_json<T: serde::Serialize>(value: &T) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
