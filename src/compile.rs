//! The compiled issue: what one edition is, before any reader's name stands in it.
//!
//! Promises: plain data, content-addressed, the same for the same input; a run freezes it as its
//! revision. HTML, text and subject are literals and slots; only slots differ between two copies.
//! Leaves the making of it to `compile::press`.

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::compile::notation::Notation;
use crate::hex::hex;
use crate::segment::Sieve;
use crate::token::Purpose;

pub(crate) mod apart;
pub mod archived;
pub mod clickmap;
mod closing;
pub mod diff;
pub mod escape;
pub mod image;
pub mod impersonal;
mod items;
pub(crate) mod layout;
mod markup;
pub mod notation;
mod notes;
pub mod only;
mod own;
mod placeholder;
pub mod press;
mod proof;
mod sizes;
mod text;
mod text_of_mjml;
pub mod theme;
mod untracked;

/// Gmail cuts a message off at 102 KiB of HTML; the author is warned well before that.
pub const HTML_WARNING: usize = 90 * 1024;
/// Where Gmail cuts.
pub const HTML_LIMIT: usize = 102 * 1024;

/// One edition, compiled: everything that every copy shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    /// The issue's slug, for people; nothing is looked up by it.
    pub slug: String,
    pub title: String,
    pub subject: Template,
    #[serde(deserialize_with = "plain_or_slots")]
    pub preheader: Template,
    pub html: Template,
    pub text: Template,
    /// Click targets; [`Slot::Click`] holds an index into this table.
    pub links: Vec<Link>,
    pub images: Vec<Image>,
    /// Whom parts of it are for; [`Segment::Only`] holds an index into this table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Sieve>,
}

/// Text with holes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(pub Vec<Segment>);

/// A stretch of text that every copy shares, a hole that each copy fills, or where a part begins or ends
/// that some copies have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    Literal(String),
    Slot(Slot),
    /// What follows, up to its own end, is for the readers of this segment of the table; with [`only::OTHERS`] in
    /// it, for all but those.
    Only(u32),
    /// The end of what began last.
    End,
}

/// What fills a hole, and how it must be escaped there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// A subscriber's field (`email` and `name` are built in), or `default` when it is empty.
    Field {
        name: String,
        default: String,
        context: Context,
        /// How a value is written; as it is stored when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notation: Option<Notation>,
    },
    /// URL of the click redirect for this link of the table.
    Click(u32),
    /// URL of the open pixel.
    Open,
    /// URL of the unsubscribe page.
    Unsubscribe,
    /// URL of the preferences page.
    Preferences,
    /// URL of this copy in the browser.
    View,
    /// URL of the confirm page; system mails only.
    Confirm,
}

/// Where a subscriber's value lands, which decides its escaping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// HTML text or a double-quoted attribute: `& < > " '` escaped.
    Html,
    /// A URL's path or query inside an HTML attribute: percent-encoded.
    Url,
    /// The plain-text part: control characters removed.
    Text,
    /// A header's value: CR, LF and other controls removed; the header is then encoded whole.
    Header,
}

/// A click target of the frozen link table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub url: String,
    /// For the author: the item and the link's text, such as "3 - Read more".
    pub name: String,
}

/// An image that the public site serves as `/i/<hash>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Lower-case hex of the SHA-256 of the bytes.
    pub hash: String,
    /// The author's path, relative to the issue's folder.
    pub source: String,
    pub media_type: String,
    pub width: u32,
    pub height: u32,
}

impl Compiled {
    /// Content address: lower-case hex of the SHA-256 over the JSON form, whose key order is fixed.
    pub fn hash(&self) -> String {
        let json = serde_json::to_vec(self).expect("strings and numbers always have a JSON form");
        hex(&Sha256::digest(json))
    }

    /// Octets of the decoded HTML once real links stand in it. `public_url` is the base of every link,
    /// without a trailing slash. Fields are counted by their default.
    pub fn html_size_estimate(&self, public_url: &str) -> usize {
        let address =
            |path: &str, purpose: Purpose| public_url.len() + path.len() + purpose.length();
        let segment = |segment: &Segment| match segment {
            Segment::Only(_) | Segment::End => 0,
            Segment::Literal(text) => text.len(),
            Segment::Slot(slot) => match slot {
                Slot::Field { default, .. } => default.len().max(8),
                Slot::Click(_) => address("/c/", Purpose::Click),
                Slot::Open => address("/o/", Purpose::Open),
                Slot::Unsubscribe => address("/u/", Purpose::Unsubscribe),
                Slot::Preferences => address("/preferences/", Purpose::Manage),
                Slot::View => address("/view/", Purpose::View),
                Slot::Confirm => address("/confirm/", Purpose::Confirm),
            },
        };
        self.html.0.iter().map(segment).sum()
    }
}

