//! The buttons of a run: pause, resume, cancel, another hour, a test copy.
//!
//! Promises: each does what the command of its name does, by the same service; what cannot be undone needs a
//! tick that says so; work that takes long goes on though the browser leaves; what was refused leaves no line
//! in the audit.

use std::future::Future;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};

use crate::address::EmailAddress;
use crate::app::App;
use crate::http::admin::refused::Refused;
use crate::http::admin::{Admin, issues, numbers, runs};
use crate::http::fault::Fault;
use crate::http::form::{Form, Tail, addresses};
use crate::lists;
use crate::message::copy::Values;
use crate::publication;
use crate::run::{self, guards, links, reschedule, test_copy};
use crate::schedule::{self, Start};
use crate::status::RunStatus;
use crate::store::access::Session;
use crate::store::runs::Run;

/// `POST /runs/{id}/pause`.
pub(super) async fn pause(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
) -> Result<Response, Fault> {
    let run = runs::find(&admin, &id).await?;
    let desk = Arc::clone(&admin);
    let work = async move {
        run::pause(&desk.app, &run).await?;
        desk.note(&session, "paused a run", &about(&run)).await
    };
    finish(&admin, &id, work).await
}

/// `POST /runs/{id}/resume`: a held one only with `sure`, as its reason has to be read.
pub(super) async fn resume(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let run = runs::find(&admin, &id).await?;
    let sure = form.get("sure") == "yes";
    let desk = Arc::clone(&admin);
    let work = async move {
        run::resume(&desk.app, &run, sure).await?;
        desk.note(&session, "resumed a run", &about(&run)).await
    };
    finish(&admin, &id, work).await
}

/// `POST /runs/{id}/cancel`: before it begins it is taken back; later only with `sure`. The page of a
/// run that waits asks for `unsent` instead, so that one pressed too late cancels nothing.
pub(super) async fn cancel(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let run = runs::find(&admin, &id).await?;
    let sure = form.get("sure") == "yes";
    let unsent = run.status == RunStatus::Scheduled || run.waits() || form.get("unsent") == "yes";
    if !sure && !unsent {
        let why = anyhow!("nothing was cancelled: tick the box that says you are sure");
        return Ok(admin.refused("/issues", &path(&id), &why));
    }
    let desk = Arc::clone(&admin);
    let work = async move {
        if !run::take_back(&desk.app, &run).await? {
            // It began between the page and the button.
            anyhow::ensure!(
                sure,
                "the run has begun; look at it again before you cancel it"
            );
            run::cancel(&desk.app, &run).await?;
        }
        desk.note(&session, "cancelled a run", &about(&run)).await
    };
    finish(&admin, &id, work).await
}

/// `POST /runs/{id}/reschedule`: another hour for a run that waits for one.
pub(super) async fn move_start(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let run = runs::find(&admin, &id).await?;
    let app = &admin.app;
    // As a browser writes a day and an hour; the zone is the publication's.
    let text = form.get("at").replacen('T', " ", 1);
    let zone = &app.config.publication.timezone;
    let start = match schedule::start(&text, zone, app.clock.now()) {
        Ok(start) => start,
        Err(why) => {
            let refused = Refused::of("move", "at", &anyhow!(why), &form);
            return runs::show(&admin, &run, None, Some(refused)).await;
        }
    };
    let asked = match questions(app, &run, &start).await {
        Ok(asked) => asked,
        Err(why) => return Ok(admin.refused("/issues", &path(&id), &why)),
    };
    if form.get("accept") != "yes" && !asked.is_empty() {
        let why = anyhow!(
            "it was not moved: {}; tick the box that says you are sure, and it is",
            asked.join("; ")
        );
        let refused = Refused::of("move", "accept", &why, &form);
        return runs::show(&admin, &run, None, Some(refused)).await;
    }
    let what = format!("moved a run to {}", schedule::shown(start.at, &start.zone));
    // What hour was taken where the clocks skip it or strike it twice.
    let said = start.note.is_some();
    let desk = Arc::clone(&admin);
    let work = async move {
        reschedule::reschedule(&desk.app, &run, &start).await?;
        desk.note(&session, &what, &about(&run)).await
    };
    let to = match said {
        true => format!("{}?hour={}", path(&id), text.replace(' ', "T")),
        false => path(&id),
    };
    finish_at(&admin, &id, &to, work).await
}

