//! The engine in the foreground: it sends, or follows whoever does, until the run has come to its end.

use anyhow::Context;
use tokio::sync::watch;

use crate::app::App;
use crate::cli::follow::store::is_passing;
use crate::cli::signal::Stop;
use crate::cli::{Exit, audit, control, follow};
use crate::deliver::trouble::{Ail, RelayTrouble, Trouble};
use crate::deliver::{Engine, Taken, charge, is_sending};
use crate::id::RunId;
use crate::notice;
use crate::run;
use crate::status::RunStatus;
use crate::store::runs::Run;

/// Between two looks whether whoever sends has ended in the middle of the run.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);
/// And so long for the end of a relay's cap, before mails that wait behind it are left to the next sender.
const MOMENT: std::time::Duration = std::time::Duration::from_secs(60);
/// The foreground waits so long for a webhook; the next sender asks it again.
const NOTICES: std::time::Duration = std::time::Duration::from_secs(15);

/// The engine at work here.
struct Sending {
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
    /// The runs that it leaves alone, which was told.
    others: Vec<Run>,
}

/// Starts the engine for run `id`, unless another process has it: that one is told of the run.
async fn start(
    app: &App,
    id: RunId,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Option<Sending>> {
    let Taken::Engine(engine) = Engine::take(app.clone(), stop).await? else {
        let run = app.store.run(id).await?.context("the run is gone")?;
        run::take_up(app, &run).await?;
        return Ok(None);
    };
    let (engine, others) = engine.for_run(id).await?;
    // On PostgreSQL another machine may well be at them.
    for other in others.iter().filter(|_| app.store.is_sqlite()) {
        let name = run::name(app, other).await?;
        eprintln!(
            "run {} of `{}` was interrupted and stays so; go on with it by `pressrun resume {name}`",
            other.id, other.slug
        );
    }
    let task = tokio::spawn(engine.run());
    Ok(Some(Sending { task, others }))
}

/// Sends run `id` here, or follows whoever does and goes on where that one ends; ends when every delivery is
/// final. A run that has not begun when it is interrupted is taken back: so `stop` listens before the run is begun.
pub(crate) async fn send_and_follow(app: &App, id: RunId, stop: Stop) -> anyhow::Result<Exit> {
    let mut engine = start(app, id, stop.subscribe()).await?;
    stop.drains(engine.is_some());
    if engine.is_none() {
        eprintln!("another pressrun sends from this database; following it");
    }
    let mut watch = stop.subscribe();
    let mut follow = std::pin::pin!(follow::follow(app, id, &mut watch));
    let followed = loop {
        tokio::select! {
            run = &mut follow => break run,
            end = ended(&mut engine) => match end {
                // It drained before we heard of the stop.
                Ok(()) if stop.is_stopped() => {}
                Ok(()) => break Err(anyhow::anyhow!("the engine stopped by itself")),
                Err(error) => break Err(error),
            },
            () = tokio::time::sleep(AGAIN), if engine.is_none() && !stop.is_stopped() => {
                engine = match start(app, id, stop.subscribe()).await {
                    // Its line says so.
                    Err(error) if is_passing(&error) => None,
                    started => started?,
                };
                if engine.is_some() {
                    stop.drains(true);
                    eprintln!("the other pressrun has ended; sending goes on here");
                }
            }
        }
    };
    let interrupted = stop.is_stopped();
    if followed.is_ok() && !interrupted {
        let ours = engine.is_some();
        let (mut notices, mut mails) = (stop.subscribe(), stop.subscribe());
        let finish = async {
            finish_notices(app, &mut notices, ours).await?;
            finish_system_mails(app, &mut mails, ours).await
        };
        // Where the engine has failed, nobody does what this waits for.
        tokio::select! {
            finished = finish => finished?,
            end = ended(&mut engine) => {
                end?;
                anyhow::ensure!(stop.is_stopped(), "the engine stopped by itself");
            }
        }
    }
    stop.now();
    let ours = engine.is_some();
    if let Some(engine) = engine.take() {
        engine.task.await??;
        tell_left(app, id, &engine.others).await?;
    }
    followed?;
    let run: Run = app.store.run(id).await?.context("the run is gone")?;
    if interrupted && run.status == RunStatus::Scheduled && run::take_back(app, &run).await? {
        audit::note(app, "cancelled a run", &control::about(&run)).await?;
        println!("taken back: nothing was sent");
        return Ok(Exit::Interrupted);
    }
    let exit = follow::summary(app, id).await?;
    if interrupted && run.status.is_moving() {
        let name = run::name(app, &run).await?;
        if !ours && charge::has_in_charge(app, &run).await? {
            println!(
                "no longer followed: another pressrun goes on sending it; `pressrun pause {name}` stops it"
            );
            return Ok(exit);
        }
        println!("interrupted; go on with: pressrun resume {name}");
        println!("`pressrun serve` goes on with it, too, unless it is paused or cancelled");
        return Ok(Exit::Interrupted);
    }
    // Somebody else stopped it.
    if matches!(run.status, RunStatus::Paused | RunStatus::Cancelled) {
        return Ok(Exit::Attention);
    }
    Ok(exit)
}

/// Tells of what began beside run `id`, or had its hour meanwhile, and is in nobody's charge once this process ends.
/// `known` was told when it began.
async fn tell_left(app: &App, id: RunId, known: &[Run]) -> anyhow::Result<()> {
    let mut runs = app.store.active_runs().await?;
    runs.extend(app.store.runs_to_start(app.clock.now()).await?);
    for run in &runs {
        let told = known
            .iter()
            .any(|other| (other.id, other.since) == (run.id, run.since));
        let own = run.id() == id || run.id() == RunId::SYSTEM;
        if own || told || charge::has_in_charge(app, run).await? {
            continue;
        }
        let (number, slug, name) = (run.id, &run.slug, run::name(app, run).await?);
        match run.status {
            RunStatus::Scheduled => eprintln!(
                "the hour of run {number} of `{slug}` has come, and no `pressrun serve` is there to start it: `pressrun \
                 resume {name}` does"
            ),
            _ => eprintln!(
                "run {number} of `{slug}` began meanwhile and is not over; whoever follows it goes on with it, and \
                 `pressrun resume {name}` does"
            ),
        }
    }
    Ok(())
}

/// The engine's own end, which comes before a stop only by a fault; told once.
async fn ended(engine: &mut Option<Sending>) -> anyhow::Result<()> {
    let Some(sending) = engine else {
        return std::future::pending().await;
    };
    let end = (&mut sending.task).await;
    *engine = None;
    end?
}

/// What there is to tell the author is written down before the foreground ends, and the webhook is asked.
async fn finish_notices(
    app: &App,
    stop: &mut watch::Receiver<bool>,
    ours: bool,
) -> anyhow::Result<()> {
    let end = tokio::time::Instant::now() + NOTICES;
    while ours && !*stop.borrow() && notice::is_outstanding(app).await? {
        if tokio::time::Instant::now() > end {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}

/// What is due of the open run goes out before the foreground ends.
async fn finish_system_mails(
    app: &App,
    stop: &mut watch::Receiver<bool>,
    ours: bool,
) -> anyhow::Result<()> {
    while ours && !*stop.borrow() && app.store.due(RunId::SYSTEM, app.clock.now()).await? > 0 {
        let trouble = Trouble::told(app).await?;
        // A cap that is over in a moment is waited for.
        let soon = app.clock.now().after(MOMENT);
        let brief = |relay: &RelayTrouble| relay.ail == Ail::Full && relay.next <= soon;
        if trouble.is_some_and(|all| all.is_standstill() && !all.relays.iter().all(brief)) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Who leaves the sending, of `run` or of anything, to others is told where there are none.
pub(super) async fn note_if_nobody_sends(app: &App, run: Option<&Run>) -> anyhow::Result<()> {
    if !is_sending(app).await? {
        eprintln!("note: no process sends now");
    } else if let Some(run) = run
        && !charge::has_in_charge(app, run).await?
    {
        eprintln!("note: the `send` at work is another run's, and no `pressrun serve` is there");
    }
    Ok(())
}