impl Template {
    /// Fills every hole: `value` gives the raw value of a slot, and it is escaped here for the place it
    /// lands in. An empty field becomes its default. URLs are inserted as they are: ours are made of
    /// letters, digits and `/:.-_` only. What is for some readers only is left out.
    pub fn fill(&self, value: impl FnMut(&Slot) -> String) -> String {
        self.fill_for(only::NOBODY, value)
    }

    /// [`Template::fill`] for a reader who is in `segments`.
    pub fn fill_for(&self, segments: u32, mut value: impl FnMut(&Slot) -> String) -> String {
        let mut out = String::new();
        for segment in self.shown_to(segments) {
            match segment {
                Segment::Only(_) | Segment::End => {}
                Segment::Literal(text) => out.push_str(text),
                Segment::Slot(slot) => match slot {
                    Slot::Field {
                        default, context, ..
                    } => {
                        let given = value(slot);
                        let shown = if given.is_empty() { default } else { &given };
                        out.push_str(&context.escape(shown));
                    }
                    _ => out.push_str(&value(slot)),
                },
            }
        }
        out
    }

    /// The slots, in order; a slot that stands twice comes twice.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Slot(slot) => Some(slot),
            Segment::Literal(_) | Segment::Only(_) | Segment::End => None,
        })
    }
}

/// Revisions of earlier versions hold the preheader as a text.
fn plain_or_slots<'de, D: Deserializer<'de>>(from: D) -> Result<Template, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Plain(String),
        Slots(Template),
    }
    Ok(match Either::deserialize(from)? {
        Either::Plain(text) if text.is_empty() => Template::default(),
        Either::Plain(text) => Template(vec![Segment::Literal(text)]),
        Either::Slots(template) => template,
    })
}

#[cfg(test)]
mod tests {
    use super::{Compiled, Context, Link, Segment, Slot, Template};

    fn field(context: Context) -> Template {
        Template(vec![
            Segment::Literal("<p>".into()),
            Segment::Slot(Slot::Field {
                name: "name".into(),
                default: "a & b".into(),
                context,
                notation: None,
            }),
        ])
    }

    #[test]
    fn an_empty_value_becomes_the_default_which_is_escaped_too() {
        assert_eq!(field(Context::Html).fill(|_| String::new()), "<p>a &amp; b");
    }

    #[test]
    fn the_hash_follows_the_content_and_the_size_counts_real_links() {
        let mut compiled = Compiled {
            slug: "one".into(),
            title: "One".into(),
            subject: Template::default(),
            preheader: Template::default(),
            html: Template(vec![
                Segment::Literal("12345".into()),
                Segment::Slot(Slot::Click(0)),
            ]),
            text: Template::default(),
            links: vec![Link {
                url: "https://example.org/".into(),
                name: "1 - Read more".into(),
            }],
            images: Vec::new(),
            only: Vec::new(),
        };
        let first = compiled.hash();
        assert_eq!(first.len(), 64);
        assert_eq!(first, compiled.clone().hash());
        // 5 octets, the base, "/c/" and a click token of 47 characters.
        assert_eq!(
            compiled.html_size_estimate("https://n.example"),
            5 + 17 + 3 + 47
        );
        compiled.title = "Two".into();
        assert_ne!(first, compiled.hash());
        let json = serde_json::to_string(&compiled).expect("JSON");
        let back: Compiled = serde_json::from_str(&json).expect("the same shape");
        assert_eq!(back.hash(), compiled.hash());
    }

    #[test]
    fn a_revision_of_an_earlier_version_is_read() {
        let json = r#"{"slug":"one","title":"One","subject":[],"preheader":"Soon","html":
            [{"slot":{"field":{"name":"name","default":"","context":"html"}}}],"text":[],"links":[],
            "images":[]}"#;
        let old: Compiled = serde_json::from_str(json).expect("the old shape");
        assert_eq!(
            old.preheader,
            Template(vec![Segment::Literal("Soon".into())])
        );
        assert!(matches!(
            old.html.0.as_slice(),
            [Segment::Slot(Slot::Field { notation: None, .. })]
        ));
    }
}
