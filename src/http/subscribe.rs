//! The subscribe page, its form, and the same for programs.
//!
//! Promises: one way in for the page, for forms on other sites and for JSON; the same answer for every
//! address; no script but our own, and that only while forms ask for work.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use minijinja::{Value, context};
use serde_json::json;

use crate::http::Public;
use crate::http::archive::listed;
use crate::http::fault::Fault;
use crate::http::form::{Form, Spoken};
use crate::http::listener::Client;
use crate::http::shield::PAGE_POLICY;
use crate::schedule::span;
use crate::signup::offer::{AskedField, AskedTag, Offer, OfferedList, Wrong};
use crate::signup::{Answer, FreshForm, Submission};
use crate::subscriber::field::FieldKind;

/// What was typed is cut to this before it is shown again.
const SHOWN: usize = 254;

/// `GET /`: what the newsletter is, and the form. Here it may be found.
pub async fn front(site: State<Arc<Public>>, client: Extension<Client>) -> Result<Response, Fault> {
    Ok(listed(page(site, client).await?))
}

/// `GET /subscribe`: the same under the address of its form.
pub async fn page(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
) -> Result<Response, Fault> {
    form_page(&site, client, &Submission::default(), None).await
}

/// `POST /`: a form on another site; the address stands in ours, and nothing has happened yet.
pub async fn begin(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
    form: Form,
) -> Result<Response, Fault> {
    form_page(&site, client, &submission(&form), None).await
}

/// `GET /subscribe/form`: a form for programs.
pub async fn fresh(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
) -> Result<Response, Fault> {
    let form = site.signups.form(client.0).await?;
    Ok(Json(form_json(&form)).into_response())
}

/// `GET /embed`: HTML for the author's own site.
pub async fn embed(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
) -> Result<Response, Fault> {
    let action = site.app.public_url("/");
    let offer = site.signups.form(client.0).await?.offer;
    let values = context! {
        action,
        lists => lists(&offer, &[]),
        fields => form_fields(&offer.fields, &[], SHOWN),
        tags => form_tags(&offer.tags, &[]),
    };
    let snippet = site.pages.text("snippet.html", values);
    let snippet = snippet.ok_or(Fault::Broken)?;
    Ok(site.pages.render("embed.html", context! { snippet }))
}

/// `POST /subscribe`: the same page for every address.
pub async fn submit(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
    spoken: Spoken,
) -> Result<Response, Fault> {
    let json = spoken.json;
    match taken(&site, client, spoken).await {
        Err(fault) if json => Ok(fault.spoken()),
        answer => answer,
    }
}

async fn taken(
    site: &Public,
    client: Client,
    Spoken { form, json }: Spoken,
) -> Result<Response, Fault> {
    let submission = submission(&form);
    let revision = &site.site.confirm_revision;
    let answer = site.signups.submit(client.0, &submission, revision).await?;
    // What a program is told, and what a person where.
    let (name, wrong) = match answer {
        Answer::Received => ("received", None),
        Answer::Unproven => (
            "again",
            Some(of_form(
                "Many sign up at this moment, so your browser is asked for a little work first. Please press the \
                 button once more; without JavaScript, come back in some hours.",
            )),
        ),
        Answer::Stale => (
            "again",
            Some(of_form(
                "This form had been open for too long, or not long enough. Please press the button once more.",
            )),
        ),
        Answer::BadAddress(error) => (
            "address",
            Some(Wrong {
                field: "email".to_owned(),
                what: format!("Please look at the address again: {error}."),
            }),
        ),
        Answer::BadValue(ref wrong) => ("value", Some(wrong.clone())),
        Answer::Closed => ("closed", None),
    };
    let status = match answer {
        Answer::Received | Answer::Closed => StatusCode::OK,
        Answer::Unproven | Answer::Stale | Answer::BadAddress(_) | Answer::BadValue(_) => {
            StatusCode::BAD_REQUEST
        }
    };
    if json {
        let mut told = json!({ "answer": name });
        if let Some(Wrong { field, what }) = wrong {
            told["notice"] = what.into();
            if !field.is_empty() {
                told["field"] = field.into();
            }
            told["form"] = form_json(&site.signups.form(client.0).await?);
        }
        return Ok((status, Json(told)).into_response());
    }
    let page = match answer {
        Answer::Received => {
            let signup = &site.app.config.signup;
            let (remind, window) = (signup.remind, span(signup.address_window));
            site.pages
                .render("received.html", context! { remind, window })
        }
        Answer::Closed => form_page(site, client, &Submission::default(), None).await?,
        _ => form_page(site, client, &submission, wrong).await?,
    };
    Ok((status, page).into_response())
}

