//! The author's site: what was sent, what is being sent, who reads it, and the buttons for it.
//!
//! Promises: nothing but the login, the stylesheet and the health checks is shown without a session; nothing is
//! changed by GET, nor by a form of another site; each change is one line of the audit. Every text from
//! outside is escaped by the templates. Calls the services that the command line calls, and decides nothing.
//!
//! A page more takes four lines elsewhere:
//! 1. its handler in `admin/NAME.rs`: `State(admin)` for what is shared, `Extension(session)` for who asks; it
//!    ends with `admin.page("/name", "name.html", context! { .. })`, an action with [`Admin::note`] and a
//!    redirect, or [`Admin::refused`] where a service says no;
//! 2. its template `pages/name.html`, which extends `admin.html`, in the table of `pages.rs`;
//! 3. its route in [`router`], below `signed_in`;
//! 4. if it is found from everywhere, its line in [`NAVIGATION`].

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use minijinja::value::Serde;
use minijinja::{Value, context};
use tokio::sync::{Mutex, watch};

use crate::access;
use crate::app::App;
use crate::http::fault::{self, Fault};
use crate::http::listener::Limits;
use crate::http::pages::{self, Pages};
use crate::http::ready::{self, Readiness};
use crate::http::shield;
use crate::store::access::Session;

mod audit;
mod change;
mod control;
mod counting;
mod deliveries;
mod door;
mod growth;
mod imports;
mod issues;
mod lists;
mod live;
mod login;
mod looks;
mod numbers;
mod overview;
mod reached;
mod reader_view;
mod refused;
mod rejected;
mod run_view;
mod runs;
mod segments;
mod sessions;
mod settings;
mod subscribers;
mod suppressions;
mod uploads;
mod wording;

/// What is found from everywhere: path and name, in the order in which it is shown.
const NAVIGATION: &[(&str, &str)] = &[
    ("/", "Overview"),
    ("/issues", "Issues"),
    ("/numbers", "Numbers"),
    ("/subscribers", "Subscribers"),
    ("/lists", "Lists"),
    ("/segments", "Segments"),
    ("/imports", "Imports"),
    ("/suppressions", "Suppressions"),
    ("/settings", "Settings"),
    ("/sessions", "Sessions"),
    ("/audit", "Audit"),
];

/// What the admin handlers share.
pub struct Admin {
    pub(super) app: App,
    pub(super) pages: Pages,
    pub(super) ready: Readiness,
    /// The configuration's file.
    file: PathBuf,
    /// Closed when the site ends: streams end with it.
    closing: watch::Receiver<()>,
    /// Held while a list, or a segment of one, is counted: one at a time.
    counting: Arc<Mutex<()>>,
    /// Files that wait to be imported.
    uploads: uploads::Uploads,
    /// Segments that are being counted.
    counts: segments::Counts,
}

