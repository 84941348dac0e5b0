//! What Markdown does not know is hidden from its parser: directives, unknown tags and merge slots.
//!
//! Promises: the masked text is as long as the original, octet for octet, so that the parser's offsets
//! are the author's. Code is left as it is.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::diagnostic::{Diagnostic, Source};
use crate::issue::block::{Inline, Piece};
use crate::issue::directive::{self, Directive};
use crate::issue::merge::{Filler, Slots, joined, joined_pieces};

/// Stands for the `<` of an unknown tag. The author's text holds no control characters.
const TAG_OPEN: char = '\u{1}';
/// Stands for the `}` at the end of a headline, which Markdown would take for the end of attributes.
const BRACE: char = '\u{2}';
/// Stand before and after a slot's number; like a letter to Markdown, and allowed in its URLs.
const SLOT_OPEN: char = '\u{81}';
const SLOT_CLOSE: char = '\u{82}';
const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The dialect of Markdown.
pub(crate) const DIALECT: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_HEADING_ATTRIBUTES);

/// The text for the Markdown parser, and what was hidden from it.
pub(crate) struct Masked {
    pub(crate) text: String,
    /// By where they open.
    directives: BTreeMap<usize, Directive>,
    slots: HashMap<String, Filler>,
}

impl Masked {
    /// Masks the body that begins at `base` of the file.
    pub(crate) fn of(slots: &Slots<'_>, base: usize, found: &mut Vec<Diagnostic>) -> Masked {
        let source = slots.source;
        let mut text = source.text[base..].to_owned();
        let directives = directive::find(source, base, found);
        for directive in &directives {
            directive.hide(&mut text);
        }
        hide_braces(&mut text);
        hide_tags(&mut text, source, base, found);
        let opened = |directive: Directive| (directive.open.start, directive);
        let mut masked = Masked {
            text,
            directives: directives.into_iter().map(opened).collect(),
            slots: HashMap::new(),
        };
        masked.hide_slots(slots, base, found);
        masked
    }

    /// The directive that opens at this octet of the body.
    pub(crate) fn directive(&self, at: usize) -> Option<&Directive> {
        self.directives.get(&at)
    }

