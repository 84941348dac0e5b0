//! The sessions: which browsers are logged in, and an end to each.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use crate::access;
use crate::clock::Timestamp;
use crate::http::admin::Admin;
use crate::http::admin::wording::minute;
use crate::http::fault::Fault;
use crate::http::form::Form;
use crate::store::access::Session;

#[derive(Serialize)]
struct Shown {
    /// As text: a script would round it.
    id: String,
    way: String,
    begun: String,
    seen: String,
    agent: String,
    own: bool,
}

/// `GET /sessions`.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    Extension(own): Extension<Session>,
) -> Result<Response, Fault> {
    let account = admin.app.store.admin_account().await?;
    let sessions = access::sessions(&admin.app).await?;
    let shown: Vec<Shown> = sessions
        .into_iter()
        .map(|session| Shown {
            id: session.id.to_string(),
            begun: minute(Timestamp(session.begun_at), admin.zone()),
            seen: minute(Timestamp(session.seen_at), admin.zone()),
            own: session.id == own.id,
            way: session.way,
            agent: session.agent,
        })
        .collect();
    let values = context! {
        sessions => Serde(shown),
        password => account.password.is_some(),
        second => account.totp_salt.is_some(),
        idle => access::IDLE.as_secs() / 3600,
        whole => access::WHOLE.as_secs() / 86_400,
    };
    Ok(admin.page("/sessions", "sessions.html", values))
}

/// `POST /sessions/end`: one session, or all but this one.
pub(super) async fn end(
    State(admin): State<Arc<Admin>>,
    Extension(own): Extension<Session>,
    form: Form,
) -> Result<Response, Fault> {
    match form.get("id") {
        "others" => {
            admin.app.store.end_sessions(own.id).await?;
            admin.note(&own, "ended all other sessions", "").await?;
        }
        id => {
            let id: i64 = id.parse().map_err(|_| Fault::Form)?;
            let about = format!("session {id}");
            if admin.app.store.end_session(id).await? {
                admin.note(&own, "ended a session", &about).await?;
            }
        }
    }
    Ok(Redirect::to("/sessions").into_response())
}
