//! Leaving: the page behind the unsubscribe link, the one-click POST of RFC 8058, and the way back.
//!
//! Promises: GET and HEAD change nothing; a POST needs nothing but the link (no cookie, no Referer), is
//! never answered by a redirect, and gets its 200 once the change is durable; doing it again is fine.
//! Invariant: nobody who saw this 200 is mailed on that list again.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use minijinja::context;

use crate::clock::Timestamp;
use crate::event::Evidence;
use crate::http::Public;
use crate::http::evidence::gather_by_name;
use crate::http::fault::Fault;
use crate::http::form::{Form, Tail};
use crate::http::listener::Client;
use crate::id::{DeliveryKey, SubscriptionKey};
use crate::store::departures::Leaving;
use crate::store::site::SubscriptionView;
use crate::subscriber::Status;
use crate::subscriber::parting::{Reason, WORDS_LIMIT, given};
use crate::token::{Claim, Purpose, verify};
use crate::track::leavers::Parted;

/// The subscription key in the links of a test mail: there is none to end.
pub(super) const TEST: SubscriptionKey = SubscriptionKey(0);
/// How long the page itself takes a leaving back; later, the subscribe page and a fresh confirmation do.
pub(super) const UNDO: Duration = Duration::from_secs(24 * 3_600);

/// `GET /u/{token}`: asks.
pub async fn page(State(site): State<Arc<Public>>, Tail(token): Tail) -> Result<Response, Fault> {
    let (subscription, _) = claim(&site, &token)?;
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
    let claim = claim(&site, &token)?;
    let path = format!("/u/{token}");
    decide(&site, client, &headers, &form, claim, &path).await
}

/// A subscription, and the copy whose link was used.
pub(super) type Leaver = (SubscriptionKey, Option<DeliveryKey>);

fn claim(site: &Public, token: &str) -> Result<Leaver, Fault> {
    match verify(&site.app.keyring, Purpose::Unsubscribe, token) {
        Some(Claim::Unsubscribe(subscription, delivery)) => Ok((subscription, Some(delivery))),
        _ => Err(Fault::NotFound),
    }
}

async fn ask(site: &Public, subscription: SubscriptionKey, path: &str) -> Result<Response, Fault> {
    if subscription == TEST {
        return Ok(test(site));
    }
    let view = site.app.store.subscription_view(subscription).await?;
    let view = view.ok_or(Fault::NotFound)?;
    if view.status == Status::Unsubscribed {
        return left(site, subscription, &view, path, false).await;
    }
    let reasons =
        Reason::ALL.map(|reason| context! { name => reason.name(), words => reason.words() });
    let values = context! {
        list => view.list_title,
        address => view.address,
        others => view.others,
        reasons => reasons.to_vec(),
        words_limit => WORDS_LIMIT,
        path,
    };
    Ok(site.pages.render("leave.html", values))
}

/// What one of the page's buttons, or a mailbox provider, asks for. `path` is that of the page.
pub(super) async fn decide(
    site: &Public,
    client: Client,
    headers: &HeaderMap,
    form: &Form,
    (subscription, delivery): Leaver,
    path: &str,
) -> Result<Response, Fault> {
    // RFC 8058, section 3.1: the body is this key and value; the buttons of the page say `leave` and the
    // like. One click leaves the list it was for, whatever else the reader is on.
    let one_click = form.get("List-Unsubscribe") == "One-Click";
    let answer = if one_click {
        "leave"
    } else {
        form.get("answer")
    };
    if !is_of_leaving(answer) {
        let page = ask(site, subscription, path).await?;
        return Ok((StatusCode::BAD_REQUEST, page).into_response());
    }
    if subscription == TEST {
        return Ok(test(site));
    }
    let store = &site.app.store;
    let at = site.app.clock.now();
    if matches!(answer, "return" | "return-all") {
        let all = answer == "return-all";
        return come_back(site, subscription, all, at, path).await;
    }
    let evidence = Evidence {
        one_click,
        ..gather_by_name(&site.app, client, headers, at)
    };
    // A machine's click names no reason, whatever stands beside it.
    let why = match one_click {
        true => None,
        false => given(form.get("reason"), form.get("words")),
    };
    let leaving = Leaving {
        id: site.app.chance.key(),
        subscription,
        delivery,
        everywhere: answer == "leave-all",
        at,
        evidence,
        reason: why.map(|(reason, words)| (reason.name().to_owned(), words)),
    };
    // Whoever leaves by the mail program's button wants no further mail, not even a kind one.
    let goodbye = site.site.goodbye_revision.clone().filter(|_| !one_click);
    let Parted::Now(_) = site.leavers.leave(leaving, goodbye).await? else {
        return Ok(gone(site));
    };
    let view = match one_click {
        // No machine reads the page.
        true => None,
        false => store.subscription_view(subscription).await?,
    };
    match view {
        Some(view) => left(site, subscription, &view, path, answer == "leave-all").await,
        None => Ok(gone(site)),
    }
}

