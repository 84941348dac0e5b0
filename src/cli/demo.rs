//! `pressrun demo`: the whole path on made-up readers, with nothing installed and one folder left behind.
//!
//! Everything is real but the world: the engine, the ledger, SMTP and HTTP over sockets; only the relay
//! is the embedded sink, and the readers are played.

mod browser;
mod mailbox;
mod readers;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use hyper::StatusCode;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::app::App;
use crate::chance::Chance;
use crate::cli::demo::mailbox::Letter;
use crate::cli::demo::readers::write_readers;
use crate::cli::{Exit, admin, build, follow, serve, signal, stats};
use crate::clock::Clock;
use crate::config::Config;
use crate::deliver::{Engine, Taken};
use crate::delivery::State;
use crate::import::{self, Import};
use crate::keyring::Keyring;
use crate::publication::Publication;
use crate::run;
use crate::smtp::sink::{Keep, Sink, SinkOptions};
use crate::store::runs::{Begun, Run};
use crate::subscriber::Status;
use crate::{keyfile, lists};

const ISSUE: &str = "this-week-in-ai-research";
const LIST: &str = "weekly";
/// How long the demo waits for a mail that must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Deliveries read from the database at a time.
const PAGE: u32 = 1000;
/// The readers draw from this, so that each demo has the same ones.
const SEED: u64 = 11;
/// A click that comes sooner is nobody's for sure: [`crate::event::score`].
const QUICK: Duration = Duration::from_secs(20);
/// The last mails were taken a moment before the run was called finished, and times are whole seconds.
const SETTLED: Duration = Duration::from_secs(1);

/// Shows the whole path: import, compile, send, retry, open, click, leave, join, count.
#[derive(Debug, Args)]
pub struct Demo {
    /// Folder to make; `pressrun-demo` here when not said.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How many readers to make up.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    readers: u32,
    /// Leaves the sites running at the end, to be looked at.
    #[arg(long)]
    serve: bool,
}

/// Runs `pressrun demo`.
pub(super) async fn run(demo: &Demo) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let folder = folder(demo.dir.as_deref())?;
    let sink = Sink::bind(SinkOptions {
        store: Some(folder.join("mails")),
        log: Some(folder.join("mails.jsonl")),
        keep: Keep::Records,
        ..SinkOptions::default()
    });
    let sink = sink.await?;
    let app = set_up(&folder, sink.address()).await?;
    let stop = signal::stop();
    let web = serve::Web::open(&app).await?;
    let web = tokio::spawn(web.run(app.clone(), folder.join("pressrun.toml"), stop.subscribe()));
    let Taken::Engine(engine) = Engine::take(app.clone(), stop.subscribe()).await? else {
        anyhow::bail!("another process sends from the demo's database");
    };
    let engine = tokio::spawn(engine.run());
    let show = Show {
        app: &app,
        folder: &folder,
        stop: stop.subscribe(),
    };
    show.import(demo.readers).await?;
    let run = show.send().await?;
    let played = show.play(Instant::now()).await?;
    show.join(&run).await?;
    let right = show.numbers(&run, &played).await?;
    println!("\nLook around");
    let shown = folder.display();
    println!("  the issue in a browser   {shown}/look/index.html");
    println!("  the mails as sent        {shown}/mails/*.eml, log in {shown}/mails.jsonl");
    println!("  database, keys, issue    {shown}/");
    println!(
        "  all of this took         {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    let again = format!("pressrun --config {shown}/pressrun.toml");
    if demo.serve {
        println!("  the author's page        {}", admin::link(&app).await?);
        println!("                           (good once; the next: {again} admin login-link)");
        println!("  the readers' page        {}/", app.public_url(""));
        println!("  Ctrl-C ends the demo");
        let mut stopped = stop.subscribe();
        stopped.wait_for(|stopped| *stopped).await.ok();
    } else {
        println!("  the author's page        {again} serve, and then");
        println!("                           {again} admin login-link");
    }
    stop.now();
    engine.await??;
    web.await??;
    sink.shutdown().await;
    app.store.close().await;
    Ok(if right { Exit::Done } else { Exit::Attention })
}

