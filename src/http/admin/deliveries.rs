//! One delivery: what became of it, and what exactly the reader got.
//!
//! Promises: the message is made again octet for octet (`run::again`); looking at it counts nothing: its pixel
//! is not loaded and its links lead nowhere.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use axum::response::{Html, IntoResponse, Response};
use minijinja::context;
use minijinja::value::Serde;

use crate::clock::Timestamp;
use crate::delivery::State as DeliveryState;
use crate::http::admin::Admin;
use crate::http::admin::reader_view::{self, events, readings};
use crate::http::admin::wording::{label, minute};
use crate::http::fault::Fault;
use crate::http::form::Tail;
use crate::id::DeliveryKey;
use crate::numbers::story::{Marks, Memory, Story, story};
use crate::reply::reason::Reason;
use crate::run::again::{self, Again};
use crate::store::failures::Dossier;

/// Nothing is loaded and nothing runs.
const SOURCE_POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'self'";

/// `GET /deliveries/{run-seq}`.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    Tail(name): Tail,
) -> Result<Response, Fault> {
    let key = reader_view::key(&name).ok_or(Fault::NotFound)?;
    let store = &admin.app.store;
    let dossier = store.delivery(key.run, key.seq).await?;
    let dossier = dossier.ok_or(Fault::NotFound)?;
    let run = store.run(key.run).await?.ok_or(Fault::NotFound)?;
    let copy = again::message(&admin.app, key).await;
    let (sender, doubt) = match &copy {
        Ok(Some(again)) => (Some(again.sender.clone()), again.doubt.clone()),
        Ok(None) => (None, None),
        Err(error) => (None, Some(format!("it cannot be made again: {error:#}"))),
    };
    let source = match &copy {
        Ok(Some(again)) => Some(String::from_utf8_lossy(&again.message)),
        _ => None,
    };
    let state = DeliveryState::parse(&dossier.state);
    let issue = run.kind == "issue";
    let mut memory = Memory::of(&admin.app).await?;
    let story = story(&admin.app, key, &Marks::from(&dossier), &mut memory).await?;
    let values = context! {
        key => key.to_string(),
        run => issue.then_some(run.id),
        title => if issue { run.title.clone() } else { "System mail".to_owned() },
        reader => (dossier.subscriber_id > 0).then(|| dossier.subscriber_id.to_string()),
        address => dossier.address.clone(),
        state => dossier.state.clone(),
        label => state.map_or("", label),
        rows => Serde(rows(&dossier, &story, admin.zone())),
        dialogue => dossier.dialogue.clone().unwrap_or_default(),
        events => Serde(events(&story, admin.zone())),
        sender,
        doubt,
        source,
    };
    Ok(admin.page("/subscribers", "delivery.html", values))
}

/// What is known, by name.
fn rows(dossier: &Dossier, story: &Story, zone: &str) -> Vec<(&'static str, String)> {
    let mut rows = vec![("Attempts", dossier.attempts.to_string())];
    if DeliveryState::parse(&dossier.state) == Some(DeliveryState::Queued) && dossier.due_at > 0 {
        rows.push(("Due", minute(Timestamp(dossier.due_at), zone)));
    }
    let times = [
        ("Marker taken", dossier.marked_at),
        ("Settled", dossier.settled_at),
        ("Left by it", dossier.departed_at),
        ("Complained", dossier.complained_at),
        ("Last failure", dossier.failed_at),
    ];
    let known = times.into_iter().filter_map(|(name, at)| Some((name, at?)));
    rows.extend(known.map(|(name, at)| (name, minute(Timestamp(at), zone))));
    rows.extend(readings(story, zone));
    if let Some(reason) = &dossier.reason {
        let words = Reason::parse(reason).map_or("", Reason::words);
        rows.push(("Why it failed", format!("{reason}: {words}")));
    }
    let code = dossier.code.filter(|&code| code != 0);
    let code = code.map(|code| code.to_string());
    let parts = [&code, &dossier.enhanced, &dossier.reply];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    if !parts.is_empty() {
        rows.push(("The relay's answer", parts.join(" ")));
    }
    rows
}

/// `GET /deliveries/{run-seq}/view`: as a mail program shows it, for a frame.
pub(super) async fn view(
    State(admin): State<Arc<Admin>>,
    Tail(name): Tail,
) -> Result<Response, Fault> {
    let key = reader_view::key(&name).ok_or(Fault::NotFound)?;
    let html = again::html(&admin.app, key).await?.ok_or(Fault::NotFound)?;
    let policy = admin.mail_in_a_frame()?;
    // The sandbox opens no windows, so a link that asks for one does nothing: no click of the reader's.
    let html = match html.split_once("<head>") {
        Some((before, after)) => format!("{before}<head><base target=\"_blank\">{after}"),
        None => format!("<base target=\"_blank\">{html}"),
    };
    Ok(([(CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response())
}

/// `GET /deliveries/{run-seq}/message.eml`: the octets, for a mail program.
pub(super) async fn download(
    State(admin): State<Arc<Admin>>,
    Tail(name): Tail,
) -> Result<Response, Fault> {
    let key = reader_view::key(&name).ok_or(Fault::NotFound)?;
    let Again { message, .. } = made(&admin, key).await?;
    let file = format!("attachment; filename=\"delivery-{key}.eml\"");
    let file = HeaderValue::try_from(file).map_err(|_| Fault::Broken)?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("message/rfc822")),
        (CONTENT_DISPOSITION, file),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(SOURCE_POLICY),
        ),
    ];
    Ok((headers, Bytes::from(message)).into_response())
}

async fn made(admin: &Admin, key: DeliveryKey) -> Result<Again, Fault> {
    again::message(&admin.app, key)
        .await?
        .ok_or(Fault::NotFound)
}
