//! `pressrun serve`: the readers' site, the author's site and the sender in one process, or each alone.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app::{App, keys};
use crate::cli::{Cli, Exit, signal};
use crate::deliver::{Engine, Taken, state};
use crate::http::{self, Site};
use crate::id::RunId;
use crate::lists;
use crate::publication;
use crate::run;
use crate::store::StoreError;
use crate::track::Tracker;

mod waiting;

/// While another process (`pressrun send`) sends from this database, its end is awaited in such steps.
const AGAIN: Duration = Duration::from_secs(1);

/// How long the end waits for what still uses the database.
const CLOSING: Duration = Duration::from_secs(5);

/// Serves readers' links and the author's pages, and sends what is to be sent.
#[derive(Debug, Args)]
pub struct Serve {
    /// What this process does.
    #[arg(long, value_enum, default_value_t = Role::All)]
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Both sites and the sender.
    All,
    /// Both sites.
    Web,
    /// The sender.
    Sender,
}

/// Runs `pressrun serve`.
pub(super) async fn run(cli: &Cli, serve: &Serve) -> anyhow::Result<Exit> {
    let file = std::path::absolute(&cli.config)?;
    let app = waiting::open(cli, &file, serve.role != Role::Sender).await?;
    serve.run(&app, &file).await
}

impl Serve {
    async fn run(&self, app: &App, file: &Path) -> anyhow::Result<Exit> {
        let stop = signal::stop();
        for fault in keys::compare(&app.store, &app.keyring).await?.faults() {
            eprintln!("warning: {fault}; {}", keys::NEWEST);
        }
        if !app.store.keep_reserve() {
            tracing::warn!(
                "no room can be kept in reserve on the disk with the database: once it is full, what was sent cannot be \
                 written down"
            );
        }
        let mut parts = tokio::task::JoinSet::new();
        if self.role != Role::Sender {
            let web = Web::open(app).await?;
            println!(
                "readers' site on http://{}, for {}",
                web.public_address,
                app.public_url("")
            );
            println!(
                "author's site on http://{}; `pressrun admin login-link` opens it",
                web.admin_address
            );
            let http = &app.config.http;
            if app.public_url("").starts_with("https:") && http.trusted_proxies.is_empty() {
                eprintln!(
                    "warning: the proxy that speaks TLS is not named in `http.trusted_proxies`: all readers look \
                     like one, and signups of most of them will be lost"
                );
            }
            parts.spawn(web.run(app.clone(), file.to_owned(), stop.subscribe()));
        }
        if self.role != Role::Web {
            println!("sending through relay `{}`", app.config.send.relay);
            parts.spawn(send(app.clone(), stop.subscribe()));
        }
        let mut result = Ok(());
        while let Some(ended) = parts.join_next().await {
            // A part that ends early takes the others with it: a half-dead process helps nobody.
            stop.now();
            let ended = ended
                .context("a part of the server panicked")
                .and_then(|ended| ended);
            result = result.and(ended);
        }
        // The last connection folds the write-ahead log back: what was forgotten does not stay in it.
        if tokio::time::timeout(CLOSING, app.store.close())
            .await
            .is_err()
        {
            tracing::warn!("the database was still in use at the end");
        }
        result.map(|()| Exit::Done)
    }
}

/// Both sites on their listeners, not yet served.
pub(crate) struct Web {
    pub public_address: SocketAddr,
    pub admin_address: SocketAddr,
    public: TcpListener,
    admin: TcpListener,
    site: Site,
}

impl Web {
    /// Binds both listeners and gets ready what the site needs.
    pub(crate) async fn open(app: &App) -> anyhow::Result<Web> {
        let public = bind(app.config.http.public, "http.public").await?;
        let admin = bind(app.config.http.admin, "http.admin").await?;
        Ok(Web {
            public_address: public.local_addr()?,
            admin_address: admin.local_addr()?,
            public,
            admin,
            site: site(app).await?,
        })
    }

    /// Serves until told to stop; `file` is the configuration's.
    pub(crate) async fn run(
        self,
        app: App,
        file: PathBuf,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let public = http::serve_public(app.clone(), self.site, self.public, stopped(stop.clone()));
        let admin = http::serve_admin(app, file, self.admin, stopped(stop));
        tokio::try_join!(public, admin)?;
        Ok(())
    }
}

