//! What one copy is made of beside the template: kept with its delivery as JSON.
//!
//! Promises: template, keyring, delivery key and this give the message back octet for octet.
//! It holds an address; erasing a reader means erasing these too, which is left to `store`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::address::EmailAddress;
use crate::clock::Timestamp;
use crate::compile::escape::one_line;
use crate::compile::notation::Notation;
use crate::compile::only::{EVERY, NOBODY};
use crate::compile::{Segment, Slot, Template};
use crate::id::SubscriptionKey;
use crate::trial::Variant;

/// One reader's values, and the moment of sending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyRecord {
    /// The Date field, and the second of the DKIM signature.
    pub date: Timestamp,
    pub to: EmailAddress,
    /// The reader's name as it was given; may be empty, and is never trusted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Whose subscription the unsubscribe link ends; none makes links that end nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionKey>,
    /// In the link to her page, where that is another key: she has moved from one address to another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manage: Option<SubscriptionKey>,
    /// Values of the fields that the template asks for; absent ones take the slot's default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// Which of the segments the reader was in: bit n is the nth of its table.
    #[serde(default, skip_serializing_if = "is_none")]
    pub segments: u32,
    /// Puts `[TEST]` before the subject.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// Which subject of a subject test it has: with it goes the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Variant>,
    /// The reader wants nothing counted: the copy has direct links and no pixel.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untracked: bool,
    /// Unix second from which a confirm link counts its age; the date when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_issued: Option<u32>,
    /// The relay it was made for: another may sign otherwise, or want other header fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// The mark of who signed it by DKIM ([`crate::message::SignedBy`]); none where it was made before there were marks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// The key of the keyring that signs this copy's links, so that a rotation does not change it.
    pub kid: u8,
}

/// A reader's own words, without the address: what fills the slots of one copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// Which of the segments the reader is in.
    #[serde(default, skip_serializing_if = "is_none")]
    pub segments: u32,
}

impl Values {
    /// Of whom nothing is known: no value, and every part of the issue, so that the author sees it all.
    pub fn of_nobody() -> Values {
        Values {
            segments: EVERY,
            ..Values::default()
        }
    }
}

fn is_none(segments: &u32) -> bool {
    *segments == NOBODY
}

/// How the record begins of a copy of which is forgotten what it was made of.
const FORGOTTEN: &str = "{\"forgotten\":true";

/// Whether it is forgotten what this copy was made of.
pub fn is_forgotten(record: &str) -> bool {
    record.starts_with(FORGOTTEN)
}

impl CopyRecord {
    /// A copy for `to` at `date` with links under the key `kid`; all else empty.
    pub fn new(to: EmailAddress, date: Timestamp, kid: u8) -> CopyRecord {
        CopyRecord {
            date,
            to,
            name: String::new(),
            subscription: None,
            manage: None,
            fields: BTreeMap::new(),
            segments: NOBODY,
            test: false,
            variant: None,
            untracked: false,
            confirm_issued: None,
            relay: None,
            signed: None,
            kid,
        }
    }

    /// As it is stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text, numbers and a map of texts have a JSON form")
    }

    /// As it was stored. The error does not quote the text, which holds an address.
    pub fn from_json(text: &str) -> anyhow::Result<CopyRecord> {
        serde_json::from_str(text)
            .ok()
            .context("the stored copy is no JSON of this version; was the database edited by hand?")
    }

    /// What fills a slot for the field `name`, in its notation; blank values give way to `default`.
    pub(crate) fn value<'a>(
        &'a self,
        name: &str,
        default: &'a str,
        notation: Option<&Notation>,
    ) -> Cow<'a, str> {
        let value = match name {
            "email" => self.to.shown(),
            "name" => Cow::Borrowed(self.name.as_str()),
            _ => Cow::Borrowed(self.fields.get(name).map_or("", String::as_str)),
        };
        match (one_line(&value), notation) {
            (line, _) if line.is_empty() => Cow::Borrowed(default),
            (_, None) => value,
            (line, Some(notation)) => Cow::Owned(notation.write(&line).into_owned()),
        }
    }

    /// The same on one line, as every part shows it; empty for a slot that holds no field.
    pub(crate) fn line(&self, slot: &Slot) -> String {
        match slot {
            Slot::Field {
                name,
                default,
                notation,
                ..
            } => one_line(&self.value(name, default, notation.as_ref())).into_owned(),
            _ => String::new(),
        }
    }

    /// The second that a confirm link carries.
    pub(crate) fn confirm_second(&self) -> u32 {
        let date = u32::try_from(self.date.seconds().max(0)).unwrap_or(u32::MAX);
        self.confirm_issued.unwrap_or(date)
    }
}

/// Names of the subscriber fields in `templates`, sorted, without the built-in ones.
pub(crate) fn fields_of(templates: &[&Template]) -> Vec<String> {
    let segments = templates.iter().flat_map(|template| &template.0);
    let names = segments.filter_map(|segment| match segment {
        Segment::Slot(Slot::Field { name, .. }) => Some(name.as_str()),
        _ => None,
    });
    let names: BTreeSet<&str> = names
        .filter(|name| !["email", "name"].contains(name))
        .collect();
    names.into_iter().map(str::to_owned).collect()
}
