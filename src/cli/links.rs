//! `pressrun links`: the links of an issue sent, what readers did with them, and a wrong one put right.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::output::{print, print_json, table};
use crate::cli::{Cli, Exit, audit, control};
use crate::clock::Timestamp;
use crate::numbers;
use crate::run::{self, links};
use crate::stats::LinkNumbers;
use crate::stats::judged::LinkJudged;
use crate::store::repairs::{LinkRow, Repair};
use crate::terminal::plain;

/// Shows the links of an issue with their clicks, and corrects where one leads.
///
/// What readers got stays as it was sent. The redirect behind a tracked link, the archive and the feeds
/// follow a correction within seconds.
#[derive(Debug, Args)]
pub struct Links {
    /// Slug or folder of the issue; its newest run is meant where none is said behind it, as `:RUN`.
    issue: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Leads a link to another address from now on.
    Fix {
        /// The link's number, as `pressrun links ISSUE` shows it.
        number: usize,
        /// Where it is to lead: http, https or mailto.
        url: String,
    },
}

/// Runs `pressrun links`.
pub(super) async fn run(cli: &Cli, arguments: &Links) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    let run = run::find(&app, &arguments.issue).await?;
    if let Some(Change::Fix { number, url }) = &arguments.change {
        let old = links::fix(&app, &run, *number, url, &audit::whoever()).await?;
        let about = format!("link {number} of {}", control::about(&run));
        audit::note(&app, &links::corrected(&old, url), &about).await?;
        print(&format!("link {number} led to {old}\n"))?;
    }
    let (links, repairs) = links::table(&app, &run).await?;
    numbers::catch_up(&app, run.id()).await?;
    let read = numbers::line(&app, run.id()).await?;
    let read = read.map(|line| line.run.links).unwrap_or_default();
    if arguments.json {
        let link = |row: &LinkRow| {
            let read = read_of(&read, row.link);
            json!({
                "number": row.link + 1,
                "name": row.name,
                "url": row.corrected.as_ref().unwrap_or(&row.url),
                "sent": row.url,
                "readers": read.readers.number(),
                "clicks": read.clicked(),
            })
        };
        print_json(&json!({
            "issue": run.slug,
            "run": run.id,
            "links": links.iter().map(link).collect::<Vec<_>>(),
            "corrections": repairs.iter().map(as_json).collect::<Vec<_>>(),
        }))?;
    } else {
        print(&as_text(&links, &read, &repairs))?;
    }
    app.store.close().await;
    Ok(Exit::Done)
}

/// What readers did with a link, machines left out.
fn read_of(read: &[LinkNumbers], link: i64) -> LinkJudged {
    let found = read.iter().find(|found| found.link == link);
    found.map(|found| found.judged).unwrap_or_default()
}

/// A number, or that it was not counted.
fn told(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn as_text(links: &[LinkRow], read: &[LinkNumbers], repairs: &[Repair]) -> String {
    if links.is_empty() {
        return "no link of this run is tracked: they lead straight to their targets\n".to_owned();
    }
    let row = |row: &LinkRow| {
        let url = row.corrected.as_ref().unwrap_or(&row.url);
        let read = read_of(read, row.link);
        vec![
            (row.link + 1).to_string(),
            told(read.readers.number()),
            told(read.clicked()),
            plain(&row.name),
            plain(url),
        ]
    };
    let header = ["link", "readers", "clicks", "name", "leads to"];
    let mut text = table(&header, &links.iter().map(row).collect::<Vec<_>>());
    if !repairs.is_empty() {
        text.push_str("\ncorrected\n");
        text.extend(
            repairs
                .iter()
                .map(|repair| format!("  {}\n", sentence(repair))),
        );
    }
    text
}

/// One correction in one line.
pub(super) fn sentence(repair: &Repair) -> String {
    format!(
        "{} link {} by {}: {} -> {}",
        Timestamp(repair.at).to_rfc3339(),
        repair.link + 1,
        plain(&repair.who),
        plain(&repair.old_url),
        plain(&repair.new_url)
    )
}

fn as_json(repair: &Repair) -> serde_json::Value {
    json!({
        "number": repair.link + 1,
        "old": repair.old_url,
        "new": repair.new_url,
        "at": Timestamp(repair.at).to_rfc3339(),
        "who": repair.who,
    })
}
