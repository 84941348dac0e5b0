//! Tags: short words that an author puts on readers.
//!
//! Promises: a tag has one spelling, lower-case words and hyphens, so that a segment names it without quotes.

use std::fmt;

use serde::Serialize;

/// Tags that one reader may bear: more is a mistake of an import, not a description.
pub const TAGS_LIMIT: usize = 64;

/// Longest tag, in octets.
const OCTETS: usize = 64;

/// One tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Tag(String);

/// Why a text is no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no tag: it takes lower-case letters, digits and single hyphens between them, 64 octets at most"
)]
pub struct TagError(String);

impl Tag {
    /// The tag that is written exactly so.
    pub fn parse(text: &str) -> Result<Tag, TagError> {
        let fine = |c: char| c.is_alphanumeric() && !c.is_uppercase();
        let part = |part: &str| !part.is_empty() && part.chars().all(fine);
        match text.len() <= OCTETS && text.split('-').all(part) {
            true => Ok(Tag(text.to_owned())),
            false => Err(TagError(text.to_owned())),
        }
    }

    /// The tag for what another program calls so: `Early Bird!` is `early-bird`. None where no letter and no
    /// digit is left.
    pub fn named(words: &str) -> Option<Tag> {
        let lower = words.to_lowercase();
        let parts = lower.split(|c: char| !c.is_alphanumeric());
        let mut name = String::new();
        for part in parts.filter(|part| !part.is_empty()) {
            let gap = usize::from(!name.is_empty());
            if name.len() + gap + part.len() > OCTETS {
                break;
            }
            if gap > 0 {
                name.push('-');
            }
            name.push_str(part);
        }
        Tag::parse(&name).ok()
    }

    /// Up to 64 octets of small letters, digits and hyphens, as it stands in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Tag, TagError> {
        Tag::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Tag;

    #[test]
    fn a_tag_has_one_spelling() {
        for text in [
            "early-bird",
            "2026",
            "\u{e4}lteste",
            "a".repeat(64).as_str(),
        ] {
            assert_eq!(Tag::parse(text).expect("a tag").as_str(), text);
        }
        for text in [
            "",
            "Paid",
            "a b",
            "-a",
            "a:b",
            "a--b",
            "\u{c4}",
            &"a".repeat(65),
        ] {
            assert!(Tag::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_another_program_calls_so_is_read() {
        let long = format!("{} b", "a".repeat(63));
        for (words, expected) in [
            (" Early  Bird! ", Some("early-bird")),
            ("\u{1f525} VIP", Some("vip")),
            ("B2B_2026", Some("b2b-2026")),
            ("\u{dc}nl\u{fc}", Some("\u{fc}nl\u{fc}")),
            (long.as_str(), Some(&long[..63])),
            ("?!", None),
            ("", None),
        ] {
            let tag = Tag::named(words);
            assert_eq!(tag.as_ref().map(Tag::as_str), expected, "{words}");
        }
    }
}
