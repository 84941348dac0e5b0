//! Pages: templates beside the handlers, compiled once, escaped throughout.
//!
//! Promises: no value reaches a page unescaped; no page needs a script; a template that does not
//! render is a fault of ours and never half a page.

use std::sync::Arc;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use minijinja::{Environment, UndefinedBehavior, Value, context};
use url::Url;

use crate::config::Config;

/// Name and source of every template.
const TEMPLATES: [(&str, &str); 20] = [
    ("layout.html", include_str!("pages/layout.html")),
    ("subscribe.html", include_str!("pages/subscribe.html")),
    ("embed.html", include_str!("pages/embed.html")),
    ("snippet.html", include_str!("pages/snippet.html")),
    ("received.html", include_str!("pages/received.html")),
    ("confirm.html", include_str!("pages/confirm.html")),
    ("confirmed.html", include_str!("pages/confirmed.html")),
    ("not_me.html", include_str!("pages/not_me.html")),
    ("leave.html", include_str!("pages/leave.html")),
    ("left.html", include_str!("pages/left.html")),
    ("returned.html", include_str!("pages/returned.html")),
    ("preferences.html", include_str!("pages/preferences.html")),
    ("erase.html", include_str!("pages/erase.html")),
    ("erased.html", include_str!("pages/erased.html")),
    ("moved.html", include_str!("pages/moved.html")),
    ("fault.html", include_str!("pages/fault.html")),
    ("admin.html", include_str!("pages/admin.html")),
    ("archive.html", include_str!("pages/archive.html")),
    ("bar.html", include_str!("pages/bar.html")),
    ("runs.html", include_str!("pages/runs.html")),
    ("run.html", include_str!("pages/run.html")),
];
const PROOF: &str = include_str!("pages/proof.js");
const STYLE: &str = include_str!("pages/style.css");

/// Every page of both sites; cheap to clone.
#[derive(Clone, Debug)]
pub struct Pages {
    templates: Arc<Environment<'static>>,
}

impl Pages {
    /// Compiles the templates for this publication.
    pub fn new(config: &Config) -> Pages {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in TEMPLATES {
            templates
                .add_template(name, source)
                .expect("the templates are part of the program and tested");
        }
        let publication = &config.publication;
        // The public URL may have a path when a reverse proxy serves the site below another.
        let base = Url::parse(&publication.url).map_or(String::new(), |url| url.path().to_owned());
        templates.add_global(
            "site",
            context! {
                name => publication.name.as_str(),
                description => publication.description.as_str(),
                language => publication.language.as_str(),
                postal_address => publication.postal_address.as_str(),
                url => publication.url.trim_end_matches('/'),
                base => base.trim_end_matches('/'),
            },
        );
        Pages {
            templates: Arc::new(templates),
        }
    }

    /// The text that `name` makes of `values`.
    pub fn text(&self, name: &str, values: Value) -> anyhow::Result<String> {
        Ok(self.templates.get_template(name)?.render(values)?)
    }

    /// The page `name` with `values`; status 200.
    pub fn render(&self, name: &str, values: Value) -> Response {
        match self.text(name, values) {
            Some(page) => Html(page).into_response(),
            None => {
                let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
                (status, "something broke here; please try again later").into_response()
            }
        }
    }

    /// The same as a text; none where it does not render, which is logged.
    pub fn text(&self, name: &str, values: Value) -> Option<String> {
        let template = self.templates.get_template(name);
        let page = template.and_then(|template| template.render(values));
        let told = page.inspect_err(|error| {
            tracing::error!(
                error = format!("{error:#}"),
                page = name,
                "a page did not render"
            );
        });
        told.ok()
    }
}

/// `GET /proof.js`: the proof of work, asked for under attack only.
pub async fn proof() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, PROOF)
}

/// `GET /style.css`.
pub async fn stylesheet() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, STYLE)
}