/// A new folder: the one asked for, or the first free name here.
fn folder(wish: Option<&Path>) -> anyhow::Result<PathBuf> {
    let free = |number: u32| match number {
        1 => PathBuf::from("pressrun-demo"),
        number => PathBuf::from(format!("pressrun-demo-{number}")),
    };
    let folder = match wish {
        Some(folder) => folder.to_owned(),
        None => (1..)
            .map(free)
            .find(|folder| !folder.exists())
            .context("no free name")?,
    };
    ensure!(
        !folder.join("pressrun.toml").exists(),
        "`{}` holds a publication already; name a new folder with `--dir`",
        folder.display()
    );
    let mut folders = std::fs::DirBuilder::new();
    // Its readers are made up; whoever tries it with real ones shows them to nobody.
    folders.recursive(true).mode(0o700);
    folders
        .create(&folder)
        .with_context(|| format!("the folder `{}` cannot be made", folder.display()))?;
    println!("Setting up in {}/", folder.display());
    Ok(std::path::absolute(folder)?)
}

/// What `init` makes, with a relay that is the sink and ports that are free.
async fn set_up(folder: &Path, sink: SocketAddr) -> anyhow::Result<App> {
    let (public, admin) = (free_port()?, free_port()?);
    let text = format!(
        "[publication]\n\
         name = \"This Week in AI Research\"\n\
         url = \"http://127.0.0.1:{public}\"\n\
         postal_address = \"Pressrun Demo, 1 Example Street, 12345 Example Town\"\n\
         list = \"{LIST}\"\n\
         description = \"Eleven papers a week, read so that you know which to read.\"\n\n\
         [from]\nname = \"Ada Example\"\naddress = \"ada@example.org\"\n\n\
         [database]\nurl = \"sqlite:pressrun.db\"\n\n\
         [http]\npublic = \"127.0.0.1:{public}\"\nadmin = \"127.0.0.1:{admin}\"\n\n\
         [relay.main]\nurl = \"smtp://{sink}\"\ntls = \"none\"\nconnections = 10\n\n\
         [send]\n# The demo has no ten minutes: a real publication waits 5, 10, 20 minutes and so on.\n\
         retry = [\"2s\", \"3s\"]\n\n\
         [dkim]\nselector = \"demo\"\nkey = \"dkim-demo.pem\"\n\n\
         [signup]\n# The demo types faster than people do.\nform_min_age = \"0s\"\n\
         # Its addresses are made up, and no nameserver knows them.\ncheck_mx = false\n"
    );
    std::fs::write(folder.join("pressrun.toml"), &text)?;
    Keyring::generate(&Chance::System, Clock::System.now()).create(&folder.join("keyring.toml"))?;
    keyfile::create(
        &folder.join("dkim-demo.pem"),
        "DKIM key",
        &keyfile::generate_rsa()?,
    )?;
    Publication::write_defaults(&folder.join("emails"))?;
    let app = App::open(Config::from_text(&text)?, folder).await?;
    lists::ensure_default(&app).await?;
    println!("  configuration, keyring, DKIM key, themes, one issue, an empty SQLite database");
    println!("  an SMTP sink on {sink} instead of a relay");
    Ok(app)
}

/// A port nobody listens on now.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What the readers did, to be held against what was counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Played {
    opened: i64,
    opens: i64,
    clicked: i64,
    clicks: i64,
    left: i64,
}

struct Show<'a> {
    app: &'a App,
    folder: &'a Path,
    stop: watch::Receiver<bool>,
}

