//! Named segments: declared in `emails/segments.toml`, kept in git beside the issues that use them.
//!
//! Promises: every name means something before any is used; a segment made of others is worked out once,
//! and one that is made of itself is refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::segment::parser::{JOINTS, KEYS, parse};
use crate::segment::{Filter, Given, lexer};
use crate::slug::Slug;
use crate::subscriber::field::FieldTable;

/// Segments at most: each is worked out whenever the folder is read.
const SEGMENTS_LIMIT: usize = 200;

/// The declared segments by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments(BTreeMap<String, Named>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    text: String,
    filter: Filter,
}

/// Why a declaration is not taken, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Octets from the start of the file.
    pub offset: usize,
    pub length: usize,
    pub message: String,
    pub help: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    segments: BTreeMap<Spanned<String>, Spanned<String>>,
}

impl Segments {
    /// Reads the text of `segments.toml`: a table `[segments]` with lines such as `paid = "tag:paid"`.
    pub fn parse(text: &str, fields: &FieldTable, zone: &str) -> Result<Segments, Flaw> {
        let file: File = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let offset = span.start.min(text.len());
            Flaw {
                offset,
                length: span.end.saturating_sub(span.start).max(1),
                message: error.message().replace('\n', "; "),
                help: None,
            }
        })?;
        let mut known = Segments::default();
        let mut waiting: Vec<(Spanned<String>, Spanned<String>)> =
            file.segments.into_iter().collect();
        if waiting.len() > SEGMENTS_LIMIT {
            let message = format!("more than {SEGMENTS_LIMIT} segments are declared");
            return Err(flaw(0, 1, message));
        }
        for (name, _) in &waiting {
            check_name(name)?;
        }
        // Those made of others wait until these are known.
        while !waiting.is_empty() {
            let before = waiting.len();
            let names: Vec<String> = waiting
                .iter()
                .map(|(name, _)| name.get_ref().clone())
                .collect();
            let mut later = Vec::new();
            for (name, said) in waiting {
                if !uses(said.get_ref(), &names).is_empty() {
                    later.push((name, said));
                    continue;
                }
                let filter = known.read(text, &said, fields, zone)?;
                let named = Named {
                    text: said.into_inner(),
                    filter,
                };
                known.0.insert(name.into_inner(), named);
            }
            if later.len() == before {
                return Err(round(&later, &names));
            }
            waiting = later;
        }
        Ok(known)
    }

    fn read(
        &self,
        text: &str,
        said: &Spanned<String>,
        fields: &FieldTable,
        zone: &str,
    ) -> Result<Filter, Flaw> {
        let given = Given {
            fields,
            named: self,
            zone,
        };
        parse(said.get_ref(), &given).map_err(|error| {
            let span = said.span();
            let written = text.get(span.clone()).unwrap_or_default();
            // Behind the opening quote every octet stands for itself, unless something is escaped.
            let plain = written.get(1..1 + said.get_ref().len()) == Some(said.get_ref().as_str());
            let (offset, length) = match plain {
                true => (span.start + 1 + error.at, error.length),
                false => (span.start, span.len()),
            };
            Flaw {
                offset,
                length,
                message: error.message,
                help: error.help,
            }
        })
    }

    /// What the segment of this name means.
    pub fn get(&self, name: &str) -> Option<&Filter> {
        self.0.get(name).map(|named| &named.filter)
    }

    /// The expression behind a name, as it was written.
    pub fn written(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|named| named.text.as_str())
    }

    /// The declared names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn check_name(name: &Spanned<String>) -> Result<(), Flaw> {
    let (span, name) = (name.span(), name.get_ref());
    if JOINTS.contains(&name.as_str()) || KEYS.contains(&name.as_str()) {
        let message = format!("`{name}` has a meaning of its own and cannot name a segment");
        return Err(flaw(span.start, span.len(), message));
    }
    Slug::parse(name).map(|_| ()).map_err(|error| {
        let message = format!("`{name}` cannot name a segment: {error}");
        flaw(span.start, span.len(), message)
    })
}

