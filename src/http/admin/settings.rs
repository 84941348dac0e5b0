//! The settings check: what the doctor finds, and the configuration in force without its secrets.
//!
//! Promises: a look asks nobody outside this machine; relay, DNS and site are asked at the press of a button.

use std::sync::Arc;

use anyhow::Context;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;

use crate::config::{Config, show};
use crate::doctor::{self, Area, Check, Desk, Level, Wish};
use crate::http::admin::Admin;
use crate::http::fault::Fault;
use crate::store::access::Session;

/// `GET /settings`: what can be looked at on this machine.
pub(super) async fn page(State(admin): State<Arc<Admin>>) -> Result<Response, Fault> {
    show_checks(&admin, true).await
}

/// `POST /settings`: everything, relay, DNS and site too.
pub(super) async fn ask(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
) -> Result<Response, Fault> {
    admin
        .note(&session, "asked relay, DNS and site", "")
        .await?;
    show_checks(&admin, false).await
}

async fn show_checks(admin: &Admin, offline: bool) -> Result<Response, Fault> {
    let checks = examine(admin, offline).await?;
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
        offline,
        settings => settings.ok(),
        fault,
        file => admin.file.display().to_string(),
    };
    Ok(admin.page("/settings", "settings.html", values))
}

async fn examine(admin: &Admin, offline: bool) -> anyhow::Result<Vec<Check>> {
    let (config, base) = (admin.app.config.clone(), admin.app.base.clone());
    let file = admin.file.clone();
    let handle = tokio::runtime::Handle::current();
    // It reads files and asks the system between its questions.
    let look = move || {
        let desk = Desk::new(&config, &base, offline);
        let wish = Wish {
            offline,
            areas: Area::ALL.to_vec(),
        };
        handle.block_on(doctor::examine(&desk, &file, &wish, |_| ()))
    };
    let look = tokio::task::spawn_blocking(look).await;
    look.context("the doctor panicked")
}
