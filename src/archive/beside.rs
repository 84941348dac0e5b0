//! Links between the files of an export's folder, which lead by name from one file to another.
//!
//! Promises: a link to the file of another issue leads to its page; one that leads to no page here is told, and its words
//! stand without it. Images, addresses of the web and paths of a site are left alone. Pure.

use std::collections::HashMap;
use std::ops::Range;

use percent_encoding::percent_decode_str;
use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::archive::paged::applied;
use crate::compile::impersonal::elements::tag_length;
use crate::draft;

/// How the names of texts end, as a link leaves it out.
const TEXTS: [&str; 4] = ["md", "markdown", "html", "htm"];
/// How the names of files end to which a text beside them may lead.
const FILES: [&str; 7] = ["md", "markdown", "html", "htm", "txt", "pdf", "docx"];
/// What an importer takes for a link without a target, and drops.
const NOWHERE: &str = "TODO";

/// The issues of a folder by the names of their files: our page of each, if it has one.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside(pub(super) HashMap<String, Option<String>>);

/// A text with other links.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Relinked {
    pub(super) text: String,
    /// How many lead to our pages now.
    pub(super) links: u64,
    /// Where the others led, as it stood there.
    pub(super) lost: Vec<String>,
}

/// Where a link of the text leads: where that stands, and how it is written.
struct Led {
    place: Range<usize>,
    kind: Kind,
    /// Its tag, or else the place.
    whole: Range<usize>,
}

impl Led {
    fn written(place: Range<usize>, kind: Kind) -> Led {
        let whole = place.clone();
        Led { place, kind, whole }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `[words](there)`
    Inline,
    /// `[name]: there`
    Definition,
    /// `href="there"`
    Html,
}

impl Beside {
    /// The text of the file `name` with its links to the others.
    pub(super) fn relinked(&self, name: &str, text: &str) -> Relinked {
        let html = draft::is_html(text);
        let links = match html {
            true => tags(text, 0..text.len()),
            false => links(text),
        };
        let mut made = Relinked::default();
        let mut edits = Vec::new();
        for Led { place, kind, whole } in links {
            let inside = &text[place.clone()];
            let there = match kind {
                Kind::Html => inside.trim(),
                Kind::Inline | Kind::Definition => destination(inside),
            };
            let page = match self.found(name, there) {
                Some(page) => page,
                None if is_file(there) => None,
                None => continue,
            };
            match (page, kind) {
                (Some(page), _) => {
                    edits.push((place.clone(), inside.replacen(there, page, 1)));
                    made.links += 1;
                }
                (None, kind) => {
                    made.lost.push(there.to_owned());
                    match kind {
                        Kind::Inline => edits.push((place, NOWHERE.to_owned())),
                        Kind::Html if !html => edits.extend(without_tag(text, whole)),
                        Kind::Definition | Kind::Html => {}
                    }
                }
            }
        }
        made.text = applied(text, edits);
        made
    }

    /// Our page of the issue to which `there` leads from the file `name`, if it has one; none where it is no issue.
    fn found(&self, name: &str, there: &str) -> Option<Option<&str>> {
        let path = there.split(['?', '#']).next()?;
        if path.is_empty() || path.starts_with('/') || has_scheme(path) {
            return None;
        }
        let path = percent_decode_str(path).decode_utf8().ok()?;
        let mut parts: Vec<&str> = name.split('/').collect();
        parts.pop();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop()?;
                }
                part => parts.push(part),
            }
        }
        let whole = parts.join("/");
        let bare = TEXTS.iter().map(|end| format!("{whole}.{end}"));
        let found = std::iter::once(whole.clone()).chain(bare);
        let mut found = found.filter_map(|file| self.0.get(&file));
        found.next().map(Option::as_deref)
    }
}

/// Whether it is meant to lead to a file beside this one, and to no host that lacks its `https://`.
fn is_file(there: &str) -> bool {
    let path = there.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() || path.starts_with('/') || has_scheme(path) {
        return false;
    }
    if path.starts_with("./") || path.starts_with("../") {
        // With a slash at its end it is a page of the site that it stood in.
        return !path.ends_with('/');
    }
    let (_, end) = path.rsplit_once('.').unwrap_or_default();
    let host = path
        .split_once('/')
        .is_some_and(|(first, _)| first.contains('.'));
    !host && FILES.iter().any(|known| end.eq_ignore_ascii_case(known))
}

fn has_scheme(path: &str) -> bool {
    path.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !scheme.contains('/')
    })
}

/// What leads there, without the title behind it and the angle brackets around it.
fn destination(inside: &str) -> &str {
    let inside = inside.trim();
    match inside
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
    {
        Some((there, _)) => there,
        None => inside.split_whitespace().next().unwrap_or_default(),
    }
}

