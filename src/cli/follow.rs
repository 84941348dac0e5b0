//! Following a run: a progress bar on a terminal, plain lines elsewhere, and a summary at the end.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::app::App;
use crate::cli::Exit;
use crate::cli::follow::store::Watch;
use crate::clock::Timestamp;
use crate::deliver::trouble::Trouble;
use crate::delivery::{Counts, State};
use crate::id::RunId;
use crate::run::{self, trial};
use crate::status::RunStatus;
use crate::store::runs::Run;
use crate::terminal::plain;

pub(crate) mod store;

/// The database is waited for no longer at each look.
const ANSWER: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(5);

/// What one look shows.
struct Seen {
    run: Run,
    counts: Counts,
    /// Queued deliveries that are not due yet, and when the next is.
    deferred: i64,
    next: Option<i64>,
    trouble: String,
}

/// Follows `run` until it neither waits for its hour, freezes nor sends, or until told to stop. A database that is away
/// or locked meanwhile is waited for, and told.
pub(crate) async fn follow(
    app: &App,
    run: RunId,
    stop: &mut watch::Receiver<bool>,
) -> anyhow::Result<Run> {
    let bar = bar();
    let mut told = Instant::now();
    let mut line = String::new();
    let mut database = Watch::start(app.clock.now());
    loop {
        let seen = match timeout(ANSWER, look(app, run)).await {
            Ok(Err(error)) if !store::is_passing(&error) => return Err(error),
            Ok(Err(error)) => Err(database.silent(&format!("{error:#}"))),
            Err(_) => Err(database.silent("it does not answer in time")),
            Ok(Ok(seen)) => Ok(seen),
        };
        let mut seen = match seen {
            Ok(seen) => seen,
            Err(text) => {
                bar.set_message(plain(&text));
                if bar.is_hidden() && told.elapsed() > LINE {
                    eprintln!("{}", plain(&text));
                    told = Instant::now();
                    line.clone_from(&text);
                }
                if rest(stop).await {
                    // What became of the run, nobody can say now.
                    anyhow::bail!("{}", plain(&text));
                }
                continue;
            }
        };
        let (now, counts) = (&seen.run, &seen.counts);
        let done = counts.total() - counts.queued - counts.at_dot;
        bar.set_length(u64::try_from(now.recipients).unwrap_or(0));
        bar.set_position(u64::try_from(done).unwrap_or(0));
        // What waits for its hour, and what no relay takes, moves by no write.
        let due = match now.status {
            RunStatus::Freezing => true,
            RunStatus::Sending => counts.queued + counts.at_dot > seen.deferred,
            _ => false,
        };
        let due = due && seen.trouble.is_empty();
        if let Some(ails) = database.told(app, counts, due).await {
            seen.trouble = ails;
        }
        let now = &seen.run;
        let text = status_line(&seen);
        bar.set_message(plain(&text));
        let over = !matches!(
            now.status,
            RunStatus::Scheduled | RunStatus::Freezing | RunStatus::Sending
        );
        if bar.is_hidden() && text != line && (over || line.is_empty() || told.elapsed() > LINE) {
            match now.status {
                RunStatus::Freezing if seen.trouble.is_empty() => {
                    eprintln!("freezing the recipients");
                }
                RunStatus::Scheduled => eprintln!("waiting for its hour"),
                _ => eprintln!("{done} of {}: {}", now.recipients, plain(&text)),
            }
            told = Instant::now();
            line = text;
        }
        if over || *stop.borrow() {
            bar.finish_and_clear();
            return Ok(seen.run);
        }
        rest(stop).await;
    }
}

/// Waits until the next look; true if that is the last.
async fn rest(stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(LOOK) => {}
        _ = stop.changed() => {}
    }
    *stop.borrow()
}

async fn look(app: &App, id: RunId) -> anyhow::Result<Seen> {
    let run = app.store.run(id).await?;
    let run = run.context("the run is gone from the database")?;
    let counts = app.store.counts(id).await?;
    let trouble = Trouble::told(app).await?;
    let (deferred, next) = app.store.deferred(id, app.clock.now()).await?;
    Ok(Seen {
        run,
        counts,
        deferred,
        next,
        trouble: trouble.map_or(String::new(), |trouble| trouble.sentence()),
    })
}

fn bar() -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = "{bar:30} {pos}/{len}  {rate}, {eta} to go  {msg}";
    let style = ProgressStyle::with_template(style)
        .expect("the template is fixed and valid")
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            // A bar that cannot be drawn is no reason to stop.
            write!(out, "{:.0} a second", state.per_sec()).ok();
        });
    ProgressBar::with_draw_target(None, target).with_style(style)
}