/// What has to be asked before the run starts then.
async fn questions(app: &App, run: &Run, start: &Start) -> anyhow::Result<Vec<String>> {
    let promos = guards::promos_of(app, run, start).await?;
    let asked = guards::of_hour(app, run, start.at, &promos.unwrap_or_default()).await?;
    Ok(asked.into_iter().map(|asked| asked.sentence).collect())
}

/// `POST /runs/{id}/links`: leads the link `number` of the run to `url` from now on.
pub(super) async fn correct(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(id): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let run = runs::find(&admin, &id).await?;
    let number: usize = form.get("number").parse().map_err(|_| Fault::Form)?;
    let url = form.get("url").trim();
    let back = format!("/runs/{id}/clicks");
    let old = match links::fix(&admin.app, &run, number, url, "the author's pages").await {
        Ok(old) => old,
        Err(why) => {
            let refused = Refused::of(&format!("link-{number}"), "url", &why, &form);
            return numbers::show_clicks(&admin, &run, Some(refused)).await;
        }
    };
    let about = format!("link {number} of {}", about(&run));
    let what = links::corrected(&old, url);
    admin.note(&session, &what, &about).await?;
    Ok(Redirect::to(&back).into_response())
}

/// `POST /issues/{slug}/test`: test copies of the issue as it stands in the folder.
pub(super) async fn test(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Tail(slug): Tail,
    form: Form,
) -> Result<Response, Fault> {
    let issue = issues::find(&admin.app, &slug).await?;
    let slug = issue.slug.clone();
    let back = format!("/issues/{slug}");
    let refuse = |why: &anyhow::Error| Some(Refused::of("test", "to", why, &form));
    let to = match addresses(form.get("to")) {
        Ok(to) => to,
        Err(why) => return issues::show(&admin, issue, None, refuse(&why)).await,
    };
    let desk = Arc::clone(&admin);
    let work = async move {
        let about = format!("issue {slug}");
        let keys = begin_test(desk.app.clone(), slug, to).await?;
        desk.note(&session, "sent a test copy", &about).await?;
        anyhow::Ok(keys)
    };
    let sent = tokio::spawn(work).await;
    match sent.context("the test copy broke").and_then(|sent| sent) {
        Ok(keys) => Ok(Redirect::to(&format!("{back}?tested={keys}")).into_response()),
        Err(why) => issues::show(&admin, issue, None, refuse(&why)).await,
    }
}

/// Puts the copies into the queue; whoever sends sends them. Gives their keys.
async fn begin_test(app: App, slug: String, to: Vec<EmailAddress>) -> anyhow::Result<String> {
    let (config, emails) = (app.config.clone(), app.emails());
    let titles = lists::titles(&app.store).await?;
    let built = move || publication::compile_issue(&config, &emails, &slug, &titles);
    let built = tokio::task::spawn_blocking(built).await;
    let built = built.context("the compiler panicked")??;
    let begun = test_copy::begin(&app, built, &to, &Values::of_nobody()).await?;
    let keys: Vec<String> = begun.keys.iter().map(ToString::to_string).collect();
    Ok(keys.join(","))
}

/// Does the work in a task of its own, and goes back to the run.
async fn finish(
    admin: &Admin,
    id: &str,
    work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) -> Result<Response, Fault> {
    finish_at(admin, id, &path(id), work).await
}

/// The same, and then goes to `to`.
async fn finish_at(
    admin: &Admin,
    id: &str,
    to: &str,
    work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) -> Result<Response, Fault> {
    let done = tokio::spawn(work).await;
    match done.context("it broke").and_then(|done| done) {
        Ok(()) => Ok(Redirect::to(to).into_response()),
        Err(why) => Ok(admin.refused("/issues", &path(id), &why)),
    }
}

fn path(id: &str) -> String {
    format!("/runs/{id}")
}

fn about(run: &Run) -> String {
    format!("run {} of {}", run.id, run.slug)
}
