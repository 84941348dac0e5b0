//! The tags of an author's own components, in `issue.mjml` as in `:::mjml`: images, links, fields.
//!
//! Promises: every tag is found that no comment hides; an image without a text is told, unless its author says by
//! `alt=""` that it is decoration; a field stands only where it is escaped as its place asks. Leaves the files
//! to `publication`.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::issue::block::Picture;
use crate::issue::html::without_entities;
use crate::issue::own::READ;
use crate::issue::own::scan::{attributes, content};

/// Tags whose image a reader may not see.
const SHOWN: [&str; 3] = ["mj-image", "mj-carousel-image", "img"];
/// Tags that lead somewhere.
const LINKS: [&str; 4] = ["a", "mj-button", "mj-image", "mj-social-element"];
/// Tags whose content is no text.
const SHEETS: [&str; 4] = ["mj-html-attribute", "mj-style", "script", "style"];
/// Attributes that name an image.
pub(super) const SOURCES: [&str; 3] = ["src", "background-url", "background"];

/// A tag of an author's components, in octets of their text.
pub(in crate::issue) struct Tag {
    pub(in crate::issue) name: Range<usize>,
    /// Each with the octets of its value.
    pub(in crate::issue) attributes: Vec<(String, Range<usize>)>,
    pub(in crate::issue) end: usize,
}

/// The stretches of a text in which components are only given looks.
#[derive(Clone, Debug, Default)]
pub(in crate::issue) struct Defaults {
    stretches: Vec<Range<usize>>,
    /// One of them says where links lead.
    links: bool,
}

impl Defaults {
    pub(in crate::issue) fn of(text: &str) -> Defaults {
        let mut found = Defaults::default();
        let mut at = 0;
        while let Some(start) = text[at..].find("<mj-attributes").map(|next| at + next) {
            let end = text[start..].find("</mj-attributes");
            at = end.map_or(text.len(), |end| start + end);
            found.links |= text[start..at].contains("href");
            found.stretches.push(start..at);
        }
        found
    }

    /// Whether a component at this place need not say where it leads.
    fn spare(&self, at: usize) -> bool {
        let next = self.stretches.partition_point(|known| known.start <= at);
        let before = next.checked_sub(1).map(|index| &self.stretches[index]);
        self.links || before.is_some_and(|known| known.contains(&at))
    }
}

/// Whether a comment begins that Outlook reads: its content is a page's for some readers.
pub(super) fn is_outlooks(text: &str) -> bool {
    text.starts_with("<!--[if")
}

/// The opening tags of a text.
pub(in crate::issue) fn tags(text: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find('<').map(|next| at + next) {
        let rest = &text[open..];
        if is_outlooks(rest) {
            at = open + 4;
            continue;
        }
        if rest.starts_with("<!--") {
            at = rest.find("-->").map_or(text.len(), |end| open + end + 3);
            continue;
        }
        if !rest[1..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            at = open + 1;
            continue;
        }
        let ends = |c: char| c.is_whitespace() || "/>=".contains(c);
        let name = open + 1
            ..rest[1..]
                .find(ends)
                .map_or(text.len(), |end| open + 1 + end);
        let (attributes, end) = attributes(text, name.end);
        tags.push(Tag {
            name,
            attributes,
            end,
        });
        at = end;
    }
    tags
}

impl Tag {
    /// The image that stands where its text should be; `base` is the offset of `text` in the file.
    pub(in crate::issue) fn textless(
        &self,
        text: &str,
        source: Source<'_>,
        base: usize,
    ) -> Option<Diagnostic> {
        let name = &text[self.name.clone()];
        let shown = SHOWN.iter().any(|known| known.eq_ignore_ascii_case(name));
        let has = |wanted: &str| self.attributes.iter().any(|(key, _)| key == wanted);
        // An engine's statement may stand around it.
        let said = has("alt") || text[self.name.end..self.end].contains("alt=");
        if !shown || !has("src") || said {
            return None;
        }
        let message = "this image has no text";
        let (at, length) = (base + self.name.start, self.name.len());
        let error = source.at(Severity::Error, at, length, "alt", message);
        Some(error.help("write `alt=\"...\"`, or `alt=\"\"` where it is decoration only"))
    }

