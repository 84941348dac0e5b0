//! Feeds and the site map: Atom (RFC 4287), JSON Feed 1.1, and sitemaps.org 0.9.
//!
//! Promises: well formed whatever titles and texts hold; every entry has an id that is its address, its
//! dates, and its whole content as HTML that needs no cleaning. Leaves the cleaning to `plain`.

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::compile::escape::escape_html;

pub mod head;
pub mod plain;

/// Issues of one site map at most: with the front page and the index, as many addresses as it may have
/// (sitemaps.org).
pub const SITE_MAP: i64 = 49_998;

/// A feed.
#[derive(Clone, Debug)]
pub struct Feed {
    pub title: String,
    pub description: String,
    /// BCP 47.
    pub language: String,
    pub author: String,
    /// The page that shows the same.
    pub home: String,
    pub updated: Timestamp,
    pub entries: Vec<Entry>,
}

/// One issue of it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub url: String,
    pub title: String,
    pub summary: String,
    /// Clean HTML.
    pub content: String,
    pub image: Option<String>,
    pub language: String,
    pub published: Timestamp,
    pub updated: Timestamp,
}

/// The feed as Atom, to be found at `own`.
pub fn atom(feed: &Feed, own: &str) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    out.push_str(&format!(
        "<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"{}\">\n",
        xml(&feed.language)
    ));
    out.push_str(&element("title", &feed.title));
    if !feed.description.is_empty() {
        out.push_str(&element("subtitle", &feed.description));
    }
    // RFC 4287, section 4.2.6: the id stays; it is the address of the page, not of this file.
    out.push_str(&element("id", &feed.home));
    out.push_str(&link("self", "application/atom+xml", own));
    out.push_str(&link("alternate", "text/html", &feed.home));
    out.push_str(&element("updated", &feed.updated.to_rfc3339()));
    out.push_str(&format!(
        "<author>{}</author>\n",
        element("name", &feed.author).trim_end()
    ));
    for entry in &feed.entries {
        out.push_str(&format!("<entry xml:lang=\"{}\">\n", xml(&entry.language)));
        out.push_str(&element("title", &entry.title));
        out.push_str(&element("id", &entry.url));
        out.push_str(&link("alternate", "text/html", &entry.url));
        out.push_str(&element("published", &entry.published.to_rfc3339()));
        out.push_str(&element("updated", &entry.updated.to_rfc3339()));
        if !entry.summary.is_empty() {
            out.push_str(&element("summary", &entry.summary));
        }
        out.push_str(&format!(
            "<content type=\"html\">{}</content>\n</entry>\n",
            xml(&entry.content)
        ));
    }
    out.push_str("</feed>\n");
    out
}

/// The feed as JSON, to be found at `own`.
pub fn json(feed: &Feed, own: &str) -> Value {
    let item = |entry: &Entry| {
        let mut item = json!({
            "id": entry.url,
            "url": entry.url,
            "title": entry.title,
            "content_html": entry.content,
            "date_published": entry.published.to_rfc3339(),
            "date_modified": entry.updated.to_rfc3339(),
            "language": entry.language,
        });
        if !entry.summary.is_empty() {
            item["summary"] = entry.summary.as_str().into();
        }
        if let Some(image) = &entry.image {
            item["image"] = image.as_str().into();
        }
        item
    };
    let mut whole = json!({
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "home_page_url": feed.home,
        "feed_url": own,
        "language": feed.language,
        "authors": [{ "name": feed.author }],
        "items": feed.entries.iter().map(item).collect::<Vec<_>>(),
    });
    if !feed.description.is_empty() {
        whole["description"] = feed.description.as_str().into();
    }
    whole
}

/// The site map of `pages` with the time of their last change.
pub fn site_map(pages: &[(String, Timestamp)]) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for (url, changed) in pages {
        let changed = changed.to_rfc3339();
        let place = element("loc", url);
        out.push_str(&format!(
            "<url>{}<lastmod>{changed}</lastmod></url>\n",
            place.trim_end()
        ));
    }
    out.push_str("</urlset>\n");
    out
}

fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>\n", xml(text))
}

fn link(relation: &str, kind: &str, url: &str) -> String {
    format!(
        "<link rel=\"{relation}\" type=\"{kind}\" href=\"{}\"/>\n",
        xml(url)
    )
}

/// Text for XML 1.0, section 2.2: escaped, and without the characters that it cannot hold at all.
fn xml(text: &str) -> String {
    let fits = |c: &char| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..) && !c.is_control()
            || matches!(c, '\t' | '\n' | '\r')
    };
    let text: String = text.chars().filter(fits).collect();
    escape_html(&text)
}

#[cfg(test)]
mod tests {
    use super::{Entry, Feed, atom, json, site_map};
    use crate::clock::Timestamp;

    fn feed() -> Feed {
        Feed {
            title: "Field <Notes> & \u{1}more".into(),
            description: "A \"week\"".into(),
            language: "en".into(),
            author: "Ada".into(),
            home: "https://n.example/archive".into(),
            updated: Timestamp(1_793_534_400_000),
            entries: vec![Entry {
                url: "https://n.example/archive/one".into(),
                title: "One ]]> <b>".into(),
                summary: "Short".into(),
                content: "<p>a &amp; b</p>".into(),
                image: Some("https://n.example/i/ab".into()),
                language: "pt-BR".into(),
                published: Timestamp(1_793_534_000_000),
                updated: Timestamp(1_793_534_400_000),
            }],
        }
    }

    #[test]
    fn an_atom_feed_is_well_formed_whatever_it_holds() {
        let feed = atom(&feed(), "https://n.example/feed.xml");
        insta::assert_snapshot!("atom", feed);
    }

    #[test]
    fn a_json_feed_says_the_same() {
        let feed = json(&feed(), "https://n.example/feed.json");
        let feed = serde_json::to_string_pretty(&feed).expect("JSON");
        insta::assert_snapshot!("json_feed", feed);
    }

    #[test]
    fn a_site_map_lists_addresses() {
        let pages = [("https://n.example/archive?a=1&b".to_owned(), Timestamp(0))];
        assert!(site_map(&pages).contains(
            "<url><loc>https://n.example/archive?a=1&amp;b</loc>\
             <lastmod>1970-01-01T00:00:00Z</lastmod></url>"
        ));
    }
}