    /// Tells the lines of directives that Markdown took for something else: HTML goes on to a blank line.
    pub(crate) fn swallowed(
        &self,
        source: &Source<'_>,
        base: usize,
        events: &[(Event<'_>, Range<usize>)],
        found: &mut Vec<Diagnostic>,
    ) {
        let rules = events
            .iter()
            .filter(|(event, _)| matches!(event, Event::Rule));
        let rules: HashSet<usize> = rules.map(|(_, range)| range.start).collect();
        for directive in self.directives.values() {
            for line in [&directive.open, &directive.close] {
                if !rules.contains(&line.start) {
                    let message = "this line is part of the HTML above, which ends at a blank line";
                    let error = source.error(base + line.start, "directive", message);
                    found.push(error.help("leave a blank line above"));
                }
            }
        }
    }

    /// Tells the lines of directives within a list or a quote, which Markdown would show as they stand.
    pub(crate) fn set_in(
        &self,
        source: &Source<'_>,
        base: usize,
        events: &[(Event<'_>, Range<usize>)],
        found: &mut Vec<Diagnostic>,
    ) {
        let mut begins = false;
        for (event, range) in events {
            if let Event::Text(words) = event
                && begins
                && words.starts_with(":::")
            {
                let line = self.text[..range.start].rfind('\n');
                let before = &self.text[line.map_or(0, |newline| newline + 1)..range.start];
                let at_margin = before.len() <= 3 && before.trim().is_empty();
                if !at_margin && before.chars().all(sets_in) {
                    let message = "a directive cannot stand in a list or quote";
                    let error = source.error(base + range.start, "directive", message);
                    found.push(
                        error.help("begin its lines at the margin, which ends what stands above"),
                    );
                }
            }
            begins = matches!(
                event,
                Event::Start(Tag::Paragraph | Tag::Item) | Event::SoftBreak | Event::HardBreak
            );
        }
    }

    fn hide_slots(&mut self, slots: &Slots<'_>, base: usize, found: &mut Vec<Diagnostic>) {
        if !self.text.contains("[[") {
            return;
        }
        let code = unread_ranges(&self.text);
        let mut from = 0;
        let mut out = String::with_capacity(self.text.len());
        let end = self.text.len();
        for range in code.into_iter().chain(std::iter::once(end..end)) {
            // Code ends the search, so that `[[` before it is not closed by `]]` within it.
            let plain = &self.text[from..range.start];
            let mut at = 0;
            while let Some(slot) = slots.next(plain, at, base + from, found) {
                out.push_str(&plain[at..slot.start]);
                let name = stand_in(slot.end - slot.start, &slot.filler, &mut self.slots);
                out.push_str(&name);
                at = slot.end;
            }
            out.push_str(&plain[at..]);
            out.push_str(&self.text[range.clone()]);
            from = range.end;
        }
        self.text = out;
    }

    /// The text as the author wrote it, slots apart.
    pub(crate) fn unmask(&self, text: &str) -> Vec<Inline> {
        joined(self.parts(text, Inline::Text, Filler::inline))
    }

    /// An address with its slots.
    pub(crate) fn pieces(&self, text: &str) -> Vec<Piece> {
        joined_pieces(self.parts(text, Piece::Literal, Filler::piece))
    }

    fn parts<T>(
        &self,
        text: &str,
        plain: impl Fn(String) -> T,
        slot: impl Fn(Filler) -> T,
    ) -> Vec<T> {
        // A control character can still come in as a character reference.
        let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | SLOT_OPEN | SLOT_CLOSE);
        if !text.contains(|c: char| c.is_control() && c != '\n') {
            return match text {
                "" => Vec::new(),
                _ => vec![plain(text.to_owned())],
            };
        }
        let text = text.replace(TAG_OPEN, "<").replace(BRACE, "}");
        let text = text.replace(odd, " ");
        let mut out = Vec::new();
        let mut rest = text.as_str();
        while let Some(start) = rest.find(SLOT_OPEN) {
            let end = rest[start..]
                .find(SLOT_CLOSE)
                .map(|end| start + end + SLOT_CLOSE.len_utf8());
            let found = end.and_then(|end| self.slots.get(&rest[start..end]).map(|s| (s, end)));
            let Some((filler, end)) = found else { break };
            if start > 0 {
                out.push(plain(rest[..start].replace(SLOT_CLOSE, " ")));
            }
            out.push(slot(filler.clone()));
            rest = &rest[end..];
        }
        if !rest.is_empty() {
            out.push(plain(rest.replace([SLOT_OPEN, SLOT_CLOSE], " ")));
        }
        out
    }
}

/// A stand-in of `length` octets, the same for equal slots of equal length.
fn stand_in(length: usize, filler: &Filler, slots: &mut HashMap<String, Filler>) -> String {
    let digits = length - SLOT_OPEN.len_utf8() - SLOT_CLOSE.len_utf8();
    let name = (0_usize..)
        .map(|number| numbered(number, digits))
        .find(|name| slots.get(name).is_none_or(|taken| taken == filler))
        .expect(
            "one digit numbers the names of one letter, and more digits more than a file can hold",
        );
    slots.insert(name.clone(), filler.clone());
    name
}

fn numbered(number: usize, digits: usize) -> String {
    let mut left = number;
    let mut name = vec![DIGITS[0]; digits];
    for place in name.iter_mut().rev() {
        *place = DIGITS[left % DIGITS.len()];
        left /= DIGITS.len();
    }
    let name: String = name.into_iter().map(char::from).collect();
    format!("{SLOT_OPEN}{name}{SLOT_CLOSE}")
}

/// Code spans and code blocks, in order.
fn code_ranges(text: &str) -> Vec<Range<usize>> {
    // CommonMark 0.31, sections 4.4, 4.5 and 6.1: without one of these there is none, and to read the whole
    // text for it takes as long as to read it for good.
    let marks = ["`", "~~~", "    ", "\t"];
    if !marks.iter().any(|mark| text.contains(mark)) {
        return Vec::new();
    }
    let events = Parser::new_ext(text, DIALECT).into_offset_iter();
    let code = events.filter_map(|(event, range)| {
        matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_))).then_some(range)
    });
    code.collect()
}