    /// A button that leads nowhere; `defaults` are the stretches in which components are only given looks, and
    /// `base` is the offset of `text` in the file.
    pub(in crate::issue) fn idle(
        &self,
        text: &str,
        defaults: &Defaults,
        source: Source<'_>,
        base: usize,
    ) -> Option<Diagnostic> {
        let name = &text[self.name.clone()];
        if !name.eq_ignore_ascii_case("mj-button") || defaults.spare(self.name.start) {
            return None;
        }
        let given = self.attributes.iter().find(|(key, _)| key == "href");
        let leads = match given {
            // One that is empty is told as any link is.
            Some(_) => true,
            // An engine's statement may stand around it.
            None => text[self.name.end..self.end].contains("href="),
        };
        let (at, length) = (base + self.name.start, self.name.len());
        let message = "this button leads nowhere";
        let told = source.at(Severity::Warning, at, length, "button-link", message);
        (!leads).then(|| told.help("write `href=\"https://...\"`"))
    }

    /// A link that leads nowhere. That of a navigation may be its base.
    pub(in crate::issue) fn targetless(
        &self,
        text: &str,
        source: Source<'_>,
        base: usize,
    ) -> Option<Diagnostic> {
        let name = text[self.name.clone()].to_ascii_lowercase();
        // An engine's statement may stand around it.
        let dynamic = ["{{", "{%"]
            .iter()
            .any(|mark| text[self.name.end..self.end].contains(mark));
        if !LINKS.contains(&name.as_str()) || dynamic {
            return None;
        }
        let given = |wanted: &str| self.attributes.iter().find(|(key, _)| key == wanted);
        let anchor = given("name").or(given("id")).is_some();
        let problem = match given("href") {
            Some((_, value)) if text[value.clone()].trim().is_empty() => "this link leads nowhere",
            None if name == "a" && !anchor => "this link has no `href`",
            _ => return None,
        };
        let (at, length) = (base + self.name.start, self.name.len());
        let error = source.at(Severity::Error, at, length, "link", problem);
        Some(error.help("give it its address, or write its words without the link"))
    }

    /// The file of the issue that one of its attributes names.
    pub(in crate::issue) fn file(
        &self,
        text: &str,
        (key, value): &(String, Range<usize>),
        base: usize,
    ) -> Option<Picture> {
        let written = text[value.clone()].trim();
        if !SOURCES.contains(&key.as_str()) || !is_file(written) {
            return None;
        }
        Some(Picture {
            source: without_entities(written),
            alt: self.alt(text).unwrap_or_default(),
            caption: String::new(),
            link: None,
            width: None,
            height: None,
            align: None,
            still: false,
            offset: base + value.start,
        })
    }

