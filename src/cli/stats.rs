//! `pressrun stats`: what became of a run and what readers did, of every run, or of a list.
//!
//! Promises: reads counters and tallies only, so it is quick for any run; machines are counted apart; no control
//! character of an issue, a link or a relay's reply reaches the terminal.

mod columns;
mod list;
mod report;
mod segment;
pub(crate) mod spreadsheet;
mod watch;

use anyhow::Context;

use crate::app::App;
use crate::cli::Exit;
use crate::cli::output::{print, print_json};
use crate::numbers;
use crate::status::RunStatus;
use crate::track::fold;
use crate::{lists, run};

/// Runs in the table without an issue.
const RUNS: u32 = 50;

/// Shows numbers: of every run, of one issue, or of a list.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Slug or folder of the issue, and `:RUN` behind it for another run than its newest; all runs when not said.
    pub issue: Option<String>,
    /// Only among its readers who are in this segment now: a name of `segments.toml`, or an expression.
    #[arg(
        long,
        value_name = "SEGMENT",
        requires = "issue",
        conflicts_with = "watch"
    )]
    pub segment: Option<String>,
    /// Shows how this list grew, why readers left it, and who of each month's readers are still there.
    #[arg(long, value_name = "LIST", conflicts_with = "issue")]
    pub list: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// Prints rows for a spreadsheet.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Shows the issue again every second, until Ctrl-C.
    #[arg(long, requires = "issue", conflicts_with_all = ["json", "csv"])]
    pub watch: bool,
    /// Ends with the run.
    #[arg(long, requires = "watch")]
    pub until_finished: bool,
}

/// Prints the numbers; exit code 3 when a ledger does not balance.
pub async fn run(app: &App, args: &Args) -> anyhow::Result<Exit> {
    if fold::is_to_judge_again(&app.store).await? {
        eprintln!(
            "what readers did is judged again by the rules of this version, once; a million events take a minute or two"
        );
    }
    if let Some(slug) = &args.list {
        let list = lists::find(app, slug).await?;
        numbers::catch_up_lately(app).await?;
        let found = numbers::list(app, &list).await?;
        match (args.json, args.csv) {
            (true, _) => print_json(&found)?,
            (_, true) => print(&spreadsheet::list(&found))?,
            _ => print(&list::text(&found))?,
        }
        return Ok(Exit::Done);
    }
    let Some(issue) = &args.issue else {
        numbers::catch_up_lately(app).await?;
        let runs = numbers::runs(app, RUNS).await?;
        match (args.json, args.csv) {
            (true, _) => print_json(&runs)?,
            (_, true) => print(&spreadsheet::runs(&runs))?,
            _ => print(&report::runs(&runs))?,
        }
        return Ok(Exit::Done);
    };
    let run = run::find(app, issue).await?.id();
    if let Some(said) = &args.segment {
        return segment::run(app, run, said, args).await;
    }
    if args.watch {
        return watch::watch(app, run, args.until_finished).await;
    }
    numbers::catch_up(app, run).await?;
    let found = numbers::issue(app, run).await?;
    let found = found.context("the run was removed just now; try again")?;
    match (args.json, args.csv) {
        (true, _) => print_json(&found)?,
        (_, true) => print(&spreadsheet::issue(&found))?,
        _ => print(&report::issue(&found))?,
    }
    let whole = found.run.balanced() || found.run.status == RunStatus::Freezing;
    Ok(if whole { Exit::Done } else { Exit::Attention })
}
