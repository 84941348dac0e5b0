//! The start tags of rendered HTML, where they stand, and which of them a selector means.
//!
//! Promises: nothing of the text but the attributes asked for is changed. The HTML is parsed in a copy in
//! which every tag is numbered, and only to match; what a parser moves or repairs has no effect.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use scraper::{ElementRef, Html, Selector};

use crate::mjml::selector;

/// Parsers and selectors look at all that stands around an element; no newsletter is nested this deep.
const DEPTH_LIMIT: usize = 500;
/// The attribute that numbers the tags in the copy.
const NUMBER: &str = "data-pressrun-tag";

/// A start tag, in octets of the text.
#[derive(Debug)]
pub struct StartTag {
    pub name: Range<usize>,
    /// Names, and values without their quotes.
    pub attributes: Vec<(Range<usize>, Option<Range<usize>>)>,
}

/// HTML with its start tags.
pub struct Tagged<'h> {
    pub html: &'h str,
    pub tags: Vec<StartTag>,
    parsed: Html,
}

impl<'h> Tagged<'h> {
    /// Absent where the HTML is nested deeper than [`DEPTH_LIMIT`].
    pub fn of(html: &'h str) -> Option<Tagged<'h>> {
        let (tags, depth) = start_tags(html);
        if depth > DEPTH_LIMIT {
            return None;
        }
        let mut copy = String::with_capacity(html.len() + tags.len() * 28);
        let mut at = 0;
        for (number, tag) in tags.iter().enumerate() {
            copy.push_str(&html[at..tag.name.end]);
            copy.push_str(&format!(" {NUMBER}=\"{number}\""));
            at = tag.name.end;
        }
        copy.push_str(&html[at..]);
        Some(Tagged {
            html,
            tags,
            parsed: Html::parse_document(&copy),
        })
    }

    /// The elements by what selectors name them by.
    pub fn index(&self) -> Index<'_> {
        let mut by_mark: HashMap<Mark<'_>, Vec<ElementRef<'_>>> = HashMap::new();
        let every = Selector::parse("*").expect("the selector of everything is well formed");
        for element in self.parsed.select(&every) {
            let value = element.value();
            let id = value.id().map(Mark::Id);
            let marks = value.classes().map(Mark::Class).chain(id);
            for mark in marks.chain([Mark::Name(value.name())]) {
                by_mark.entry(mark).or_default().push(element);
            }
        }
        Index {
            parsed: &self.parsed,
            tags: self.tags.len(),
            by_mark,
        }
    }

    pub fn name(&self, tag: usize) -> String {
        self.html[self.tags[tag].name.clone()].to_ascii_lowercase()
    }

    pub fn value(&self, tag: usize, name: &str) -> Option<&'h str> {
        let value = find(self.html, &self.tags[tag], name)?;
        Some(value.map_or("", |value| &self.html[value]))
    }

    /// The text with attributes set, by the number of the tag; later ones win.
    pub fn with(&self, attributes: &BTreeMap<usize, Vec<(String, String)>>) -> String {
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        for (number, list) in attributes {
            let tag = &self.tags[*number];
            for (at, (name, value)) in list.iter().enumerate() {
                if list[at + 1..].iter().any(|(later, _)| later == name) {
                    continue;
                }
                let value = value.replace('"', "&quot;");
                let place = tag
                    .attributes
                    .iter()
                    .find(|(known, _)| self.html[known.clone()].eq_ignore_ascii_case(name));
                edits.push(match place {
                    // With its quotes, where it has any.
                    Some((known, Some(old))) => {
                        let end = old.end + usize::from(is_quote(self.html, old.end));
                        (known.start..end, format!("{name}=\"{value}\""))
                    }
                    Some((known, None)) => (known.clone(), format!("{name}=\"{value}\"")),
                    None => (tag.name.end..tag.name.end, format!(" {name}=\"{value}\"")),
                });
            }
        }
        edits.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(self.html.len() + edits.len() * 40);
        let mut at = 0;
        for (range, text) in edits {
            out.push_str(&self.html[at..range.start]);
            out.push_str(&text);
            at = range.end;
        }
        out.push_str(&self.html[at..]);
        out
    }
}

