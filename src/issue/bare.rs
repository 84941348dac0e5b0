//! Addresses among words that nobody marked as links: `https://example.org/x` and `www.example.org`.
//!
//! Promises: what GitHub's Markdown makes a link is one here (GFM 0.29, section 6.9), with the place where it was
//! written; code, links, images and HTML are left as they are. Addresses of mail stay words: a mail program knows them.

use std::ops::Range;

use memchr::memmem;
use pulldown_cmark::{CowStr, Event, LinkType, Tag, TagEnd};

use crate::issue::target;

type Placed<'a> = (Event<'a>, Range<usize>);

/// The events of `text` with a link for every bare address.
pub(super) fn linked<'a>(text: &'a str, events: Vec<Placed<'a>>) -> Vec<Placed<'a>> {
    let may = |sign: &str| memmem::find(text.as_bytes(), sign.as_bytes()).is_some();
    // Most paragraphs have none, and many issues.
    if !may("://") && !may("www.") && !may("WWW.") {
        return events;
    }
    let mut linking = Linking {
        text,
        out: Vec::with_capacity(events.len() + 8),
        closed: 0,
        anchor: false,
    };
    let mut events = events;
    let mut at = 0;
    while at < events.len() {
        at = linking.step(&mut events, at);
    }
    linking.out
}

struct Linking<'a> {
    text: &'a str,
    out: Vec<Placed<'a>>,
    /// Links, images and code around the event, where no link can begin.
    closed: usize,
    /// Within the words of an `<a>` of HTML.
    anchor: bool,
}

