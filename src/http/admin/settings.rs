//! The settings check: what the doctor finds, and the configuration in force without its secrets.
//!
//! Promises: the page itself asks nobody and reads no whole database; both are done at the press of a button.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use tokio::time::{Instant, timeout_at};

use crate::config::{Config, show};
use crate::doctor::{self, Area, Check, Desk, Findings, Level, Wish};
use crate::http::admin::Admin;
use crate::http::fault::Fault;
use crate::store::access::Session;

/// What is looked at with the page: nothing that reads the whole database or asks anybody.
const AT_ONCE: [Area; 2] = [Area::Configuration, Area::Files];
/// How long all looks together may take: less than a request may.
const PATIENCE: Duration = Duration::from_secs(10);

/// `GET /settings`: what is looked at in no time.
pub(super) async fn page(State(admin): State<Arc<Admin>>) -> Result<Response, Fault> {
    show_checks(&admin, &AT_ONCE).await
}

/// `POST /settings`: everything; disk, database, clock, relay, DNS and site too.
pub(super) async fn ask(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
) -> Result<Response, Fault> {
    admin
        .note(&session, "asked relay, DNS and site", "")
        .await?;
    show_checks(&admin, &Area::ALL).await
}

async fn show_checks(admin: &Admin, areas: &[Area]) -> Result<Response, Fault> {
    let checks = examine(admin, areas).await?;
    let count = |level: Level| checks.iter().filter(|check| check.level == level).count();
    let levels = [Level::Error, Level::Warning, Level::Unknown, Level::Ok];
    let counts: Vec<(&str, usize)> = levels
        .into_iter()
        .map(|level| (level.name(), count(level)))
        .filter(|(_, count)| *count > 0)
        .collect();
    // The file may be broken since the start: then the checks say so, and there is nothing to show.
    let settings = Config::load_with_origins(&admin.file);
    let settings = settings.map(|(_, settings)| show::as_toml(&settings));
    let fault = settings.as_ref().err().map(|error| format!("{error:#}"));
    let values = context! {
        checks => Serde(&checks),
        counts => Serde(counts),
        more => areas.len() < Area::ALL.len(),
        settings => settings.ok(),
        fault,
        file => admin.file.display().to_string(),
    };
    Ok(admin.page("/settings", "settings.html", values))
}

/// Looks at each area in its turn; what is not done when the page must be is told so.
async fn examine(admin: &Admin, areas: &[Area]) -> anyhow::Result<Vec<Check>> {
    let end = Instant::now() + PATIENCE;
    let mut checks = Vec::new();
    for &area in areas {
        match timeout_at(end, look(admin, area)).await {
            Ok(found) => checks.extend(found?),
            Err(_) => {
                let mut late = Findings::of(area);
                let says = "this takes longer than a page may; `pressrun doctor` takes its time";
                late.unknown("time", says);
                checks.append(&mut late.checks);
            }
        }
    }
    Ok(checks)
}

async fn look(admin: &Admin, area: Area) -> anyhow::Result<Vec<Check>> {
    let (config, base) = (admin.app.config.clone(), admin.app.base.clone());
    let file = admin.file.clone();
    let handle = tokio::runtime::Handle::current();
    // It reads files and asks the system between its questions.
    let look = move || {
        let desk = Desk::new(&config, &base, false);
        let wish = Wish {
            offline: false,
            areas: vec![area],
        };
        handle.block_on(doctor::examine(&desk, &file, &wish, |_| ()))
    };
    let look = tokio::task::spawn_blocking(look).await;
    look.context("the doctor panicked")
}