/// What an element is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mark<'a> {
    Id(&'a str),
    Class(&'a str),
    Name(&'a str),
}

/// The elements of a page by their marks, so that a style sheet of many rules need not look at each element
/// for each rule.
pub struct Index<'a> {
    parsed: &'a Html,
    tags: usize,
    by_mark: HashMap<Mark<'a>, Vec<ElementRef<'a>>>,
}

impl Index<'_> {
    /// The numbers of the tags that a selector matches; of none where it cannot be read.
    pub fn select(&self, selector: &str) -> Vec<usize> {
        let Some(parsed) = selector::parse(selector) else {
            return Vec::new();
        };
        let number = |element: ElementRef<'_>| {
            let number = element.value().attr(NUMBER)?.parse().ok()?;
            Some(number).filter(|number| *number < self.tags)
        };
        let Some(mark) = mark_of(selector) else {
            let matched = self.parsed.select(&parsed);
            return matched.filter_map(number).collect();
        };
        let marked = self.by_mark.get(&mark).into_iter().flatten();
        let matched = marked.filter(|element| parsed.matches(element));
        matched.filter_map(|element| number(*element)).collect()
    }
}

/// A mark of each element that a selector matches, where that can be seen without reading all of CSS.
fn mark_of(selector: &str) -> Option<Mark<'_>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.#* >+~".contains(c);
    if !selector.chars().all(plain) {
        return None;
    }
    let last = selector.rsplit([' ', '>', '+', '~']).next()?;
    let (name, rest) = last.split_at(last.find(['.', '#']).unwrap_or(last.len()));
    let mark = rest.split_inclusive(['.', '#']).nth(1).unwrap_or_default();
    let mark = mark.trim_end_matches(['.', '#']);
    let lower = !name.contains(|c: char| c.is_ascii_uppercase());
    match rest.chars().next() {
        Some('#') => Some(Mark::Id(mark)),
        Some(_) => Some(Mark::Class(mark)),
        None => (lower && !name.is_empty() && name != "*").then_some(Mark::Name(name)),
    }
}

fn is_quote(html: &str, at: usize) -> bool {
    matches!(html.as_bytes().get(at), Some(b'"' | b'\''))
}

fn find(html: &str, tag: &StartTag, name: &str) -> Option<Option<Range<usize>>> {
    let mut attributes = tag.attributes.iter();
    let found = attributes.find(|(known, _)| html[known.clone()].eq_ignore_ascii_case(name))?;
    Some(found.1.clone())
}

/// All start tags outside comments and outside text that is no HTML, and how deep they are nested at most.
fn start_tags(html: &str) -> (Vec<StartTag>, usize) {
    let mut tags = Vec::new();
    let (mut open, mut deepest): (Vec<&str>, usize) = (Vec::new(), 0);
    let mut at = 0;
    while let Some(found) = html[at..].find('<') {
        let start = at + found;
        let rest = &html[start..];
        if rest.starts_with("<!--") {
            // `<!-->` is a whole comment, so the end may overlap the start.
            let end = rest[2..].find("-->");
            at = end.map_or(html.len(), |end| start + 2 + end + 3);
            continue;
        }
        let name_length = rest[1..]
            .bytes()
            .take_while(|octet| !octet.is_ascii_whitespace() && !matches!(octet, b'>' | b'/'))
            .count();
        let named = rest[1..].starts_with(|c: char| c.is_ascii_alphabetic());
        if !named {
            if let Some(name) = rest.strip_prefix("</").map(tag_name) {
                let same = |known: &&str| known.eq_ignore_ascii_case(name);
                if let Some(place) = open.iter().rposition(same) {
                    open.truncate(place);
                }
            }
            at = start + 1;
            continue;
        }
        let name = start + 1..start + 1 + name_length;
        let (attributes, end) = attributes(html, name.end);
        at = end;
        let lower = html[name.clone()].to_ascii_lowercase();
        if !may_stay_open(&lower) {
            open.push(tag_name(&html[name.clone()]));
            deepest = deepest.max(open.len());
            if deepest > DEPTH_LIMIT {
                break;
            }
        }
        tags.push(StartTag { name, attributes });
        if matches!(lower.as_str(), "style" | "script" | "title" | "textarea") {
            at = closing(html, at, &lower);
        }
    }
    (tags, deepest)
}

/// The name at the start of a text.
fn tag_name(text: &str) -> &str {
    let length = text
        .bytes()
        .take_while(|octet| octet.is_ascii_alphanumeric() || *octet == b'-');
    &text[..length.count()]
}

/// Whether an element of this name has no end, or need not be told its end.
fn may_stay_open(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "dd"
            | "dt"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "li"
            | "link"
            | "meta"
            | "option"
            | "p"
            | "source"
            | "tbody"
            | "td"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
            | "wbr"
    )
}

/// Where the element that was opened before `at` is closed.
fn closing(html: &str, at: usize, name: &str) -> usize {
    let mut ends = html[at..].match_indices("</");
    let end = ends.find(|(end, _)| {
        let rest = html[at + end + 2..].get(..name.len());
        rest.is_some_and(|rest| rest.eq_ignore_ascii_case(name))
    });
    end.map_or(html.len(), |(end, _)| at + end)
}

