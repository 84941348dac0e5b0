//! What of a mail is its reader's own, taken out of the page that anyone may read: the way to her copy in the browser, and
//! the ways to leave and to choose, with the words around them.
//!
//! Promises: no link of hers is left, and no sentence that says why she gets the mail, where it stands with one in a
//! paragraph or in a line of the theme's; of what the author wrote, no more than the sentence of such a link is taken.
//! Where the last of them stood, ways that are anyone's stand; nothing is cut apart. Leaves the links to `archived`, and
//! the author's words to `sentence`.

use std::ops::Range;

use crate::compile::impersonal::sentence::{Written, untagged};

mod sentence;

/// Stands in a page for the link to a reader's copy in the browser.
pub(super) const VIEW: &str = "about:pressrun-copy";
/// Stands there for her links to leave, to choose and to confirm.
pub(super) const HERS: &str = "about:pressrun-reader";

/// Where anyone may go from an issue's page, with the words for it; HTML is made of them here.
#[derive(Clone, Copy, Debug)]
pub struct Ways<'a> {
    /// The page itself.
    pub page: &'a str,
    pub home: &'a str,
    pub archive: &'a str,
    pub subscribe: &'a str,
    pub issues: &'a str,
}

/// Elements that hold one text of their own.
const TEXTS: [&str; 13] = [
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "li",
    "blockquote",
    "pre",
    "dt",
    "dd",
    "figcaption",
];
/// Elements that part one text from another, and are nothing themselves.
const BOXES: [&str; 15] = [
    "div", "table", "tbody", "thead", "tfoot", "tr", "td", "th", "center", "section", "body", "ul",
    "ol", "dl", "figure",
];
/// Elements without an end.
const VOID: [&str; 12] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr",
];

/// An element of the page, by octets.
struct Element {
    name: String,
    /// From its `<` to behind its end.
    whole: Range<usize>,
    /// What stands between its tags.
    inside: Range<usize>,
    parent: Option<usize>,
    door: Option<Door>,
}

