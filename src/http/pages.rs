//! Pages: templates beside the handlers, compiled once, escaped throughout.
//!
//! Promises: no value reaches a page unescaped, nor with a control character; no page needs a script; a template that does not
//! render is a fault of ours and never half a page.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Response};
use minijinja::{Environment, UndefinedBehavior, Value, context, escape_formatter};
use url::Url;

use crate::compile::escape::escape_html;
use crate::config::Config;
use crate::http::conditional;

/// Name and source of every template.
const TEMPLATES: &[(&str, &str)] = &[
    ("layout.html", include_str!("pages/layout.html")),
    ("subscribe.html", include_str!("pages/subscribe.html")),
    ("share.html", include_str!("pages/share.html")),
    ("embed.html", include_str!("pages/embed.html")),
    ("snippet.html", include_str!("pages/snippet.html")),
    ("received.html", include_str!("pages/received.html")),
    ("asked.html", include_str!("pages/asked.html")),
    ("confirm.html", include_str!("pages/confirm.html")),
    ("confirmed.html", include_str!("pages/confirmed.html")),
    ("not_me.html", include_str!("pages/not_me.html")),
    ("leave.html", include_str!("pages/leave.html")),
    ("names.html", include_str!("pages/names.html")),
    ("left.html", include_str!("pages/left.html")),
    ("returned.html", include_str!("pages/returned.html")),
    ("preferences.html", include_str!("pages/preferences.html")),
    ("erase.html", include_str!("pages/erase.html")),
    ("erased.html", include_str!("pages/erased.html")),
    ("moved.html", include_str!("pages/moved.html")),
    ("moved_back.html", include_str!("pages/moved_back.html")),
    ("prove.html", include_str!("pages/prove.html")),
    ("given_up.html", include_str!("pages/given_up.html")),
    ("fault.html", include_str!("pages/fault.html")),
    ("fault_author.html", include_str!("pages/fault_author.html")),
    ("admin.html", include_str!("pages/admin.html")),
    ("archive.html", include_str!("pages/archive.html")),
    ("bar.html", include_str!("pages/bar.html")),
    ("counting.html", include_str!("pages/counting.html")),
    ("run_item.html", include_str!("pages/run_item.html")),
    ("login.html", include_str!("pages/login.html")),
    ("login_link.html", include_str!("pages/login_link.html")),
    ("refused.html", include_str!("pages/refused.html")),
    ("typed.html", include_str!("pages/typed.html")),
    ("overview.html", include_str!("pages/overview.html")),
    ("issues.html", include_str!("pages/issues.html")),
    ("issue.html", include_str!("pages/issue.html")),
    ("run.html", include_str!("pages/run.html")),
    ("run_live.html", include_str!("pages/run_live.html")),
    ("segments.html", include_str!("pages/segments.html")),
    ("subscribers.html", include_str!("pages/subscribers.html")),
    ("subscriber.html", include_str!("pages/subscriber.html")),
    ("suppressions.html", include_str!("pages/suppressions.html")),
    ("delivery.html", include_str!("pages/delivery.html")),
    ("settings.html", include_str!("pages/settings.html")),
    ("sessions.html", include_str!("pages/sessions.html")),
    ("audit.html", include_str!("pages/audit.html")),
    ("chart.html", include_str!("pages/chart.html")),
    ("numbers.html", include_str!("pages/numbers.html")),
    ("growth.html", include_str!("pages/growth.html")),
    ("growth_of.html", include_str!("pages/growth_of.html")),
    ("lists.html", include_str!("pages/lists.html")),
    ("list.html", include_str!("pages/list.html")),
    ("imports.html", include_str!("pages/imports.html")),
    ("import.html", include_str!("pages/import.html")),
    ("import_item.html", include_str!("pages/import_item.html")),
    ("import_look.html", include_str!("pages/import_look.html")),
    ("import_map.html", include_str!("pages/import_map.html")),
    (
        "import_columns.html",
        include_str!("pages/import_columns.html"),
    ),
    ("rejects.html", include_str!("pages/rejects.html")),
    ("import_undo.html", include_str!("pages/import_undo.html")),
    ("clicks.html", include_str!("pages/clicks.html")),
    ("reached.html", include_str!("pages/reached.html")),
];
const PROOF: &str = include_str!("pages/proof.js");
const STYLE: &str = include_str!("pages/style.css");

/// Whether a character shows nothing itself and changes how others are shown: controls, and what turns the
/// direction of a text by force.
fn is_unseen(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

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
        // An error would tell the values of the page, addresses among them, and it goes into the log.
        templates.set_debug(false);
        templates.set_formatter(|out, state, value| match value.as_str() {
            Some(text) if !value.is_safe() && text.contains(is_unseen) => {
                let seen = text.replace(is_unseen, "\u{fffd}");
                escape_formatter(out, state, &Value::from(seen))
            }
            _ => escape_formatter(out, state, value),
        });
        for &(name, source) in TEMPLATES {
            templates
                .add_template(name, source)
                .expect("the templates are part of the program and tested");
        }
        let publication = &config.publication;
        // The pages' own words are English. What the author says between them is marked where it is not, for those who
        // have it read to them.
        let language = publication.language.as_str();
        let lang = match language.split('-').next() {
            Some("en") => String::new(),
            _ => format!(" lang=\"{}\"", escape_html(language)),
        };
        // The public URL may have a path when a reverse proxy serves the site below another.
        let base = Url::parse(&publication.url).map_or(String::new(), |url| url.path().to_owned());
        templates.add_global(
            "site",
            context! {
                name => publication.name.as_str(),
                description => publication.description.as_str(),
                language,
                lang => Value::from_safe_string(lang),
                postal_address => publication.postal_address.as_str(),
                // Slashes stay as they are: not every program that looks at a shared page reads HTML to the letter.
                url => Value::from_safe_string(escape_html(publication.url.trim_end_matches('/'))),
                base => base.trim_end_matches('/'),
            },
        );
        Pages {
            templates: Arc::new(templates),
        }
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
pub async fn proof(headers: HeaderMap) -> Response {
    conditional::asset(&headers, "text/javascript; charset=utf-8", PROOF)
}

/// `GET /style.css`.
pub async fn stylesheet(headers: HeaderMap) -> Response {
    conditional::asset(&headers, "text/css; charset=utf-8", STYLE)
}
