//! `pressrun deliveries`: single deliveries of a run, and what a person decides about uncertain ones.

mod show;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::app::App;
use crate::cli::output::print_json;
use crate::cli::{Cli, Exit, audit, control};
use crate::deliver::report::{self, Carried};
use crate::delivery::State;
use crate::run;
use crate::store::verify::DeliveryRow;
use crate::terminal::plain;

/// Deliveries read from the database at a time.
const PAGE: u32 = 1000;

/// Lists deliveries of a run, shows one, or settles uncertain ones.
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub struct Deliveries {
    /// Slug or folder of the issue, and `:RUN` behind it for another run than its newest.
    #[arg(required = true)]
    issue: Option<String>,
    /// Only those in this state, such as `uncertain` or `bounced`; `deferred` are queued ones that were tried before.
    #[arg(long, value_parser = Wanted::parse)]
    state: Option<Wanted>,
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
    /// Settles uncertain deliveries by hand: `pressrun deliveries ISSUE resolve --as sent`.
    #[command(override_usage = "pressrun deliveries <ISSUE> resolve --as <TO> [--seq <SEQ>]")]
    Resolve {
        /// Slug or folder of the issue, where it was not named before `resolve`.
        issue: Option<String>,
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

/// Which deliveries are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    In(State),
    /// Queued, and tried before.
    Deferred,
}

const DEFERRED: &str = "deferred";

impl Wanted {
    fn parse(text: &str) -> Result<Wanted, String> {
        if text == DEFERRED {
            return Ok(Wanted::Deferred);
        }
        let mut names: Vec<_> = State::ALL.iter().map(|state| state.name()).collect();
        names.push(DEFERRED);
        let state = State::parse(text).map(Wanted::In);
        state.ok_or_else(|| format!("expected one of {}", names.join(", ")))
    }

    fn state(self) -> State {
        match self {
            Wanted::In(state) => state,
            Wanted::Deferred => State::Queued,
        }
    }
}

/// Whether a delivery waits for its next try.
fn is_deferred(state: &str, attempts: i64) -> bool {
    state == State::Queued.name() && attempts > 0
}

#[derive(Serialize)]
struct Shown {
    /// Queued, and tried before.
    deferred: bool,
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
        let issue = self.issue.as_deref();
        if let Some(Action::Show(show)) = &self.action {
            return show.run(app, issue).await;
        }
        let behind = match &self.action {
            Some(Action::Resolve { issue, .. }) => issue.as_deref(),
            _ => None,
        };
        let issue = issue
            .or(behind)
            .context("name the issue: `pressrun deliveries ISSUE resolve --as ...`")?;
        let found = run::find(app, issue).await?;
        if let Some(Action::Resolve { to, seq, .. }) = &self.action {
            let state = match to {
                Resolution::Sent => State::Sent,
                Resolution::Queued => State::Queued,
            };
            let number = run::resolve(app, &found, *seq, state).await?;
            if let (0, Some(seq)) = (number, seq) {
                bail!(
                    "the run of `{}` has no uncertain delivery {seq}",
                    found.slug
                );
            }
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
            let state = self.state.map(Wanted::state);
            let mut rows = app.store.deliveries(found.id(), state, after, PAGE).await?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            if self.state == Some(Wanted::Deferred) {
                rows.retain(|row| is_deferred(&row.state, row.attempts));
            }
            if self.json {
                all.extend(rows.into_iter().map(|row| Shown {
                    deferred: is_deferred(&row.state, row.attempts),
                    carried: report::carried(app, &row),
                    row,
                }));
                continue;
            }
            for row in rows {
                let code = row.code.filter(|&code| code != 0);
                let code = code.map_or_else(String::new, |code| format!(" {code}"));
                let class = row.enhanced.as_deref().map(plain);
                let class = class.map_or_else(String::new, |class| format!(" {class}"));
                let reply = row.reply.as_deref().map(plain).unwrap_or_default();
                let address = row.address.as_deref().unwrap_or("(erased)");
                let state = match is_deferred(&row.state, row.attempts) {
                    true => DEFERRED,
                    false => &row.state,
                };
                println!("{:>8}  {state:<12} {address}{code}{class} {reply}", row.seq);
            }
        }
        if self.json {
            print_json(&all)?;
        }
        Ok(Exit::Done)
    }
}
