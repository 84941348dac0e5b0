//! A form that was refused, shown again on its own page: what was typed stands in its fields, and why beside the one
//! that is meant.
//!
//! Promises: no password, code or token is put back, and no tick that says one is sure: who presses again says it again.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::http::form::Form;

/// What is asked anew each time.
const NEVER: [&str; 7] = [
    "password",
    "code",
    "token",
    "sure",
    "unsent",
    "accept",
    "subscription",
];

/// Why a form of a page was not taken.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Refused {
    /// Which of the page's forms.
    form: String,
    /// The name of the field that is wrong; empty where none is alone.
    field: String,
    why: String,
    typed: BTreeMap<String, String>,
}

impl Refused {
    /// `field` of the form that the page calls `name`, and what came of it.
    pub(super) fn of(name: &str, field: &str, why: &anyhow::Error, form: &Form) -> Refused {
        let typed = form.named("").filter(|(name, _)| !NEVER.contains(name));
        Refused {
            form: name.to_owned(),
            field: field.to_owned(),
            why: format!("{why:#}"),
            typed: typed
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

/// The page as it is answered to a form that was refused.
pub(super) fn answered(mut page: Response) -> Response {
    *page.status_mut() = StatusCode::CONFLICT;
    page
}