type Attributes = Vec<(Range<usize>, Option<Range<usize>>)>;

/// The attributes from `at`, and where the tag ends.
fn attributes(html: &str, mut at: usize) -> (Attributes, usize) {
    let octets = html.as_bytes();
    let mut attributes = Vec::new();
    let skip = |at: usize, stop: &dyn Fn(u8) -> bool| {
        let length = octets[at..].iter().position(|octet| stop(*octet));
        length.map_or(octets.len(), |length| at + length)
    };
    loop {
        at = skip(at, &|octet| !octet.is_ascii_whitespace() && octet != b'/');
        if at >= octets.len() || octets[at] == b'>' {
            return (attributes, (at + 1).min(octets.len()));
        }
        let start = at;
        at = skip(at + 1, &|octet| {
            octet.is_ascii_whitespace() || matches!(octet, b'=' | b'>' | b'/')
        });
        let name = start..at;
        let after = skip(at, &|octet| !octet.is_ascii_whitespace());
        if octets.get(after) != Some(&b'=') {
            attributes.push((name, None));
            continue;
        }
        at = skip(after + 1, &|octet| !octet.is_ascii_whitespace());
        let value = match octets.get(at) {
            Some(quote @ (b'"' | b'\'')) => {
                let end = skip(at + 1, &|octet| octet == *quote);
                let value = at + 1..end;
                at = (end + 1).min(octets.len());
                value
            }
            _ => {
                let end = skip(at, &|octet| octet.is_ascii_whitespace() || octet == b'>');
                let value = at..end;
                at = end;
                value
            }
        };
        attributes.push((name, Some(value)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Mark, Tagged, mark_of};

    #[test]
    fn a_selector_finds_the_same_elements_by_its_mark_as_among_all() {
        for (selector, mark) in [
            ("p", Some(Mark::Name("p"))),
            ("div > p.x.y", Some(Mark::Class("x"))),
            ("div p#b", Some(Mark::Id("b"))),
            (".x *", None),
            ("P", None),
            ("p:first-child", None),
            ("[id=b]", None),
        ] {
            assert_eq!(mark_of(selector), mark, "{selector}");
        }
        let html = "<div><p class='y x' id=b>a</p><p class=x>b</p></div><p>c</p>";
        let tagged = Tagged::of(html).expect("a flat page");
        let index = tagged.index();
        for (selector, expected) in [
            ("p", vec![1, 2, 3]),
            ("div > p.x.y", vec![1]),
            ("div>.x", vec![1, 2]),
            ("div p#b", vec![1]),
            ("P:first-child", vec![1]),
            ("p + p", vec![2]),
            ("p..x", vec![]),
        ] {
            assert_eq!(index.select(selector), expected, "{selector}");
        }
    }

    #[test]
    fn only_the_attributes_asked_for_are_changed() {
        let html = "<!--[if mso]><p class=x><![endif]--><P class='x' STYLE=a>1 < 2 &lt; <br/>\
                    <style>p > a</style><p id=b class=x>{{ # }}<!-->";
        let tagged = Tagged::of(html).expect("a flat page");
        let matched = tagged.index().select("p.x");
        let set = |number| (number, vec![("style".to_owned(), "b:\"c\"".to_owned())]);
        let edits: BTreeMap<_, _> = matched.into_iter().map(set).collect();
        assert_eq!(
            tagged.with(&edits),
            "<!--[if mso]><p class=x><![endif]--><P class='x' style=\"b:&quot;c&quot;\">1 < 2 &lt; \
             <br/><style>p > a</style><p style=\"b:&quot;c&quot;\" id=b class=x>{{ # }}<!-->"
        );
    }

    #[test]
    fn a_tag_that_is_never_ended_is_no_harm() {
        for html in [
            "<a",
            "<a b",
            "<a b=",
            "<a b=\"",
            "<a b='c' <",
            "<!--",
            "<style><b>",
        ] {
            let tagged = Tagged::of(html).expect("a flat page");
            assert_eq!(tagged.with(&BTreeMap::new()), html);
        }
    }

    #[test]
    fn html_without_end_is_not_matched_at_all() {
        assert!(Tagged::of(&"<div>".repeat(400)).is_some());
        assert!(Tagged::of(&"<p>a<br>".repeat(1000)).is_some());
        assert!(Tagged::of(&"<div>".repeat(100_000)).is_none());
        assert!(Tagged::of(&"<div></x>".repeat(100_000)).is_none());
        assert!(Tagged::of(&"<table><tr><td>".repeat(100_000)).is_none());
    }
}