/// What is wrong with none of its fields.
fn of_form(what: &str) -> Wrong {
    Wrong {
        field: String::new(),
        what: what.to_owned(),
    }
}

/// What came, from whichever form. A field of the author's is called `field_NAME` in it.
fn submission(form: &Form) -> Submission {
    let values = form.named("field_");
    Submission {
        address: form.get("email").to_owned(),
        form: form.get("form").to_owned(),
        proof: form.get("proof").to_owned(),
        trap: form.get("website").to_owned(),
        lists: form.all("list").map(str::to_owned).collect(),
        asked_lists: !form.get("asks").is_empty(),
        values: values
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        tags: form.all("tag").map(str::to_owned).collect(),
    }
}

fn form_json(form: &FreshForm) -> serde_json::Value {
    let list = |list: &OfferedList| json!({ "list": list.slug, "title": list.title });
    let field = |field: &AskedField| {
        json!({
            "name": format!("field_{}", field.name),
            "label": field.label,
            "type": field.kind,
            "required": field.required,
        })
    };
    let tag = |tag: &AskedTag| json!({ "tag": tag.name, "label": tag.label });
    json!({
        "open": form.open,
        "form": form.token,
        "proof_bits": form.bits,
        "lists": form.offer.lists.iter().map(list).collect::<Vec<_>>(),
        "fields": form.offer.fields.iter().map(field).collect::<Vec<_>>(),
        "tags": form.offer.tags.iter().map(tag).collect::<Vec<_>>(),
    })
}

/// The lists for a template, with what was chosen; nothing when there is no choice. The first is chosen before
/// anybody has.
fn lists(offer: &Offer, chosen: &[String]) -> Vec<Value> {
    if offer.lists.len() < 2 {
        return Vec::new();
    }
    let each = offer.lists.iter().enumerate();
    let each = each.map(|(place, list)| {
        let on = match chosen {
            [] => place == 0,
            chosen => chosen.contains(&list.slug),
        };
        context! { slug => list.slug.as_str(), title => list.title.as_str(), on }
    });
    each.collect()
}

/// The tags for a template, with what was chosen.
pub(super) fn form_tags(asked: &[AskedTag], chosen: &[String]) -> Vec<Value> {
    let tag = |tag: &AskedTag| {
        let on = chosen.contains(&tag.name);
        context! { name => tag.name.as_str(), label => tag.label.as_str(), on }
    };
    asked.iter().map(tag).collect()
}

/// The fields for a template, with what was typed, cut to so many characters.
pub(super) fn form_fields(
    asked: &[AskedField],
    typed: &[(String, String)],
    limit: usize,
) -> Vec<Value> {
    let field = |field: &AskedField| {
        let typed = typed.iter().find(|(name, _)| *name == field.name);
        let value = typed.map_or("", |(_, value)| value);
        let value: String = value.chars().take(limit).collect();
        let kind = match field.kind {
            FieldKind::Text => "text",
            FieldKind::Number => "number",
            FieldKind::Date => "date",
            FieldKind::Bool => "checkbox",
        };
        context! {
            name => format!("field_{}", field.name),
            label => field.label.as_str(),
            kind,
            required => field.required,
            value,
        }
    };
    asked.iter().map(field).collect()
}

/// For a template: what is wrong, and at which field.
pub(super) fn shown_wrong(wrong: Option<Wrong>) -> Option<Value> {
    wrong.map(|Wrong { field, what }| context! { field, what })
}

async fn form_page(
    site: &Public,
    client: Client,
    typed: &Submission,
    wrong: Option<Wrong>,
) -> Result<Response, Fault> {
    let address: String = typed.address.chars().take(SHOWN).collect();
    let form = site.signups.form(client.0).await?;
    let now = site.app.clock.now();
    let sample = site.app.store.newest_public_issue(now).await?;
    let page = site.pages.render(
        "subscribe.html",
        context! {
            open => form.open,
            token => form.token,
            bits => form.bits,
            address,
            wrong => shown_wrong(wrong),
            lists => lists(&form.offer, &typed.lists),
            fields => form_fields(&form.offer.fields, &typed.values, SHOWN),
            tags => form_tags(&form.offer.tags, &typed.tags),
            sample => sample.map(|issue| context! { slug => issue.slug, title => issue.title }),
        },
    );
    if form.bits.is_none() {
        return Ok(page);
    }
    let policy = format!("{PAGE_POLICY}; script-src 'self'");
    let policy = HeaderValue::try_from(policy).map_err(|_| Fault::Broken)?;
    Ok(([(CONTENT_SECURITY_POLICY, policy)], page).into_response())
}
