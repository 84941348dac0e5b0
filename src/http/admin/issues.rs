//! The issues: those of the author's folder that were never sent, and every run, the newest first.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use crate::app::App;
use crate::clock::Timestamp;
use crate::http::admin::refused::{Refused, answered};
use crate::http::admin::run_view::RunView;
use crate::http::admin::wording::{minute, parameter};
use crate::http::admin::{Admin, counting, reader_view};
use crate::http::fault::Fault;
use crate::http::form::Tail;
use crate::id::RunId;
use crate::numbers;
use crate::publication::Publication;

/// Runs of a page: the numbers of one are a sum over some thousand blocks.
const PAGE: u32 = 6;

/// An issue of the folder.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Draft {
    pub slug: String,
    pub title: String,
}

/// `GET /issues`: the newest runs, or those before `before`; with the newest, what was never sent.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let before = parameter(query.as_deref(), "before").parse().ok();
    let store = &admin.app.store;
    let bound = RunId(before.unwrap_or(i64::MAX));
    let runs = store.runs_before(bound, PAGE).await?;
    let more = match runs.last() {
        Some(last) if runs.len() == PAGE as usize => Some(last.run.0),
        _ => None,
    };
    let drafts = match before {
        None => drafts(&admin.app).await,
        Some(_) => Ok(Vec::new()),
    };
    // The numbers are there, whatever has become of the folder.
    let fault = drafts.as_ref().err().map(|error| format!("{error:#}"));
    let runs = numbers::lines(&admin.app, runs).await?;
    let runs: Vec<RunView> = runs
        .iter()
        .map(|line| RunView::new(line, admin.zone()))
        .collect();
    let values = context! {
        runs => Serde(runs),
        drafts => Serde(drafts.unwrap_or_default()),
        fault,
        more,
        newest => before.is_none(),
        counting => !counting::is_whole(&admin).await?,
    };
    Ok(admin.page("/issues", "issues.html", values))
}

/// `GET /issues/{slug}`: an issue of the folder, with its runs and a form for test copies.
pub(super) async fn issue(
    State(admin): State<Arc<Admin>>,
    Tail(slug): Tail,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let issue = find(&admin.app, &slug).await?;
    show(&admin, issue, query.as_deref(), None).await
}

/// The page of an issue; with its form for test copies where that was `refused`.
pub(super) async fn show(
    admin: &Admin,
    issue: Draft,
    query: Option<&str>,
    refused: Option<Refused>,
) -> Result<Response, Fault> {
    let runs = admin.app.store.runs_of(&issue.slug).await?;
    let runs: Vec<(i64, &str, String)> = runs
        .into_iter()
        .map(|run| {
            (
                run.id,
                run.status.name(),
                minute(Timestamp(run.created_at), admin.zone()),
            )
        })
        .collect();
    let tested = parameter(query, "tested");
    let tested: Vec<String> = tested
        .split(',')
        .filter_map(reader_view::key)
        .map(|key| key.to_string())
        .collect();
    let values = context! {
        issue => Serde(issue),
        runs => Serde(runs),
        tested => Serde(tested),
        refused => Serde(refused.as_ref()),
    };
    let page = admin.page("/issues", "issue.html", values);
    Ok(match refused {
        Some(_) => answered(page),
        None => page,
    })
}

/// The issue of the folder that is called so, and no other folder of this machine.
pub(super) async fn find(app: &App, slug: &str) -> Result<Draft, Fault> {
    let all = folder(app).await?;
    let found = all.into_iter().find(|issue| issue.slug == slug);
    found.ok_or(Fault::NotFound)
}

/// The issues of the folder that no run was ever begun of, the last by name first.
async fn drafts(app: &App) -> anyhow::Result<Vec<Draft>> {
    let sent: BTreeSet<String> = app.store.issue_slugs().await?.into_iter().collect();
    let mut all = folder(app).await?;
    all.retain(|draft| !sent.contains(&draft.slug));
    all.reverse();
    Ok(all)
}

/// Every issue of the folder with its title, where it can be read.
async fn folder(app: &App) -> anyhow::Result<Vec<Draft>> {
    let emails = app.emails();
    let read = move || -> anyhow::Result<Vec<Draft>> {
        let publication = Publication::load(&emails)?;
        let titles = publication.subjects("")?;
        let title = |slug: &String| {
            let found = titles.iter().find(|(known, _)| known == slug);
            found.map_or(slug.clone(), |(_, title)| title.clone())
        };
        let slugs = publication.slugs()?.into_iter();
        let draft = |slug: String| Draft {
            title: title(&slug),
            slug,
        };
        Ok(slugs.map(draft).collect())
    };
    let read = tokio::task::spawn_blocking(read);
    read.await.context("reading the folder panicked")?
}
