//! Logging in and out: by password, by a link that is good once.
//!
//! Promises: looking at a link uses nothing up; whatever is wrong is the same page with the same status.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use minijinja::context;
use secrecy::SecretString;

use crate::access::{self, Guest, Typed};
use crate::http::admin::wording::parameter;
use crate::http::admin::{Admin, door};
use crate::http::fault::Fault;
use crate::http::form::{Form, Tail};
use crate::http::listener::{Client, Encrypted};
use crate::store::access::Session;

/// What a login does not say more about.
const NO: &str = "That did not log you in. Something in it is wrong, or too many tries have failed lately; \
    wait a little and try again, or use a link.";
const NO_LINK: &str = "This link logs nobody in: it was used before, or is older than 15 minutes.";

/// `GET /login`.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let to = parameter(query.as_deref(), "to");
    show(&admin, door::local(&to), None).await
}

/// `POST /login`: a password, and a code where the second factor is on.
pub(super) async fn submit(
    State(admin): State<Arc<Admin>>,
    Extension(client): Extension<Client>,
    Extension(encrypted): Extension<Encrypted>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Fault> {
    let to = door::local(form.get("to"));
    let typed = Typed {
        password: SecretString::from(form.get("password")),
        code: form.get("code").to_owned(),
    };
    match access::by_password(&admin.app, typed, &guest(client, &headers)).await? {
        Some(cookie) => door::redirect(to, &cookie, encrypted),
        None => show(&admin, to, Some(NO)).await,
    }
}

/// `GET /login/{token}`: a button. Programs that look at links ahead of a person use nothing up.
pub(super) async fn link_page(State(admin): State<Arc<Admin>>) -> Response {
    admin
        .pages
        .render("login_link.html", context! { navigation => false })
}

/// `POST /login/{token}`.
pub(super) async fn use_link(
    State(admin): State<Arc<Admin>>,
    Extension(client): Extension<Client>,
    Extension(encrypted): Extension<Encrypted>,
    headers: HeaderMap,
    Tail(token): Tail,
) -> Result<Response, Fault> {
    match access::by_link(&admin.app, &token, &guest(client, &headers)).await? {
        Some(cookie) => door::redirect("/", &cookie, encrypted),
        None => show(&admin, "/", Some(NO_LINK)).await,
    }
}

/// `POST /logout`.
pub(super) async fn leave(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    Extension(encrypted): Extension<Encrypted>,
) -> Result<Response, Fault> {
    admin.note(&session, "logged out", "").await?;
    admin.app.store.end_session(session.id).await?;
    door::redirect("/login", "", encrypted)
}

async fn show(admin: &Admin, to: &str, wrong: Option<&str>) -> Result<Response, Fault> {
    let account = admin.app.store.admin_account().await?;
    let values = context! {
        navigation => false,
        password => account.password.is_some(),
        code => account.totp_salt.is_some(),
        to,
        wrong,
    };
    let mut page = admin.pages.render("login.html", values);
    if wrong.is_some() && page.status() == StatusCode::OK {
        *page.status_mut() = StatusCode::FORBIDDEN;
    }
    Ok(page)
}

fn guest(client: Client, headers: &HeaderMap) -> Guest {
    let agent = headers.get(USER_AGENT);
    let agent = agent.map_or(String::new(), |agent| {
        String::from_utf8_lossy(agent.as_bytes()).into_owned()
    });
    Guest {
        client: client.0,
        agent,
    }
}
