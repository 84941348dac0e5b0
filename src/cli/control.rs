//! `pressrun pause`, `pressrun reschedule`, `pressrun cancel` and `pressrun status`.

use clap::Args;
use serde::Serialize;

use crate::app::App;
use crate::cli::output::print_json;
use crate::cli::send::ask::{Deed, answer};
use crate::cli::{Cli, Exit, audit, follow};
use crate::clock::Timestamp;
use crate::deliver::setup;
use crate::delivery::{Counts, State};
use crate::id::RunId;
use crate::notice::failing::failing;
use crate::run::guards::{self, Guard, Question};
use crate::run::why::{self, Why};
use crate::run::{self, commands};
use crate::schedule;
use crate::status::RunStatus;
use crate::store::runs::Run;
use crate::terminal::plain;

/// Runs shown by `status` beside those that are not over: the newest ones.
const SHOWN: u32 = 20;

/// Pauses a run: what stands at the dot finishes, the rest waits.
#[derive(Debug, Args)]
pub struct Pause {
    /// Slug or folder of the issue, and `:RUN` behind it where several of its runs are under way.
    issue: String,
}

/// Moves a run that waits for its hour to another one; its content stays.
#[derive(Debug, Args)]
pub struct Reschedule {
    /// Slug or folder of the issue, and `:RUN` behind it where several of its runs are under way.
    issue: String,
    /// When it starts instead: "2026-02-20 07:00", "friday 07:00" or "tomorrow 7am", in the publication's zone or
    /// one that is named.
    #[arg(long, value_name = "TIME")]
    at: String,
    /// Answers a guard: `hour` or `promo-date`. May be said several times.
    #[arg(long, value_name = "GUARD", value_parser = Guard::parse)]
    accept: Vec<Guard>,
}

/// Cancels a run: what is queued is never sent.
#[derive(Debug, Args)]
pub struct Cancel {
    /// Slug or folder of the issue, and `:RUN` behind it where several of its runs are under way.
    issue: String,
    /// Cancels indeed: a cancelled run cannot be resumed.
    #[arg(long)]
    yes: bool,
}

/// Shows the runs, or one run, as they stand.
#[derive(Debug, Args)]
pub struct Status {
    /// Slug or folder of the issue, and `:RUN` behind it for another run than its newest; all runs when not said.
    issue: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct StatusRow {
    #[serde(flatten)]
    run: Run,
    #[serde(flatten)]
    counts: Counts,
    balanced: bool,
    /// Why it stands where it stands.
    why: Why,
}

/// Runs `pressrun pause`.
pub(super) async fn pause(cli: &Cli, pause: &Pause) -> anyhow::Result<Exit> {
    pause.run(&cli.open().await?).await
}

/// Runs `pressrun reschedule`.
pub(super) async fn reschedule(cli: &Cli, reschedule: &Reschedule) -> anyhow::Result<Exit> {
    reschedule.run(&cli.open().await?).await
}

/// Runs `pressrun cancel`.
pub(super) async fn cancel(cli: &Cli, cancel: &Cancel) -> anyhow::Result<Exit> {
    cancel.run(&cli.open().await?).await
}

/// Runs `pressrun status`.
pub(super) async fn status(cli: &Cli, status: &Status) -> anyhow::Result<Exit> {
    status.run(&cli.open().await?).await
}

/// How the audit names a run.
pub(super) fn about(run: &Run) -> String {
    format!("run {} of {}", run.id, run.slug)
}

impl Pause {
    async fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let found = run::find_open(app, &self.issue).await?;
        run::pause(app, &found).await?;
        audit::note(app, "paused a run", &about(&found)).await?;
        let name = run::name(app, &found).await?;
        println!("paused; go on with: pressrun resume {name}");
        Ok(Exit::Done)
    }
}

impl Reschedule {
    async fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let found = run::find_open(app, &self.issue).await?;
        let zone = &app.config.publication.timezone;
        let start = schedule::start(&self.at, zone, app.clock.now());
        let start = start.map_err(|why| anyhow::anyhow!(why))?;
        let promos = guards::promos_of(app, &found, &start).await?;
        if promos.is_none() {
            eprintln!(
                "note: the folder does not hold what the run sends, so its offers are not looked at"
            );
        }
        let questions = guards::of_hour(app, &found, start.at, &promos.unwrap_or_default()).await?;
        let open = questions.iter();
        let open: Vec<&Question> = open
            .filter(|question| !self.accept.contains(&question.guard))
            .collect();
        if let Some(exit) = answer(Deed::MOVE, &found.slug, &open, false)? {
            return Ok(exit);
        }
        let now = run::reschedule::reschedule(app, &found, &start).await?;
        let moved = schedule::shown(start.at, &start.zone);
        audit::note(app, &format!("moved a run to {moved}"), &about(&found)).await?;
        if let Some(note) = &start.note {
            println!("{note}");
        }
        let sure = match now.status {
            RunStatus::Scheduled => {
                println!("it starts {moved}");
                return Ok(Exit::Done);
            }
            RunStatus::Held => " --yes",
            _ => "",
        };
        println!(
            "its hour is {moved}, and it is {}: `pressrun resume {}{sure}` lets it start then",
            now.status,
            run::name(app, &now).await?
        );
        Ok(Exit::Done)
    }
}

