//! What readers do: events, and the evidence by which man and machine are told apart later.
//!
//! Promises: raw events are kept as they came; `score` judges them when they are read, as often as its rules change.
//! Leaves the writing to `track` and the sums to `stats`.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::DeliveryKey;

pub mod device;
pub mod known;
pub mod score;

/// Characters kept of a User-Agent or a purpose header: enough to judge by, too few to fill a disk.
const AGENT_LIMIT: usize = 200;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    Open,
    Click,
    Unsubscribe,
    Confirm,
    View,
    Bounce,
    /// The reader called it spam, and her provider told us.
    Complaint,
    /// The reader wants nothing counted any more, of this copy neither.
    Withdrawal,
}

impl EventKind {
    /// The name in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Open => "open",
            EventKind::Click => "click",
            EventKind::Unsubscribe => "unsubscribe",
            EventKind::Confirm => "confirm",
            EventKind::View => "view",
            EventKind::Bounce => "bounce",
            EventKind::Complaint => "complaint",
            EventKind::Withdrawal => "withdrawal",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<EventKind> {
        Some(match name {
            "open" => EventKind::Open,
            "click" => EventKind::Click,
            "unsubscribe" => EventKind::Unsubscribe,
            "confirm" => EventKind::Confirm,
            "view" => EventKind::View,
            "bounce" => EventKind::Bounce,
            "complaint" => EventKind::Complaint,
            "withdrawal" => EventKind::Withdrawal,
            _ => return None,
        })
    }

    /// Whether it is a look at a mail, by a reader or a machine; what else happens is a reader's by what it is.
    pub fn is_look(self) -> bool {
        matches!(self, EventKind::Open | EventKind::Click | EventKind::View)
    }
}

/// One thing a reader, or a machine on the way, did with one copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub kind: EventKind,
    pub delivery: DeliveryKey,
    /// Index into the frozen link table; clicks only.
    pub link: Option<u32>,
    pub at: Timestamp,
    pub evidence: Evidence,
}

/// What is kept of the request, as JSON beside the event; never an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Seconds since the delivery was settled, where the event says it itself; else the fold works it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// The User-Agent, cut to 200 characters; says little by itself, scanners borrow real ones.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent: String,
    /// Keyed hash of the day and the client's /24 or /48.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// `Sec-Purpose` or `Purpose`: a prefetch that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The request had an Accept-Language, as browsers send one.
    #[serde(default)]
    pub language: bool,
    /// The request was HEAD: kept as evidence, counted nowhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub head: bool,
    /// The name of the scanner's or proxy's network it came from; its address is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
    /// A one-click POST (RFC 8058) and not the button on the page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_click: bool,
}

/// A header's value as evidence: without control characters (PostgreSQL's JSON refuses NUL), and cut.
pub fn clean_header(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let kept = text.chars().filter(|letter| !letter.is_control());
    kept.take(AGENT_LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::clean_header;

    #[test]
    fn a_hostile_header_is_cut_and_loses_its_controls() {
        let hostile = [b"a\0b\x1b[31m".as_slice(), &[0xff; 400]].concat();
        let clean = clean_header(&hostile);
        assert!(clean.starts_with("ab[31m\u{fffd}"), "{clean}");
        assert_eq!(clean.chars().count(), 200);
    }
}
