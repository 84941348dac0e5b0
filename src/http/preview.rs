//! The preview: one issue, or a theme's specimen, on a page of the author's own machine, compiled anew at
//! each save.
//!
//! Promises: answers loopback names only; changes something (a test copy) only with the token of this
//! start; the mail stands in a sandbox without scripts, and no other host is asked unless the author
//! says so. A broken issue keeps its last good render in sight. Every route stands in this file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::chance::Chance;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::http::fault::{self, Fault};
use crate::http::listener::{self, Limits};
use crate::http::preview::templates::Templates;
use crate::http::preview::watcher::Watcher;
use crate::http::shield::{Hosts, check_host};
use crate::issue::given::Titles;
use crate::lock::lock;
use crate::preflight;
use crate::publication::system;
use crate::publication::themes::{preview_specimen, specimen};
use crate::publication::{Built, Previewed, Rejected, compile_for};
use crate::run::test_copy::Tested;
use crate::store::Store;

mod finding;
mod frame;
mod look;
mod page;
mod panels;
mod reader;
mod state;
mod templates;
mod test_copy;
mod watcher;

/// Our own script and styles, our own frame; nothing from elsewhere, in nobody's frame.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What is shown, and how a place of it is opened.
#[derive(Clone, Debug)]
pub struct Target {
    pub subject: Subject,
    /// The list that an issue goes to, whatever its front matter says.
    pub list: Option<String>,
    /// Address by which an editor opens a place: `{file}`, `{line}` and `{column}` are filled in.
    pub editor: Option<String>,
}

/// What is shown.
#[derive(Clone, Debug)]
pub enum Subject {
    /// An issue by its slug, or by the path of its folder or file.
    Issue(String),
    /// The specimen of a theme; of the publication's own where none is named.
    Theme(Option<String>),
}

impl Target {
    /// An issue by its slug, or by the path of its folder or file.
    pub fn issue(issue: &str) -> Target {
        Target {
            subject: Subject::Issue(issue.to_owned()),
            list: None,
            editor: None,
        }
    }

    /// The specimen of a theme; of the publication's own where none is named.
    pub fn theme(name: Option<&str>) -> Target {
        Target {
            subject: Subject::Theme(name.map(str::to_owned)),
            list: None,
            editor: None,
        }
    }

    /// What it is called where it does not compile.
    fn name<'a>(&'a self, config: &'a Config) -> &'a str {
        match &self.subject {
            Subject::Issue(issue) => issue,
            Subject::Theme(name) => name.as_ref().unwrap_or(&config.publication.theme),
        }
    }

    /// What is sent of it as a test; a system mail is not.
    fn sent(&self, config: &Config, emails: &Path, titles: &Titles) -> anyhow::Result<Built> {
        match &self.subject {
            Subject::Issue(issue) => {
                compile_for(config, emails, issue, titles, self.list.as_deref())
            }
            Subject::Theme(_) => specimen(config, emails, self.name(config)),
        }
    }

    /// What its reader gets.
    fn compile(&self, config: &Config, emails: &Path, titles: &Titles) -> anyhow::Result<Built> {
        let wanted = (self.list.as_deref(), titles);
        match &self.subject {
            Subject::Issue(issue) => Ok(system::shown(config, emails, issue, wanted, false)?.built),
            Subject::Theme(_) => specimen(config, emails, self.name(config)),
        }
    }

    /// The same with its blocks marked.
    fn mark(&self, config: &Config, emails: &Path, titles: &Titles) -> anyhow::Result<Previewed> {
        let wanted = (self.list.as_deref(), titles);
        match &self.subject {
            Subject::Issue(issue) => system::shown(config, emails, issue, wanted, true),
            Subject::Theme(_) => preview_specimen(config, emails, self.name(config)),
        }
    }
}

/// An issue that compiled.
#[derive(Clone, Debug)]
pub(crate) struct Good {
    /// What is sent.
    built: Built,
    /// The same with its blocks marked, for the frame alone.
    marked: Previewed,
}

