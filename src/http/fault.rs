//! What a handler could not do, and the one place that turns it into a status.
//!
//! Promises: a fault is logged once, here, and its page says nothing about the cause; every kind of bad
//! token is the same [`Fault::NotFound`]. Leaves the page's looks to `shield::finish`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use crate::store::StoreError;
use crate::track::leavers::NotDurable;

/// Why there is no other answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No such page, or a link that does not hold.
    NotFound,
    /// The page is there, the method is not.
    Method,
    /// The body is no form we read.
    Form,
    /// The body is larger than any form.
    TooLarge,
    /// The whole request did not come in time.
    Late,
    /// Asked under a name that is not ours.
    Misdirected,
    /// A form that another site made a browser send.
    Foreign,
    /// The database does not answer; to be tried again.
    Unavailable,
    /// A fault of ours.
    Broken,
}

impl Fault {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Fault::NotFound => StatusCode::NOT_FOUND,
            Fault::Method => StatusCode::METHOD_NOT_ALLOWED,
            Fault::Form => StatusCode::BAD_REQUEST,
            Fault::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Fault::Late => StatusCode::REQUEST_TIMEOUT,
            Fault::Foreign => StatusCode::FORBIDDEN,
            Fault::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Fault::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Headline and sentence of the page.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Fault::NotFound => (
                "Nothing here",
                "This address leads nowhere. A link from a mail may be cut short: please try the whole link. \
                 It may also be too old, or lead to what is not here any more: whoever asked to be erased \
                 is not known here, and gets no mail.",
            ),
            Fault::Method => ("Not like this", "This page cannot be asked in that way."),
            Fault::Form => (
                "That form was not understood",
                "Please go back and send the form from its page.",
            ),
            Fault::TooLarge => ("Too much", "That is more than any form here takes."),
            Fault::Late => (
                "Too slow",
                "The request did not come in time. Please try again.",
            ),
            Fault::Misdirected => (
                "Wrong name",
                "This site is not asked under that host name; `http.admin_hosts` lists the others.",
            ),
            Fault::Foreign => (
                "Not from here",
                "That form was not sent by these pages, so nothing was changed. Please open the page \
                 itself and send it from there.",
            ),
            Fault::Unavailable => (
                "Not just now",
                "Nothing was changed. Please try again in a minute.",
            ),
            Fault::Broken => ("Our fault", "Something broke here. Please try again later."),
        }
    }
}

impl Fault {
    /// The answer to a program.
    pub fn spoken(self) -> Response {
        let notice = match self {
            Fault::Form => "Expected a JSON object of texts and of lists of texts.",
            other => other.words().1,
        };
        let told = json!({ "answer": "fault", "notice": notice });
        (self.status(), Json(told)).into_response()
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        // The page itself is put in by `shield::finish`, which knows the publication.
        (self.status(), Extension(self)).into_response()
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        tracing::error!(%error, "the database did not answer a request");
        Fault::Unavailable
    }
}

impl From<NotDurable> for Fault {
    fn from(_: NotDurable) -> Fault {
        // The writer has said why.
        Fault::Unavailable
    }
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Fault {
        if error.downcast_ref::<StoreError>().is_some() {
            tracing::error!(
                error = format!("{error:#}"),
                "the database did not answer a request"
            );
            return Fault::Unavailable;
        }
        tracing::error!(error = format!("{error:#}"), "a request failed");
        Fault::Broken
    }
}

/// Whatever no route knows.
pub async fn not_found() -> Fault {
    Fault::NotFound
}

/// A known path, asked with another method.
pub async fn method_not_allowed() -> Fault {
    Fault::Method
}