impl Element {
    /// Whether a range holds one end of it and not the other.
    fn is_cut_by(&self, range: &Range<usize>) -> bool {
        let Range { start, end } = self.whole;
        let apart = end <= range.start || start >= range.end;
        let within = start >= range.start && end <= range.end;
        let around = self.inside.start <= range.start && range.end <= self.inside.end;
        !(apart || within || around)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    View,
    Hers,
}

/// The page without its reader; `text` is the text part of the same issue.
pub(super) fn without_reader(page: &str, text: &str, ways: &Ways<'_>) -> String {
    let elements = elements(page);
    let written = Written::of(text);
    let mut cuts: Vec<(Range<usize>, bool)> = Vec::new();
    for (place, element) in elements.iter().enumerate() {
        let Some(door) = element.door else {
            continue;
        };
        let cut = around(page, &elements, &written, place, door);
        cuts.push((cut, door == Door::Hers));
    }
    // What lies within another goes with it.
    let all: Vec<Range<usize>> = cuts.iter().map(|(cut, _)| cut.clone()).collect();
    let within = |cut: &Range<usize>| {
        let holds = |other: &&Range<usize>| {
            other.start <= cut.start && cut.end <= other.end && *other != cut
        };
        all.iter().any(|other| holds(&other))
    };
    cuts.retain(|(cut, _)| !within(cut));
    cuts.sort_by_key(|(cut, _)| cut.start);
    cuts.dedup_by(|later, first| {
        let same = later.0 == first.0;
        first.1 |= same && later.1;
        same
    });
    let last = cuts.iter().rposition(|(_, hers)| *hers);
    let mut out = String::with_capacity(page.len());
    let mut from = 0;
    for (place, (cut, _)) in cuts.iter().enumerate() {
        out.push_str(&page[from..cut.start]);
        if Some(place) == last {
            if !out.ends_with(|c: char| c == '>' || c.is_whitespace()) {
                out.push(' ');
            }
            out.push_str(&ways_instead(&page[cut.clone()], ways));
        }
        from = cut.end;
    }
    out.push_str(&page[from..]);
    // In conditional comments, and where an author's layout prints an address as words.
    out.replace(VIEW, ways.page).replace(HERS, ways.home)
}

/// The ways that are anyone's, looking like the links that stood in `cut`.
fn ways_instead(cut: &str, ways: &Ways<'_>) -> String {
    let style = cut.find(HERS).and_then(|at| {
        let tag = &cut[cut[..at].rfind('<')?..];
        let tag = &tag[..tag.find('>')?];
        let (_, style) = tag.split_once("style=\"")?;
        Some(format!(" style=\"{}\"", style.split_once('"')?.0))
    });
    let style = style.unwrap_or_default();
    format!(
        "<a href=\"{}\"{style}>{}</a> &#183; <a href=\"{}\"{style}>{}</a>",
        ways.home, ways.subscribe, ways.archive, ways.issues
    )
}

/// What goes with a link: the text it stands in, or its sentence where the author wrote that, or its line, or itself
/// alone.
fn around(
    page: &str,
    elements: &[Element],
    written: &Written,
    place: usize,
    door: Door,
) -> Range<usize> {
    let link = &elements[place];
    let mut holder = link.parent;
    while let Some(at) = holder {
        let name = elements[at].name.as_str();
        if TEXTS.contains(&name) {
            let inside = elements[at].inside.clone();
            if !written.holds(&page[inside.clone()]) {
                return inside;
            }
            let sentence = sentence::around(page, &inside, &link.whole);
            return unbroken(elements, sentence);
        }
        if BOXES.contains(&name) {
            break;
        }
        holder = elements[at].parent;
    }
    let inside = holder.map_or(0..page.len(), |at| elements[at].inside.clone());
    let mut line = inside.clone();
    for other in elements {
        let parts = other.name == "br" || is_block(&other.name);
        if !parts || other.whole.start < inside.start || other.whole.end > inside.end {
            continue;
        }
        if other.whole.end <= link.whole.start {
            line.start = line.start.max(other.whole.end);
        } else if other.whole.start >= link.whole.end {
            line.end = line.end.min(other.whole.start);
        }
    }
    if !is_whole(elements, &line) {
        return link.whole.clone();
    }
    let before = words(&page[line.start..link.whole.start]);
    let after = words(&page[link.whole.end..line.end]);
    // Beside the way into the browser a date stands, which is everyone's.
    if door == Door::View && !(before.is_empty() && after.is_empty()) {
        let cut = with_divider(page, link.whole.clone(), &line);
        return match is_whole(elements, &cut) {
            true => cut,
            false => link.whole.clone(),
        };
    }
    line
}

fn is_block(name: &str) -> bool {
    TEXTS.contains(&name) || BOXES.contains(&name) || name == "hr"
}

/// Whether no element begins in `range` and ends outside, or the other way round.
fn is_whole(elements: &[Element], range: &Range<usize>) -> bool {
    elements.iter().all(|element| !element.is_cut_by(range))
}

/// `range` with the whole of every element that begins in it and ends outside, or the other way round.
fn unbroken(elements: &[Element], mut range: Range<usize>) -> Range<usize> {
    while let Some(element) = elements.iter().find(|element| element.is_cut_by(&range)) {
        range = range.start.min(element.whole.start)..range.end.max(element.whole.end);
    }
    range
}

/// The words of some HTML, without what divides them from others.
fn words(html: &str) -> String {
    undivided(&untagged(html)).to_owned()
}

const DIVIDERS: [&str; 12] = [
    "&#160;", "&nbsp;", "&#183;", "&middot;", "&#8203;", "&#8226;", "\u{a0}", "\u{b7}", "\u{2022}",
    "|", "\u{200b}", "\u{2013}",
];

/// `text` without the dividers and blanks at both ends.
fn undivided(mut text: &str) -> &str {
    loop {
        let before = text.len();
        text = text.trim();
        for divider in DIVIDERS {
            text = text.strip_prefix(divider).unwrap_or(text);
            text = text.strip_suffix(divider).unwrap_or(text);
        }
        if text.len() == before {
            return text;
        }
    }
}

/// A link with the divider between it and the words beside it in its line.
fn with_divider(page: &str, link: Range<usize>, line: &Range<usize>) -> Range<usize> {
    let before = &page[line.start..link.start];
    let kept = undivided(before);
    if !kept.is_empty() {
        let end = before.find(kept).map_or(before.len(), |at| at + kept.len());
        return line.start + end..link.end;
    }
    let after = &page[link.end..line.end];
    let kept = undivided(after);
    let begin = after.find(kept).filter(|_| !kept.is_empty());
    link.start..link.end + begin.unwrap_or(0)
}

/// The elements of a page in the order of their starts. Comments, styles and scripts hold none.
fn elements(page: &str) -> Vec<Element> {
    let mut found: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(next) = page[at..].find('<') {
        let start = at + next;
        let rest = &page[start..];
        if rest.starts_with("<!--") {
            at = start + rest.find("-->").map_or(rest.len(), |end| end + 3);
            continue;
        }
        let end = start + tag_length(rest);
        at = end;
        let tag = &page[start..end];
        if let Some(name) = tag.strip_prefix("</") {
            let name = name_of(name);
            if let Some(depth) = open.iter().rposition(|&place| found[place].name == name) {
                for &place in &open[depth..] {
                    found[place].inside.end = start;
                    found[place].whole.end = start;
                }
                found[open[depth]].whole.end = end;
                open.truncate(depth);
            }
            continue;
        }
        let name = name_of(&tag[1..]);
        if name.is_empty() {
            continue;
        }
        let door = match name.as_str() {
            "a" if tag.contains(VIEW) => Some(Door::View),
            "a" if tag.contains(HERS) => Some(Door::Hers),
            _ => None,
        };
        let bare = VOID.contains(&name.as_str()) || tag.ends_with("/>");
        let raw = matches!(name.as_str(), "style" | "script" | "title");
        found.push(Element {
            whole: start..if bare { end } else { page.len() },
            inside: end..if bare { end } else { page.len() },
            parent: open.last().copied(),
            door,
            name,
        });
        if raw {
            let name = format!("</{}", found[found.len() - 1].name);
            at = page[end..].find(&name).map_or(page.len(), |to| end + to);
        }
        if !bare {
            open.push(found.len() - 1);
        }
    }
    found
}

fn name_of(tag: &str) -> String {
    let name = tag.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != ':');
    name.take(1).collect::<String>().to_ascii_lowercase()
}

