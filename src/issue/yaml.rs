//! YAML whose every key and value knows its place in the file.
//!
//! Promises: texts, lists and maps as they were written (`title: 2026` is the text `2026`); a key that
//! stands twice, an endless alias or broken syntax is one error at its place.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::diagnostic::{Diagnostic, Source};

/// A value and the octets of the file it stands in.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) node: Node,
    pub(crate) range: Range<usize>,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Nothing,
    Text(String),
    List(Vec<Placed>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) range: Range<usize>,
    pub(crate) value: Placed,
}

/// Reads the octets `range` of the file. The error is one finding under `code`.
pub(crate) fn read(
    source: Source<'_>,
    range: Range<usize>,
    code: &'static str,
) -> Result<Placed, Diagnostic> {
    let yaml = &source.text[range.clone()];
    let whole = |node| Placed {
        node,
        range: range.clone(),
    };
    if yaml.trim().is_empty() {
        return Ok(whole(Node::Nothing));
    }
    let parsed: Result<Parsed, _> = serde_saphyr::from_str(yaml);
    match parsed {
        Ok(parsed) => Ok(whole(node(parsed, yaml, range.start))),
        Err(error) => {
            let place = error.location();
            let offset = place.map_or(0, |place| offset_of(yaml, place.line(), place.column()));
            let told = source.error(range.start + offset, code, sentence(&error));
            let line = yaml[..offset].rfind('\n').map_or(0, |end| end + 1);
            let line = yaml[line..].lines().next().unwrap_or_default();
            Err(match line.split_once(": ") {
                // YAML takes a bracket for the beginning of a list.
                Some((key, value)) if value.starts_with("[[") => told.help(format!(
                    "a value that begins with a slot stands in quotes: `{key}: \"[[...\"`"
                )),
                Some((key, value)) if wants_quotes(value) => told.help(format!(
                    "a value with a colon in it, or one that begins with a mark, stands in quotes: \
                     `{key}: \"...\"`"
                )),
                Some((key, value)) if value.trim_start().starts_with(['"', '\'']) => {
                    told.help(requoted(key, value.trim()))
                }
                _ => told,
            })
        }
    }
}

/// What the parser gives; places are added to it afterwards.
enum Parsed {
    Nothing,
    /// Numbers, truth values and the like are taken from the file as they were written.
    Bare,
    Text(String),
    List(Vec<Spanned<Parsed>>),
    Map(Vec<(Spanned<String>, Spanned<Parsed>)>),
}

fn node(parsed: Parsed, yaml: &str, base: usize) -> Node {
    match parsed {
        // A bare value at the top is no map either way.
        Parsed::Nothing | Parsed::Bare => Node::Nothing,
        Parsed::Text(text) => Node::Text(text),
        Parsed::List(list) => {
            let items = list.into_iter().map(|item| placed(item, yaml, base));
            Node::List(items.collect())
        }
        Parsed::Map(map) => {
            let entry = |(key, value): (Spanned<String>, Spanned<Parsed>)| Entry {
                range: shifted(&range_of(&key, yaml), base),
                value: placed(value, yaml, base),
                key: key.value,
            };
            Node::Map(map.into_iter().map(entry).collect())
        }
    }
}

fn placed(parsed: Spanned<Parsed>, yaml: &str, base: usize) -> Placed {
    let range = range_of(&parsed, yaml);
    let node = match parsed.value {
        Parsed::Bare => Node::Text(yaml[range.clone()].trim().to_owned()),
        other => node(other, yaml, base),
    };
    Placed {
        node,
        range: shifted(&range, base),
    }
}

fn shifted(range: &Range<usize>, base: usize) -> Range<usize> {
    base + range.start..base + range.end
}

fn range_of<T>(spanned: &Spanned<T>, yaml: &str) -> Range<usize> {
    let place = spanned.referenced;
    let start = offset_of(yaml, place.line(), place.column());
    let length = place.span().byte_len().unwrap_or_default();
    let end = start.saturating_add(usize::try_from(length).unwrap_or_default());
    start..yaml.floor_char_boundary(end.min(yaml.len())).max(start)
}

fn offset_of(text: &str, line: u64, column: u64) -> usize {
    let skip = usize::try_from(line).unwrap_or(1).saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(skip).map(str::len).sum();
    let column = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    let rest = text.get(before..).unwrap_or_default();
    before + rest.chars().take(column).map(char::len_utf8).sum::<usize>()
}

/// Whether YAML reads something else than words in an author's words.
fn wants_quotes(value: &str) -> bool {
    let value = value.trim();
    // A whole list is one; what goes on behind it is none.
    let list = ("[", "]");
    let map = ("{", "}");
    let whole = |(open, close)| value.starts_with(open) && value.ends_with(close);
    let quoted = value.starts_with(['"', '\'']) || whole(list) || whole(map);
    let marks = [
        '@', '`', '%', '&', '*', '!', '?', '|', '>', ',', ']', '}', '[', '{',
    ];
    let marked = value.starts_with(marks) || value.starts_with("- ");
    !quoted && (marked || value.contains(": ") || value.ends_with(':'))
}

/// How to write a value that begins with a quotation mark and does not end with its twin.
fn requoted(key: &str, value: &str) -> String {
    let other = ['"', '\'']
        .into_iter()
        .find(|quote| !value.contains(*quote));
    let (Some(open), Some(other)) = (value.chars().next(), other) else {
        return format!("write `{key}: >`, and the words on the next line behind two blanks");
    };
    let closed = value.len() > 1 && value.ends_with(open);
    let odd = value.matches(open).count() % 2 == 1;
    match (closed, odd) {
        // `'Don't'`
        (true, true) => {
            let words = &value[1..value.len() - 1];
            format!("write `{key}: {other}{words}{other}`")
        }
        (false, true) => {
            format!("close the quotation mark, or write `{key}: {other}{value}{other}`")
        }
        // `"A" and "B"`
        (_, false) => {
            format!("put all of it in other quotation marks: `{key}: {other}{value}{other}`")
        }
    }
}

/// The parser's own words without its drawing of the place, which we tell ourselves.
fn sentence(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" at line ").next().unwrap_or(line);
    line.trim_start_matches("error: ")
        .trim_end_matches('.')
        .to_owned()
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Parsed, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Parsed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a list or keys with values")
            }

            fn visit_unit<E>(self) -> Result<Parsed, E> {
                Ok(Parsed::Nothing)
            }

            fn visit_none<E>(self) -> Result<Parsed, E> {
                Ok(Parsed::Nothing)
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Parsed, D::Error> {
                inner.deserialize_any(self)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Parsed, E> {
                Ok(Parsed::Bare)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Parsed, E> {
                Ok(Parsed::Bare)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Parsed, E> {
                Ok(Parsed::Bare)
            }

            fn visit_i128<E>(self, _: i128) -> Result<Parsed, E> {
                Ok(Parsed::Bare)
            }

            fn visit_u128<E>(self, _: u128) -> Result<Parsed, E> {
                Ok(Parsed::Bare)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Parsed, E> {
                Ok(Parsed::Bare)
            }

            fn visit_str<E>(self, text: &str) -> Result<Parsed, E> {
                Ok(Parsed::Text(text.to_owned()))
            }

            fn visit_bytes<E>(self, _: &[u8]) -> Result<Parsed, E> {
                Ok(Parsed::Bare)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Parsed, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Parsed::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Parsed, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    map.push(entry);
                }
                Ok(Parsed::Map(map))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
