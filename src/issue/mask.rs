//! What Markdown does not know is hidden from its parser: directives, unknown tags and merge slots.
//!
//! Promises: the masked text is as long as the original, octet for octet, so that the parser's offsets
//! are the author's. Code is left as it is.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use memchr::memmem;
use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::diagnostic::{Diagnostic, Source, nearest};
use crate::issue::block::{Inline, Piece, add_text, joined, joined_pieces};
use crate::issue::directive::{self, Directive};
use crate::issue::html::ALLOWED;
use crate::issue::may_hold_controls;
use crate::issue::merge::Slots;
use crate::issue::merge::filler::Filler;

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
    .union(Options::ENABLE_TASKLISTS)
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
        if memmem::find(self.text.as_bytes(), b"[[").is_none() {
            return;
        }
        let code = match may_be_unread(&self.text) {
            true => unread_ranges(&self.text),
            false => Vec::new(),
        };
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
            if !range.is_empty() {
                slots.cut_short(&plain[at..], base + from + at, found);
            }
            out.push_str(&self.text[range.clone()]);
            from = range.end;
        }
        self.text = out;
    }

    /// The text as the author wrote it, slots apart.
    pub(crate) fn unmask(&self, text: &str) -> Vec<Inline> {
        joined(self.parts(text, Inline::Text, Filler::inline))
    }

    /// The same, behind other words.
    pub(crate) fn unmask_into(&self, text: &str, words: &mut Vec<Inline>) {
        match is_bare(text) {
            true if text.is_empty() => {}
            true => add_text(words, text),
            false => words.extend(self.unmask(text)),
        }
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
        if is_bare(text) {
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

/// Whether nothing was hidden in a text, nor came in as a character reference.
fn is_bare(text: &str) -> bool {
    !may_hold_controls(text) || !text.contains(|c: char| c.is_control() && c != '\n')
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
    let stands = |mark: &&str| memmem::find(text.as_bytes(), mark.as_bytes()).is_some();
    if !marks.iter().any(stands) {
        return Vec::new();
    }
    let events = Parser::new_ext(text, DIALECT).into_offset_iter();
    let code = events.filter_map(|(event, range)| {
        matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_))).then_some(range)
    });
    code.collect()
}

/// Whether code, or what HTML has of the kind, may stand where `[[` does. To know takes a reading of the
/// whole text; most issues can be told by the paragraphs around their slots.
fn may_be_unread(text: &str) -> bool {
    let octets = text.as_bytes();
    let far = ["```", "~~~", "<!--", "<pre", "<code"];
    if far
        .iter()
        .any(|mark| memmem::find(octets, mark.as_bytes()).is_some())
    {
        return true;
    }
    memmem::find_iter(octets, "[[").any(|at| {
        let start = memmem::rfind(&octets[..at], b"\n\n").unwrap_or(0);
        let end = memmem::find(&octets[at..], b"\n\n").map_or(text.len(), |end| at + end);
        let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let margin = text[line..at]
            .split(|c| !sets_in(c))
            .next()
            .unwrap_or_default();
        text[start..end].contains('`') || margin.contains("    ") || margin.contains('\t')
    })
}

/// Code spans, code blocks, and what HTML has of the kind, comments too; in order and apart.
fn unread_ranges(text: &str) -> Vec<Range<usize>> {
    let code = code_ranges(text);
    let mut ranges = code.clone();
    for (open, close) in [("<!--", "-->"), ("<pre", "</pre"), ("<code", "</code")] {
        let mut from = 0;
        let find = |from: usize, wanted: &str| {
            let found = memmem::find(&text.as_bytes()[from..], wanted.as_bytes());
            found.map(|start| from + start)
        };
        while let Some(start) = find(from, open) {
            from = start + open.len();
            if code.iter().any(|range| range.contains(&start)) {
                continue;
            }
            let end = find(from, close).unwrap_or(text.len());
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
            // Of a pair, its first.
            if found
                .iter()
                .any(|told| told.code == "unknown-tag" && told.message == message)
                && text[at..].starts_with("</")
            {
                continue;
            }
            // In capitals, and in few letters, it is most likely meant.
            let misspelt = name.len() > 2 && !name.bytes().any(|b| b.is_ascii_uppercase());
            let near = misspelt
                .then(|| nearest(name, ALLOWED.split(", ")))
                .flatten();
            let help = match near {
                Some(near) => {
                    format!("did you mean `<{near}>`? Write `\\<{name}>` to have it shown")
                }
                None => format!("write `\\<{name}>` to say so"),
            };
            found.push(source.warning(base + at, "unknown-tag", message).help(help));
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
mod tests;
