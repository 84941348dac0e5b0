//! What differs between two compiled issues: words, links and size.
//!
//! Promises: links are told by their targets, whatever number they have; the text is compared as a reader
//! without any fields gets it, with the targets in place of our own addresses.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use crate::compile::only::EVERY;
use crate::compile::{Compiled, Slot, Template};

/// Lines shown around a change.
const CONTEXT: usize = 2;

/// From an earlier compiled issue to a later one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where the lines at the top of a mailbox differ: name, before, after.
    pub headers: Vec<(&'static str, String, String)>,
    /// Octets and counts: name, before, after.
    pub sizes: Vec<(&'static str, usize, usize)>,
    pub links_added: Vec<Target>,
    pub links_removed: Vec<Target>,
    /// Targets that stand in both, as often in one as in the other.
    pub links_kept: usize,
    pub text: Vec<Hunk>,
}

/// A link's target with its names, and how many more there are of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    pub url: String,
    pub names: Vec<String>,
    pub count: usize,
}

/// Neighbouring lines of which some changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hunk {
    /// First line in the later text, from 1.
    pub line: usize,
    pub lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// `-` gone, `+` new, a blank where it is the same.
    pub sign: char,
    pub text: String,
}

impl Difference {
    /// Whether a reader would get the very same mail.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
            && self.links_added.is_empty()
            && self.links_removed.is_empty()
            && self.text.is_empty()
    }
}

/// Compares two issues. `public_url` is the base of our links, for the size.
pub fn diff(before: &Compiled, after: &Compiled, public_url: &str) -> Difference {
    let headers = [
        ("title", before.title.clone(), after.title.clone()),
        (
            "subject",
            words(before, &before.subject),
            words(after, &after.subject),
        ),
        (
            "preheader",
            words(before, &before.preheader),
            words(after, &after.preheader),
        ),
    ];
    let (old, new) = (words(before, &before.text), words(after, &after.text));
    let (old_links, new_links) = (targets(before, &old), targets(after, &new));
    let (old, new) = (with_slots(&old), with_slots(&new));
    let size = |compiled: &Compiled| compiled.html_size_estimate(public_url);
    let total = |links: &Targets| links.values().map(Vec::len).sum();
    let kept = old_links.iter().filter_map(|(url, names)| {
        let now = new_links.get(url)?;
        Some(names.len().min(now.len()))
    });
    Difference {
        headers: headers
            .into_iter()
            .filter(|(_, before, after)| before != after)
            .collect(),
        sizes: vec![
            ("html", size(before), size(after)),
            ("text", old.len(), new.len()),
            ("words", count(&old), count(&new)),
            ("links", total(&old_links), total(&new_links)),
            ("images", before.images.len(), after.images.len()),
        ],
        links_kept: kept.sum(),
        links_added: more(&new_links, &old_links),
        links_removed: more(&old_links, &new_links),
        text: hunks(&old, &new),
    }
}

fn count(text: &str) -> usize {
    text.split_whitespace().count()
}

/// A template as words: fields by name and default, links by their targets.
pub fn words(compiled: &Compiled, template: &Template) -> String {
    template.fill_for(EVERY, |slot| match slot {
        Slot::Field { name, default, .. } if default.is_empty() => format!("[[{name}]]"),
        Slot::Field { name, default, .. } => format!("[[{name}|{default}]]"),
        Slot::Click(index) => {
            let link = compiled.links.get(*index as usize);
            link.map(|link| link.url.clone()).unwrap_or_default()
        }
        Slot::Open => "[open]".into(),
        Slot::Unsubscribe => "[unsubscribe]".into(),
        Slot::Preferences => "[preferences]".into(),
        Slot::View => "[view]".into(),
        Slot::Confirm => "[confirm]".into(),
    })
}

/// Links by their targets, each with its names.
type Targets = BTreeMap<String, Vec<String>>;

/// The counted links of an issue, and those with fields in them, which its text (as [`words`] gives it) alone knows.
fn targets(compiled: &Compiled, text: &str) -> Targets {
    let mut targets = Targets::new();
    for link in &compiled.links {
        let names = targets.entry(link.url.clone()).or_default();
        names.push(link.name.clone());
    }
    let outside = |c: char| c.is_whitespace() || "<>()\"".contains(c);
    let personal = text
        .split(outside)
        .filter(|word| word.contains("://") && word.contains(OPENING));
    for url in personal {
        let names = targets.entry(with_slots(url)).or_default();
        names.push("with fields".to_owned());
    }
    targets
}

/// How the brackets of a slot stand in an address.
const OPENING: &str = "%5B%5B";
const CLOSING: &str = "%5D%5D";