/// The links of a text in Markdown and of the HTML in it, in their order. What stands in code is none.
fn links(text: &str) -> Vec<Led> {
    let dialect = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let parser = Parser::new_ext(text, dialect);
    let definitions = parser.reference_definitions().iter();
    let definitions = definitions.filter_map(|(_, known)| {
        let start = known.span.start + text[known.span.clone()].find("]:")? + 2;
        Some(Led::written(start..known.span.end, Kind::Definition))
    });
    let mut found: Vec<Led> = definitions.collect();
    // The link under way, and where its words end.
    let mut open: Option<(Range<usize>, usize)> = None;
    let mut html: Vec<Range<usize>> = Vec::new();
    for (event, range) in parser.into_offset_iter() {
        match event {
            Event::Start(Tag::Link {
                link_type: LinkType::Inline,
                ..
            }) => open = Some((range.clone(), range.start + 1)),
            Event::End(TagEnd::Link) => {
                if let Some((whole, words)) = open.take()
                    && let Some(gap) = text[words..whole.end].find("](")
                {
                    let place = words + gap + 2..whole.end - 1;
                    found.push(Led::written(place, Kind::Inline));
                }
            }
            event => {
                if let Some((_, words)) = &mut open {
                    *words = range.end.max(*words);
                }
                if !matches!(event, Event::Html(_) | Event::InlineHtml(_)) {
                    continue;
                }
                // A block comes line by line.
                match html.last_mut().filter(|last| last.end == range.start) {
                    Some(last) => last.end = range.end,
                    None => html.push(range),
                }
            }
        }
    }
    found.extend(html.into_iter().flat_map(|range| tags(text, range)));
    found.sort_by_key(|led| led.place.start);
    found
}

/// The links of a stretch of HTML.
fn tags(text: &str, stretch: Range<usize>) -> Vec<Led> {
    let (mut found, mut at) = (Vec::new(), stretch.start);
    while let Some(next) = text[at..stretch.end].find('<') {
        let start = at + next;
        let rest = &text[start..stretch.end];
        let begins = rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || "/!".contains(c));
        at = start + if begins { tag_length(rest) } else { 1 };
        if !is_tag(rest, "<a") {
            continue;
        }
        if let Some(place) = target(&text[start..at]) {
            found.push(Led {
                place: start + place.start..start + place.end,
                kind: Kind::Html,
                whole: start..at,
            });
        }
    }
    found
}

