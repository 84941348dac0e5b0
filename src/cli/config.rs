//! `pressrun config`: the configuration in force, and the reference.

use clap::Subcommand;

use crate::cli::output::{print, print_json};
use crate::cli::{Cli, Exit};
use crate::config::{Config, show};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows every setting with its origin; secrets are left out.
    Show {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints every key with its default and what it does.
    Reference,
}

pub(super) fn run(cli: &Cli, command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Show { json } => {
            let (_, settings) = Config::load_with_origins(&cli.config)?;
            match json {
                true => print_json(&show::as_json(&settings))?,
                false => print(&show::as_toml(&settings))?,
            }
        }
        Command::Reference => print(show::reference())?,
    }
    Ok(Exit::Done)
}
