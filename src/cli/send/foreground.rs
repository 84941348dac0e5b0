//! The engine in the foreground: it sends, or follows whoever does, until the run has come to its end.

use anyhow::Context;
use tokio::sync::watch;

use crate::app::App;
use crate::cli::signal::Stop;
use crate::cli::{Exit, audit, control, follow};
use crate::deliver::trouble::Trouble;
use crate::deliver::{Engine, Taken};
use crate::id::RunId;
use crate::notice;
use crate::run;
use crate::store::runs::Run;

/// Between two looks whether whoever sends has ended in the middle of the run.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);
/// The foreground waits so long for a webhook; the next sender asks it again.
const NOTICES: std::time::Duration = std::time::Duration::from_secs(15);

type Sending = tokio::task::JoinHandle<anyhow::Result<()>>;

/// Starts the engine for run `id`, unless another process has it.
async fn start(
    app: &App,
    id: RunId,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Option<Sending>> {
    let Taken::Engine(engine) = Engine::take(app.clone(), stop).await? else {
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
    Ok(Some(tokio::spawn(engine.run())))
}

/// Sends run `id` here, or follows whoever does and goes on where that one ends; ends when every delivery is
/// final. A run that has not begun when it is interrupted is taken back: so `stop` listens before the run is begun.
pub(crate) async fn send_and_follow(app: &App, id: RunId, stop: Stop) -> anyhow::Result<Exit> {
    let mut engine = start(app, id, stop.subscribe()).await?;
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
                engine = start(app, id, stop.subscribe()).await?;
                if engine.is_some() {
                    eprintln!("the other pressrun has ended; sending goes on here");
                }
            }
        }
    };
    let interrupted = stop.is_stopped();
    if followed.is_ok() && !interrupted {
        let ours = engine.is_some();
        finish_notices(app, &mut stop.subscribe(), ours).await?;
        finish_system_mails(app, &mut stop.subscribe(), ours).await?;
    }
    stop.now();
    if let Some(engine) = engine.take() {
        engine.await??;
    }
    followed?;
    let run: Run = app.store.run(id).await?.context("the run is gone")?;
    if interrupted && run::take_back(app, &run).await? {
        audit::note(app, "cancelled a run", &control::about(&run)).await?;
        println!("taken back: nothing was sent");
        return Ok(Exit::Interrupted);
    }
    let exit = follow::summary(app, id).await?;
    if interrupted && matches!(run.status.as_str(), "sending" | "freezing") {
        let name = run::name(app, &run).await?;
        println!("interrupted; go on with: pressrun resume {name}");
        return Ok(Exit::Interrupted);
    }
    Ok(exit)
}

/// The engine's own end, which comes before a stop only by a fault; told once.
async fn ended(engine: &mut Option<Sending>) -> anyhow::Result<()> {
    let Some(task) = engine else {
        return std::future::pending().await;
    };
    let end = task.await;
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
        if trouble.is_some_and(|trouble| trouble.is_standstill()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}
