//! Leaving: the page behind the unsubscribe link, and the one-click POST of RFC 8058.
//!
//! Promises: GET and HEAD change nothing; a POST needs nothing but the link (no cookie, no Referer), is
//! never answered by a redirect, and gets its 200 once the change is durable; doing it again is fine.
//! Invariant: nobody who saw this 200 is mailed on that list again.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use minijinja::context;

use crate::event::Evidence;
use crate::http::Public;
use crate::http::evidence::gather;
use crate::http::fault::Fault;
use crate::http::form::{Form, Tail};
use crate::http::listener::Client;
use crate::id::{DeliveryKey, SubscriptionKey};
use crate::store::StoreError;
use crate::store::events::Departure;
use crate::token::{Claim, Purpose, verify};
use crate::track::event_id;

/// The subscription key in the links of a test mail: there is none to end.
const TEST: SubscriptionKey = SubscriptionKey(0);

/// `GET /u/{token}`: asks.
pub async fn page(State(site): State<Arc<Public>>, Tail(token): Tail) -> Result<Response, Fault> {
    let (subscription, _) = claim(&site, Purpose::Unsubscribe, &token)?;
    ask(&site, subscription, &format!("/u/{token}")).await
}

/// `POST /u/{token}`: ends the subscription, asked by a mailbox provider or by the page's button.
pub async fn press(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
    Tail(token): Tail,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Fault> {
    let claim = claim(&site, Purpose::Unsubscribe, &token)?;
    decide(
        &site,
        client,
        &headers,
        &form,
        claim,
        &format!("/u/{token}"),
    )
    .await
}

/// `GET /preferences/{token}`: for now, a subscription can be ended there.
pub async fn preferences(
    State(site): State<Arc<Public>>,
    Tail(token): Tail,
) -> Result<Response, Fault> {
    let (subscription, _) = claim(&site, Purpose::Manage, &token)?;
    ask(&site, subscription, &format!("/preferences/{token}")).await
}

/// `POST /preferences/{token}`: the button of that page.
pub async fn press_preferences(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
    Tail(token): Tail,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Fault> {
    let claim = claim(&site, Purpose::Manage, &token)?;
    decide(
        &site,
        client,
        &headers,
        &form,
        claim,
        &format!("/preferences/{token}"),
    )
    .await
}

type Leaver = (SubscriptionKey, Option<DeliveryKey>);

fn claim(site: &Public, purpose: Purpose, token: &str) -> Result<Leaver, Fault> {
    match verify(&site.app.keyring, purpose, token) {
        Some(Claim::Unsubscribe(subscription, delivery)) => Ok((subscription, Some(delivery))),
        Some(Claim::Manage(subscription)) => Ok((subscription, None)),
        _ => Err(Fault::NotFound),
    }
}

async fn ask(site: &Public, subscription: SubscriptionKey, path: &str) -> Result<Response, Fault> {
    if subscription == TEST {
        return Ok(left(site, true));
    }
    let view = site.app.store.subscription_view(subscription).await?;
    let view = view.ok_or(Fault::NotFound)?;
    if view.status == "unsubscribed" {
        return Ok(left(site, false));
    }
    let values = context! { list => view.list_title, address => view.address, path };
    Ok(site.pages.render("leave.html", values))
}

async fn decide(
    site: &Public,
    client: Client,
    headers: &HeaderMap,
    form: &Form,
    (subscription, delivery): Leaver,
    path: &str,
) -> Result<Response, Fault> {
    // RFC 8058, section 3.1: the body is this key and value; the button of the page says `leave`.
    let one_click = form.get("List-Unsubscribe") == "One-Click";
    if !one_click && form.get("answer") != "leave" {
        let page = ask(site, subscription, path).await?;
        return Ok((StatusCode::BAD_REQUEST, page).into_response());
    }
    if subscription == TEST {
        return Ok(left(site, true));
    }
    let at = site.app.clock.now();
    let changed = site.app.store.leave(subscription, at).await?;
    if changed && !one_click {
        // Whoever leaves by the mail program's button wants no further mail, not even a kind one.
        say_goodbye(site, subscription).await;
    }
    if let Some(delivery) = delivery {
        let evidence = Evidence {
            one_click,
            ..gather(&site.app.keyring, client, headers, at)
        };
        // The reader has left, whether it is counted or not.
        if let Err(error) = count(site, subscription, delivery, changed, &evidence).await {
            tracing::error!(%error, "a reader left and was not counted");
        }
    }
    Ok(left(site, false))
}

/// Queues the goodbye mail where one is sent. The reader has left, whatever becomes of it.
async fn say_goodbye(site: &Public, subscription: SubscriptionKey) {
    let Some(revision) = &site.site.goodbye_revision else {
        return;
    };
    let now = site.app.clock.now();
    let queued = site.app.store.enqueue_goodbye(subscription, revision, now);
    match queued.await {
        Ok(true) => site.site.mail_waiting.notify_one(),
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "a reader left and gets no goodbye"),
    }
}

async fn count(
    site: &Public,
    subscription: SubscriptionKey,
    delivery: DeliveryKey,
    left: bool,
    evidence: &Evidence,
) -> Result<(), StoreError> {
    let at = site.app.clock.now();
    let mut tries = 0;
    loop {
        let departure = Departure {
            subscription,
            delivery,
            left,
            at,
            event_id: event_id(&site.app.chance, at),
            evidence,
        };
        match site.app.store.record_departure(&departure).await {
            // An event of the same id: draw another.
            Err(error) if error.is_duplicate() && tries < 3 => tries += 1,
            done => return done.map(|_| ()),
        }
    }
}

fn left(site: &Public, test: bool) -> Response {
    site.pages.render("left.html", context! { test })
}