impl Cancel {
    async fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let found = run::find_open(app, &self.issue).await?;
        // Nobody has got anything of it, so there is nothing to be sure of.
        if run::take_back(app, &found).await? {
            audit::note(app, "cancelled a run", &about(&found)).await?;
            println!("taken back: nothing was sent");
            return Ok(Exit::Done);
        }
        let open = app.store.counts(found.id()).await?.queued;
        if found.status == RunStatus::Cancelled && open == 0 {
            println!("the run of `{}` was cancelled before", found.slug);
            return follow::summary(app, found.id()).await;
        }
        if !self.yes && found.status != RunStatus::Finished {
            if found.status == RunStatus::Freezing {
                anyhow::bail!(
                    "`{}` is copying its readers, and none of them would get it; say `--yes` to cancel the run",
                    found.slug
                );
            }
            let deliveries = if open == 1 { "delivery" } else { "deliveries" };
            anyhow::bail!(
                "{open} {deliveries} of `{}` would never be sent; say `--yes` to cancel the run",
                found.slug
            );
        }
        let counts = run::cancel(app, &found).await?;
        audit::note(app, "cancelled a run", &about(&found)).await?;
        let mut said = format!(
            "cancelled: {} sent, {} never sent",
            counts.sent, counts.cancelled
        );
        if counts.at_dot > 0 {
            said.push_str(&format!(", {} wait for the relay's answer", counts.at_dot));
        }
        if counts.uncertain > 0 {
            said.push_str(&format!(
                ", {} uncertain (`pressrun deliveries {} --state uncertain`)",
                counts.uncertain,
                run::name(app, &found).await?
            ));
        }
        println!("{said}");
        if counts.sent > 0 && counts.cancelled > 0 {
            println!("{}", rest(app, &found).await?);
        }
        Ok(Exit::Done)
    }
}

/// How the readers get it whom the cancelled `run` did not reach.
async fn rest(app: &App, run: &Run) -> anyhow::Result<String> {
    let (slug, list) = (&run.slug, commands::to_list(app, run).await?);
    // A second mail or a correction is no first one to those whom it did not reach: said again, it leaves out the others.
    let (mended, part) = match run.audience.as_str() {
        "reached" => ("", "--correction --to-reached".to_owned()),
        "unopened" => {
            let origin = app.store.run(RunId(run.origin.unwrap_or(0))).await?;
            let other = origin.filter(|origin| origin.slug != *slug);
            let part = other.map_or_else(
                || "--resend".to_owned(),
                |other| format!("--to-unopened-of {}", other.slug),
            );
            ("", part)
        }
        _ => ("mended, ", "--continue".to_owned()),
    };
    Ok(format!(
        "{mended}it goes to the others with: pressrun send {slug} {part}{list}"
    ))
}

impl Status {
    async fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let runs = match &self.issue {
            Some(issue) => vec![run::find(app, issue).await?],
            None => {
                let mut runs = app.store.runs(SHOWN).await?;
                let oldest = runs.last().map_or(0, |run| run.id);
                let older = app.store.open_runs().await?.into_iter();
                runs.extend(older.filter(|run| run.id < oldest));
                runs
            }
        };
        let mut rows = Vec::with_capacity(runs.len());
        for run in runs {
            let (run, counts, balanced) = follow::standing(app, run.id()).await?;
            let why = why::why(app, &run).await?;
            rows.push(StatusRow {
                run,
                counts,
                balanced,
                why,
            });
        }
        // Of one run all is said that needs a person; a list of many tells it by its words.
        let needs = |row: &StatusRow| {
            let person = follow::needs_a_person(&row.run, &row.counts);
            !row.balanced || (self.issue.is_some() && person)
        };
        let mut exit = match rows.iter().any(needs) {
            true => Exit::Attention,
            false => Exit::Done,
        };
        if self.json {
            print_json(&rows)?;
            return Ok(exit);
        }
        if let (Some(_), [row]) = (&self.issue, rows.as_slice()) {
            let exit = follow::summary(app, row.run.id()).await?;
            println!("{}", plain(&row.why.sentence));
            return Ok(exit);
        }
        if let Some(doubt) = run::doubt(app).await? {
            println!("{}", plain(&doubt));
            exit = Exit::Attention;
        } else if rows.is_empty() {
            println!("no run was ever begun; `pressrun send ISSUE` begins one");
        }
        for amiss in setup::amiss(&app.store, &app.config).await? {
            println!("{}", plain(&amiss));
        }
        if let Some(failing) = failing(&app.store, &app.config).await? {
            println!("{}", plain(&failing.sentence));
        }
        for row in &rows {
            let StatusRow { run, counts, .. } = row;
            let begun = Timestamp(run.created_at).to_rfc3339();
            println!("{:>4}  {:<9}  {begun}  {}", run.id, run.status, run.slug);
            let states = State::ALL
                .into_iter()
                .filter(|&state| counts.get(state) > 0);
            let states: Vec<_> = states
                .map(|state| format!("{} {}", state.name(), counts.get(state)))
                .collect();
            if let Some(to) = run.said_segment() {
                println!("      to {}", plain(&to));
            }
            println!("      {} recipients: {}", run.recipients, states.join(", "));
            if !run.status.is_over() {
                println!("      {}", plain(&row.why.sentence));
            }
            if !row.balanced {
                println!("      does not balance: run `pressrun verify {}`", run.slug);
            }
        }
        Ok(exit)
    }
}
