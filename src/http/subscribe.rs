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
use minijinja::context;
use serde_json::json;

use crate::http::Public;
use crate::http::fault::Fault;
use crate::http::form::{Form, Spoken};
use crate::http::listener::Client;
use crate::http::shield::PAGE_POLICY;
use crate::signup::{Answer, FreshForm, Submission};

/// An address is cut to this before it is shown again: longer ones are none.
const SHOWN: usize = 254;

/// `GET /`: what the newsletter is, and the form.
pub async fn page(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
) -> Result<Response, Fault> {
    form_page(&site, client, "", "").await
}

/// `POST /`: a form on another site; the address stands in ours, and nothing has happened yet.
pub async fn begin(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
    form: Form,
) -> Result<Response, Fault> {
    form_page(&site, client, form.get("email"), "").await
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
pub async fn embed(State(site): State<Arc<Public>>) -> Response {
    let action = site.app.public_url("/");
    let snippet = format!(
        "<form method=\"post\" action=\"{action}\">\n  <label>Email address\n    \
         <input type=\"email\" name=\"email\" autocomplete=\"email\" required></label>\n  \
         <button type=\"submit\">Subscribe</button>\n</form>"
    );
    site.pages.render("embed.html", context! { snippet })
}

/// `POST /subscribe`: the same page for every address.
pub async fn submit(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
    Spoken { form, json }: Spoken,
) -> Result<Response, Fault> {
    let submission = Submission {
        address: form.get("email").to_owned(),
        form: form.get("form").to_owned(),
        proof: form.get("proof").to_owned(),
        trap: form.get("website").to_owned(),
    };
    let revision = &site.site.confirm_revision;
    let answer = site.signups.submit(client.0, &submission, revision).await?;
    let (name, notice) = match answer {
        Answer::Received => {
            // Told whatever came of it, so that the sender's waking says nothing either.
            site.site.mail_waiting.notify_one();
            ("received", String::new())
        }
        Answer::Unproven => (
            "again",
            "Many sign up at this moment, so your browser is asked for a little work. \
             Please press the button once more."
                .to_owned(),
        ),
        Answer::Stale => (
            "again",
            "This form had been open for too long, or not long enough. \
             Please press the button once more."
                .to_owned(),
        ),
        Answer::BadAddress(error) => (
            "address",
            format!("Please look at the address again: {error}."),
        ),
        Answer::Closed => ("closed", String::new()),
    };
    let status = match answer {
        Answer::Received | Answer::Closed => StatusCode::OK,
        Answer::Unproven | Answer::Stale | Answer::BadAddress(_) => StatusCode::BAD_REQUEST,
    };
    if json {
        let mut told = json!({ "answer": name });
        if status != StatusCode::OK {
            told["notice"] = notice.into();
            told["form"] = form_json(&site.signups.form(client.0).await?);
        }
        return Ok((status, Json(told)).into_response());
    }
    let page = match answer {
        Answer::Received => site.pages.render("received.html", context! {}),
        Answer::Closed => form_page(&site, client, "", "").await?,
        _ => form_page(&site, client, &submission.address, &notice).await?,
    };
    Ok((status, page).into_response())
}

fn form_json(form: &FreshForm) -> serde_json::Value {
    json!({ "open": form.open, "form": form.token, "proof_bits": form.bits })
}

async fn form_page(
    site: &Public,
    client: Client,
    address: &str,
    notice: &str,
) -> Result<Response, Fault> {
    let address: String = address.chars().take(SHOWN).collect();
    let form = site.signups.form(client.0).await?;
    let page = site.pages.render(
        "subscribe.html",
        context! {
            open => form.open,
            token => form.token,
            bits => form.bits,
            address,
            notice,
        },
    );
    if form.bits.is_none() {
        return Ok(page);
    }
    let policy = format!("{PAGE_POLICY}; script-src 'self'");
    let policy = HeaderValue::try_from(policy).map_err(|_| Fault::Broken)?;
    Ok(([(CONTENT_SECURITY_POLICY, policy)], page).into_response())
}
