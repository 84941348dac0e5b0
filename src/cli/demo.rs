//! `pressrun demo`: the whole path on made-up readers, with nothing installed and one folder left behind.
//!
//! Everything is real but the world: the engine, the ledger, SMTP and HTTP over sockets; only the relay
//! is the embedded sink, and the readers are played.

mod browser;
mod mailbox;
mod readers;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use hyper::StatusCode;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::app::App;
use crate::chance::Chance;
use crate::cli::demo::mailbox::Letter;
use crate::cli::demo::readers::write_readers;
use crate::cli::{Exit, follow, serve, signal, stats};
use crate::clock::Clock;
use crate::config::Config;
use crate::deliver::{Engine, Taken};
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

/// Shows the whole path: import, compile, send, retry, open, click, leave, join, count.
#[derive(Debug, Args)]
pub struct Demo {
    /// The folder; a new one beside you when not given.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How many readers to make up.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    readers: u32,
    /// Leave the sites running at the end, to be looked at.
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
    let admin = web.admin_address;
    let web = tokio::spawn(web.run(app.clone(), stop.subscribe()));
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
    show.play(&run).await?;
    let balanced = show.numbers(&run).await?;
    println!("\nLook around");
    let shown = folder.display();
    println!("  the mails as sent        {shown}/mails/*.eml, log in {shown}/mails.jsonl");
    println!("  the issue in a browser   {shown}/index.html");
    println!("  database, keys, issue    {shown}/");
    println!(
        "  all of this took         {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    if demo.serve {
        println!("  the author's page        http://{admin}/");
        println!("  the readers' page        {}/", app.public_url(""));
        println!("  Ctrl-C ends the demo");
        let mut stopped = stop.subscribe();
        stopped.wait_for(|stopped| *stopped).await.ok();
    } else {
        println!("  `pressrun demo --serve` leaves the author's page running");
    }
    stop.now();
    engine.await??;
    web.await??;
    sink.shutdown().await;
    app.store.close().await;
    Ok(if balanced {
        Exit::Done
    } else {
        Exit::Attention
    })
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
    std::fs::create_dir_all(&folder)
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
         [signup]\n# The demo types faster than people do.\nform_min_age = \"0s\"\n"
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
            map: Vec::new(),
            dry_run: false,
        };
        let summary = import::run(self.app, &import, |_| ()).await?;
        println!(
            "  {} rows: {} readers added, {} rejected (see readers.rejects.csv)",
            summary.rows, summary.added, summary.rejected
        );
        Ok(())
    }

    async fn send(&self) -> anyhow::Result<Run> {
        println!("\nCompiling and sending `{ISSUE}`");
        let started = run::begin(self.app, ISSUE, LIST, false).await?;
        let compiled = &started.built.compiled;
        let html = compiled.html.fill(|_| String::from("#"));
        std::fs::write(self.folder.join("index.html"), &html)?;
        println!("  subject   {}", compiled.title);
        println!(
            "  links     {} tracked by name; HTML {} KB",
            compiled.links.len(),
            compiled.html_size_estimate(&self.app.public_url("")) / 1024
        );
        let Begun::New(id) = started.begun else {
            anyhow::bail!("the demo's issue has been sent before");
        };
        let run = follow::follow(self.app, id, &mut self.stop.clone()).await?;
        follow::summary(self.app, &run).await?;
        println!("  (some mailboxes said 450 first and took the second try; some do not exist)");
        Ok(run)
    }

    /// Readers open, click, leave and join, each over real HTTP.
    async fn play(&self, run: &Run) -> anyhow::Result<()> {
        println!("\nPlaying the readers over HTTP");
        let letters = mailbox::letters(&self.folder.join("mails"))?;
        let at = |path: &str| self.app.public_url(path);
        let (mut opens, mut clicks, mut left) = (0, 0, 0);
        for (number, letter) in letters.iter().enumerate() {
            if number % 5 < 2 {
                for pixel in letter.links(&at("/o/")) {
                    opens += 1;
                    browser::expect(&browser::get(&pixel).await?, StatusCode::OK, "an open")?;
                }
            }
            if number % 7 == 0 {
                let links = letter.links(&at("/c/"));
                for link in links.iter().cycle().skip(number).take(1 + number % 2) {
                    clicks += 1;
                    let answer = browser::get(link).await?;
                    browser::expect(&answer, StatusCode::FOUND, "a click")?;
                    ensure!(answer.location.is_some(), "a click led nowhere");
                }
            }
            if number % 97 == 5 {
                left += 1;
                self.leave(letter, &at("/u/")).await?;
            }
        }
        println!("  {opens} opens, {clicks} clicks, {left} one-click unsubscribes (RFC 8058)");
        self.join(run).await
    }

    async fn leave(&self, letter: &Letter, base: &str) -> anyhow::Result<()> {
        let links = letter.links(base);
        let link = links
            .first()
            .with_context(|| format!("no way out in `{}`", letter.subject))?;
        let answer = browser::post(link, "List-Unsubscribe=One-Click").await?;
        browser::expect(&answer, StatusCode::OK, "a one-click unsubscribe")
    }

    /// A new reader fills in the form, gets the confirm mail, presses the button.
    async fn join(&self, run: &Run) -> anyhow::Result<()> {
        let page = browser::get(&self.app.public_url("/")).await?;
        let token = browser::input(&page.body, "form").context("the subscribe page has no form")?;
        let form = format!("email=newcomer%40example.net&website=&form={token}");
        let answer = browser::post(&self.app.public_url("/subscribe"), &form).await?;
        browser::expect(&answer, StatusCode::OK, "the subscribe form")?;
        let base = self.app.public_url("/confirm/");
        let until = Instant::now() + PATIENCE;
        let link = loop {
            let letters = mailbox::letters(&self.folder.join("mails"))?;
            let mine = letters
                .iter()
                .rev()
                .find(|letter| letter.to == "newcomer@example.net");
            if let Some(link) = mine.and_then(|letter| letter.links(&base).into_iter().next()) {
                break link;
            }
            ensure!(Instant::now() < until, "the confirm mail did not come");
            sleep(Duration::from_millis(200)).await;
        };
        browser::expect(
            &browser::get(&link).await?,
            StatusCode::OK,
            "the confirm page",
        )?;
        let answer = browser::post(&link, "answer=confirm").await?;
        browser::expect(&answer, StatusCode::OK, "the confirm button")?;
        println!("  newcomer@example.net joined: form, confirm mail, page, button");
        println!("  (not in run {}: who joins later is not in it)", run.id);
        Ok(())
    }

    async fn numbers(&self, run: &Run) -> anyhow::Result<bool> {
        println!("\nCounting (`pressrun stats {ISSUE}`)");
        let args = stats::Args {
            issue: Some(ISSUE.to_owned()),
            json: false,
        };
        stats::run(self.app, &args).await?;
        let verified = run::verify(self.app, run).await?;
        println!("\nProving (`pressrun verify {ISSUE}`)");
        let counts = &verified.counts;
        println!(
            "  {} recipients = {} sent + {} bounced + {} suppressed + {} unsubscribed + {} other: {}",
            verified.recipients,
            counts.sent,
            counts.bounced,
            counts.suppressed,
            counts.unsubscribed,
            counts.total() - counts.sent - counts.bounced - counts.suppressed - counts.unsubscribed,
            if verified.balanced {
                "balanced"
            } else {
                "NOT balanced"
            },
        );
        Ok(verified.balanced)
    }
}