impl<'a> Linking<'a> {
    /// Passes the event `at`, or makes a link of it and those that belong to it; gives the next one.
    fn step(&mut self, events: &mut [Placed<'a>], at: usize) -> usize {
        match &events[at].0 {
            Event::Start(tag) if is_closed(tag) => self.closed += 1,
            Event::End(TagEnd::Link | TagEnd::Image | TagEnd::CodeBlock | TagEnd::HtmlBlock) => {
                self.closed = self.closed.saturating_sub(1);
            }
            Event::Start(Tag::Paragraph | Tag::Heading { .. } | Tag::Item | Tag::TableCell) => {
                self.anchor = false;
            }
            Event::InlineHtml(tag) => {
                let name = tag.trim_start_matches(['<', '/']);
                let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next();
                if name.is_some_and(|name| name.eq_ignore_ascii_case("a")) {
                    self.anchor = !tag.starts_with("</");
                }
            }
            Event::Text(_) if self.closed == 0 && !self.anchor => {
                return self.words(events, at);
            }
            _ => {}
        }
        self.out.push(events[at].clone());
        at + 1
    }

    /// The words of the event `at`, up to the first address among them.
    fn words(&mut self, events: &mut [Placed<'a>], at: usize) -> usize {
        let range = events[at].1.clone();
        let found = self.starts(&range).find_map(|start| {
            let end = self.end(events, at, start)?;
            leads_somewhere(&self.text[start..end]).then_some(start..end)
        });
        let Some(address) = found else {
            self.out.push(events[at].clone());
            return at + 1;
        };
        if range.start < address.start {
            let before = range.start..address.start;
            let words = CowStr::Borrowed(&self.text[before.clone()]);
            self.out.push((Event::Text(words), before));
        }
        let mut words = String::new();
        let mut next = at;
        let (mut depth, mut marked) = (0_usize, false);
        while let Some((event, place)) = events.get_mut(next)
            && place.start < address.end
        {
            let from = place.start.max(address.start);
            let to = place.end.min(address.end);
            match event {
                // What stands for a character is that character; all else is as it was written.
                Event::Text(said) if self.text[place.clone()].starts_with('&') => {
                    words.push_str(said);
                }
                Event::Text(_) => words.push_str(&self.text[from..to]),
                Event::Start(_) => depth += 1,
                Event::End(_) if depth > 0 => depth -= 1,
                // The end of what stands around the address, which begins before it.
                _ => break,
            }
            marked |= depth > 0;
            if place.end > address.end {
                // The rest of these words is looked at next.
                *event = Event::Text(CowStr::Borrowed(&self.text[to..place.end]));
                *place = to..place.end;
                break;
            }
            next += 1;
        }
        if marked {
            self.text[address.clone()].clone_into(&mut words);
        }
        let leads_to = led_to(&words);
        let link = Tag::Link {
            link_type: LinkType::Autolink,
            dest_url: leads_to.into(),
            title: CowStr::Borrowed(""),
            id: CowStr::Borrowed(""),
        };
        self.out.push((Event::Start(link), address.clone()));
        let words = Event::Text(words.into());
        self.out.push((words, address.clone()));
        self.out.push((Event::End(TagEnd::Link), address));
        next
    }

    /// Where an address may begin within `range`.
    fn starts(&self, range: &Range<usize>) -> impl Iterator<Item = usize> + use<'a> {
        let (text, range) = (self.text, range.clone());
        let begins = move |at: &usize| {
            let Some(rest) = text.get(*at..) else {
                return false;
            };
            let before = text[..*at].chars().next_back();
            match (scheme(rest), is_www(rest)) {
                (Some(_), _) => !before.is_some_and(|c| c.is_ascii_alphanumeric()),
                (None, true) => {
                    !before.is_some_and(|c| c.is_ascii_alphanumeric() || "/:@.-=&".contains(c))
                }
                (None, false) => false,
            }
        };
        range.filter(begins)
    }

    /// Where the address ends that begins at `start`, within the event `at`; none where it is none.
    fn end(&self, events: &[Placed<'a>], at: usize, start: usize) -> Option<usize> {
        let mut limit = reach(events, at);
        loop {
            let end = start + length(&self.text[start..limit])?;
            // Emphasis that goes on behind it is no part of it, nor is half a character's name.
            let cut = events[at..].iter().find(|(event, place)| {
                let whole = match event {
                    Event::Text(_) => self.text[place.clone()].starts_with('&'),
                    _ => true,
                };
                place.start > start && place.start < end && place.end > end && whole
            });
            match cut {
                Some((_, place)) => limit = place.start,
                None => return Some(end),
            }
        }
    }
}

/// Whether no link can stand within it.
fn is_closed(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Link { .. } | Tag::Image { .. } | Tag::CodeBlock(_) | Tag::HtmlBlock
    )
}

/// The end of the words that go on from the event `at` without anything that is no word of an address: emphasis is, if
/// all of it stands there.
fn reach(events: &[Placed<'_>], at: usize) -> usize {
    let mut end = events[at].1.end;
    let mut depth = 0_usize;
    for (event, range) in &events[at..] {
        match event {
            Event::Text(_) => {}
            Event::Start(Tag::Emphasis | Tag::Strong | Tag::Strikethrough) => depth += 1,
            Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough) if depth > 0 => {
                depth -= 1;
            }
            _ => break,
        }
        if depth == 0 {
            end = range.end;
        }
    }
    end
}

/// The scheme that `text` begins with, in any case.
fn scheme(text: &str) -> Option<&str> {
    ["https://", "http://"].into_iter().find_map(|scheme| {
        let begun = text.get(..scheme.len())?;
        begun.eq_ignore_ascii_case(scheme).then_some(begun)
    })
}

/// What an address among words is short for.
fn led_to(address: &str) -> String {
    match is_www(address) {
        true => format!("http://{address}"),
        false => address.to_owned(),
    }
}

/// Whether a link may lead there. What only looks like an address, as `https://a.example:PORT/` does, is words: nobody
/// meant a link by it that could be mended.
fn leads_somewhere(address: &str) -> bool {
    target::web(&led_to(address)).is_ok()
}

fn is_www(text: &str) -> bool {
    text.get(..4)
        .is_some_and(|begun| begun.eq_ignore_ascii_case("www."))
}

/// How many octets of `text` are the address that it begins with; none where it has no valid domain.
fn length(text: &str) -> Option<usize> {
    let host = scheme(text).map_or(0, str::len);
    let of_domain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let domain = &text[host..];
    let domain = &domain[..domain.find(|c| !of_domain(c)).unwrap_or(domain.len())];
    let domain = domain.trim_end_matches(['.', '_', '-']);
    let labels: Vec<&str> = domain.split('.').collect();
    let last_two = labels.iter().rev().take(2);
    if labels.len() < 2
        || labels.iter().any(|label| label.is_empty())
        || last_two.into_iter().any(|label| label.contains('_'))
    {
        return None;
    }
    let rest = &text[host + domain.len()..];
    let path = match rest.starts_with(['/', '?', '#', ':']) {
        true => rest.find(ends).unwrap_or(rest.len()),
        false => 0,
    };
    let end = host + domain.len() + path;
    Some(trimmed(&text[..end]).len())
}

/// What no address goes on behind: a blank, what may begin a tag, and what languages without blanks put between
/// sentences.
fn ends(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '<' | '\u{1}' | '\u{2}' | '\u{3000}'..='\u{303f}')
        || matches!(c, '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}')
}