/// Every route of the author's site. `file` is the configuration's; streams end when `closing` closes.
pub fn router(app: App, file: PathBuf, closing: watch::Receiver<()>, limits: &Limits) -> Router {
    let admin = Arc::new(Admin {
        pages: Pages::new(&app.config),
        ready: Readiness::new(app.clone()),
        app,
        file,
        closing,
        counting: Arc::default(),
        uploads: uploads::Uploads::default(),
        counts: segments::Counts::default(),
    });
    tokio::spawn(uploads::tidy(Arc::downgrade(&admin)));
    let finish = shield::Finish::new(admin.pages.clone(), &admin.app.config).of_the_author();
    let hosts = shield::Hosts::new(&admin.app.config.http);
    let signed_in = Router::new()
        .route("/", get(overview::page))
        .route("/issues", get(issues::page))
        .route("/issues/{slug}", get(issues::issue))
        .route("/issues/{slug}/test", post(control::test))
        .route("/runs/{id}", get(runs::page))
        .route("/runs/{id}/live", get(live::stream))
        .route("/runs/{id}/numbers", get(numbers::issue))
        .route("/runs/{id}/deliveries", get(reached::page))
        .route("/runs/{id}/clicks", get(numbers::clicks))
        .route("/runs/{id}/clicks/issue", get(numbers::clicked_issue))
        .route("/numbers", get(numbers::lists))
        .route("/runs/{id}/links", post(control::correct))
        .route("/runs/{id}/numbers.csv", get(numbers::download))
        .route("/runs/{id}/pause", post(control::pause))
        .route("/runs/{id}/resume", post(control::resume))
        .route("/runs/{id}/cancel", post(control::cancel))
        .route("/runs/{id}/reschedule", post(control::move_start))
        .route("/subscribers", get(subscribers::page))
        .route("/subscribers/{id}", get(subscribers::reader))
        .route(
            "/subscribers/{id}/unsubscribe",
            post(subscribers::unsubscribe),
        )
        .route("/subscribers/{id}/change", post(change::change))
        .route("/subscribers/{id}/return", post(subscribers::put_back))
        .route("/subscribers/{id}/suppress", post(subscribers::suppress))
        .route("/subscribers/{id}/data", post(subscribers::data))
        .route("/subscribers/{id}/erase", post(subscribers::erase))
        .route("/suppressions", get(suppressions::page))
        .route("/suppressions/check", post(suppressions::check))
        .route("/suppressions/add", post(suppressions::add))
        .route("/suppressions/remove", post(suppressions::remove))
        .route("/deliveries/{key}", get(deliveries::page))
        .route("/deliveries/{key}/view", get(deliveries::view))
        .route("/deliveries/{key}/message.eml", get(deliveries::download))
        .route("/segments", get(segments::page))
        .route("/lists", get(lists::page).post(lists::add))
        .route("/lists/{id}", get(lists::one))
        .route("/imports/map", post(uploads::map))
        .route("/imports/take", post(uploads::take))
        .route("/imports/{id}", get(imports::one))
        .route("/imports/{id}/undo", post(imports::undo))
        .route("/imports/{id}/rejected.csv", get(rejected::download))
        .route("/settings", get(settings::page).post(settings::ask))
        .route("/sessions", get(sessions::page))
        .route("/sessions/end", post(sessions::end))
        .route("/audit", get(audit::page))
        .route("/logout", post(login::leave))
        .route_layer(from_fn_with_state(admin.clone(), door::signed_in));
    // A large file over a slow line takes longer than any form; nobody sends one without a session.
    let files = Router::new()
        .route("/imports", get(imports::page).post(uploads::look))
        .layer(DefaultBodyLimit::max(uploads::BODY))
        .route_layer(from_fn_with_state(admin.clone(), door::signed_in))
        .layer(from_fn(shield::deadline(
            limits.request_deadline.max(uploads::DEADLINE),
        )));
    Router::new()
        .route("/login", get(login::page).post(login::submit))
        .route(
            "/login/{token}",
            get(login::link_page).post(login::use_link),
        )
        .route("/style.css", get(pages::stylesheet))
        .route("/live.js", get(live::script))
        .route("/healthz", get(ready::health))
        .route("/readyz", get(ready::admin))
        .merge(signed_in)
        .layer(from_fn(shield::deadline(limits.request_deadline)))
        .merge(files)
        .fallback(fault::not_found)
        .method_not_allowed_fallback(fault::method_not_allowed)
        .with_state(admin)
        .layer(from_fn(door::same_origin))
        .layer(from_fn_with_state(hosts, shield::check_host))
        .layer(from_fn_with_state(finish, shield::finish))
}

impl Admin {
    /// In which every page says its times.
    fn zone(&self) -> &str {
        &self.app.config.publication.timezone
    }

    /// The page `template` with `values` under the navigation, in which `at` is where we are.
    fn page(&self, at: &str, template: &str, values: Value) -> Response {
        let navigation = Serde(NAVIGATION);
        self.pages
            .render(template, context! { navigation, at, ..values })
    }

    /// Why something was not done, in the words of the service that refused, and the way `back`: of what takes no words,
    /// or what the page behind it has no form for any more.
    fn refused(&self, at: &str, back: &str, why: &anyhow::Error) -> Response {
        let values = context! { why => format!("{why:#}"), back };
        let mut page = self.page(at, "refused.html", values);
        *page.status_mut() = StatusCode::CONFLICT;
        page
    }

    /// The policy of a mail in a frame: it shows its own images alone (a pixel would count an open of the reader's), runs
    /// nothing, sends nothing and leads nowhere.
    fn mail_in_a_frame(&self) -> Result<HeaderValue, Fault> {
        let images = self.app.public_url("/i/");
        let policy = format!(
            "sandbox; default-src 'none'; img-src {images} data:; style-src 'unsafe-inline'; \
             form-action 'none'; frame-ancestors 'self'"
        );
        HeaderValue::try_from(policy).map_err(|_| Fault::Broken)
    }

    /// The audit's line of an action: of one step once it is done, of one that takes long before it begins. `about`
    /// names a run or a reader's key, never an address.
    async fn note(&self, session: &Session, what: &str, about: &str) -> anyhow::Result<()> {
        tracing::info!(session.id = session.id, what, about, "on the author's site");
        access::note(&self.app, session.id, what, about).await
    }
}