/// What the readers' site needs: system mails compiled, the event writer started.
async fn site(app: &App) -> anyhow::Result<Site> {
    // A form without a list takes nobody.
    lists::ensure_default(app).await?;
    for slug in lists::not_there(&app.config, &app.store).await? {
        eprintln!(
            "warning: `signup.lists` names `{slug}`, and no list is called so: nobody can sign up for it; \
             `pressrun lists add {slug} --title TITLE` makes it"
        );
    }
    let goodbye_revision = match app.config.signup.goodbye {
        true => Some(system_mail(app, "goodbye").await?),
        false => None,
    };
    let viewing = app.clone();
    Ok(Site {
        tracker: Tracker::of(app),
        view: Arc::new(move |key| {
            let app = viewing.clone();
            Box::pin(async move { run::again::html(&app, key).await })
        }),
        confirm_revision: system_mail(app, "confirm").await?,
        address_revision: system_mail(app, "address").await?,
        moved_revision: system_mail(app, "moved").await?,
        back_revision: system_mail(app, "back").await?,
        data_revision: system_mail(app, "data").await?,
        erase_revision: system_mail(app, "erase").await?,
        welcome_revision: Some(system_mail(app, "welcome").await?),
        goodbye_revision,
    })
}

/// Compiles and keeps a system mail of this kind; gives its revision.
async fn system_mail(app: &App, kind: &str) -> anyhow::Result<String> {
    let compiled = publication::compile_system(&app.config, &app.emails(), kind)
        .with_context(|| format!("the system mail `{kind}`"))?;
    // Nothing is written where it is kept already: the readers' site comes up on a full disk too.
    let hash = compiled.hash();
    if app.store.revision(&hash).await?.is_some() {
        return Ok(hash);
    }
    run::keep_revision(app, &compiled, &[]).await
}

/// Sends until told to stop; waits its turn while another process sends.
async fn send(app: App, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let (mut told, mut failed) = (false, false);
    while !*stop.borrow() {
        // Without it nobody would know a restored backup.
        let taken = match state::try_it(&app) {
            Ok(()) => Engine::take(app.clone(), stop.clone()).await,
            Err(error) => Err(error),
        };
        let taken = match taken {
            Ok(taken) => taken,
            // Readers' links work meanwhile, and who leaves is kept in the journal.
            Err(error) if is_passing(&error) => {
                if !failed {
                    tracing::error!("nothing can be sent yet, and it is tried again: {error:#}");
                    failed = true;
                }
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    _ = stop.changed() => {}
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        if std::mem::take(&mut failed) {
            tracing::info!("it can be sent again");
        }
        match taken {
            Taken::Engine(engine) => {
                // It is a courtesy, and no reason not to send.
                if let Err(error) = tell_under_way(&app).await {
                    tracing::warn!("what is under way cannot be told now: {error:#}");
                }
                return engine.run().await;
            }
            Taken::Busy if !told => {
                eprintln!("another pressrun sends from this database; waiting for its end");
                told = true;
            }
            Taken::Busy => {}
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = stop.changed() => {}
        }
    }
    Ok(())
}

/// Whether the database or its disk may take later what it does not take now.
fn is_passing(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{ReadOnlyFilesystem, StorageFull};
    let full = |io: &std::io::Error| matches!(io.kind(), StorageFull | ReadOnlyFilesystem);
    error
        .downcast_ref::<StoreError>()
        .is_some_and(StoreError::is_passing)
        || error
            .chain()
            .any(|cause| cause.downcast_ref().is_some_and(full))
}

/// Whoever interrupted a run may not expect that it goes on by itself.
async fn tell_under_way(app: &App) -> anyhow::Result<()> {
    for run in app.store.active_runs().await? {
        if run.id() != RunId::SYSTEM {
            let (number, slug, name) = (run.id, &run.slug, run::name(app, &run).await?);
            println!(
                "run {number} of `{slug}` is under way and goes on; `pressrun pause {name}` stops it"
            );
        }
    }
    Ok(())
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("cannot listen on {address} (`{key}`); is another one running?"))
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that whoever could say stop is gone: that is a stop too.
    stop.wait_for(|stopped| *stopped).await.ok();
}