/// The text with its slots as they are written, in addresses too.
fn with_slots(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPENING) {
        out.push_str(before);
        match after.split_once(CLOSING) {
            Some((slot, behind)) => {
                let slot = percent_decode_str(slot).decode_utf8_lossy();
                out.push_str(&format!("[[{slot}]]"));
                rest = behind;
            }
            None => {
                out.push_str(OPENING);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// What stands in `these` more often than in `those`.
fn more(these: &Targets, those: &Targets) -> Vec<Target> {
    let surplus = these.iter().filter_map(|(url, names)| {
        let count = names.len() - those.get(url).map_or(0, Vec::len).min(names.len());
        (count > 0).then(|| Target {
            url: url.clone(),
            names: names.clone(),
            count,
        })
    });
    surplus.collect()
}

fn hunks(before: &str, after: &str) -> Vec<Hunk> {
    let diff = TextDiff::from_lines(before, after);
    let groups = diff.grouped_ops(CONTEXT).into_iter();
    let hunks = groups.map(|group| {
        let line = group.first().map_or(0, |op| op.new_range().start) + 1;
        let changes = group.iter().flat_map(|op| diff.iter_changes(op));
        let lines = changes.map(|change| Line {
            sign: match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            },
            text: change.value().trim_end_matches('\n').to_owned(),
        });
        Hunk {
            line,
            lines: lines.collect(),
        }
    });
    hunks.collect()
}

#[cfg(test)]
mod tests {
    use super::{Hunk, Line, Target, diff};
    use crate::compile::{Compiled, Context, Link, Segment, Slot, Template};

    fn compiled(words: &str, links: &[(&str, &str)]) -> Compiled {
        let link = |(url, name): &(&str, &str)| Link {
            url: (*url).into(),
            name: (*name).into(),
        };
        let field = Slot::Field {
            name: "name".into(),
            default: "you".into(),
            context: Context::Text,
            notation: None,
        };
        let click = Segment::Slot(Slot::Click(0));
        let text = vec![
            Segment::Literal("Hello ".into()),
            Segment::Slot(field),
            Segment::Literal(format!("\n{words}\n")),
            click,
        ];
        Compiled {
            slug: "a".into(),
            title: "A".into(),
            subject: Template::default(),
            preheader: Template::default(),
            html: Template::default(),
            text: Template(text),
            links: links.iter().map(link).collect(),
            images: Vec::new(),
            only: Vec::new(),
        }
    }

    #[test]
    fn words_and_targets_that_changed_are_told() {
        let before = compiled(
            "one",
            &[
                ("https://a.example/", "1 - x"),
                ("https://b.example/", "2 - y"),
            ],
        );
        let after = compiled(
            "two",
            &[
                ("https://a.example/", "1 - x"),
                ("https://a.example/", "2 - z"),
            ],
        );
        let found = diff(&before, &after, "https://n.example");
        let target = |url: &str, names: &[&str], count| Target {
            url: url.into(),
            names: names.iter().map(|name| (*name).into()).collect(),
            count,
        };
        assert_eq!(
            found.links_added,
            [target("https://a.example/", &["1 - x", "2 - z"], 1)]
        );
        assert_eq!(
            found.links_removed,
            [target("https://b.example/", &["2 - y"], 1)]
        );
        assert_eq!(found.links_kept, 1);
        let line = |sign, text: &str| Line {
            sign,
            text: text.into(),
        };
        assert_eq!(
            found.text,
            [Hunk {
                line: 1,
                lines: vec![
                    line(' ', "Hello [[name|you]]"),
                    line('-', "one"),
                    line('+', "two"),
                    line(' ', "https://a.example/"),
                ]
            }]
        );
        assert!(!found.is_empty());
        assert!(diff(&before, &before, "https://n.example").is_empty());
    }

    #[test]
    fn a_link_with_a_field_is_counted_and_shown_as_it_is_written() {
        let slot = |name: &str| {
            Segment::Slot(Slot::Field {
                name: name.into(),
                default: "no ne".into(),
                context: Context::Url,
                notation: None,
            })
        };
        let of = |name: &str| {
            let mut compiled = compiled("", &[]);
            let address = [
                Segment::Literal("Read <https://a.example/?p=".into()),
                slot(name),
                Segment::Literal(">\n".into()),
            ];
            compiled.text = Template(address.to_vec());
            compiled
        };
        let found = diff(&of("home"), &of("work"), "https://news.example.org");
        assert!(found.sizes.contains(&("links", 1, 1)), "{:?}", found.sizes);
        assert_eq!(
            found.links_added[0].url,
            "https://a.example/?p=[[work|no ne]]"
        );
        assert_eq!(
            found.text[0].lines[1].text,
            "Read <https://a.example/?p=[[work|no ne]]>"
        );
    }
}
