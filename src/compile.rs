//! The compiled issue: what one edition is, before any reader's name stands in it.
//!
//! Promises: plain data, content-addressed, the same for the same input; a run freezes it as its
//! revision. HTML, text and subject are literals and slots; only slots differ between two copies.

use serde::{Deserialize, Serialize};

/// One edition, compiled: everything that every copy shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    /// The slug, for people; nothing is looked up by it.
    pub slug: String,
    pub title: String,
    pub subject: Template,
    pub preheader: String,
    pub html: Template,
    pub text: Template,
    /// Click targets; [`Slot::Click`] holds an index into this table.
    pub links: Vec<Link>,
    pub images: Vec<Image>,
}

/// Text with holes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(pub Vec<Segment>);

/// A stretch of text that every copy shares, or a hole that each copy fills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    Literal(String),
    Slot(Slot),
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
    /// The author's path, relative to the folder.
    pub source: String,
    pub media_type: String,
    pub width: u32,
    pub height: u32,
}