/// Without the punctuation of the sentence that the address stands in.
fn trimmed(address: &str) -> &str {
    let mut left = address;
    while let Some(last) = left.chars().next_back() {
        let cut = match last {
            '?' | '!' | '.' | ',' | ':' | '*' | '_' | '~' | '\'' | '"' => 1,
            '\u{201c}' | '\u{201d}' | '\u{2018}' | '\u{2019}' | '\u{bb}' | '\u{ab}'
            | '\u{2026}' => last.len_utf8(),
            // Balanced ones belong to it: https://en.wikipedia.org/wiki/Honey_(food).
            ')' | ']' => {
                let open = if last == ')' { '(' } else { '[' };
                let count = |wanted: char| left.matches(wanted).count();
                if count(last) <= count(open) {
                    return left;
                }
                1
            }
            ';' => {
                let before = &left[..left.len() - 1];
                let named = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
                match named.strip_suffix('&') {
                    Some(kept) if named.len() < before.len() => left.len() - kept.len(),
                    _ => 1,
                }
            }
            _ => return left,
        };
        left = &left[..left.len() - cut];
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;
    use pulldown_cmark::{Event, Parser, Tag, TagEnd};

    use super::linked;
    use crate::issue::mask::DIALECT;

    /// The text with each link as `{words|target}`.
    fn shown(text: &str) -> String {
        let events = Parser::new_ext(text, DIALECT).into_offset_iter().collect();
        let mut out = String::new();
        let mut target = Vec::new();
        for (event, range) in linked(text, events) {
            match event {
                Event::Start(Tag::Link { dest_url, .. }) => {
                    assert!(text.get(range).is_some());
                    out.push('{');
                    target.push(dest_url.to_string());
                }
                Event::End(TagEnd::Link) => {
                    out.push_str(&format!("|{}}}", target.pop().expect("a link's beginning")));
                }
                Event::Text(words) | Event::Code(words) | Event::InlineHtml(words) => {
                    out.push_str(&words);
                }
                Event::SoftBreak => out.push(' '),
                Event::Start(Tag::Emphasis) | Event::End(TagEnd::Emphasis) => out.push('*'),
                _ => {}
            }
        }
        out
    }

    #[test]
    fn a_bare_address_is_a_link_without_the_punctuation_around_it() {
        for (text, expected) in [
            (
                "see https://a.example/x now",
                "see {https://a.example/x|https://a.example/x} now",
            ),
            (
                "https://a.example.",
                "{https://a.example|https://a.example}.",
            ),
            (
                "(https://a.example/x)",
                "({https://a.example/x|https://a.example/x})",
            ),
            (
                "https://a.example/Honey_(food), and",
                "{https://a.example/Honey_(food)|https://a.example/Honey_(food)}, and",
            ),
            (
                "(see https://a.example/b_(c))!?",
                "(see {https://a.example/b_(c)|https://a.example/b_(c)})!?",
            ),
            (
                "https://a.example/x];",
                "{https://a.example/x|https://a.example/x}];",
            ),
            (
                "https://a.example/a[1]",
                "{https://a.example/a[1]|https://a.example/a[1]}",
            ),
            (
                "\u{201c}https://a.example/x\u{201d}",
                "\u{201c}{https://a.example/x|https://a.example/x}\u{201d}",
            ),
            (
                "HTTPS://A.Example/X",
                "{HTTPS://A.Example/X|HTTPS://A.Example/X}",
            ),
            (
                "www.a.example/x",
                "{www.a.example/x|http://www.a.example/x}",
            ),
            (
                "https://a.example:8080/?q=1#top,",
                "{https://a.example:8080/?q=1#top|https://a.example:8080/?q=1#top},",
            ),
            (
                "https://a.example/?a=1&amp;b=2 and https://b.example/?x&copy;",
                "{https://a.example/?a=1&b=2|https://a.example/?a=1&b=2} and \
                 {https://b.example/?x|https://b.example/?x}\u{a9}",
            ),
            (
                "https://b\u{fc}cher.example/",
                "{https://b\u{fc}cher.example/|https://b\u{fc}cher.example/}",
            ),
            (
                "\u{770b}https://a.example/x\u{3002}",
                "\u{770b}{https://a.example/x|https://a.example/x}\u{3002}",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn signs_of_emphasis_within_an_address_are_its_own_and_around_it_are_not() {
        for (text, expected) in [
            (
                "https://a.example/one_two_three",
                "{https://a.example/one_two_three|https://a.example/one_two_three}",
            ),
            (
                "https://a.example/*b*/c d",
                "{https://a.example/*b*/c|https://a.example/*b*/c} d",
            ),
            (
                "*https://a.example/b*",
                "*{https://a.example/b|https://a.example/b}*",
            ),
            (
                "*see https://a.example/b_c* d",
                "*see {https://a.example/b_c|https://a.example/b_c}* d",
            ),
            (
                "https://a.example/*b c*",
                "{https://a.example/|https://a.example/}*b c*",
            ),
            (
                "~~https://a.example/~~",
                "{https://a.example/|https://a.example/}",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_or_stands_in_code_a_link_or_html_stays() {
        for text in [
            "`https://a.example/x`",
            "<a href=\"https://a.example/\">https://a.example/</a>",
            "https://localhost/x",
            "http://a_b.c_d/x",
            "https://[::1]/",
            "xhttps://a.example/",
            "ada@www.example",
            "https://",
            "https:// a.example",
            "https://a.example:PORT/b",
            "https://a.example:99999/",
            "https://256.1.1.1/",
            "www.a.example:abc",
            "www..example",
            "ftp://a.example/",
            "ada@a.example",
        ] {
            assert_eq!(
                shown(text),
                text.replace("``", "`").replace('`', ""),
                "{text}"
            );
        }
        assert_eq!(
            shown("[x https://b.example/](https://a.example/)"),
            "{x https://b.example/|https://a.example/}"
        );
        assert_eq!(
            shown("<https://a.example/>"),
            "{https://a.example/|https://a.example/}"
        );
        assert_eq!(
            shown("```\nhttps://a.example/\n```\n"),
            "https://a.example/\n"
        );
        assert_eq!(shown("    https://a.example/\n"), "https://a.example/\n");
        assert_eq!(
            shown("| a |\n|---|\n| https://a.example/x|\n"),
            "a{https://a.example/x|https://a.example/x}"
        );
        assert_eq!(
            shown("|a|\n|-|\n|https://a.example/x|\n"),
            "a{https://a.example/x|https://a.example/x}"
        );
    }

    proptest! {
        #[test]
        fn no_words_are_lost_or_doubled(text in "(https://|www\\.|a\\.b|[ -~]|é|\u{81}|\n){0,40}") {
            let words = |events: Vec<(Event<'_>, std::ops::Range<usize>)>| {
                let mut at = 0;
                for (event, range) in events {
                    if matches!(event, Event::Text(_)) {
                        assert!(range.start >= at && text.get(range.clone()).is_some(), "{text}");
                        at = range.end;
                    }
                }
                at
            };
            let events = |text| Parser::new_ext(text, DIALECT).into_offset_iter().collect::<Vec<_>>();
            assert!(words(linked(&text, events(&text))) >= words(events(&text)));
        }
    }
}
