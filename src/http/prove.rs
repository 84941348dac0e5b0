//! The page behind the link that was mailed to a reader who asked for her data, or to be erased. With her data she sees
//! what she said of herself, and changes it.
//!
//! Promises: asking gets the same answer whatever comes of it, and so tells nothing to whoever has the link of her page
//! alone; looking at the page changes nothing; a link that is too old looks like one that never was.

use std::time::Duration;

use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use minijinja::context;

use crate::address::EmailAddress;
use crate::erasure;
use crate::http::Public;
use crate::http::fault::Fault;
use crate::http::form::Form;
use crate::http::subscribe::{form_fields, form_tags, shown_wrong};
use crate::id::{SubscriberId, SubscriptionKey};
use crate::import::export;
use crate::signup::about::About;
use crate::signup::offer::Wrong;
use crate::store::proofs::{Act, Proven, Wish};

/// How long a mailed link works since its mail went out, and until when another is not mailed: whoever asks again has
/// one in her mailbox, or on its way there.
const LIFE: Duration = Duration::from_secs(86_400);

/// Characters of a field as the page shows it: as long as one may be, so that saving it shortens nothing.
const FIELD_LIMIT: usize = 1_000;

/// Asked for, and told in the same words whether or not a mail goes out.
pub(super) const ASKED: &str = "This needs your mailbox, because the link of this page stands in every mail that you pass on: a mail with \
     another link is on its way to your address, or to the one before if you have just changed it. That link works for \
     a day from when the mail is sent, and nothing is done until you press it. If no mail comes, answer to one of \
     ours: a person does it then.";

/// Asks the mailbox of the reader behind the page's link.
pub(super) async fn ask(site: &Public, key: SubscriptionKey, act: Act) -> Result<(), Fault> {
    let now = site.app.clock.now();
    let wish = Wish {
        subscription: key,
        act,
        key: site.app.chance.key(),
        mailed_after: now.before(LIFE),
        moved_after: now.before(site.app.config.signup.confirm_window),
        revision: match act {
            Act::Export => &site.site.data_revision,
            Act::Erase => &site.site.erase_revision,
        },
        at: now,
    };
    let mailed = site.app.store.ask_proof(&wish).await?;
    tracing::debug!(
        mailed,
        what = act.name(),
        "a wish that the mailbox has to prove"
    );
    Ok(())
}

/// What was wished for under the key of a mailed link, if it was.
pub(super) async fn wished(site: &Public, key: SubscriptionKey) -> Result<Option<Proven>, Fault> {
    let since = site.app.clock.now().before(LIFE);
    Ok(site.app.store.proven(key.0, since).await?)
}

/// The page: what is asked, and its buttons.
pub(super) async fn page(site: &Public, wish: &Proven, token: &str) -> Result<Response, Fault> {
    match wish.act {
        Act::Export => {
            let about = site.signups.about(wish.reader).await?;
            data(site, wish, token, &about, ("", None))
        }
        Act::Erase => {
            let address = address(wish)?.masked();
            let values = context! { address, erase => true, token, dropped => false };
            Ok(site.pages.render("prove.html", values))
        }
    }
}

fn address(wish: &Proven) -> Result<EmailAddress, Fault> {
    EmailAddress::parse(&wish.address).map_err(|_| Fault::NotFound)
}

fn data(
    site: &Public,
    wish: &Proven,
    token: &str,
    about: &About,
    (notice, wrong): (&str, Option<Wrong>),
) -> Result<Response, Fault> {
    let values = context! {
        address => address(wish)?.masked(),
        fields => form_fields(&about.offer.fields, &about.values, FIELD_LIMIT),
        tags => form_tags(&about.offer.tags, &about.tags),
        erase => false,
        notice,
        wrong => shown_wrong(wrong),
        token,
        dropped => false,
    };
    Ok(site.pages.render("prove.html", values))
}

/// One of the page's buttons.
pub(super) async fn press(
    site: &Public,
    key: SubscriptionKey,
    wish: &Proven,
    token: &str,
    form: &Form,
) -> Result<Response, Fault> {
    match (form.get("answer"), wish.act) {
        ("export", Act::Export) => give(site, wish.reader).await,
        ("about", Act::Export) => say(site, wish, token, form).await,
        ("erase", Act::Erase) => {
            erasure::erase(&site.app, wish.reader).await?;
            Ok(site.pages.render("erased.html", context! {}))
        }
        ("not-me", _) => {
            let fresh = site.app.chance.key();
            site.app.store.refuse_proof(key.0, fresh).await?;
            Ok(site.pages.render(
                "prove.html",
                context! { erase => wish.act == Act::Erase, dropped => true },
            ))
        }
        _ => Err(Fault::Form),
    }
}

/// Takes what she says of herself. What is wrong changes nothing and stands there as it was typed.
async fn say(site: &Public, wish: &Proven, token: &str, form: &Form) -> Result<Response, Fault> {
    let values = form.named("field_");
    let values: Vec<(String, String)> = values
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let tags: Vec<String> = form.all("tag").map(str::to_owned).collect();
    let said = site.signups.say(wish.reader, &values, &tags).await?;
    let about = site.signups.about(wish.reader).await?;
    match said {
        Ok(()) => data(site, wish, token, &about, ("Saved.", None)),
        Err(mut wrong) => {
            let typed = About {
                values,
                tags,
                ..about
            };
            wrong.what.push_str(" Nothing was changed.");
            data(site, wish, token, &typed, ("", Some(wrong)))
        }
    }
}

async fn give(site: &Public, reader: SubscriberId) -> Result<Response, Fault> {
    let text = export::reader(&site.app, reader).await?;
    Ok(file(text.ok_or(Fault::NotFound)?))
}

/// A reader's data as a file.
pub(super) fn file(text: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CONTENT_DISPOSITION, "attachment; filename=\"my-data.json\""),
    ];
    (headers, text).into_response()
}
