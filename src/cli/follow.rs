//! Following a run: a progress bar on a terminal, plain lines elsewhere, and a summary at the end.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::app::App;
use crate::cli::Exit;
use crate::clock::Timestamp;
use crate::deliver::trouble::Trouble;
use crate::delivery::{Counts, State};
use crate::id::RunId;
use crate::run::{self, trial};
use crate::status::RunStatus;
use crate::store::runs::Run;
use crate::terminal::plain;

const LOOK: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(5);

/// Follows `run` until it neither waits for its hour, freezes nor sends, or until told to stop.
pub(crate) async fn follow(
    app: &App,
    run: RunId,
    stop: &mut watch::Receiver<bool>,
) -> anyhow::Result<Run> {
    let bar = bar();
    let mut told = Instant::now();
    let mut line = String::new();
    loop {
        let now = app
            .store
            .run(run)
            .await?
            .context("the run is gone from the database")?;
        let counts = app.store.counts(run).await?;
        let trouble = Trouble::told(app).await?;
        let trouble = trouble
            .map(|trouble| trouble.sentence())
            .unwrap_or_default();
        let done = counts.total() - counts.queued - counts.at_dot;
        bar.set_length(u64::try_from(now.recipients).unwrap_or(0));
        bar.set_position(u64::try_from(done).unwrap_or(0));
        let (deferred, next) = app.store.deferred(run, app.clock.now()).await?;
        let text = status_line(&now, &counts, deferred, next, &trouble);
        bar.set_message(plain(&text));
        let over = !matches!(
            now.status,
            RunStatus::Scheduled | RunStatus::Freezing | RunStatus::Sending
        );
        if bar.is_hidden() && text != line && (over || line.is_empty() || told.elapsed() > LINE) {
            match now.status {
                RunStatus::Freezing => eprintln!("freezing the recipients"),
                RunStatus::Scheduled => eprintln!("waiting for its hour"),
                _ => eprintln!("{done} of {}: {text}", now.recipients),
            }
            told = Instant::now();
            line = text;
        }
        if over || *stop.borrow() {
            bar.finish_and_clear();
            return Ok(now);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => {}
        }
    }
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

fn status_line(
    run: &Run,
    counts: &Counts,
    deferred: i64,
    next: Option<i64>,
    trouble: &str,
) -> String {
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
    if let Some(next) = next.filter(|_| deferred > 0) {
        let at = Timestamp(next).to_rfc3339();
        parts.push(match run.local_at {
            Some(_) => format!("waiting {deferred}, the next from {at}"),
            None => format!("deferred {deferred}, next try {at}"),
        });
    }
    if !trouble.is_empty() && run.status == RunStatus::Sending {
        parts.push(trouble.to_owned());
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
        println!("  held: {}", plain(reason));
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
    let attention = !balanced || counts.uncertain > 0 || run.status == RunStatus::Held;
    Ok(if attention {
        Exit::Attention
    } else {
        Exit::Done
    })
}
