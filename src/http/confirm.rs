//! The second step of signing up: the page behind the link in the confirm mail, and its two buttons.
//!
//! Promises: looking at the page changes nothing, for scanners look at every link; pressing a button
//! twice is pressing it once; a link that is too old looks like one that never was; no stranger's form costs a
//! reader the lists she reads.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::context;

use crate::address::EmailAddress;
use crate::http::Public;
use crate::http::evidence::gather_by_name;
use crate::http::fault::Fault;
use crate::http::form::{Form, Tail};
use crate::http::listener::Client;
use crate::http::prove;
use crate::id::SubscriptionKey;
use crate::store::former::Told;
use crate::store::moves::Moved;
use crate::store::signup::Confirmed;
use crate::token::{Claim, sign};

/// `GET /confirm/{token}`: asks.
pub async fn page(State(site): State<Arc<Public>>, Tail(token): Tail) -> Result<Response, Fault> {
    let (subscription, _) = site.signups.confirm_claim(&token).ok_or(Fault::NotFound)?;
    let view = site.app.store.subscription_view(subscription).await?;
    let Some(view) = view else {
        if let Some((address, done)) = given_up(&site, subscription).await? {
            return moved_back(&site, subscription, &address, &token, done).await;
        }
        if let Some(wish) = prove::wished(&site, subscription).await? {
            return prove::page(&site, &wish, &token).await;
        }
        let (address, done) = waiting(&site, subscription).await?;
        return match done {
            true => moved(&site, subscription, &address.masked()).await,
            false => Ok(asked_to_move(&site, &address.masked(), &token, false)),
        };
    };
    let lists = site.app.store.asked_titles(subscription).await?;
    // Whatever the link was for stands: its second button would take a reader off her list.
    if view.status.is_on() && lists.len() == 1 {
        let lists = site.app.store.confirmed_titles(subscription).await?;
        let manage = sign(&site.app.keyring, &Claim::Manage(subscription));
        let values = context! { lists, manage, before => true };
        return Ok(site.pages.render("confirmed.html", values));
    }
    let values = context! { lists, address => view.address, reads => view.reads, token };
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
    let now = site.app.clock.now();
    let Some(view) = store.subscription_view(claim.0).await? else {
        return press_move(&site, claim.0, &token, &form).await;
    };
    match form.get("answer") {
        "confirm" => {
            let lists = store.asked_titles(claim.0).await?;
            let evidence = gather_by_name(&site.app, client, &headers, now);
            let welcome = site.site.welcome_revision.as_deref();
            let lists = match site.signups.confirm(claim, &evidence, welcome).await? {
                Confirmed::Now => lists,
                // What was asked for is not asked for any more.
                Confirmed::Already => store.confirmed_titles(claim.0).await?,
                Confirmed::No => return Err(Fault::NotFound),
            };
            let manage = sign(&site.app.keyring, &Claim::Manage(claim.0));
            let values = context! { lists, manage, before => false };
            Ok(site.pages.render("confirmed.html", values))
        }
        "not-me" => {
            // One that nobody confirmed is forgotten with all such signups, and her address with it.
            if view.confirmed || view.reads {
                store.leave(claim.0, now).await?;
            }
            if !view.reads {
                store
                    .suppress_mailbox(
                        &view.canonical,
                        (&view.hash, &site.app.keyring.mailbox_hash(&view.canonical)),
                        "not-me",
                        now,
                    )
                    .await?;
            }
            let values = context! { reads => view.reads };
            Ok(site.pages.render("not_me.html", values))
        }
        _ => Err(Fault::Form),
    }
}

/// The button of the mail that went to a reader's new address, to her old one, or to whoever asked for her data or her
/// erasure; their keys name no subscription.
async fn press_move(
    site: &Public,
    key: SubscriptionKey,
    token: &str,
    form: &Form,
) -> Result<Response, Fault> {
    let answer = form.get("answer");
    let (store, now) = (&site.app.store, site.app.clock.now());
    if let Some((address, _)) = given_up(site, key).await? {
        if answer != "back" {
            return Err(Fault::Form);
        }
        let told = Told {
            key: site.app.chance.key(),
            revision: &site.site.back_revision,
        };
        let canonical = address.canonical();
        return match store.take_back(key.0, &canonical, &told, now).await? {
            true => moved_back(site, key, &address, token, true).await,
            false => Err(Fault::NotFound),
        };
    }
    if let Some(wish) = prove::wished(site, key).await? {
        return prove::press(site, key, &wish, token, form).await;
    }
    let (address, done) = waiting(site, key).await?;
    let told = Told {
        key: site.app.chance.key(),
        revision: &site.site.moved_revision,
    };
    match answer {
        // It is theirs already, by this very link.
        "not-me" if done => moved(site, key, &address.masked()).await,
        "confirm" => {
            let mailbox = site.app.keyring.address_hash(&address.mailbox());
            match store.finish_move(key.0, &mailbox, &told, now).await? {
                Moved::Hers { .. } => moved(site, key, &address.masked()).await,
                Moved::Refused => Err(Fault::NotFound),
            }
        }
        "not-me" => {
            store.drop_move(key.0).await?;
            Ok(asked_to_move(site, &address.masked(), token, true))
        }
        _ => Err(Fault::Form),
    }
}

/// The address that was wished for under the key of a link, and whether it is the reader's by now.
async fn waiting(site: &Public, key: SubscriptionKey) -> Result<(EmailAddress, bool), Fault> {
    let wish = site.app.store.waiting_address(key.0).await?;
    let (address, done) = wish.ok_or(Fault::NotFound)?;
    let address = EmailAddress::parse(&address).map_err(|_| Fault::NotFound)?;
    Ok((address, done))
}

/// The address that was given up under the key of a link, and whether it is the reader's again.
async fn given_up(
    site: &Public,
    key: SubscriptionKey,
) -> Result<Option<(EmailAddress, bool)>, Fault> {
    let found = site.app.store.given_up(key.0).await?;
    let read = |(address, done): (String, bool)| Some((EmailAddress::parse(&address).ok()?, done));
    Ok(found.and_then(read))
}

/// The way to a reader's page as mails of now have it: the links before open it no more, and whoever reads the digest of
/// the month waits weeks for the next mail. It is shown to whoever came by a link to the very mailbox.
async fn way(site: &Public, key: SubscriptionKey) -> Result<Option<String>, Fault> {
    let manage = site.app.store.manage_key_by(key.0).await?;
    Ok(manage.map(|key| sign(&site.app.keyring, &Claim::Manage(key))))
}

async fn moved_back(
    site: &Public,
    key: SubscriptionKey,
    address: &EmailAddress,
    token: &str,
    done: bool,
) -> Result<Response, Fault> {
    let manage = match done {
        true => way(site, key).await?,
        false => None,
    };
    let values = context! { address => address.masked(), token, done, manage };
    Ok(site.pages.render("moved_back.html", values))
}

/// The address that was wished for is the reader's.
async fn moved(site: &Public, key: SubscriptionKey, address: &str) -> Result<Response, Fault> {
    let manage = way(site, key).await?;
    let values = context! { address, manage, token => "", done => true, dropped => false };
    Ok(site.pages.render("moved.html", values))
}

/// It waits for its owner's word, or that was no.
fn asked_to_move(site: &Public, address: &str, token: &str, dropped: bool) -> Response {
    let manage: Option<String> = None;
    let values = context! { address, manage, token, done => false, dropped };
    site.pages.render("moved.html", values)
}