/// Whether the tag of this beginning and no longer name begins here.
fn is_tag(html: &str, name: &str) -> bool {
    let begun = html.get(..name.len());
    begun.is_some_and(|begun| begun.eq_ignore_ascii_case(name))
        && !html[name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
}

/// Where in the tag the value of its `href` stands, in quotes or in none.
fn target(tag: &str) -> Option<Range<usize>> {
    let blank = |c: char| c.is_whitespace() || c == '/';
    let skip = |at: usize, these: &dyn Fn(char) -> bool| {
        let rest = &tag[at..];
        at + rest.find(|c| !these(c)).unwrap_or(rest.len())
    };
    let mut at = skip(2, &blank);
    while at < tag.len() && !tag[at..].starts_with('>') {
        let name = at;
        at = skip(at, &|c| !blank(c) && c != '=' && c != '>');
        let name = &tag[name..at];
        let behind = skip(at, &char::is_whitespace);
        if tag[behind..].starts_with('=') {
            at = skip(behind + 1, &char::is_whitespace);
            let quote = tag[at..].chars().next().filter(|c| "\"'".contains(*c));
            let start = at + usize::from(quote.is_some());
            let end = match quote {
                Some(quote) => skip(start, &|c| c != quote),
                None => skip(start, &|c| !c.is_whitespace() && c != '>'),
            };
            if name.eq_ignore_ascii_case("href") {
                return Some(start..end);
            }
            at = (end + usize::from(quote.is_some())).min(tag.len());
        }
        at = skip(at, &blank);
    }
    None
}

/// What takes the tag of a link out of the text, and the one that closes it. Its words stay.
fn without_tag(text: &str, opening: Range<usize>) -> Vec<(Range<usize>, String)> {
    let behind = &text[opening.end..];
    let mut ends = behind.match_indices('<').map(|(at, _)| at);
    let closing = ends
        .find(|at| is_tag(&behind[*at..], "</a"))
        .map(|at| opening.end + at..opening.end + at + tag_length(&behind[at..]));
    let both = std::iter::once(opening).chain(closing);
    both.map(|tag| (tag, String::new())).collect()
}

#[cfg(test)]
mod tests {
    use super::Beside;

    fn beside() -> Beside {
        let page = |name: &str| Some(format!("https://n.example/archive/{name}"));
        let all = [
            ("first.md", page("first")),
            ("2023/second part.md", page("second")),
            ("2023/third.html", page("third")),
            ("2023/paid.md", None),
        ];
        Beside(all.map(|(name, page)| (name.to_owned(), page)).into())
    }

    #[test]
    fn a_link_to_another_file_leads_to_its_page_from_wherever_it_stands() {
        for (name, text, expected) in [
            ("zero.md", "[x](first.md) y", "[x]({first}) y"),
            ("zero.md", "[x](./first.md#a \"T\")!", "[x]({first} \"T\")!"),
            ("zero.md", "[x](2023/second%20part.md)", "[x]({second})"),
            ("zero.md", "[x](<2023/second part.md>)", "[x](<{second}>)"),
            (
                "2023/third.html",
                "<a href=\"../first.md\">x</a>",
                "<a href=\"{first}\">x</a>",
            ),
            ("2023/paid.md", "[x](third)", "[x]({third})"),
            (
                "2023/paid.md",
                "a [x]\n\n[x]: ../first 'T'\n\nb",
                "a [x]\n\n[x]: {first} 'T'\n\nb",
            ),
            ("zero.md", "[x](first.md#a_(b)) y", "[x]({first}) y"),
            ("zero.md", "[a\\] `](b`](first.md)", "[a\\] `](b`]({first})"),
            (
                "zero.md",
                "---\ntitle: T\n---\n<p>\n<A\nhref='first.md'>x</A></p>\n",
                "---\ntitle: T\n---\n<p>\n<A\nhref='{first}'>x</A></p>\n",
            ),
            (
                "zero.md",
                "[![y](2023/third.png)](first.md)",
                "[![y](2023/third.png)]({first})",
            ),
        ] {
            let page = |name: &str| format!("https://n.example/archive/{name}");
            let whole = ["first", "second", "third"]
                .iter()
                .fold(expected.to_owned(), |text, name| {
                    text.replace(&format!("{{{name}}}"), &page(name))
                });
            let made = beside().relinked(name, text);
            assert_eq!(
                (made.text, made.links, made.lost.len()),
                (whole, 1, 0),
                "{text}"
            );
        }
    }

    #[test]
    fn what_leads_to_no_page_is_told_and_what_is_no_file_is_left_alone() {
        let lost = |text: &str| {
            let made = beside().relinked("zero.md", text);
            (made.text, made.lost)
        };
        for there in [
            "gone.md",
            "../first.md",
            "2023/paid.md",
            "paper.pdf",
            "./x",
            "2023/paid",
        ] {
            let (text, told) = lost(&format!("[x]({there}) y"));
            assert_eq!(text, "[x](TODO) y", "{there}");
            assert_eq!(told, [there], "{there}");
        }
        for (html, words) in [
            ("<a href='gone.html'>x</a> y", "x y"),
            (
                "- See <A class=\"b\" href=\"gone.html\">the *x*</A >.",
                "- See the *x*.",
            ),
            (
                "See <a href=\"gone.html\"><abbr>RSS</abbr></a>.",
                "See <abbr>RSS</abbr>.",
            ),
            (
                "See <a href=\"gone.html\" title=\"a > b\">x</a> y",
                "See x y",
            ),
            ("See <a\nhref = gone.html class=b>x</a>.", "See x."),
        ] {
            let told = vec!["gone.html".to_owned()];
            assert_eq!(lost(html), (words.to_owned(), told));
        }
        // Whoever reads a page of HTML drops what leads nowhere.
        let page = "<p>So <a href='gone.html'>x</a></p>";
        assert_eq!(lost(page), (page.to_owned(), vec!["gone.html".to_owned()]));
        for text in [
            "[x](https://a.example/first.md)",
            "[x](/first.md)",
            "[x](#first.md)",
            "[x](mailto:a@first.md)",
            "[x](a.example/first.md)",
            "[x](url)",
            "![x](first.md)",
            "![x](pic.png)",
            "see first.md (first.md) [first.md]",
            "a]: first.md",
            "[é](\u{fc}",
            "Write `[x](first.md)` or ``<a href=\"gone.md\">``.",
            "```\n[x](gone.md)\n[x]: first.md\n```\n",
            "So:\n\n    [x](gone.md)\n",
            "So <code>href=\"gone.md\"</code> or <b data-href=\"gone.md\">b</b>",
            "So <a data-href=\"gone.md\" title='href=\"gone.md\"' href=#x>b</a>",
            "So <area href=\"gone.md\">",
        ] {
            assert_eq!(lost(text), (text.to_owned(), Vec::new()), "{text}");
        }
    }
}
