//! Tags: short words that an author puts on readers.
//!
//! Promises: a tag has one spelling, a slug, so that it can be named in a segment without quotes.

use std::fmt;

use serde::Serialize;

use crate::slug::Slug;

/// Tags that one reader may bear: more is a mistake of an import, not a description.
pub const TAGS_LIMIT: usize = 64;

/// One tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Tag(String);

/// Why a text is no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no tag: it takes 1 to 64 lower-case letters, digits and single hyphens between them"
)]
pub struct TagError(String);

impl Tag {
    /// The tag that is written exactly so.
    pub fn parse(text: &str) -> Result<Tag, TagError> {
        match Slug::parse(text) {
            Ok(slug) => Ok(Tag(slug.to_string())),
            Err(_) => Err(TagError(text.to_owned())),
        }
    }

    /// The tags of a cell such as `Paid, early bird`: words of other programs become `paid` and
    /// `early-bird`; each comes once, in order.
    pub fn list(cell: &str) -> Result<Vec<Tag>, String> {
        let words = cell.split([',', ';', '|']).map(str::trim);
        let mut tags = Vec::new();
        for word in words.filter(|word| !word.is_empty()) {
            let tag = Tag::parse(&folded(word)).map_err(|_| {
                format!("`{word}` cannot be a tag; tags are letters, digits and hyphens")
            })?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        if tags.len() > TAGS_LIMIT {
            return Err(format!(
                "a reader bears at most {TAGS_LIMIT} tags, and here are {}",
                tags.len()
            ));
        }
        tags.sort();
        Ok(tags)
    }

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

/// Lower case, and one hyphen for whatever stands between letters and digits.
fn folded(word: &str) -> String {
    let lower = word.to_lowercase();
    let parts = lower.split(|c: char| !c.is_alphanumeric());
    let parts = parts.filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::Tag;

    #[test]
    fn a_tag_has_one_spelling() {
        assert_eq!(
            Tag::parse("early-bird").expect("a tag").as_str(),
            "early-bird"
        );
        for text in ["", "Paid", "a b", "-a", "a:b", "ä"] {
            assert!(Tag::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cell_of_another_program_is_read() {
        let read =
            |cell| Tag::list(cell).map(|tags| tags.iter().map(Tag::to_string).collect::<Vec<_>>());
        assert_eq!(
            read(" Paid; Early Bird ,paid,,B2B|x_y "),
            Ok(vec![
                "b2b".into(),
                "early-bird".into(),
                "paid".into(),
                "x-y".into()
            ])
        );
        assert_eq!(read(" , "), Ok(Vec::new()));
        let error = read("paid, ünlü").expect_err("no ASCII");
        assert!(error.starts_with("`ünlü` cannot be a tag"), "{error}");
        let many = (0..65)
            .map(|n| format!("t{n}"))
            .collect::<Vec<_>>()
            .join(",");
        assert!(read(&many).expect_err("too many").contains("at most 64"));
    }
}