/// Code spans, code blocks, and what HTML has of the kind, comments too; in order and apart.
fn unread_ranges(text: &str) -> Vec<Range<usize>> {
    let code = code_ranges(text);
    let mut ranges = code.clone();
    for (open, close) in [("<!--", "-->"), ("<pre", "</pre"), ("<code", "</code")] {
        let mut from = 0;
        while let Some(start) = text[from..].find(open).map(|start| from + start) {
            from = start + open.len();
            if code.iter().any(|range| range.contains(&start)) {
                continue;
            }
            let end = text[from..]
                .find(close)
                .map_or(text.len(), |end| from + end);
            ranges.push(start..end);
            from = end;
        }
    }
    ranges.sort_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match apart.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

/// Whether a line of a list or a quote may begin with this.
fn sets_in(c: char) -> bool {
    c.is_ascii_digit() || " \t>-+*.)".contains(c)
}

/// Hides the last `}` of a headline that ends in words between braces: to Markdown all of them are
/// attributes, and only classes and names are.
fn hide_braces(text: &mut String) {
    let code = OnceCell::new();
    let in_code = |at: usize| {
        let code = code.get_or_init(|| code_ranges(text));
        code.iter().any(|range: &Range<usize>| range.contains(&at))
    };
    let mut hidden = Vec::new();
    let mut at = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let start = at;
        at += line.len() + 1;
        // What closes a headline again: `## words ##`.
        let words = line.trim_end().trim_end_matches('#').trim_end();
        let inside = words
            .strip_suffix('}')
            .and_then(|words| words.rsplit_once('{'));
        let Some((_, inside)) = inside.filter(|(_, inside)| !inside.ends_with('\\')) else {
            continue;
        };
        let underlined = lines.peek().map(|next| next.trim()).is_some_and(|next| {
            let drawn = |mark| next.chars().all(|c| c == mark);
            !next.is_empty() && (drawn('-') || drawn('='))
        });
        let headline = underlined || line.trim_start_matches(sets_in).starts_with('#');
        let mut tokens = inside.split_whitespace();
        let attributes =
            !inside.trim().is_empty() && tokens.all(|token| token.starts_with(['.', '#']));
        let brace = start + words.len() - 1;
        if headline && !attributes && !in_code(brace) {
            hidden.push(brace);
        }
    }
    for at in hidden {
        text.replace_range(at..=at, BRACE.encode_utf8(&mut [0; 4]));
    }
}

/// Hides the `<` of what looks like a tag and is none of HTML's, such as `<CALL>`.
fn hide_tags(text: &mut String, source: Source<'_>, base: usize, found: &mut Vec<Diagnostic>) {
    // Read only once something looks like such a tag: few issues have one.
    let code = OnceCell::new();
    let in_code = |at: usize| {
        let code = code.get_or_init(|| code_ranges(text));
        code.iter().any(|range: &Range<usize>| range.contains(&at))
    };
    let mut hidden = Vec::new();
    for (at, _) in text.match_indices('<') {
        let backslashes = text[..at].bytes().rev().take_while(|b| *b == b'\\').count();
        if backslashes % 2 == 1 || text[..at].ends_with("](") {
            continue;
        }
        let inside = text[at + 1..].trim_start_matches('/');
        let length = inside
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
            .unwrap_or(inside.len());
        let (name, rest) = inside.split_at(length);
        let tag_like = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && rest.starts_with(['>', ' ', '/', '\n'])
            && rest.find('>').is_some_and(|end| !rest[..end].contains('<'));
        if tag_like && !is_html(name) && !in_code(at) {
            hidden.push(at);
            let message = format!("`<{name}>` is no HTML tag and is shown as it stands");
            found.push(
                source
                    .warning(base + at, "unknown-tag", message)
                    .help(format!("write `\\<{name}>` to say so")),
            );
        }
    }
    for at in hidden {
        text.replace_range(at..=at, TAG_OPEN.encode_utf8(&mut [0; 4]));
    }
}