/// What the newest compile came to.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Counts the compiles that came to something new.
    number: u64,
    config: Arc<Config>,
    /// The newest compile without errors; none until there is one.
    good: Option<Arc<Good>>,
    /// Why the newest compile gave nothing to show: errors of the issue first.
    errors: Vec<Diagnostic>,
    /// The same for what has no place in a file.
    fault: Option<String>,
}

impl Shown {
    fn is_broken(&self) -> bool {
        !self.errors.is_empty() || self.fault.is_some()
    }
}

/// A test copy that was asked for, and how it went.
#[derive(Clone, Debug)]
struct Test {
    to: String,
    end: Result<Vec<Tested>, String>,
}

/// What the handlers share.
pub(crate) struct Desk {
    /// The configuration's file.
    file: PathBuf,
    target: Target,
    /// What readers call the lists there are, as of the start.
    titles: Titles,
    /// Proves that a POST comes from our page.
    token: String,
    /// Tells one start from another.
    start: String,
    templates: Templates,
    shown: watch::Sender<Arc<Shown>>,
    stop: watch::Receiver<bool>,
    store: tokio::sync::Mutex<Option<Store>>,
    testing: tokio::sync::Mutex<()>,
    test: Mutex<Option<Test>>,
}

impl Desk {
    /// Compiles the target once; an error where there is no such issue or no configuration.
    fn open(
        file: &Path,
        config: Config,
        target: Target,
        titles: Titles,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Desk> {
        let first = compile(&config, file, &target, &titles);
        if let (None, Err(error)) = (first.as_ref().err().and_then(rejected), &first) {
            anyhow::bail!("{error:#}");
        }
        let shown = Shown {
            number: 0,
            config: Arc::new(config),
            good: None,
            errors: Vec::new(),
            fault: None,
        };
        let name = |chance: &Chance| format!("{:016x}{:016x}", chance.key(), chance.key());
        let desk = Desk {
            file: file.to_owned(),
            target,
            titles,
            token: name(&Chance::System),
            start: format!("{:08x}", Chance::System.key() & 0xffff_ffff),
            templates: Templates::new(),
            shown: watch::channel(Arc::new(shown)).0,
            stop,
            store: tokio::sync::Mutex::default(),
            testing: tokio::sync::Mutex::default(),
            test: Mutex::default(),
        };
        desk.put(None, first);
        let to = std::fs::read_to_string(desk.remembered()).unwrap_or_default();
        *lock(&desk.test) = (!to.is_empty()).then(|| Test {
            to,
            end: Ok(Vec::new()),
        });
        Ok(desk)
    }

    /// Where the last test's address is kept for the next start.
    fn remembered(&self) -> PathBuf {
        let state = &self.shown().config.paths.state;
        self.base().join(state).join("preview-test-to")
    }

    fn shown(&self) -> Arc<Shown> {
        self.shown.borrow().clone()
    }

    /// The name of what is shown now, other than that of any other compile or start.
    fn version(&self, shown: &Shown) -> String {
        format!("{}-{}", self.start, shown.number)
    }

    /// The folder of the configuration's file.
    fn base(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    /// Reads everything again and shows what came of it. Takes as long as a compile; blocks.
    fn again(&self) {
        match Config::load(&self.file) {
            Ok(config) => {
                let made = compile(&config, &self.file, &self.target, &self.titles);
                self.put(Some(config), made);
            }
            Err(error) => self.put(None, Err(error)),
        }
    }

    /// Shows what a compile came to, unless that is what is shown already.
    fn put(&self, config: Option<Config>, made: anyhow::Result<Good>) {
        self.shown.send_if_modified(|shown| {
            let mut next = Shown::clone(shown);
            if let Some(config) = config {
                next.config = Arc::new(config);
            }
            (next.errors, next.fault) = (Vec::new(), None);
            match made {
                Ok(good) => next.good = Some(Arc::new(good)),
                Err(error) => match rejected(&error) {
                    Some(found) => next.errors = found.to_vec(),
                    None => next.fault = Some(format!("{error:#}")),
                },
            }
            if next.number > 0 && same(shown, &next) {
                return false;
            }
            next.number += 1;
            *shown = Arc::new(next);
            true
        });
    }
}

fn compile(config: &Config, file: &Path, target: &Target, titles: &Titles) -> anyhow::Result<Good> {
    let base = file.parent().unwrap_or(Path::new("."));
    let emails = base.join(&config.paths.emails);
    Ok(Good {
        built: target.compile(config, &emails, titles)?,
        marked: target.mark(config, &emails, titles)?,
    })
}

fn rejected(error: &anyhow::Error) -> Option<&[Diagnostic]> {
    let rejected = error.downcast_ref::<Rejected>();
    rejected.map(|rejected| rejected.found.as_slice())
}

fn same(one: &Shown, two: &Shown) -> bool {
    let equal = |one: &Good, two: &Good| {
        one.built.compiled == two.built.compiled
            && one.built.diagnostics == two.built.diagnostics
            && one.marked.places == two.marked.places
    };
    let good = match (&one.good, &two.good) {
        (Some(one), Some(two)) => equal(one, two),
        (None, None) => true,
        _ => false,
    };
    let from = |shown: &Shown| {
        let config = &shown.config;
        (config.from.name.clone(), config.publication.url.clone())
    };
    good && one.errors == two.errors && one.fault == two.fault && from(one) == from(two)
}

/// A preview that has compiled once and is ready to be served.
pub struct Preview {
    desk: Arc<Desk>,
    watcher: Watcher,
}

/// Compiles `target` and begins to watch its files; the configuration stands in `file`. An issue with
/// errors is shown with them; one that is not there is an error.
pub async fn open(
    file: &Path,
    target: Target,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Preview> {
    let file = std::path::absolute(file)?;
    let config = Config::load(&file)?;
    let titles = preflight::titles_of(&config, file.parent().unwrap_or(&file)).await;
    let open = move || Desk::open(&file, config, target, titles, stop);
    let desk = tokio::task::spawn_blocking(open);
    let desk = Arc::new(desk.await.context("the compiler panicked")??);
    let watcher = Watcher::start(desk.clone())?;
    Ok(Preview { desk, watcher })
}

impl Preview {
    /// Answers on `listener` until told to stop.
    pub async fn serve(self, listener: TcpListener) -> anyhow::Result<()> {
        let mut limits = Limits::new(&self.desk.shown().config.http);
        // One author with a few tabs, each of which listens for as long as it is open.
        limits.per_address = limits.connections;
        limits.lifetime = Duration::from_secs(24 * 60 * 60);
        limits.drain = Duration::from_secs(1);
        let mut stop = self.desk.stop.clone();
        let ended = async move {
            stop.wait_for(|stop| *stop).await.ok();
        };
        listener::run(listener, router(self.desk), limits, ended).await;
        self.watcher.end().await;
        Ok(())
    }
}

/// Every route of the preview.
fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/frame", get(frame::frame))
        .route("/state", get(state::state))
        .route("/events", get(state::events))
        .route("/readers", get(reader::search))
        .route("/i/{hash}", get(frame::image))
        .route("/test", post(test_copy::send))
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
        .route("/style.css", get(templates::style))
        .route("/script.js", get(templates::script))
        .fallback(fault::not_found)
        .method_not_allowed_fallback(fault::method_not_allowed)
        .with_state(desk)
        .layer(from_fn_with_state(Hosts::loopback(), check_host))
        .layer(from_fn(finish))
}

/// Turns faults into sentences and puts the security headers on.
async fn finish(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(&fault) = response.extensions().get::<Fault>() {
        let text = match fault {
            Fault::Misdirected => "this preview is asked as 127.0.0.1 or localhost only",
            Fault::Form => "the form did not come from this page; load it again",
            other => other.words().1,
        };
        let plain = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
        response = (fault.status(), plain, format!("{text}\n")).into_response();
    }
    let headers = [
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in headers {
        let entry = response.headers_mut().entry(name);
        entry.or_insert(HeaderValue::from_static(value));
    }
    response
}
