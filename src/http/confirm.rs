//! The second step of signing up: the page behind the link in the confirm mail, and its two buttons.
//!
//! Promises: looking at the page changes nothing, for scanners look at every link; pressing a button
//! twice is pressing it once; a link that is too old looks like one that never was.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::context;

use crate::http::Public;
use crate::http::evidence::gather;
use crate::http::fault::Fault;
use crate::http::form::{Form, Tail};
use crate::http::listener::Client;
use crate::store::signup::Confirmed;

/// `GET /confirm/{token}`: asks.
pub async fn page(State(site): State<Arc<Public>>, Tail(token): Tail) -> Result<Response, Fault> {
    let (subscription, _) = site.signups.confirm_claim(&token).ok_or(Fault::NotFound)?;
    let view = site.app.store.subscription_view(subscription).await?;
    let view = view.ok_or(Fault::NotFound)?;
    let values = context! { list => view.list_title, address => view.address, token };
    Ok(site.pages.render("confirm.html", values))
}

/// `POST /confirm/{token}`: confirms, or (by the other button) never mails this address again.
pub async fn press(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
    Tail(token): Tail,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Fault> {
    let claim = site.signups.confirm_claim(&token).ok_or(Fault::NotFound)?;
    let store = &site.app.store;
    let view = store
        .subscription_view(claim.0)
        .await?
        .ok_or(Fault::NotFound)?;
    let now = site.app.clock.now();
    match form.get("answer") {
        "confirm" => {
            let evidence = gather(&site.app.keyring, client, &headers, now);
            let welcome = site.site.welcome_revision.as_deref();
            match site.signups.confirm(claim, &evidence, welcome).await? {
                Confirmed::Now => site.site.mail_waiting.notify_one(),
                Confirmed::Already => {}
                Confirmed::No => return Err(Fault::NotFound),
            }
            let values = context! { list => view.list_title };
            Ok(site.pages.render("confirmed.html", values))
        }
        "not-me" => {
            store.leave(claim.0, now).await?;
            store
                .suppress(&view.canonical, &view.hash, "not-me", now)
                .await?;
            Ok(site.pages.render("not_me.html", context! {}))
        }
        _ => Err(Fault::Form),
    }
}