    /// The address that one of its attributes links to. That of a navigation's link may go on behind its base.
    pub(in crate::issue) fn link<'t>(
        &self,
        text: &'t str,
        (key, value): &(String, Range<usize>),
    ) -> Option<&'t str> {
        let written = &text[value.clone()];
        let name = &text[self.name.clone()];
        let goes_on = name.eq_ignore_ascii_case("mj-navbar-link") && written.starts_with('/');
        (key == "href" && !written.trim().is_empty() && !goes_on).then_some(written)
    }

    /// The text of its image, if it has one.
    pub(in crate::issue) fn alt(&self, text: &str) -> Option<String> {
        let alt = self.attributes.iter().find(|(key, _)| key == "alt");
        alt.map(|(_, value)| without_entities(&text[value.clone()]))
    }

    /// What is called by its link: the words within, or the text of the image.
    pub(in crate::issue) fn label(&self, text: &str) -> String {
        let name = text[self.name.clone()].to_ascii_lowercase();
        let words = content(text, self.end, &name);
        match (self.alt(text), words.is_empty()) {
            (Some(alt), true) => alt,
            _ => words,
        }
    }

    /// Fields that stand where nothing escapes them as their place asks: all but those in quotes, in what
    /// a reader reads and in the values that `fit`.
    pub(in crate::issue) fn misplaced_fields(
        &self,
        text: &str,
        fit: impl Fn(&(String, Range<usize>)) -> bool,
        source: Source<'_>,
        base: usize,
    ) -> Vec<Diagnostic> {
        let mut told = Vec::new();
        let mut from = self.name.start;
        while let Some(at) = text[from..self.end].find("[[").map(|next| from + next) {
            from = at + 2;
            let before = text[..at].bytes().rev();
            let escaped = before.take_while(|octet| *octet == b'\\').count() % 2 == 1;
            let line = text[at..].lines().next().unwrap_or_default();
            let Some(length) = line.find("]]").map(|close| close + 2) else {
                continue;
            };
            let number = line[2..length - 2]
                .bytes()
                .all(|octet| octet.is_ascii_digit());
            if escaped || number {
                continue;
            }
            let mut around = self.attributes.iter();
            let around = around.find(|(_, value)| value.contains(&at));
            let quoted =
                around.is_some_and(|(_, value)| text[..value.start].ends_with(['"', '\'']));
            let fits = around.is_some_and(|attribute| {
                let (key, value) = attribute;
                at + length <= value.end && (READ.contains(&key.as_str()) || fit(attribute))
            });
            if quoted && fits {
                continue;
            }
            from = (at + length).min(self.end);
            let message = match around {
                Some((key, _)) if quoted => format!("a field cannot stand in `{key}`"),
                Some((key, _)) => {
                    format!("a field cannot stand in `{key}` without quotes around it")
                }
                None => "a field cannot stand in a tag outside of a value".to_owned(),
            };
            let error = source.at(Severity::Error, base + at, length, "slot", message);
            told.push(error.help(
                "fields stand in texts, and between quotes in `alt`, in `title` and behind the host of `href`",
            ));
        }
        told
    }

    /// The style sheet or script that it opens, or the value for attributes of other elements.
    pub(super) fn sheet(&self, text: &str) -> Option<Range<usize>> {
        let name = text[self.name.clone()].to_ascii_lowercase();
        let closed = name == "mj-style" && text[..self.end].ends_with("/>");
        let opens = SHEETS.contains(&name.as_str()) && !closed;
        let rest = &text[self.end..];
        let length = rest.find(&format!("</{name}")).unwrap_or(rest.len());
        opens.then(|| self.end..self.end + length)
    }

    /// A field in what [`Tag::sheet`] finds, where nothing could escape it.
    pub(in crate::issue) fn field_in_sheet(
        &self,
        text: &str,
        source: Source<'_>,
        base: usize,
    ) -> Option<Diagnostic> {
        let sheet = self.sheet(text)?;
        let at = text[sheet.clone()].find("[[")?;
        let name = &text[self.name.clone()];
        let message = format!("a field cannot stand within `<{name}>`");
        Some(source.error(base + sheet.start + at, "slot", message))
    }
}

/// Whether an address is that of a file beside the issue.
fn is_file(address: &str) -> bool {
    let elsewhere =
        address.contains("://") || address.starts_with("data:") || address.starts_with("//");
    !address.is_empty() && !elsewhere && !address.contains("[[") && !address.contains("{{")
}

#[cfg(test)]
mod tests {
    use super::tags;
    use crate::diagnostic::Source;

    #[test]
    fn images_without_a_text_and_files_of_the_issue_are_found() {
        let text = "<!-- <mj-image src=\"no.png\" /> -->\n<mj-image src=\"a.png\" />\n\
                    <mj-image src='b.png' alt=\"\" /><img alt='A hat' src=\"https://x.example/c.png\">\
                    <mj-image alt=\"default\" /><mj-section background-url=\"d.png\">";
        let source = Source { file: "a.md", text };
        let mut told = Vec::new();
        let mut files = Vec::new();
        for tag in tags(text) {
            told.extend(tag.textless(text, source, 0).map(|told| told.line));
            let named = tag.attributes.iter();
            let named = named.filter_map(|attribute| tag.file(text, attribute, 0));
            files.extend(named.map(|picture| (picture.source, picture.offset)));
        }
        assert_eq!(told, [2]);
        let file = |name: &str| (name.to_owned(), text.find(name).expect("it"));
        assert_eq!(files, [file("a.png"), file("b.png"), file("d.png")]);
    }
}