/// Whether a form's answer is one of this module's.
pub(super) fn is_of_leaving(answer: &str) -> bool {
    matches!(answer, "leave" | "leave-all" | "return" | "return-all")
}

/// The way back: of one list and what was left with it, or with `all` of what was left since.
async fn come_back(
    site: &Public,
    subscription: SubscriptionKey,
    all: bool,
    at: Timestamp,
    path: &str,
) -> Result<Response, Fault> {
    let store = &site.app.store;
    // A copy that was forwarded holds this link too, so that it brings nobody back after a day.
    let since = at.before(UNDO);
    let back = store.come_back(subscription, since, all, at).await?;
    let view = store.subscription_view(subscription).await?;
    let view = view.ok_or(Fault::NotFound)?;
    if !back && !view.status.is_on() {
        return left(site, subscription, &view, path, all).await;
    }
    let titles = store
        .returned_titles(subscription, back.then_some(at))
        .await?;
    let values = context! { lists => named(&view, titles), address => view.address };
    Ok(site.pages.render("returned.html", values))
}

/// Titles that a page may name: of the link's own list alone where it went to a mailbox that the reader gave up.
fn named(view: &SubscriptionView, titles: Vec<String>) -> Vec<String> {
    match titles.is_empty() || view.address.is_empty() {
        true => vec![view.list_title.clone()],
        false => titles,
    }
}

/// "You have left", with the way back while it is open, and what she stays on. `all` of what she has left since is named
/// to whoever has just left everything, and comes back with it.
async fn left(
    site: &Public,
    subscription: SubscriptionKey,
    view: &SubscriptionView,
    path: &str,
    all: bool,
) -> Result<Response, Fault> {
    let since = site.app.clock.now().before(UNDO);
    // What a reader gets who has moved is nothing for whoever has the mailbox that she gave up.
    let still = match view.reads && !view.address.is_empty() {
        true => site.app.store.other_titles(subscription).await?,
        false => Vec::new(),
    };
    let ended = site
        .app
        .store
        .ended_titles(subscription, since, all)
        .await?;
    let undo = match all {
        // The link's own list may have been left long ago.
        true => !ended.is_empty(),
        false => view.confirmed && view.left_at >= Some(since),
    };
    let values = context! {
        test => false,
        lists => named(view, ended),
        all,
        address => &view.address,
        undo,
        reads => view.reads,
        still,
        sure => true,
        path,
    };
    Ok(site.pages.render("left.html", values))
}

/// A link of a test mail: there is nothing to leave.
pub(super) fn test(site: &Public) -> Response {
    site.pages.render("left.html", context! { test => true })
}

/// The same for a reader of whom nothing is known any more, and for machines.
fn gone(site: &Public) -> Response {
    let nothing: [&str; 0] = [];
    let values = context! {
        test => false, lists => nothing, all => false, address => (), undo => false, reads => false,
        still => nothing, sure => false, path => "",
    };
    site.pages.render("left.html", values)
}
