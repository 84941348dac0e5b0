//! The page's own files, part of the program.

use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use minijinja::{Environment, UndefinedBehavior, Value};

const TEMPLATES: [(&str, &str); 5] = [
    ("page.html", include_str!("page.html")),
    ("stage.html", include_str!("stage.html")),
    ("panels.html", include_str!("panels.html")),
    ("finding.html", include_str!("finding.html")),
    ("help.html", include_str!("help.html")),
];

/// The page, compiled once, escaped throughout.
#[derive(Clone, Debug)]
pub(super) struct Templates(Environment<'static>);

impl Templates {
    pub(super) fn new() -> Templates {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in TEMPLATES {
            templates
                .add_template(name, source)
                .expect("the templates are part of the program and tested");
        }
        Templates(templates)
    }

    /// The whole page.
    pub(super) fn page(&self, values: Value) -> anyhow::Result<Response> {
        let page = self.0.get_template("page.html")?.render(values)?;
        Ok(Html(page).into_response())
    }
}

/// `GET /style.css`.
pub(super) async fn style() -> impl IntoResponse {
    let css = [(CONTENT_TYPE, "text/css; charset=utf-8")];
    (css, include_str!("style.css"))
}

/// `GET /script.js`.
pub(super) async fn script() -> impl IntoResponse {
    let script = [(CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (script, include_str!("script.js"))
}
