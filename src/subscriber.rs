//! Readers: the status of a subscription, a reader's name, and where custom fields are declared.
//!
//! Promises: a name or a value kept here holds no control character, whoever wrote it. Leaves escaping
//! to the place where a value lands.

use std::fmt;

use crate::address::EmailAddress;
use crate::clock::Timestamp;
use crate::id::{ListId, SubscriberId, SubscriptionKey};
use crate::subscriber::field::Fields;

pub mod field;
pub mod parting;
pub mod tag;

/// Longest name that is kept, in characters; a longer one is cut, because no header needs it.
pub const NAME_LIMIT: usize = 200;

/// Where a subscription stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Asked for, not yet confirmed by the reader.
    Pending,
    Confirmed,
    /// The reader wants no mail for now.
    Paused,
    /// The reader left; only the reader can come back.
    Unsubscribed,
}

impl Status {
    /// All statuses, in the order in which people count them.
    pub const ALL: [Status; 4] = [
        Status::Pending,
        Status::Confirmed,
        Status::Paused,
        Status::Unsubscribed,
    ];

    /// The name in the database, in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Confirmed => "confirmed",
            Status::Paused => "paused",
            Status::Unsubscribed => "unsubscribed",
        }
    }

    /// The status of this name.
    pub fn parse(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether the reader is on the list, resting or not.
    pub fn is_on(self) -> bool {
        matches!(self, Status::Confirmed | Status::Paused)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl TryFrom<String> for Status {
    type Error = String;

    fn try_from(name: String) -> Result<Status, String> {
        Status::parse(&name).ok_or_else(|| {
            format!(
                "`{name}` is no status of a subscription: this database was written by another version"
            )
        })
    }
}

/// A list of readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    pub id: ListId,
    pub slug: String,
    pub title: String,
    /// The label in List-Id; it never changes (RFC 2919, section 3).
    pub label: String,
    pub created_at: Timestamp,
}

/// A reader, on whatever lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscriber {
    pub id: SubscriberId,
    pub address: EmailAddress,
    pub name: String,
    pub fields: Fields,
    pub created_at: Timestamp,
}

/// One reader on one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub key: SubscriptionKey,
    pub list: ListId,
    pub status: Status,
    /// How the reader came: `form`, `import:FILE`, `cli`.
    pub source: String,
    pub created_at: Timestamp,
    pub confirmed_at: Option<Timestamp>,
    pub left_at: Option<Timestamp>,
}

/// A reader's name as it is kept: one line, no control characters, single blanks, at most
/// [`NAME_LIMIT`] characters.
pub fn clean_name(text: &str) -> String {
    clean(text, NAME_LIMIT)
}

/// Characters of `text` as [`clean`] would keep it without a limit, where those are more than `limit`.
pub(crate) fn too_long(text: &str, limit: usize) -> Option<usize> {
    if text.len() <= limit {
        return None;
    }
    let length = clean(text, usize::MAX).chars().count();
    (length > limit).then_some(length)
}

/// One line of at most `limit` characters: controls and runs of blanks become one blank.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(limit));
    let mut blank = false;
    let mut length = 0;
    for c in text.chars() {
        if c.is_control() || c.is_whitespace() || is_invisible(c) {
            // A byte order mark between two letters is nothing; a line break is a blank.
            blank |= !is_invisible(c);
            continue;
        }
        let needed = 1 + usize::from(blank && length > 0);
        if length + needed > limit {
            break;
        }
        if needed == 2 {
            clean.push(' ');
        }
        clean.push(c);
        length += needed;
        blank = false;
    }
    clean
}

/// Characters that show nothing and can turn a line round (Unicode Bidi_Control) or hide in a name.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::{NAME_LIMIT, Status, clean_name};

    #[test]
    fn a_name_is_one_line_without_controls() {
        assert_eq!(
            clean_name("  Ada\r\n\tLovelace \u{1b}[31m"),
            "Ada Lovelace [31m"
        );
        assert_eq!(clean_name("Zo\u{200b}e\u{202e} Q."), "Zoe Q.");
        assert_eq!(clean_name("\u{0}\u{7f}\u{85}"), "");
        let long = "é ".repeat(NAME_LIMIT);
        assert_eq!(clean_name(&long).chars().count(), NAME_LIMIT - 1);
    }

    #[test]
    fn every_status_is_found_by_its_name() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.name()), Some(status));
        }
        assert_eq!(Status::parse("Confirmed"), None);
    }
}