/// Octets from `<` to behind the `>` that is in no quotes.
fn tag_length(rest: &str) -> usize {
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (None, '>') => return at + 1,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::{HERS, VIEW, Ways, without_reader};

    const WAYS: Ways<'_> = Ways {
        page: "/archive/week",
        home: "/",
        archive: "/archive",
        subscribe: "Subscribe",
        issues: "All issues",
    };

    fn open(page: &str) -> String {
        beside(page, "")
    }

    fn beside(page: &str, text: &str) -> String {
        without_reader(
            &page.replace("HERS", HERS).replace("VIEW", VIEW),
            text,
            &WAYS,
        )
    }

    #[test]
    fn of_what_the_author_wrote_no_more_than_the_links_sentence_goes() {
        let text = "We meet on Friday at eight in the\nCaf\u{e9} Example. If you would rather hear less, choose what \
                    you get\n(...). The room is on the first floor.\n\nYou may leave here (...) & go.\n\n\
                    Too long? Read it in your browser (...).\n\n\
                    ------------------------------------------------------------------------\n\
                    You get this because. Leave: ...";
        let footer = "<p>You get this because.<br><a href=\"HERS\">Leave</a></p>";
        let ways = "<p><a href=\"/\">Subscribe</a> &#183; <a href=\"/archive\">All issues</a></p>";
        for (written, shown) in [
            (
                "<p>We meet on Friday at eight in the Caf\u{e9} Example. If you would rather hear <em>less</em>, <a \
                 href=\"HERS\">choose what you get</a>. The room is on the first floor.</p>",
                "<p>We meet on Friday at eight in the Caf\u{e9} Example. The room is on the first floor.</p>",
            ),
            (
                "<blockquote><p>You may <a href=\"HERS\">leave here</a> &amp; go.</p></blockquote>",
                "<blockquote><p></p></blockquote>",
            ),
            (
                "<p>Too long? <a href=\"VIEW\">Read it in your browser</a>.</p>",
                "<p></p>",
            ),
            (
                "<p>See. <em>The <a href=\"HERS\">room</a>. Is</em> on the first floor.</p>",
                "<p>See. on the first floor.</p>",
            ),
        ] {
            assert_eq!(
                beside(&format!("{written}{footer}"), text),
                format!("{shown}{ways}")
            );
        }
        // Where no footer stands the ways stand in its place.
        let page = "<p>We meet on Friday at eight in the Caf\u{e9} Example. <a href=\"HERS\">Leave</a>.</p>";
        assert_eq!(
            beside(page, text),
            "<p>We meet on Friday at eight in the Caf\u{e9} Example. <a href=\"/\">Subscribe</a> &#183; \
             <a href=\"/archive\">All issues</a></p>"
        );
    }

    #[test]
    fn a_footer_says_what_anyone_may_do_and_keeps_the_address() {
        let page = "<td><div><p class=\"x\">You get this because.<br><a href=\"HERS\" style=\"color:red\">Leave</a> \
                    &#183; <a href=\"HERS\">Choose</a></p><p>Town</p></div></td>";
        assert_eq!(
            open(page),
            "<td><div><p class=\"x\"><a href=\"/\" style=\"color:red\">Subscribe</a> &#183; \
             <a href=\"/archive\" style=\"color:red\">All issues</a></p><p>Town</p></div></td>"
        );
        // In a box the line of the link alone is the reader's.
        let page = "<div>Town<br><b>or</b> <a href=\"HERS\">leave</a><br>Imprint</div>";
        assert_eq!(
            open(page),
            "<div>Town<br><a href=\"/\">Subscribe</a> &#183; <a href=\"/archive\">All issues</a><br>Imprint</div>"
        );
        // The ways stand once, and last.
        let page = "<p>You may <a href=\"HERS\">leave</a>.</p><p>Text</p><div><a href=\"HERS\">Leave</a></div>";
        assert_eq!(
            open(page),
            "<p></p><p>Text</p><div><a href=\"/\">Subscribe</a> &#183; <a href=\"/archive\">All issues</a></div>"
        );
    }

    #[test]
    fn the_way_into_the_browser_goes_and_the_date_beside_it_stays() {
        assert_eq!(
            open("<div><img src=\"x\">7 June &#160;&#183;&#160; <a href=\"VIEW\">View</a></div>"),
            "<div><img src=\"x\">7 June</div>"
        );
        assert_eq!(
            open("<div>7 June &#160;&#183;&#160; <a href=\"VIEW\">View</a></div>"),
            "<div>7 June</div>"
        );
        assert_eq!(
            open("<tr><td>7 June</td><td class=\"line\"><a href=\"VIEW\">View</a></td></tr>"),
            "<tr><td>7 June</td><td class=\"line\"></td></tr>"
        );
        assert_eq!(
            open("<p>Broken? <a href=\"VIEW\">Look</a>.</p>a"),
            "<p></p>a"
        );
    }

    #[test]
    fn nothing_is_cut_apart_and_no_mark_is_left() {
        for (page, shown) in [
            // An element around two lines, and a page that ends before its elements do.
            (
                "<div><span>Why<br><a href=\"HERS\">leave</a></span></div>",
                "<div><span>Why<br><a href=\"/\">Subscribe</a> &#183; <a href=\"/archive\">All issues</a></span></div>",
            ),
            (
                "<!--[if mso]><a href=\"HERS\">x</a><![endif]-->",
                "<!--[if mso]><a href=\"/\">x</a><![endif]-->",
            ),
            (
                "<style>a>b{}</style><p>HERS VIEW < > </p>",
                "<style>a>b{}</style><p>/ /archive/week < > </p>",
            ),
            ("<div><p><a href=\"VIEW\">x", "<div><p>"),
            ("", ""),
        ] {
            assert_eq!(open(page), shown, "{page}");
        }
    }
}
