//! `pressrun deliveries`: single deliveries of a run, and what a person decides about uncertain ones.

mod show;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::app::App;
use crate::cli::output::{plain, print_json};
use crate::cli::{Cli, Exit, audit, control};
use crate::deliver::report::{self, Carried};
use crate::delivery::State;
use crate::run;
use crate::store::verify::DeliveryRow;

/// Deliveries read from the database at a time.
const PAGE: u32 = 1000;

/// Lists deliveries of a run, shows one, or settles uncertain ones.
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub struct Deliveries {
    /// Slug or folder of the issue, and `:RUN` behind it for another run than its newest.
    #[arg(required = true)]
    issue: Option<String>,
    /// Only those in this state, such as `uncertain` or `bounced`.
    #[arg(long, value_parser = parse_state)]
    state: Option<State>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows everything known of one delivery, with what was said when it last failed.
    Show(show::Show),
    /// Settles uncertain deliveries by hand.
    #[command(override_usage = "pressrun deliveries <ISSUE> resolve --as <TO> [--seq <SEQ>]")]
    Resolve {
        /// `sent` believes that the relay took them; `queued` sends them again.
        #[arg(long = "as", value_enum)]
        to: Resolution,
        /// Only the delivery of this number.
        #[arg(long)]
        seq: Option<u32>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Resolution {
    Sent,
    Queued,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    row: DeliveryRow,
    #[serde(flatten)]
    carried: Carried,
}

/// Runs `pressrun deliveries`.
pub(super) async fn run(cli: &Cli, deliveries: &Deliveries) -> anyhow::Result<Exit> {
    deliveries.run(&cli.open().await?).await
}

impl Deliveries {
    async fn run(&self, app: &App) -> anyhow::Result<Exit> {
        if let Some(Action::Show(show)) = &self.action {
            return show.run(app).await;
        }
        let issue = self.issue.as_deref();
        let issue =
            issue.context("name the issue: `pressrun deliveries ISSUE resolve --as ...`")?;
        let found = run::find(app, issue).await?;
        if let Some(Action::Resolve { to, seq }) = &self.action {
            let state = match to {
                Resolution::Sent => State::Sent,
                Resolution::Queued => State::Queued,
            };
            let number = run::resolve(app, &found, *seq, state).await?;
            if number > 0 {
                let what = format!("settled {number} uncertain deliveries as {}", state.name());
                audit::note(app, &what, &control::about(&found)).await?;
            }
            let deliveries = match number {
                1 => "delivery is",
                _ => "deliveries are",
            };
            println!("{number} uncertain {deliveries} {} now", state.name());
            if number > 0 && state == State::Queued {
                let name = run::name(app, &found).await?;
                println!("send them with: pressrun resume {name}");
            }
            return Ok(Exit::Done);
        }
        let mut after = -1;
        let mut all = Vec::new();
        loop {
            let rows = app
                .store
                .deliveries(found.id(), self.state, after, PAGE)
                .await?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            if self.json {
                all.extend(rows.into_iter().map(|row| Shown {
                    carried: report::carried(app, &row),
                    row,
                }));
                continue;
            }
            for row in rows {
                let code = row.code.filter(|&code| code != 0);
                let code = code.map_or_else(String::new, |code| format!(" {code}"));
                let reply = row.reply.as_deref().map(plain).unwrap_or_default();
                let address = row.address.as_deref().unwrap_or("(erased)");
                println!("{:>8}  {:<12} {address}{code} {reply}", row.seq, row.state);
            }
        }
        if self.json {
            print_json(&all)?;
        }
        Ok(Exit::Done)
    }
}

fn parse_state(text: &str) -> Result<State, String> {
    let names: Vec<_> = State::ALL.iter().map(|state| state.name()).collect();
    State::parse(text).ok_or_else(|| format!("expected one of {}", names.join(", ")))
}
