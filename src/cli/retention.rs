//! `pressrun retention`: how long what is known of readers is kept, and what is older.

use clap::Subcommand;

use crate::cli::output::{print, print_json, table};
use crate::cli::{Cli, Exit};
use crate::retention::{self, Kept};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Forgets now what is older than `[retention]` says; `serve` does it every hour.
    Run {
        /// Counts what would be forgotten, and forgets nothing.
        #[arg(long)]
        dry_run: bool,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(cli: &Cli, command: &Command) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    let Command::Run { dry_run, json } = command;
    let kept = match dry_run {
        true => retention::plan(&app).await?,
        false => retention::run(&app).await?,
    };
    match json {
        true => print_json(&kept)?,
        false => print(&as_table(&kept, *dry_run))?,
    }
    app.store.close().await;
    Ok(Exit::Done)
}

fn as_table(kept: &[Kept], dry: bool) -> String {
    let row = |kept: &Kept| {
        let days = match kept.days {
            None => "for ever".to_owned(),
            Some(0) => "less than a day".to_owned(),
            Some(days) => format!("{days} days"),
        };
        vec![kept.kind.to_owned(), days, kept.old.to_string()]
    };
    let forgotten = if dry { "older" } else { "forgotten" };
    table(
        &["data", "kept", forgotten],
        &kept.iter().map(row).collect::<Vec<_>>(),
    )
}