/// HTML's element names, by the WHATWG standard, section 4, and the obsolete ones still met in mail.
fn is_html(name: &str) -> bool {
    const NAMES: &str = " a abbr acronym address area article aside audio b base bdi bdo big \
        blockquote body br button canvas caption center cite code col colgroup data datalist dd del \
        details dfn dialog dir div dl dt em embed fieldset figcaption figure font footer form frame \
        frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe img input ins kbd label legend \
        li link main map mark marquee math menu meta meter nav nobr noframes noscript object ol \
        optgroup option output p param picture pre progress q rp rt ruby s samp script search section \
        select slot small source span strike strong style sub summary sup svg table tbody td template \
        textarea tfoot th thead time title tr track tt u ul var video wbr ";
    NAMES.contains(&format!(" {} ", name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::Masked;
    use crate::compile::press::Mail;
    use crate::diagnostic::Source;
    use crate::issue::block::{Inline, Merge};
    use crate::issue::front::Front;
    use crate::issue::merge::{Given, Slots};
    use crate::segment::named::Segments;
    use crate::subscriber::field::FieldTable;

    fn mask(text: &str) -> (Masked, Vec<String>) {
        let mut found = Vec::new();
        let source = Source { file: "a.md", text };
        let given = Given {
            fields: &FieldTable::default(),
            mail: Mail::Issue,
            publication: "",
            url: "",
            list: "",
            chosen: None,
            subject: None,
            language: "en",
            segments: &Segments::default(),
            zone: "UTC",
        };
        let slots = Slots::new(source, "a", &Front::default(), given);
        let masked = Masked::of(&slots, 0, &mut found);
        assert_eq!(masked.text.len(), text.len());
        (masked, found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn slots_are_hidden_and_come_back_and_code_is_not_searched() {
        let (masked, found) = mask("a [[name|x]] `[[name]]` [[name|y]]\n\n    [[oops]]\n");
        assert!(found.is_empty(), "{found:?}");
        assert!(!masked.text.contains("[[name|"));
        assert!(masked.text.contains("`[[name]]`"));
        assert!(masked.text.contains("    [[oops]]"));
        assert_eq!(masked.unmask(&masked.text).len(), 5);
    }

    #[test]
    fn slots_of_one_length_are_told_apart() {
        let letters = ('a'..='z').flat_map(|a| ('a'..='z').map(move |b| (a, b)));
        let text: String = letters.map(|(a, b)| format!("[[name|{a}{b}]] ")).collect();
        let (masked, found) = mask(&text);
        assert!(found.is_empty(), "{found:?}");
        let defaults: String = masked
            .unmask(&masked.text)
            .iter()
            .map(|inline| match inline {
                Inline::Merge(Merge::Field { default, .. }) => format!("[[name|{default}]]"),
                Inline::Text(text) => text.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(defaults, text);
    }

    #[test]
    fn words_in_braces_stay_at_the_end_of_a_headline_and_attributes_do_not() {
        let text = "## The sets {a, b}\n\n## Plain {.plain}\n\n### Of code {x} ###\n\n\
                    ```\n# a {b}\n```\n\nSet {y}\n---\n\nwords {z}\n";
        let (masked, _) = mask(text);
        let hidden = masked.text.match_indices(super::BRACE);
        let hidden: Vec<&str> = hidden.map(|(at, _)| &text[at - 1..=at]).collect();
        assert_eq!(hidden, ["b}", "x}", "y}"]);
        let shown = masked.unmask("The sets {a, b\u{2}");
        assert_eq!(shown, [Inline::Text("The sets {a, b}".into())]);
    }

    #[test]
    fn an_unknown_tag_is_hidden_with_a_warning_and_known_ones_are_not() {
        let (masked, found) =
            mask("a <CALL> </CALL> <b>x</b> <https://a.example> `<CODE>` \\<X> <3");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("a.md:1:3: warning[unknown-tag]: `<CALL>`"));
        assert_eq!(masked.text.matches('<').count(), 6, "{}", masked.text);
    }
}