impl Show<'_> {
    async fn import(&self, readers: u32) -> anyhow::Result<()> {
        println!("\nImporting readers");
        let file = self.folder.join("readers.csv");
        write_readers(&file, readers)?;
        let import = Import {
            file,
            list: LIST.to_owned(),
            status: Status::Confirmed,
            confirm: true,
            consent: "made up for this demo".to_owned(),
            map: Vec::new(),
            accept_taken_off: false,
            by: None,
            dry_run: false,
        };
        let summary = import::run(self.app, &import, |_| ()).await?;
        println!(
            "  {} rows: {} readers added, {} rejected (see readers.rejects.csv)",
            summary.rows, summary.tally.added, summary.rejected
        );
        Ok(())
    }

    async fn send(&self) -> anyhow::Result<Run> {
        println!("\nCompiling and sending `{ISSUE}`");
        let started = run::begin(self.app, ISSUE, LIST, false).await?;
        let compiled = &started.built.compiled;
        let look = self.folder.join("look");
        build::write(&self.app.config, &self.app.base, &started.built, &look)?;
        println!("  title     {}", compiled.title);
        println!(
            "  size      HTML {} KiB of the 102 after which Gmail cuts, {} links counted by name",
            compiled.html_size_estimate(&self.app.public_url("")) / 1024,
            compiled.links.len(),
        );
        let Begun::New(id) = started.begun else {
            anyhow::bail!("the demo's issue has been sent before");
        };
        let run = follow::follow(self.app, id, &mut self.stop.clone()).await?;
        follow::summary(self.app, run.id()).await?;
        let (mut tried, mut after) = (0, -1);
        loop {
            let page = self
                .app
                .store
                .deliveries(run.id(), Some(State::Sent), after, PAGE);
            let page = page.await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            tried += page.iter().filter(|row| row.attempts > 1).count();
        }
        let bounced = self.app.store.counts(run.id()).await?.bounced;
        println!("  {tried} mailboxes said 450 first and took a later try");
        println!("  {bounced} mailboxes said 550: they do not exist and are never mailed again");
        Ok(run)
    }

    /// Readers open, click and leave, each over real HTTP; the last mail was `sent` then.
    async fn play(&self, sent: Instant) -> anyhow::Result<Played> {
        println!("\nPlaying the readers over HTTP");
        println!(
            "  who clicks within {} s of the mail may be a scanner: they take a breath first",
            QUICK.as_secs()
        );
        sleep_until(sent + QUICK + SETTLED).await;
        let mut letters = mailbox::letters(&self.folder.join("mails"), 0)?;
        // They came in any order.
        letters.sort_by(|one, other| one.to.cmp(&other.to));
        let chance = Chance::seeded(SEED);
        let mut played = Played::default();
        for letter in &letters {
            if chance.fraction() < 0.45 {
                self.read(letter, &chance, &mut played).await?;
            }
            if chance.fraction() < 0.012 {
                played.left += 1;
                self.leave(letter).await?;
            }
        }
        let Played {
            opened,
            opens,
            clicked,
            clicks,
            left,
        } = played;
        println!("  {opened} readers opened it, {opens} times in all");
        println!("  {clicked} readers clicked, {clicks} times in all");
        println!("  {left} readers left by one click (RFC 8058)");
        Ok(played)
    }

    /// One reader opens the mail, perhaps twice, and clicks on what is of interest.
    async fn read(
        &self,
        letter: &Letter,
        chance: &Chance,
        played: &mut Played,
    ) -> anyhow::Result<()> {
        let pixels = letter.links(&self.app.public_url("/o/"));
        let [pixel] = pixels.as_slice() else {
            anyhow::bail!("a mail with {} open pixels", pixels.len());
        };
        let times = if chance.fraction() < 0.2 { 2 } else { 1 };
        let agent = browser::AGENTS[letter.to.len() % browser::AGENTS.len()];
        for _ in 0..times {
            let answer = browser::get_as(pixel, agent).await?;
            browser::expect(&answer, StatusCode::OK, "an open")?;
        }
        played.opened += 1;
        played.opens += times;
        let links = letter.links(&self.app.public_url("/c/"));
        let before = played.clicks;
        for (place, link) in links.iter().enumerate() {
            // What stands further down is read by fewer.
            let interest = 0.12 / (1.0 + place as f64 / 4.0);
            if chance.fraction() < interest {
                let answer = browser::get_as(link, agent).await?;
                browser::expect(&answer, StatusCode::FOUND, "a click")?;
                ensure!(answer.location.is_some(), "a click led nowhere");
                played.clicks += 1;
            }
        }
        played.clicked += i64::from(played.clicks > before);
        Ok(())
    }

    async fn leave(&self, letter: &Letter) -> anyhow::Result<()> {
        let links = letter.links(&self.app.public_url("/u/"));
        let link = links
            .first()
            .with_context(|| format!("no way out in `{}`", letter.subject))?;
        let answer = browser::post(link, "List-Unsubscribe=One-Click").await?;
        browser::expect(&answer, StatusCode::OK, "a one-click unsubscribe")
    }

    /// A new reader fills in the form, gets the confirm mail, presses the button, gets the welcome.
    async fn join(&self, run: &Run) -> anyhow::Result<()> {
        const NEWCOMER: &str = "newcomer@example.net";
        let page = browser::get(&self.app.public_url("/")).await?;
        let token = browser::input(&page.body, "form").context("the subscribe page has no form")?;
        let form = format!(
            "email={}&website=&form={token}",
            NEWCOMER.replace('@', "%40")
        );
        let answer = browser::post(&self.app.public_url("/subscribe"), &form).await?;
        browser::expect(&answer, StatusCode::OK, "the subscribe form")?;
        let sent = self.app.store.counts(run.id()).await?.sent;
        let sent = usize::try_from(sent)?;
        let confirm = self.letter(NEWCOMER, sent).await?;
        let links = confirm.links(&self.app.public_url("/confirm/"));
        let link = links.first().context("a confirm mail without a link")?;
        let page = browser::get(link).await?;
        browser::expect(&page, StatusCode::OK, "the confirm page")?;
        let answer = browser::post(link, "answer=confirm").await?;
        browser::expect(&answer, StatusCode::OK, "the confirm button")?;
        self.letter(NEWCOMER, sent + 1).await?;
        println!("  {NEWCOMER} joined: form, confirm mail, page, button, welcome mail");
        println!("  (not in run {}: who joins later is not in it)", run.id);
        Ok(())
    }

    /// The mail for `to` that comes after the first `known` ones.
    async fn letter(&self, to: &str, known: usize) -> anyhow::Result<Letter> {
        let until = Instant::now() + PATIENCE;
        loop {
            let letters = mailbox::letters(&self.folder.join("mails"), known)?;
            if let Some(letter) = letters.into_iter().find(|letter| letter.to == to) {
                return Ok(letter);
            }
            ensure!(Instant::now() < until, "the mail for `{to}` did not come");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Prints the numbers; true when they balance and are what was played.
    async fn numbers(&self, run: &Run, played: &Played) -> anyhow::Result<bool> {
        println!("\nCounting (`pressrun stats {ISSUE}`)");
        let args = stats::Args {
            issue: Some(ISSUE.to_owned()),
            segment: None,
            list: None,
            json: false,
            csv: false,
            watch: false,
            until_finished: false,
        };
        stats::run(self.app, &args).await?;
        let counted = self.app.store.run_in_numbers(run.id()).await?;
        let counted = counted.context("the run is gone")?;
        let counted = Played {
            opened: counted.opened,
            opens: counted.opens,
            clicked: counted.clicked,
            clicks: counted.clicks,
            left: counted.departed,
        };
        let same = counted == *played;
        let verified = run::verify::one(self.app, run).await?;
        println!("\nProving (`pressrun verify {ISSUE}`)");
        let states: Vec<String> = State::ALL
            .into_iter()
            .map(|state| (state, verified.counts.get(state)))
            .filter(|(_, count)| *count > 0)
            .map(|(state, count)| format!("{count} {}", state.name()))
            .collect();
        println!(
            "  {} recipients = {}: {}",
            verified.recipients,
            states.join(" + "),
            if verified.balanced {
                "balanced"
            } else {
                "does NOT balance"
            },
        );
        println!(
            "  opens, clicks and departures are {}",
            if same {
                "what was played"
            } else {
                "NOT what was played"
            }
        );
        Ok(verified.balanced && same)
    }
}
