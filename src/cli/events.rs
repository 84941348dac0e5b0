//! `pressrun events`: what readers and machines did with an issue, each look with its verdict and the rule that said so.

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::app::App;
use crate::cli::output::{print, print_json};
use crate::cli::{Cli, Exit};
use crate::event::score::RULES;
use crate::numbers::log::{self, JudgedEvent};
use crate::run;
use crate::terminal::plain;
use crate::track::fold;

/// Deliveries read from the database at a time.
const PAGE: u32 = 500;

/// Shows the events of an issue, judged man or machine, or judges all of them again.
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub struct Events {
    /// Slug or folder of the issue, and `:RUN` behind it for another run than its newest.
    #[arg(required = true)]
    issue: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Judges every event again from the log, as after a change of the rules; numbers are incomplete meanwhile.
    Rescore,
}

/// Runs `pressrun events`.
pub(super) async fn run(cli: &Cli, events: &Events) -> anyhow::Result<Exit> {
    events.run(&cli.open().await?).await
}

impl Events {
    async fn run(&self, app: &App) -> anyhow::Result<Exit> {
        if let Some(Action::Rescore) = self.action {
            fold::judge_again(&app.store).await?;
            print(&format!("every event was judged by rules {RULES}\n"))?;
            return Ok(Exit::Done);
        }
        let issue = self.issue.as_deref().context("name the issue")?;
        let run = run::find(app, issue).await?.id();
        fold::catch_up(&app.store).await?;
        let mut all = Vec::new();
        let mut seq = -1;
        loop {
            let page = log::events(app, run, seq, PAGE).await?;
            let Some(last) = page.last else { break };
            seq = i64::from(last);
            if self.json {
                all.extend(page.events);
                continue;
            }
            let text: String = page.events.iter().map(line).collect();
            print(&text)?;
        }
        if self.json {
            print_json(&all)?;
        }
        let dropped = app.store.dropped_events(run).await?;
        if dropped > 0 && !self.json {
            print(&format!(
                "{dropped} more are not kept: they came by copies whose links were asked more often than anybody reads\n"
            ))?;
        }
        Ok(Exit::Done)
    }
}

fn line(event: &JudgedEvent) -> String {
    let link = event
        .link
        .map_or_else(String::new, |link| format!(" {}", link + 1));
    let what = format!("{}{link}", event.kind.name());
    let after = match event.after {
        Some(after) => format!("{after} s"),
        None => "-".to_owned(),
    };
    let judged = event.judged.as_ref();
    format!(
        "{:>8}  {}  {what:<11} {after:>9}  {:<7} {:<14} {}\n",
        event.delivery,
        event.at.to_rfc3339(),
        judged.map_or("-", |judged| judged.verdict.name()),
        judged.map_or("-", |judged| judged.rule.name()),
        plain(&event.evidence.agent),
    )
}