/// Which of `names` an expression is made of; one that cannot be read is made of none, and told later.
fn uses<'a>(said: &str, names: &'a [String]) -> Vec<&'a str> {
    let tokens = lexer::tokens(said).unwrap_or_default();
    let words = tokens.iter().filter_map(|token| match &token.kind {
        lexer::Kind::Word(word) => Some(word),
        _ => None,
    });
    words
        .filter_map(|word| names.iter().find(|name| *name == word))
        .map(String::as_str)
        .collect()
}

/// What is left is made of itself, or of one that is.
fn round(left: &[(Spanned<String>, Spanned<String>)], names: &[String]) -> Flaw {
    let mut chain: Vec<&str> = Vec::new();
    let mut name = names[0].as_str();
    while !chain.contains(&name) {
        chain.push(name);
        let said = left.iter().find(|(known, _)| known.get_ref() == name);
        let next = said.and_then(|(_, said)| uses(said.get_ref(), names).first().copied());
        name = next.unwrap_or(name);
    }
    let start = chain.iter().position(|known| *known == name).unwrap_or(0);
    let ring = &chain[start..];
    let place = left.iter().find(|(known, _)| known.get_ref() == name);
    let span = place.map_or(0..1, |(_, said)| said.span());
    let message = match ring {
        [one] => format!("`{one}` is made of itself"),
        _ => format!("`{}` are made of each other", ring.join("`, `")),
    };
    flaw(span.start, span.len(), message)
}

fn flaw(offset: usize, length: usize, message: String) -> Flaw {
    Flaw {
        offset,
        length: length.max(1),
        message,
        help: None,
    }
}

#[cfg(test)]
mod tests {
    use super::Segments;
    use crate::segment::{Filter, Test};
    use crate::subscriber::field::FieldTable;

    fn read(text: &str) -> Result<Segments, String> {
        let fields = FieldTable::parse("[fields.city]\ntype = \"text\"\n").expect("a declaration");
        Segments::parse(text, &fields, "UTC").map_err(|flaw| {
            let line = text[..flaw.offset].matches('\n').count() + 1;
            let at = flaw.offset - text[..flaw.offset].rfind('\n').map_or(0, |n| n + 1) + 1;
            format!(
                "{line}:{at}: {} {}",
                flaw.message,
                flaw.help.unwrap_or_default()
            )
        })
    }

    #[test]
    fn a_segment_may_be_made_of_others_in_any_order() {
        let text = "[segments]\na = \"not paid and berlin\"\nberlin = 'field:city = \"Berlin\"'\n\
                    paid = \"tag:paid\"\n";
        let segments = read(text).expect("three segments");
        assert_eq!(
            segments.get("a"),
            Some(&Filter::All(vec![
                Filter::Not(Box::new(Filter::Is(Test::Tag("paid".into())))),
                Filter::Is(Test::Text("city".into(), "Berlin".into())),
            ]))
        );
        assert_eq!(segments.written("a"), Some("not paid and berlin"));
        assert_eq!(
            segments.names().collect::<Vec<_>>(),
            ["a", "berlin", "paid"]
        );
        assert_eq!(read(""), Ok(Segments::default()));
    }

    #[test]
    fn what_is_wrong_is_told_at_its_place() {
        for (text, expected) in [
            (
                "[segments]\npaid = \"tag:Paid\"\n",
                "2:13: `Paid` is no tag",
            ),
            (
                "[segments]\nx = 'tag:a and'\n",
                "2:15: a test is missing at the end",
            ),
            ("[segments]\nand = \"tag:a\"\n", "2:1: `and` has a meaning"),
            (
                "[segments]\n\"A b\" = \"tag:a\"\n",
                "2:1: `A b` cannot name",
            ),
            ("[segments]\na = \"a\"\n", "2:5: `a` is made of itself"),
            (
                "[segments]\na = \"b\"\nb = \"tag:x or a\"\n",
                "`a`, `b` are made of each other",
            ),
            (
                "[segments]\nc = \"a\"\na = \"a\"\n",
                "3:5: `a` is made of itself",
            ),
            ("[segment]\n", "1:2: unknown field"),
            (
                "[segments]\nx = \"payd\"\npaid = \"tag:a\"\n",
                "did you mean `paid`?",
            ),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
