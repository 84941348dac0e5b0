//! `pressrun send`, `pressrun resume` and `pressrun test`: the engine in the foreground.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use tokio::sync::watch;

use crate::address::EmailAddress;
use crate::app::App;
use crate::cli::output::{plain, print_json};
use crate::cli::{Cli, Exit, follow, rehearse, signal};
use crate::deliver::trouble::Trouble;
use crate::deliver::{Engine, Taken};
use crate::diagnostic::Diagnostic;
use crate::id::RunId;
use crate::message::copy::Values;
use crate::preflight;
use crate::publication::{self, Built};
use crate::run;
use crate::run::test_copy::{self, Tested};
use crate::store::runs::{Begun, Run};

/// Sends an issue to the confirmed readers of a list.
#[derive(Debug, Args)]
pub struct Send {
    /// Slug or folder of the issue.
    issue: String,
    /// Short name of the list; the one of the front matter when not said, else the publication's own.
    #[arg(long)]
    list: Option<String>,
    /// Sends without asking.
    #[arg(long)]
    yes: bool,
    /// Begins the run and leaves the sending to `pressrun serve`.
    #[arg(long)]
    detach: bool,
    /// Sends although this issue went to this list before.
    #[arg(long)]
    again: bool,
    /// The relay that carries this run: one name, several with commas, or `all`; those of `send.relay` when
    /// not said.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    relay: String,
    /// Sends although some readers' copies lack a value, are cut or are too large. What cannot be sent at
    /// all (an address that is none, a value that would break a header) still stops the run.
    #[arg(long)]
    skip_rehearsal: bool,
}

/// Lets a paused, held or interrupted run go on.
#[derive(Debug, Args)]
pub struct Resume {
    /// Slug or folder of the issue.
    issue: String,
    /// Goes on although the run was held: someone has read why.
    #[arg(long)]
    yes: bool,
    /// Leaves the sending to `pressrun serve`.
    #[arg(long)]
    detach: bool,
}

/// Sends a test copy of an issue: real engine, `[TEST]` in the subject, links that change nothing.
#[derive(Debug, Args)]
pub struct Test {
    /// Slug or folder of the issue.
    issue: String,
    /// Who gets it; need not be a subscriber. May be said several times.
    #[arg(long, required = true, value_name = "ADDRESS")]
    to: Vec<EmailAddress>,
    /// Fills the copy with the values of this reader; without it slots show their defaults.
    #[arg(long = "as", value_name = "SUBSCRIBER")]
    reader: Option<EmailAddress>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `pressrun send`.
pub(super) async fn run(cli: &Cli, send: &Send) -> anyhow::Result<Exit> {
    send.run(&cli.open().await?).await
}

/// Runs `pressrun resume`.
pub(super) async fn resume(cli: &Cli, resume: &Resume) -> anyhow::Result<Exit> {
    resume.run(&cli.open().await?).await
}

/// Runs `pressrun test`.
pub(super) async fn test(cli: &Cli, test: &Test) -> anyhow::Result<Exit> {
    test.run(&cli.open().await?).await
}

impl Send {
    async fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let asked = self.list.as_deref();
        let built = publication::compile_for(&app.config, &app.emails(), &self.issue, asked)?;
        let list = &built.list.clone();
        if !self.yes {
            self.ask(app, list).await?;
        }
        if !self.is_under_way(app, &built, list).await? {
            self.preflight(app, &built, list).await?;
        }
        let started = run::begin_built(app, built, list, &self.relay, self.again).await?;
        let id = match started.begun {
            Begun::New(id) => id,
            Begun::UnderWay(id) => {
                let found = app.store.run(id).await?.context("the run is gone")?;
                match found.status.as_str() {
                    "paused" | "held" => bail!(
                        "run {id} of this issue is {}; go on with `pressrun resume {}`",
                        found.status,
                        found.slug
                    ),
                    _ => eprintln!("run {id} of this issue is under way and goes on"),
                }
                id
            }
            Begun::Before(id) => bail!(
                "this issue went to `{list}` before (run {id}); `--again` sends it to everyone once more"
            ),
        };
        let slug = &started.built.compiled.slug;
        if self.detach {
            println!(
                "run {id} of `{slug}` is begun; `pressrun serve` sends it, `pressrun status` shows it"
            );
            return Ok(Exit::Done);
        }
        send_and_follow(app, id, slug).await
    }

    /// Whether this goes on with a run that began before, and was looked at then.
    async fn is_under_way(&self, app: &App, built: &Built, list: &str) -> anyhow::Result<bool> {
        let list = app.store.list(list).await?.map(|list| list.id.0);
        let run = app.store.run_of(&built.compiled.slug).await?;
        Ok(run.is_some_and(|run| {
            let open = !matches!(run.status.as_str(), "finished" | "cancelled");
            open && run.list_id == list && list.is_some()
        }))
    }

