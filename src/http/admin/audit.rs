//! The audit: what was done on these pages and by commands, when, and in which session or by whom.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use crate::access;
use crate::clock::Timestamp;
use crate::http::admin::Admin;
use crate::http::admin::wording::{minute, parameter};
use crate::http::fault::Fault;
use crate::store::audit::AuditLine;

/// Lines of a page.
const PAGE: u32 = 100;

#[derive(Serialize)]
struct Shown {
    at: String,
    /// The session, or who gave the command.
    by: String,
    what: String,
    about: String,
}

/// `GET /audit`: the newest lines, or those before `before`.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let before = parameter(query.as_deref(), "before");
    let (at, id) = before
        .split_once('-')
        .and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)))
        .unwrap_or((i64::MAX, i64::MAX));
    let lines = admin.app.store.audit_lines(Timestamp(at), id, PAGE).await?;
    let more = match lines.last() {
        Some(last) if lines.len() == PAGE as usize => Some(format!("{}-{}", last.at, last.id)),
        _ => None,
    };
    let lines: Vec<Shown> = lines
        .into_iter()
        .map(|line| shown(line, admin.zone()))
        .collect();
    let values = context! { lines => Serde(lines), more };
    Ok(admin.page("/audit", "audit.html", values))
}

fn shown(line: AuditLine, zone: &str) -> Shown {
    Shown {
        at: minute(Timestamp(line.at), zone),
        by: match line.session {
            access::COMMAND => line.who,
            session => format!("session {:04x}", session & 0xffff),
        },
        what: line.what,
        about: line.about,
    }
}
