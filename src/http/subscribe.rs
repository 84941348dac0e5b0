//! The subscribe page and its form.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use minijinja::context;

use crate::http::Public;
use crate::http::fault::Fault;
use crate::http::form::Form;
use crate::http::listener::Client;
use crate::signup::{Answer, Submission};

/// An address is cut to this before it is shown again: longer ones are none.
const SHOWN: usize = 254;

/// `GET /`: what the newsletter is, and the form.
pub async fn page(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
) -> Response {
    form_page(&site, client, "", "")
}

/// `POST /subscribe`: the same page for every address.
pub async fn submit(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
    form: Form,
) -> Result<Response, Fault> {
    let submission = Submission {
        address: form.get("email").to_owned(),
        form: form.get("form").to_owned(),
        trap: form.get("website").to_owned(),
    };
    let revision = &site.site.confirm_revision;
    let answer = site.signups.submit(client.0, &submission, revision).await?;
    let again = |notice: &str| {
        let page = form_page(&site, client, &submission.address, notice);
        (StatusCode::BAD_REQUEST, page).into_response()
    };
    Ok(match answer {
        Answer::Received => {
            // Told whatever came of it, so that the sender's waking says nothing either.
            site.site.mail_waiting.notify_one();
            site.pages.render("received.html", context! {})
        }
        Answer::Stale => again(
            "This form had been open for too long, or not long enough. \
                                Please press the button once more.",
        ),
        Answer::BadAddress(error) => again(&format!("Please look at the address again: {error}.")),
        Answer::Closed => form_page(&site, client, "", ""),
    })
}

fn form_page(site: &Public, client: Client, address: &str, notice: &str) -> Response {
    let address: String = address.chars().take(SHOWN).collect();
    site.pages.render(
        "subscribe.html",
        context! {
            open => site.app.config.signup.open,
            token => site.signups.form_token(client.0),
            address,
            notice,
        },
    )
}