    /// Tells every finding, and refuses what is an error: by the lints, and in any reader's copy.
    async fn preflight(&self, app: &App, built: &Built, list: &str) -> anyhow::Result<()> {
        let slug = &built.compiled.slug;
        let (emails, now) = (app.emails(), app.clock.now());
        let facts = preflight::facts(&emails, slug, Some(&app.store), now).await;
        let found = preflight::findings(&app.config, built, &facts);
        for finding in &found {
            eprintln!("{finding}");
        }
        if found.iter().any(Diagnostic::is_error) {
            bail!(
                "`{slug}` was not sent; mend what is above, or change the level of a lint in `[lint]` of \
                 the configuration"
            );
        }
        let report = rehearse::with_bar(app, built, list).await?;
        if !report.findings.is_empty() {
            eprint!("{}", rehearse::as_text(report.findings.iter()));
        }
        let refused: Vec<_> = report.refusals(self.skip_rehearsal).collect();
        if refused.is_empty() {
            return Ok(());
        }
        match refused.iter().all(|group| group.kind.may_be_skipped()) {
            true => bail!(
                "`{slug}` was not sent: see above whose copies are not as they should be; \
                 `--skip-rehearsal` sends it all the same"
            ),
            false => bail!(
                "`{slug}` was not sent: correct or remove the readers above (`pressrun subscribers`), \
                 whose copies cannot be sent; no flag overrides this"
            ),
        }
    }

    async fn ask(&self, app: &App, list: &str) -> anyhow::Result<()> {
        let found = app.store.list(list).await?;
        let found = found.with_context(|| format!("there is no list `{list}`"))?;
        let readers = app.store.confirmed_on(found.id).await?;
        if !std::io::stdin().is_terminal() {
            bail!(
                "`{}` would go to {readers} readers of `{list}`; say `--yes` to send it",
                self.issue
            );
        }
        print!(
            "Send `{}` to {readers} readers of `{list}`? [y/N] ",
            self.issue
        );
        std::io::stdout().flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            bail!("nothing was sent");
        }
        Ok(())
    }
}

impl Resume {
    async fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let found = run::find(app, &self.issue).await?;
        if found.status == "finished" {
            println!(
                "the run of `{}` is finished; there is nothing to resume",
                found.slug
            );
            return follow::summary(app, &found).await;
        }
        run::resume(app, &found, self.yes).await?;
        if self.detach {
            println!(
                "run {} of `{}` goes on under `pressrun serve`",
                found.id, found.slug
            );
            return Ok(Exit::Done);
        }
        send_and_follow(app, found.id(), &found.slug).await
    }
}

impl Test {
    async fn run(&self, app: &App) -> anyhow::Result<Exit> {
        let values = match &self.reader {
            Some(reader) => test_copy::values_of(app, reader).await?,
            None => Values::default(),
        };
        let stop = signal::stop();
        let to = &self.to;
        let built = publication::compile_issue(&app.config, &app.emails(), &self.issue)?;
        let report = test_copy::send(app, built, to, &values, stop.subscribe()).await?;
        for diagnostic in &report.built.diagnostics {
            eprintln!("{diagnostic}");
        }
        let tested = &report.tested;
        if self.json {
            let found = &report.built.diagnostics;
            print_json(
                &json!({ "issue": report.built.compiled.slug, "tests": tested, "diagnostics": found }),
            )?;
        } else {
            for one in tested {
                let later = match one.outcome {
                    "deferred" => "; the next `pressrun send` or `serve` tries again",
                    _ => "",
                };
                let address = match to.len() {
                    1 => String::new(),
                    _ => format!("{}: ", one.to),
                };
                println!("{address}{}: {}{later}", one.outcome, plain(&one.reply));
            }
        }
        Ok(match tested.iter().all(Tested::is_sent) {
            true => Exit::Done,
            false => Exit::Attention,
        })
    }
}

type Sending = tokio::task::JoinHandle<anyhow::Result<()>>;

/// Starts the engine, unless another process has it.
async fn start(app: &App, stop: watch::Receiver<bool>) -> anyhow::Result<Option<Sending>> {
    match Engine::take(app.clone(), stop).await? {
        Taken::Engine(engine) => Ok(Some(tokio::spawn(engine.run()))),
        Taken::Busy => {
            eprintln!("another pressrun sends from this database; following it");
            Ok(None)
        }
    }
}

/// Sends run `id` here, or follows whoever does; ends when every delivery is final.
pub(crate) async fn send_and_follow(app: &App, id: RunId, slug: &str) -> anyhow::Result<Exit> {
    let stop = signal::stop();
    let mut engine = start(app, stop.subscribe()).await?;
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
        }
    };
    let interrupted = stop.is_stopped();
    if followed.is_ok() && !interrupted {
        finish_system_mails(app, &mut stop.subscribe(), engine.is_some()).await?;
    }
    stop.now();
    if let Some(engine) = engine.take() {
        engine.await??;
    }
    followed?;
    let run: Run = app.store.run(id).await?.context("the run is gone")?;
    let exit = follow::summary(app, &run).await?;
    if interrupted && matches!(run.status.as_str(), "sending" | "freezing") {
        println!("interrupted; go on with: pressrun resume {slug}");
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