fn status_line(seen: &Seen) -> String {
    let (run, counts, deferred) = (&seen.run, &seen.counts, seen.deferred);
    let mut parts = vec![run.status.to_string()];
    if let (Some(stages), Some(_)) = (run.stages(), run.open_to) {
        let (step, of) = (run.step() + 1, stages.steps.len());
        parts.push(format!("stage {step} of {of}"));
    }
    for state in State::ALL {
        let number = counts.get(state);
        if number > 0 && !matches!(state, State::Queued | State::AtDot) {
            parts.push(format!("{} {number}", state.name()));
        }
    }
    if let Some(next) = seen.next.filter(|_| deferred > 0) {
        let at = Timestamp(next).to_rfc3339();
        parts.push(match run.local_at {
            Some(_) => format!("waiting {deferred}, the next from {at}"),
            None => format!("deferred {deferred}, next try {at}"),
        });
    }
    if !seen.trouble.is_empty() && matches!(run.status, RunStatus::Sending | RunStatus::Freezing) {
        parts.push(seen.trouble.clone());
    }
    parts.join(", ")
}

/// A run as it stands with its counters, and whether they agree: what was read in two moments of a freeze, in which
/// both grow, is no disagreement.
pub(crate) async fn standing(app: &App, id: RunId) -> anyhow::Result<(Run, Counts, bool)> {
    let read = async || -> anyhow::Result<Run> {
        let found = app.store.run(id).await?;
        found.context("the run is gone")
    };
    let before = read().await?;
    let counts = app.store.counts(id).await?;
    let run = read().await?;
    let freezes = run.status == RunStatus::Freezing || before.recipients != run.recipients;
    let balanced = freezes || counts.total() == run.recipients;
    Ok((run, counts, balanced))
}

/// Prints what became of a run and gives the exit code that fits.
pub(crate) async fn summary(app: &App, id: RunId) -> anyhow::Result<Exit> {
    let (run, counts, balanced) = standing(app, id).await?;
    let run = &run;
    let name = run::name(app, run).await?;
    println!("{} (run {}): {}", run.slug, run.id, run.status);
    if let Some(to) = run.said_segment() {
        println!("  to {}", plain(&to));
    }
    println!("  recipients    {:>9}", run.recipients);
    for state in State::ALL {
        let number = counts.get(state);
        if number > 0 {
            println!("  {:<13} {number:>9}", state.name());
        }
    }
    if let (Some(start), Some(end)) = (run.started_at, run.finished_at) {
        let took = Timestamp(end)
            .since(Timestamp(start))
            .as_secs_f64()
            .max(0.001);
        let sent = f64::from(i32::try_from(counts.sent).unwrap_or(i32::MAX));
        println!(
            "  took          {took:>8.1} s ({:.0} sent per second)",
            sent / took
        );
    }
    trial::catch_up(app, run).await?;
    if let Some(test) = trial::sentence(app, run).await? {
        println!("  {}", plain(&test));
    }
    if !balanced {
        println!("  the ledger does not balance: run `pressrun verify {name}`");
    }
    if let Some(reason) = run
        .reason
        .as_ref()
        .filter(|_| run.status == RunStatus::Held)
    {
        let since = Timestamp(run.since).to_rfc3339();
        println!("  held since {since}: {}", plain(reason));
        println!("  go on with: pressrun resume {name} --yes");
    }
    if run.status == RunStatus::Paused {
        println!("  go on with: pressrun resume {name}");
    }
    if counts.uncertain > 0 {
        println!("  nobody knows whether the uncertain ones were taken; list them with:");
        println!("    pressrun deliveries {name} --state uncertain");
    }
    let (deferred, next) = app.store.deferred(run.id(), app.clock.now()).await?;
    // A run that stands still tries nothing.
    let going = run.status.is_moving();
    if let Some(next) = next.filter(|_| deferred > 0 && going) {
        let (what, then) = match run.local_at {
            // Most of them for their readers' own hour.
            Some(_) => ("waiting", "the next from"),
            None => ("deferred", "next try"),
        };
        println!(
            "  {what:<13} {deferred:>9}, {then} {}",
            Timestamp(next).to_rfc3339()
        );
    }
    if counts.failed > 0 {
        println!(
            "  the failed ones were refused for what they are, and not for who reads them; list them with:"
        );
        println!("    pressrun deliveries {name} --state failed");
    }
    if reached_nobody(run, &counts) {
        match run.recipients {
            0 => println!("  nobody got it: nobody whom it was for was there when it began"),
            _ => println!("  nobody got it: `pressrun deliveries {name}` says why"),
        }
    }
    Ok(match balanced && !needs_a_person(run, &counts) {
        true => Exit::Done,
        false => Exit::Attention,
    })
}

/// Whether a person has to look at what became of a run: it is held, nobody knows of some whether they were taken, some
/// were refused by no fault of their readers, or nobody got it at all. Single bounces are an address's own matter.
pub(crate) fn needs_a_person(run: &Run, counts: &Counts) -> bool {
    counts.uncertain > 0
        || counts.failed > 0
        || run.status == RunStatus::Held
        || reached_nobody(run, counts)
}

fn reached_nobody(run: &Run, counts: &Counts) -> bool {
    run.status == RunStatus::Finished && counts.sent + counts.uncertain == 0
}
