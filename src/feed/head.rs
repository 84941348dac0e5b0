//! What stands around an issue's page for machines and for readers: canonical address, OpenGraph, feeds, and
//! a bar with the way to the archive and to the form.
//!
//! Promises: every value is escaped; styled within, for such a page loads nothing but pictures.

use crate::clock::Timestamp;
use crate::compile::escape::escape_html;

/// One issue's page.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Its only address.
    pub url: &'a str,
    pub title: &'a str,
    pub teaser: &'a str,
    pub publication: &'a str,
    /// Its address, and whether it is large enough to be shown so.
    pub image: Option<(&'a str, bool)>,
    pub published: Timestamp,
    /// Whether search engines may know of it.
    pub listed: bool,
    pub feed: &'a str,
    pub json_feed: &'a str,
    /// Where readers subscribe.
    pub home: &'a str,
    pub archive: &'a str,
    /// What the ways to both are called: to subscribe, all issues.
    pub words: (&'a str, &'a str),
}

/// The bar has its own colours: it stands above any theme.
const STYLE: &str = "<style>\
    .pr-bar{margin:0;padding:10px 16px;background:#fff;border-bottom:1px solid #d5d5d5;\
    font:14px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;text-align:center}\
    .pr-bar a{color:#333;margin:0 8px}\
    @media (prefers-color-scheme:dark){.pr-bar{background:#1b1b1b;border-color:#444}\
    .pr-bar a{color:#ddd}}</style>";

impl Head<'_> {
    /// HTML for the end of the head.
    pub fn tags(&self) -> String {
        let mut out = String::new();
        let mut put = |kind: &str, name: &str, value: &str| {
            let value = escape_html(value);
            out.push_str(&format!("<meta {kind}=\"{name}\" content=\"{value}\">\n"));
        };
        put("property", "og:type", "article");
        put("property", "og:title", self.title);
        put("property", "og:url", self.url);
        put("property", "og:site_name", self.publication);
        put(
            "property",
            "article:published_time",
            &self.published.to_rfc3339(),
        );
        if !self.teaser.is_empty() {
            put("property", "og:description", self.teaser);
            put("name", "description", self.teaser);
        }
        match self.image {
            Some((image, large)) => {
                put("property", "og:image", image);
                let card = if large {
                    "summary_large_image"
                } else {
                    "summary"
                };
                put("name", "twitter:card", card);
            }
            None => put("name", "twitter:card", "summary"),
        }
        if !self.listed {
            put("name", "robots", "noindex");
        }
        let url = escape_html(self.url);
        out.push_str(&format!("<link rel=\"canonical\" href=\"{url}\">\n"));
        for (kind, feed) in [
            ("application/atom+xml", self.feed),
            ("application/feed+json", self.json_feed),
        ] {
            out.push_str(&format!(
                "<link rel=\"alternate\" type=\"{kind}\" title=\"{}\" href=\"{}\">\n",
                escape_html(self.publication),
                escape_html(feed)
            ));
        }
        out.push_str(STYLE);
        out
    }

    /// HTML for the beginning of the body.
    pub fn bar(&self) -> String {
        format!(
            "<nav class=\"pr-bar\" aria-label=\"{name}\"><a href=\"{archive}\">{issues}</a> \
             <a href=\"{home}\">{subscribe}</a></nav>",
            name = escape_html(self.publication),
            archive = escape_html(self.archive),
            home = escape_html(self.home),
            subscribe = escape_html(self.words.0),
            issues = escape_html(self.words.1),
        )
    }
}
