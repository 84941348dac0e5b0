//! The public site and the admin site.
//!
//! Promises: GET and HEAD change nothing but counters; bad, foreign and expired tokens look alike; an
//! unsubscribe is answered only once it is durable, and a pixel or a known redirect always. Every route of
//! the public site stands in this file, those of the author's in `admin`. Leaves what the numbers mean to
//! `stats`, and the mail to the sender.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::app::App;
use crate::http::images::ImageShelf;
use crate::http::pages::Pages;
use crate::http::ready::Readiness;
use crate::hygiene;
use crate::id::DeliveryKey;
use crate::retention;
use crate::signup::{self, Signups};
use crate::track::Tracker;
use crate::track::journal::Journal;
use crate::track::leavers::Leavers;
use crate::track::targets::Targets;

pub mod admin;
pub mod archive;
pub mod chart;
pub mod conditional;
pub mod confirm;
pub mod evidence;
pub mod fault;
pub mod form;
pub mod images;
pub mod leave;
pub mod listener;
pub mod pages;
pub mod preferences;
pub mod preview;
mod prove;
pub mod ready;
pub mod shield;
pub mod subscribe;
pub mod trace;

/// Renders the copy of one delivery as HTML; `None` when there is no such delivery any more.
pub type ViewRenderer =
    Arc<dyn Fn(DeliveryKey) -> BoxFuture<'static, anyhow::Result<Option<String>>> + Send + Sync>;

/// What the public site needs besides the [`App`]; cheap to clone.
#[derive(Clone)]
pub struct Site {
    pub tracker: Tracker,
    pub view: ViewRenderer,
    /// Revision of the compiled confirm mail.
    pub confirm_revision: String,
    /// Revision of the compiled mail that confirms another address of a reader.
    pub address_revision: String,
    /// Revision of the compiled mail that tells a reader's former address of the other one.
    pub moved_revision: String,
    /// Revision of the compiled mail that tells an address that one before it took the reader's mail back.
    pub back_revision: String,
    /// Revision of the compiled mail with the link to a reader's data.
    pub data_revision: String,
    /// Revision of the compiled mail with the link to her erasure.
    pub erase_revision: String,
    /// Revision of the compiled welcome mail; `None` sends none.
    pub welcome_revision: Option<String>,
    /// Revision of the compiled goodbye mail; `None` sends none.
    pub goodbye_revision: Option<String>,
}

/// What the public handlers share.
pub struct Public {
    app: App,
    site: Site,
    targets: Targets,
    leavers: Leavers,
    signups: Signups,
    pages: Pages,
    images: ImageShelf,
    archive: archive::Shelf,
    ready: Readiness,
}

/// Serves the readers' site on `listener` until `shutdown` is done. The events taken by then are
/// written when this returns.
pub async fn serve_public(
    app: App,
    site: Site,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let limits = listener::Limits::new(&app.config.http);
    let tracker = site.tracker.clone();
    let leavers = Leavers::start(app.store.clone(), Journal::of(&app));
    let mut keeping = JoinSet::new();
    keeping.spawn(signup::house::keep(app.clone()));
    keeping.spawn(retention::keep(app.clone()));
    keeping.spawn(hygiene::keep(app.clone()));
    let serving = listener::run(
        listener,
        public_router(app, site, leavers.clone(), &limits),
        limits,
        shutdown,
    );
    // What is promised beside the pages is done, or the process ends and is started anew: half a one helps nobody.
    let served = tokio::select! {
        () = serving => Ok(()),
        fault = broken(&mut keeping) => Err(anyhow!("what keeps house ended early: {fault}")),
        () = tracker.ended() => Err(anyhow!("what counts opens and clicks ended early")),
        () = leavers.ended() => Err(anyhow!("what takes leavings ended early")),
    };
    keeping.shutdown().await;
    tracker.close().await;
    served
}

/// The fault that ends a task. One that has nothing to do by the configuration ends at once and is no fault.
async fn broken(tasks: &mut JoinSet<()>) -> JoinError {
    loop {
        match tasks.join_next().await {
            Some(Ok(())) => {}
            Some(Err(fault)) => return fault,
            None => std::future::pending().await,
        }
    }
}

/// Serves the author's site on `listener` until `shutdown` is done; `file` is the configuration's.
pub async fn serve_admin(
    app: App,
    file: PathBuf,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let limits = listener::Limits::new(&app.config.http);
    let (open, closing) = watch::channel(());
    let router = admin::router(app, file, closing, &limits);
    // A page that follows a run would else keep the listener open for as long as it may.
    let shutdown = async move {
        shutdown.await;
        drop(open);
    };
    listener::run(listener, router, limits, shutdown).await;
    Ok(())
}

/// Every route of the readers' site.
pub fn public_router(app: App, site: Site, leavers: Leavers, limits: &listener::Limits) -> Router {
    let state = Arc::new(Public {
        targets: Targets::new(app.store.clone()),
        leavers,
        signups: Signups::new(app.clone()),
        pages: Pages::new(&app.config),
        images: ImageShelf::default(),
        archive: archive::Shelf::new(&app),
        ready: Readiness::new(app.clone()),
        site,
        app,
    });
    let finish = shield::Finish::new(state.pages.clone(), &state.app.config);
    Router::new()
        .route("/", get(subscribe::front).post(subscribe::begin))
        .route("/subscribe", get(subscribe::page).post(subscribe::submit))
        .route("/subscribe/form", get(subscribe::fresh))
        .route("/embed", get(subscribe::embed))
        .route("/proof.js", get(pages::proof))
        .route("/confirm/{token}", get(confirm::page).post(confirm::press))
        .route("/u/{token}", get(leave::page).post(leave::press))
        .route(
            "/preferences/{token}",
            get(preferences::page).post(preferences::press),
        )
        .route("/o/{token}", get(trace::open))
        .route("/c/{token}", get(trace::click))
        .route("/view/{token}", get(trace::view))
        .route("/i/{hash}", get(images::image))
        .route("/archive", get(archive::index))
        .route("/archive/{slug}", get(archive::issue))
        .route("/feed.xml", get(archive::atom))
        .route("/feed.json", get(archive::json_feed))
        .route("/sitemap.xml", get(archive::site_map))
        .route("/robots.txt", get(archive::robots))
        .route("/theme.css", get(archive::theme))
        .route("/style.css", get(pages::stylesheet))
        .route("/healthz", get(ready::health))
        .route("/readyz", get(ready::public))
        .fallback(archive::elsewhere)
        .method_not_allowed_fallback(fault::method_not_allowed)
        .with_state(state)
        .layer(from_fn(shield::deadline(limits.request_deadline)))
        .layer(from_fn_with_state(finish, shield::finish))
}
