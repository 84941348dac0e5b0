//! Suppressions: addresses that are never mailed. They are kept under a keyed hash, so that they can be asked for
//! and counted, but not listed.
//!
//! Promises: an address that is typed here stands in no URL and no audit line.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use minijinja::value::Serde;
use tokio::time::timeout;

use crate::address::EmailAddress;
use crate::http::admin::Admin;
use crate::http::admin::refused::{Refused, answered};
use crate::http::admin::wording::{grouped, minute, parameter};
use crate::http::fault::Fault;
use crate::http::form::Form;
use crate::store::access::Session;
use crate::subscriber::clean_name;

/// How long the page waits for the count by reason.
const COUNTING: Duration = Duration::from_millis(25);
const HOME: &str = "/suppressions";

/// `GET /suppressions`.
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let done = match parameter(query.as_deref(), "done").as_str() {
        "added" => Some("Suppressed: no list mails that address any more."),
        "known" => Some("That address was suppressed before; the first reason stays."),
        "removed" => Some("Allowed again. Its subscriptions stay as they are."),
        _ => None,
    };
    show(&admin, done.map(str::to_owned), None).await
}

/// `POST /suppressions/check`: whether, why and since when.
pub(super) async fn check(State(admin): State<Arc<Admin>>, form: Form) -> Result<Response, Fault> {
    let address = match address(&form) {
        Ok(address) => address,
        Err(why) => return refuse(&admin, "check", "address", &why, &form).await,
    };
    let own = admin.app.store.suppression(&hash(&admin, &address)).await?;
    let of = if own.is_some() {
        ""
    } else {
        "another spelling of "
    };
    let found = match own {
        None => {
            admin
                .app
                .store
                .suppression_of_mailbox(&mailbox(&admin, &address))
                .await?
        }
        own => own,
    };
    let says = match found {
        Some((reason, at)) => format!(
            "{of}{address} is suppressed since {}: {reason}",
            minute(at, admin.zone())
        ),
        None => format!("{address} is not suppressed."),
    };
    show(&admin, Some(says), None).await
}

/// `POST /suppressions/add`.
pub(super) async fn add(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    form: Form,
) -> Result<Response, Fault> {
    let address = match address(&form) {
        Ok(address) => address,
        Err(why) => return refuse(&admin, "add", "address", &why, &form).await,
    };
    let reason = match clean_name(form.get("reason")) {
        empty if empty.is_empty() => "by hand".to_owned(),
        reason => reason,
    };
    let (hash, now) = (hash(&admin, &address), admin.app.clock.now());
    let canonical = address.canonical();
    let fresh = admin
        .app
        .store
        .suppress_mailbox(
            &canonical,
            (&hash, &mailbox(&admin, &address)),
            &reason,
            now,
        )
        .await?;
    admin.note(&session, "suppressed an address", "").await?;
    let done = if fresh { "added" } else { "known" };
    Ok(Redirect::to(&format!("{HOME}?done={done}")).into_response())
}

/// `POST /suppressions/remove`: only when its owner asked for it.
pub(super) async fn remove(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    form: Form,
) -> Result<Response, Fault> {
    let address = match address(&form) {
        Ok(address) if form.get("sure") == "yes" => address,
        Ok(_) => {
            let why = anyhow!(
                "nothing was changed: mailing a suppressed address harms every reader's mail; tick the box \
                 if its owner asked for it"
            );
            return refuse(&admin, "remove", "sure", &why, &form).await;
        }
        Err(why) => return refuse(&admin, "remove", "address", &why, &form).await,
    };
    let (store, now) = (&admin.app.store, admin.app.clock.now());
    let own = store
        .allow(&address.canonical(), &hash(&admin, &address), now)
        .await?;
    let others = store
        .allow_mailbox(&address.mailbox(), &mailbox(&admin, &address))
        .await?;
    if !own && !others {
        // Each reader is allowed by her own address, for the days of her lists.
        let refusing = store.refusing(&address.mailbox()).await?;
        let why = match refusing.is_empty() {
            true => anyhow!("the address is not suppressed; nothing was changed"),
            false => anyhow!(
                "not this address is suppressed, but `{}`, a reader's spelling of the same mailbox; nothing was changed. \
                 Name that one to allow both",
                refusing.join("`, `")
            ),
        };
        return refuse(&admin, "remove", "address", &why, &form).await;
    }
    admin
        .note(&session, "allowed a suppressed address", "")
        .await?;
    Ok(Redirect::to(&format!("{HOME}?done=removed")).into_response())
}

/// The page with its form `name` as it was sent, and why it was not taken.
async fn refuse(
    admin: &Admin,
    name: &str,
    field: &str,
    why: &anyhow::Error,
    form: &Form,
) -> Result<Response, Fault> {
    let refused = Refused::of(name, field, why, form);
    Ok(answered(show(admin, None, Some(refused)).await?))
}

async fn show(
    admin: &Admin,
    says: Option<String>,
    refused: Option<Refused>,
) -> Result<Response, Fault> {
    let app = admin.app.clone();
    let count = tokio::spawn(async move { app.store.suppression_counts().await });
    let counts = match timeout(COUNTING, count).await {
        Ok(counted) => Some(counted.context("counting broke")??),
        Err(_) => None,
    };
    let rows = counts.map(|counts| {
        let rows = counts.into_iter();
        let rows: Vec<(String, String)> = rows
            .map(|(reason, count)| (reason, grouped(count)))
            .collect();
        Serde(rows)
    });
    let values = context! { says, rows, refused => Serde(refused) };
    Ok(admin.page(HOME, "suppressions.html", values))
}

fn address(form: &Form) -> anyhow::Result<EmailAddress> {
    let text = form.get("address").trim();
    EmailAddress::parse(text).with_context(|| format!("`{text}` is no address"))
}

fn hash(admin: &Admin, address: &EmailAddress) -> [u8; 32] {
    admin.app.keyring.address_hash(&address.canonical())
}

fn mailbox(admin: &Admin, address: &EmailAddress) -> [u8; 32] {
    admin.app.keyring.address_hash(&address.mailbox())
}
