//! Slugs: the short names of lists and issues in commands, folders and URLs.

use std::fmt;

/// Lower-case letters, digits and single inner hyphens; 64 octets at most, so that it fits a folder
/// name, a label and a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(String);

/// Why a text is no slug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a short name takes 1 to 64 lower-case letters, digits and single hyphens between them")]
pub struct SlugError;

impl Slug {
    /// Parses `text` as it stands: nothing is trimmed or folded, so that a slug has one spelling.
    pub fn parse(text: &str) -> Result<Slug, SlugError> {
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let part = |part: &str| !part.is_empty() && part.bytes().all(fine);
        if text.len() <= 64 && text.split('-').all(part) {
            Ok(Slug(text.to_owned()))
        } else {
            Err(SlugError)
        }
    }

    /// Up to 64 ASCII letters, digits and hyphens, as it stands in commands and addresses.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Slug {
    type Err = SlugError;

    fn from_str(text: &str) -> Result<Slug, SlugError> {
        Slug::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Slug;

    #[test]
    fn a_slug_has_one_spelling() {
        for text in ["weekly", "this-week-in-ai-research", "2026-07"] {
            assert_eq!(Slug::parse(text).expect(text).as_str(), text);
        }
        let long = "a".repeat(65);
        for text in [
            "", "-", "a-", "-a", "a--b", "A", "a b", "a/b", "..", "é", &long,
        ] {
            assert!(Slug::parse(text).is_err(), "{text}");
        }
    }
}
